# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that come from outside, over MQTT or HTTP: calls are transferred or ended, callers called back."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from gateway.core.record import CallRecord, TransferRecord
from gateway.ports import Author, NotAllowedError, Operations, TooLateError

Id = Annotated[str, Field(min_length=1, max_length=128)]


class CommandError(Exception):
    """A command was not carried out; `code` is one of the error codes in docs/events.md."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Command(BaseModel):
    """What commands have in common; fields that are not known are ignored."""

    model_config = ConfigDict(frozen=True)

    id: Id | None = Field(default=None, description="the same id again gets the first answer, and does nothing")


class TransferCommand(_Command):
    """Transfer a running call."""

    type: Literal["transfer"]
    call: Id
    destination: str = Field(min_length=1, max_length=512)  # a number, a SIP URI or an alias
    message: str | None = Field(default=None, max_length=2000)
    whisper: Id | None = None  # of a sound that was uploaded for this transfer

    def carry_out(self, operations: Operations, author: Author) -> TransferRecord:
        """Raises CommandError with code unknown-call or not-allowed; a refusal is in the record."""
        try:
            return operations.transfer_call(self.call, self.destination, self.message, self.id, author, self.whisper)
        except NotAllowedError as error:
            raise CommandError("not-allowed", str(error)) from None
        except LookupError:
            raise CommandError("unknown-call", f"no call {self.call} is under way") from None


class CallBackCommand(_Command):
    """Call back somebody who has called: whose call it is, or was lately, or a transfer of it; or whose number."""

    type: Literal["callback"]
    call: Id | None = None
    transfer: Id | None = None
    caller: Id | None = None
    destination: str = Field(min_length=1, max_length=512)  # a number, a SIP URI or an alias

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if sum(one is not None for one in (self.call, self.transfer, self.caller)) != 1:
            raise ValueError("one of call, transfer and caller must be given")
        return self

    def carry_out(self, operations: Operations, author: Author) -> TransferRecord:
        """Raises CommandError with code unknown-call or not-allowed; a refusal is in the record."""
        who = self.call or self.transfer or self.caller or ""
        try:
            return operations.call_back(who, self.destination, self.id, author)
        except NotAllowedError as error:
            raise CommandError("not-allowed", str(error)) from None
        except LookupError:
            raise CommandError("unknown-call", f"no call {who} is under way, or was in the last hour") from None


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

    def carry_out(self, operations: Operations, author: Author) -> TransferRecord:
        """Raises CommandError with code unknown-transfer, too-late or not-allowed."""
        which = self.transfer or self.call or ""
        try:
            return operations.cancel_transfer(which, self.id, author)
        except NotAllowedError as error:
            raise CommandError("not-allowed", str(error)) from None
        except LookupError:
            raise CommandError("unknown-transfer", f"no transfer {which} is under way") from None
        except TooLateError as error:
            raise CommandError("too-late", str(error)) from None


class HangUpCommand(_Command):
    """End a running call."""

    type: Literal["hangup"]
    call: Id

    def carry_out(self, operations: Operations, author: Author) -> CallRecord:
        """Raises CommandError with code unknown-call or not-allowed."""
        try:
            return operations.hang_up_call(self.call, self.id, author)
        except NotAllowedError as error:
            raise CommandError("not-allowed", str(error)) from None
        except LookupError:
            raise CommandError("unknown-call", f"no call {self.call} is under way") from None


Command = TransferCommand | CallBackCommand | CancelCommand | HangUpCommand


def about(record: TransferRecord | CallRecord) -> dict[str, str | None]:
    """What a command was about, for the audit trail: fields of GivenCommand."""
    return {"transfer": record.transfer, "number": record.number, "destination": record.destination}


K = TypeVar("K", TransferCommand, CallBackCommand, CancelCommand, HangUpCommand)

_COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


def read_as(kind: type[K], fields: Mapping[str, object]) -> K:
    """A command of this kind, from its fields. Raises CommandError with code bad-request."""
    command = read(fields)
    if not isinstance(command, kind):
        named = kind.model_fields["type"].annotation
        raise CommandError("bad-request", f'type: must be "{get_args(named)[0]}"')
    return command


def read(command: bytes | Mapping[str, object]) -> Command:
    """Read a command, from JSON or as its fields. Raises CommandError with code bad-json or bad-request."""
    try:
        return _COMMANDS.validate_json(command) if isinstance(command, bytes) else _COMMANDS.validate_python(command)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise CommandError("bad-json", first["msg"]) from None
        where = ".".join(map(str, first["loc"][1:]))  # without the type that tells commands apart
        raise CommandError("bad-request", f"{where}: {first['msg']}" if where else first["msg"]) from None
