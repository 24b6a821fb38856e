# SPDX-License-Identifier: GPL-2.0-or-later
"""What the web server and commands may ask of the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.core.call_line import Line
from gateway.core.model import PbxState
from gateway.core.open_call import OpenCall
from gateway.core.record import CallRecord, TransferRecord
from gateway.ports.history import FiguresQuery, HistoryPage, HistoryQuery


@dataclass(frozen=True, slots=True)
class Author:
    """Who gives a command, as the record and the audit trail name them."""

    name: str
    numbers: frozenset[str] | None = None  # ids of the numbers whose calls they may command; None: of all

    def may_command(self, number: str) -> bool:
        """Whether the calls of this number are theirs to command."""
        return self.numbers is None or number in self.numbers


@dataclass(frozen=True, slots=True)
class GivenCommand:
    """A command that an author has given, and what came of it. No caller is named."""

    author: str
    via: str  # "http" | "mqtt" | "signal"
    action: str  # "transfer" | "callback" | "cancel" | "hangup" | "probe" | "forget" | "reload" | "restart"
    result: str  # "done" | "accepted", or the code of the error
    call: str | None = None
    transfer: str | None = None
    number: str | None = None
    destination: str | None = None
    remote: str | None = None  # the address that it came from

    @property
    def document(self) -> dict[str, str | None]:
        """JSON-able."""
        return asdict(self)


class NotAllowedError(Exception):
    """The author may not command calls of this number."""


class NoRoomError(Exception):
    """As much is kept as may be."""


@dataclass(frozen=True, slots=True)
class KeptWhisper:
    """A sound that was uploaded for one transfer."""

    whisper: str  # by which the transfer names it
    seconds: float
    expires_at: datetime  # where no transfer has taken it by then


class TooLateError(Exception):
    """The transfer can no longer be cancelled."""


class UnknownDestinationError(LookupError):
    """The number has no such destination."""


class UnreadableError(Exception):
    """The disk does not tell what it holds."""


class CannotRestartError(Exception):
    """A restart would end calls, or is none: `code` is its slug, `mistakes` those of the configuration."""

    def __init__(self, code: str, text: str, mistakes: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of a test call."""

    reached: bool  # it was answered
    code: int | None  # the final response; None: there was none in the ring time
    text: str
    seconds: float  # until the answer, or the end


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of a reload."""

    mistakes: Sequence[str]  # that kept the configuration from being taken; none: it was
    restart_needed: Sequence[str] = ()  # keys and secret files of which the running gateway has another value
    applied: Sequence[str] = ()  # keys that have another value now


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What goes on, for whoever looks at it each moment."""

    calls: int
    transfers: int
    lines: Sequence[Line]  # of as many calls as were asked for; callers as they may be shown


