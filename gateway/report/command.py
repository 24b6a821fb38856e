# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that come over MQTT: a running call is transferred or ended, or a transfer cancelled, as somebody asks.

Who may publish to the command topics is for the broker to say.
"""

from collections.abc import Mapping

import structlog

from gateway.commands import (
    CallBackCommand,
    CancelCommand,
    Command,
    CommandError,
    HangUpCommand,
    TransferCommand,
    about,
    read,
)
from gateway.core.json_form import transfer_document
from gateway.core.outcome import Outcome
from gateway.core.record import CallRecord, TransferRecord
from gateway.ports import Author, GivenCommand, Operations

MAX_PAYLOAD = 16 * 1024  # bytes

BROKER = Author("mqtt")
"""Who has sent a command over MQTT is known to the broker alone."""

log = structlog.get_logger(__name__)


class Commands:
    """Carries out commands on the running gateway; an `mqtt.CommandHandler`.

    The reply is `{"id", "call", "status": "accepted"|"refused", "transfer": {…}}` to a transfer,
    `{"id", "status": "accepted"|"refused", "transfer": {…}}` to a callback,
    `{"id", "status": "cancelled", "transfer": {…}}` to a cancel, `{"id", "call", "status": "ended"}` to a hangup, or
    `{"id", "error": {"code", "message"}}` with code bad-json, bad-request, unknown-call, unknown-transfer, too-late or
    internal-error.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def __call__(
        self, payload: bytes, response_topic: str | None, correlation: bytes | None
    ) -> Mapping[str, object] | None:
        """Carry out one command at once, and wait until what it has begun is on disk; never raises."""
        if len(payload) > MAX_PAYLOAD:
            return _error(None, "bad-request", f"a command may be {MAX_PAYLOAD} bytes long, this is {len(payload)}")
        try:
            command = read(payload)
        except CommandError as error:
            log.warning("mqtt-command-refused", why=str(error))
            return _error(None, error.code, str(error))
        reply = self._answer_to(command)
        await self._operations.commands_kept()
        return reply

    def _answer_to(self, command: Command) -> Mapping[str, object]:
        try:
            return self._carry_out(command)
        except CommandError as error:
            self._note(command, error.code)
            return _error(command.id, error.code, str(error))
        except Exception:  # the sender must get an answer, whatever it is
            log.exception("mqtt-command-failed", type=command.type, call=command.call)
            return _error(command.id, "internal-error", "the gateway failed; its log tells why")

    def _carry_out(self, command: Command) -> Mapping[str, object]:
        if isinstance(command, HangUpCommand):
            self._note(command, "done", command.carry_out(self._operations, BROKER))
            return {"id": command.id, "call": command.call, "status": "ended"}
        record = command.carry_out(self._operations, BROKER)
        document = transfer_document(record)
        refused = record.outcome is Outcome.REFUSED
        result = "done" if isinstance(command, CancelCommand) else "refused" if refused else "accepted"
        self._note(command, result, record)
        if isinstance(command, TransferCommand):
            return {"id": command.id, "call": command.call, "status": result, "transfer": document}
        status = result if isinstance(command, CallBackCommand) else "cancelled"
        return {"id": command.id, "status": status, "transfer": document}

    def _note(self, command: Command, result: str, record: TransferRecord | CallRecord | None = None) -> None:
        named = about(record) if record is not None else {}
        self._operations.note_command(
            GivenCommand(BROKER.name, "mqtt", command.type, result, call=command.call, **named)
        )


def _error(command_id: str | None, code: str, message: str) -> Mapping[str, object]:
    return {"id": command_id, "error": {"code": code, "message": message}}
