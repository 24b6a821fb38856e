# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that come over MQTT: a running call is transferred because somebody asks for it by message."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.core.document import transfer_document
from gateway.core.outcome import Outcome
from gateway.ports import Operations

MAX_PAYLOAD = 16 * 1024  # bytes
REMEMBERED_REPLIES = 1000

log = structlog.get_logger(__name__)


class TransferCommand(BaseModel):
    """The body of `commands/transfer`; fields that are not known are ignored."""

    model_config = ConfigDict(frozen=True)

    type: Literal["transfer"]
    call: str = Field(min_length=1, max_length=128)
    destination: str = Field(min_length=1, max_length=512)
    message: str | None = Field(default=None, max_length=2000)
    id: str | None = Field(
        default=None, min_length=1, max_length=128, description="the same id again gets the same reply, once done"
    )


class Commands:
    """Carries out commands on the running gateway; an `mqtt.CommandHandler`.

    The reply is `{"id", "call", "status": "accepted"|"refused", "transfer": {…}}`, or
    `{"id", "error": {"code", "message"}}` with code bad-json, bad-request, unknown-call or internal-error.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._replies: OrderedDict[str, Mapping[str, object]] = OrderedDict()

    async def __call__(
        self, payload: bytes, response_topic: str | None, correlation: bytes | None
    ) -> Mapping[str, object] | None:
        """Carry out one command; never raises."""
        if len(payload) > MAX_PAYLOAD:
            return _error(None, "bad-request", f"a command may be {MAX_PAYLOAD} bytes long, this is {len(payload)}")
        try:
            command = TransferCommand.model_validate_json(payload)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            log.warning("a command was refused", why=first["msg"], where=where)
            if first["type"] == "json_invalid":
                return _error(None, "bad-json", first["msg"])
            return _error(None, "bad-request", f"{where}: {first['msg']}" if where else first["msg"])
        if command.id is not None and command.id in self._replies:
            return self._replies[command.id]
        reply = self._transfer(command)
        if command.id is not None:
            self._replies[command.id] = reply
            if len(self._replies) > REMEMBERED_REPLIES:
                self._replies.popitem(last=False)
        return reply

    def _transfer(self, command: TransferCommand) -> Mapping[str, object]:
        try:
            record = self._operations.transfer_call(command.call, command.destination, command.message)
        except LookupError:
            return _error(command.id, "unknown-call", f"no call {command.call} is under way")
        except Exception:  # the sender must get an answer, whatever it is
            log.exception("a command failed", call=command.call)
            return _error(command.id, "internal-error", "the gateway failed; its log tells why")
        status = "refused" if record.outcome is Outcome.REFUSED else "accepted"
        return {"id": command.id, "call": command.call, "status": status, "transfer": transfer_document(record)}


def _error(command_id: str | None, code: str, message: str) -> Mapping[str, object]:
    return {"id": command_id, "error": {"code": code, "message": message}}