class Operations(Protocol):
    """What the web server and the command ask of the running gateway."""

    def ready(self) -> tuple[bool, Mapping[str, bool]]:
        """Whether calls can be taken, and each condition by name (transports, configuration, not draining)."""

    def status(self) -> Mapping[str, Any]:
        """State, version, counts, trunks, PBXs, MQTT: JSON-able."""

    def dialogs(self, most: int, call_id: str = "") -> Sequence[Mapping[str, Any]]:
        """Up to so many of the dialogs that the SIP stack holds, the oldest first: JSON-able.

        With a `call_id` those alone that have it.
        """

    def calls(self) -> Sequence[CallRecord]:
        """Calls under way, newest first."""

    def open_calls(self) -> Mapping[str, OpenCall]:
        """How each call under way is, by its id."""

    def under_way(self, most: int) -> UnderWay:
        """What goes on, with the lines of so many calls; callers are masked where `[history] callers` has them so."""

    def numbers(self) -> Sequence[str]:
        """The ids of the assigned numbers."""

    async def transfers(self, *, limit: int | None = None, transfer: str | None = None) -> Sequence[TransferRecord]:
        """Running and remembered transfers, newest first, or the one of this id. Raises UnreadableError."""

    async def history(self, what: str, query: HistoryQuery) -> HistoryPage:
        """A page of "transfer", "call" or "platform_call", under way or over, newest first. Raises UnreadableError."""

    async def figures(self, query: FiguresQuery) -> Mapping[str, Any]:
        """How far the transfers of a span came, by destination and day: JSON-able. Raises UnreadableError."""

    async def past_transfer(self, transfer: str) -> Mapping[str, Any] | None:
        """The transfer of this id, once it is over and in the history, with its `events`. Raises UnreadableError."""

    async def transfer_messages(self, transfer: str) -> Mapping[str, Any] | None:
        """The SIP messages of the call that a transfer was about: JSON-able. Raises UnreadableError.

        `kept` is False, and `because` says why, where its messages are not there any more. None: it is unknown.
        """

    async def call_messages(self, call: str) -> Mapping[str, Any] | None:
        """The same of a call, one of the last: None: it is not known any more."""

    async def forget(self, caller: str) -> Mapping[str, Any]:
        """Take a caller out of all that is stored; what that was, JSON-able. Raises ValueError, UnreadableError."""

    def pbx_states(self) -> Sequence[PbxState]:
        """The snapshot of every PBX."""

    def explain(self, target: str, number: str, at: datetime | None) -> Mapping[str, Any]:
        """Where a transfer would go, and why: as `explain --json`. Raises LookupError for an unknown number.

        `at` without a zone is read by the clock of the hours in question (`gate.on_the_clock`).
        """

    async def configuration(self) -> Mapping[str, Any]:
        """What is in force, but for what nobody is to see: JSON-able."""

    async def check_configuration(self) -> Mapping[str, Any]:
        """What `check` says of the files as they are now: JSON-able. Raises UnreadableError."""

    def availability(self, number: str, destination: str | None) -> dict[str, object]:
        """What the gate would say of a number's destinations now, or of one: `core.availability`.

        Raises LookupError for an unknown number, and UnknownDestinationError for what is none of its destinations.
        """

    def assistant(self, number: str) -> Mapping[str, Any] | None:
        """Who is to answer at a number: the configured JSON, whose `transfer_call` offers what is open now; or None."""

    def note_command(self, command: GivenCommand) -> None:
        """Keep in the audit trail who has given a command, and what came of it."""

    async def commands_kept(self) -> None:
        """Wait until what was noted and reported so far outlives the process, unless that takes too long."""

    def audit(self, most: int) -> Sequence[Mapping[str, Any]]:
        """So many of the commands that were given, the newest first: JSON-able."""

    def transfer_call(
        self,
        call: str,
        destination: str,
        message: str | None,
        command_id: str | None = None,
        author: Author | None = None,
        whisper: str | None = None,
    ) -> TransferRecord:
        """Transfer a running call; a refusal is in the record. `whisper` names a sound that was uploaded for it.

        Raises LookupError for an unknown call, NotAllowedError for one that is not the author's to command.
        A `message` is spoken to nobody, as the trail of the record says.
        The same `command_id` again moves nobody, and gets the first answer.
        """

    def call_back(
        self, which: str, destination: str, command_id: str | None = None, author: Author | None = None
    ) -> TransferRecord:
        """Have a destination call somebody back, as soon as somebody is free there; a refusal is in the record.

        `which` is a call that is under way or was in the last hour, a transfer of it, or its caller's number. Raises
        LookupError for one that is not known, NotAllowedError for one that is not the author's to command.
        """

    def keep_whisper(self, data: bytes, author: Author) -> KeptWhisper:
        """Keep a WAV for a transfer that names it. Raises ValueError where it is none, and NoRoomError."""

    def cancel_transfer(
        self, which: str, command_id: str | None = None, author: Author | None = None
    ) -> TransferRecord:
        """End the attempts of a transfer, named by its own id or its call's; the caller is taken care of.

        Raises LookupError when no such transfer is under way, TooLateError when somebody has answered, NotAllowedError
        when it is not the author's to command.
        """

    def hang_up_call(self, call: str, command_id: str | None = None, author: Author | None = None) -> CallRecord:
        """End a running call, each of its legs and what it has of transfers; as it is then.

        Raises LookupError for an unknown call, NotAllowedError for one that is not the author's to command.
        """

    async def probe_call(self, number: str, destination: str) -> ProbeResult:
        """Call a destination for a moment. Raises LookupError when there is no such number or destination."""

    async def reload(self) -> Reloaded:
        """Load the configuration anew: it is taken as a whole, or the old one stays in force. Never raises."""

    async def restart(self) -> Mapping[str, Any]:
        """Begin a restart that keeps the calls; what is under way, JSON-able. Raises CannotRestartError."""
