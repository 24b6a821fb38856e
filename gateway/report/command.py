# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that come over MQTT: a running call is transferred, or a transfer cancelled, because somebody asks for it.

Who may publish to the command topics is for the broker to say.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from gateway.core.document import transfer_document
from gateway.core.outcome import Outcome
from gateway.core.record import TransferRecord
from gateway.ports import Operations, TooLateError

MAX_PAYLOAD = 16 * 1024  # bytes

Id = Annotated[str, Field(min_length=1, max_length=128)]

log = structlog.get_logger(__name__)


class _Command(BaseModel):
    """What commands have in common; fields that are not known are ignored."""

    model_config = ConfigDict(frozen=True)

    id: Id | None = Field(default=None, description="the same id again gets the first answer, and does nothing")


class TransferCommand(_Command):
    """Transfer a running call."""

    type: Literal["transfer"]
    call: Id
    destination: str = Field(min_length=1, max_length=512)
    message: str | None = Field(default=None, max_length=2000)


class CancelCommand(_Command):
    """Cancel a running transfer, named by its own id or its call's."""

    type: Literal["cancel"]
    transfer: Id | None = None
    call: Id | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.transfer is None) is (self.call is None):
            raise ValueError("transfer or call must be given")
        return self


_COMMANDS: TypeAdapter[TransferCommand | CancelCommand] = TypeAdapter(
    Annotated[TransferCommand | CancelCommand, Field(discriminator="type")]
)


class Commands:
    """Carries out commands on the running gateway; an `mqtt.CommandHandler`.

    The reply is `{"id", "call", "status": "accepted"|"refused", "transfer": {…}}` to a transfer and
    `{"id", "status": "cancelled", "transfer": {…}}` to a cancel, or `{"id", "error": {"code", "message"}}` with code
    bad-json, bad-request, unknown-call, unknown-transfer, too-late or internal-error.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def __call__(
        self, payload: bytes, response_topic: str | None, correlation: bytes | None
    ) -> Mapping[str, object] | None:
        """Carry out one command; never raises."""
        if len(payload) > MAX_PAYLOAD:
            return _error(None, "bad-request", f"a command may be {MAX_PAYLOAD} bytes long, this is {len(payload)}")
        try:
            command = _COMMANDS.validate_json(payload)
        except ValidationError as error:
            return _misread(error)
        try:
            if isinstance(command, TransferCommand):
                return self._transfer(command)
            return self._cancel(command)
        except Exception:  # the sender must get an answer, whatever it is
            log.exception("a command failed", type=command.type, call=command.call)
            return _error(command.id, "internal-error", "the gateway failed; its log tells why")

    def _transfer(self, command: TransferCommand) -> Mapping[str, object]:
        try:
            record = self._operations.transfer_call(command.call, command.destination, command.message, command.id)
        except LookupError:
            return _error(command.id, "unknown-call", f"no call {command.call} is under way")
        status = "refused" if record.outcome is Outcome.REFUSED else "accepted"
        return {"id": command.id, "call": command.call, **_told(status, record)}

    def _cancel(self, command: CancelCommand) -> Mapping[str, object]:
        which = command.transfer or command.call or ""
        try:
            record = self._operations.cancel_transfer(which, command.id)
        except LookupError:
            return _error(command.id, "unknown-transfer", f"no transfer {which} is under way")
        except TooLateError as error:
            return _error(command.id, "too-late", str(error))
        return {"id": command.id, **_told("cancelled", record)}


def _told(status: str, record: TransferRecord) -> dict[str, object]:
    return {"status": status, "transfer": transfer_document(record)}


def _misread(error: ValidationError) -> Mapping[str, object]:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"][1:]))  # without the type that tells commands apart
    log.warning("a command was refused", why=first["msg"], where=where)
    if first["type"] == "json_invalid":
        return _error(None, "bad-json", first["msg"])
    return _error(None, "bad-request", f"{where}: {first['msg']}" if where else first["msg"])


def _error(command_id: str | None, code: str, message: str) -> Mapping[str, object]:
    return {"id": command_id, "error": {"code": code, "message": message}}
