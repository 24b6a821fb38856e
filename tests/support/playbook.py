# SPDX-License-Identifier: GPL-2.0-or-later
"""A conversation with the transfer machine: events in, commands out, and a diff where it went otherwise."""

import difflib
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

from gateway.core.model import (
    Announcement,
    AnsweredBy,
    CallBack,
    Decision,
    Destination,
    Entry,
    FinalNotify,
    LegId,
    OnVoicemail,
    TransferId,
    WhileWaiting,
)
from gateway.core.outcome import Reason
from gateway.core.record import Milestone, TransferRecord
from gateway.core.transfer import Manner, State, Transfer, join, promise, start, step
from gateway.core.transfer.commands import RELEASE_S, Command, Notify, Report, StartTimer, StopTimer, Timer
from gateway.core.transfer.events import (
    AcceptTimeout,
    Announced,
    CallerLost,
    Cancelled,
    Deadline,
    Event,
    Expired,
    Fault,
    HumanAnswered,
    HumanTimeout,
    Identified,
    Listened,
    NotifyFailed,
    ReleaseTimeout,
    RingTimeout,
    Stop,
    Switched,
    SwitchFailed,
    TargetAnswered,
    TargetFailed,
    TargetPressed,
    TargetProgress,
    TransfereeAnswered,
    TransfereeFailed,
    TransfereeGone,
    TransferorGone,
    TurnCame,
    WhoTimeout,
)
from gateway.core.transfer.state import Place

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TRANSFER = TransferId("01JNA000000000000000000000")
CALLER = LegId("caller")
ASSISTANT = LegId("assistant")
CONSULTED = LegId("consulted")

SALES = Destination("sales", "6500", queue="sales", ring_timeout=timedelta(seconds=20))
SUPPORT = Destination("support", "6001", ring_timeout=timedelta(seconds=15))
GREETING = Announcement("/greeting.wav", timedelta(seconds=3), before=True)
GREETED = Destination("greeted", "6700", ring_timeout=timedelta(seconds=12), announcement=GREETING)
VOICEMAIL = Destination("voicemail", "6599", ring_timeout=timedelta(seconds=10))

RETURNING = replace(SUPPORT, id="returning", extension="6002", voicemail=OnVoicemail.RETURN)
KEEPING = replace(SUPPORT, id="keeping", extension="6003", voicemail=OnVoicemail.KEEP, digits="w1")

WHISPER = Announcement("/whisper.wav", timedelta(seconds=2))
WHISPERED = replace(SUPPORT, id="whispered", extension="6004", whisper=(WHISPER,))
ACCEPTING = replace(WHISPERED, id="accepting", extension="6005", accept="1", decline="2")
TALKING = replace(SUPPORT, id="talking", extension="6008", while_waiting=WhileWaiting.ASSISTANT)
TALKING_IN_QUEUE = replace(TALKING, id="talking-in-queue", extension="6509", queue="sales")
HOLDING = replace(
    TALKING_IN_QUEUE, id="holding", extension="6510", whisper=(WHISPER,), accept="1", hold_place=timedelta(seconds=60)
)
_PLACE = Place(LegId("earlier/1"), HOLDING, TransferId("earlier"), BEGIN + timedelta(seconds=30), named=True)
KEPT_PLACES = (
    _PLACE,
    replace(_PLACE, rings=True),
    replace(_PLACE, rings=True, answered=True),
    replace(_PLACE, rings=True, answered=True, by=AnsweredBy.AGENT, agent="Local/201"),
    replace(_PLACE, by=AnsweredBy.OUTSIDE),
    replace(_PLACE, rings=True, answered=True, named=False),
)
"""Those that an earlier transfer has kept, however far its leg has got."""
QUEUED = replace(ACCEPTING, id="queued", extension="6501", queue="sales", ring_timeout=timedelta(seconds=20))

PLAN = CallBack("asterisk", ("+31",), attempts=2)
PLANNED = tuple(replace(each, call_back=PLAN) for each in (SUPPORT, QUEUED, KEEPING, WHISPERED))
"""Destinations by which callers are called back."""

NONE_LEFT = Decision(accepted=False, reason=Reason.AGENTS_BUSY, destination=None)
"""What the gate says when no destination can be tried any more."""

END: tuple[Command, ...] = (*(StopTimer(timer) for timer in Timer), Report(Milestone.ENDED))
"""How every transfer ends."""


def to(destination: Destination, *, after: tuple[tuple[str, Reason], ...] = ()) -> Decision:
    """A gate that lets `destination` pass, and had passed over those of `after`."""
    trail = (f"{destination.id}: free",)
    return Decision(accepted=True, reason=Reason.ACCEPTED, destination=destination, trail=trail, refusals=after)


def refusal(reason: Reason, destination: Destination | None = SUPPORT, *, retry_after_s: int | None = None) -> Decision:
    """A gate that refuses."""
    trail = (f"no: {reason}",)
    return Decision(False, reason, destination, trail=trail, retry_after_s=retry_after_s)


def leg(number: int) -> LegId:
    """The leg of the target that was dialled as the `number`-th."""
    return LegId(f"{TRANSFER}/{number}")


def rings(number: int, code: int = 180) -> Event:
    """Target `number` rings."""
    return TargetProgress(BEGIN, leg(number), code)


def answers(number: int) -> Event:
    """Target `number` answers."""
    return TargetAnswered(BEGIN, leg(number))


def fails(
    number: int, reason: Reason = Reason.BUSY, sip_code: int = 486, *, then: Decision = NONE_LEFT, moved: bool = False
) -> Event:
    """Target `number` ends; the gate says `then` of the rest. `moved`: the PBX had taken the caller by then."""
    return TargetFailed(BEGIN, leg(number), reason, sip_code, then, moved)


def hears(number: int, heard: bool = True, *, then: Decision = NONE_LEFT) -> Event:
    """The caller's leg has been listened to after the hand-down `number`."""
    return Listened(BEGIN, leg(number), heard, then)


def loses_caller(number: int, reason: Reason = Reason.CALLER_HUNG_UP) -> Event:
    """The PBX no longer has the caller whom it took by the hand-down `number`."""
    return CallerLost(BEGIN, leg(number), reason)


def rings_out(*, then: Decision = NONE_LEFT) -> Event:
    """The target does not answer."""
    return RingTimeout(BEGIN, then)


def is_switched(number: int) -> Event:
    """Caller and target `number` are joined."""
    return Switched(BEGIN, leg(number))


def cannot_switch(number: int, *, then: Decision = NONE_LEFT) -> Event:
    """Caller and target `number` could not be joined."""
    return SwitchFailed(BEGIN, leg(number), then)


def human(number: int, by: AnsweredBy = AnsweredBy.AGENT, agent: str = "") -> Event:
    """A person took the call of target `number`."""
    return HumanAnswered(BEGIN, leg(number), by, agent)


def is_told(number: int, by: AnsweredBy | None, name: str = "", *, then: Decision = NONE_LEFT) -> Event:
    """The PBX says what else took the call of target `number`; None: it is still looking for a person."""
    return Identified(BEGIN, leg(number), by, name, then)


def presses(number: int, key: str = "1", *, then: Decision = NONE_LEFT) -> Event:
    """Who has answered as target `number` presses a key."""
    return TargetPressed(BEGIN, leg(number), key, then)


def does_not_accept(*, then: Decision = NONE_LEFT) -> Event:
    """The time for the whisper, and for the key, is over."""
    return AcceptTimeout(BEGIN, then)


NAMING = frozenset({"asterisk"})
"""The PBX of these transfers tells who takes a call."""
IN_30_S = timedelta(seconds=30)
SILENT = Manner(notify=False)
ON_RING = Manner(final_notify=FinalNotify.ON_RING)
ON_HUMAN = Manner(final_notify=FinalNotify.ON_HUMAN, names_humans=NAMING, deadline=IN_30_S)
NAMES_HUMANS = Manner(names_humans=NAMING)

GONE = TransferorGone(BEGIN)
CALLER_GONE = TransfereeGone(BEGIN)
DEADLINE = Deadline(BEGIN)
CANCELLED = Cancelled(BEGIN)
STOP = Stop(BEGIN)
FAULT = Fault(BEGIN, "the dog ate it")
NOTIFY_FAILED = NotifyFailed(BEGIN)
RELEASE_TIMEOUT = ReleaseTimeout(BEGIN)
HUMAN_TIMEOUT = HumanTimeout(BEGIN)
WHO_TIMEOUT = WhoTimeout(BEGIN)
ANNOUNCED = Announced(BEGIN)
EXPIRED = Expired(BEGIN)
CALLER_ANSWERS = TransfereeAnswered(BEGIN)
BY_COMMAND = TransfereeGone(BEGIN, ended_by="crm")


def turn_comes(found: Decision, names_humans: frozenset[str] = frozenset()) -> Event:
    """It is looked whether somebody is free for a caller who is to be called back."""
    return TurnCame(BEGIN, found, names_humans)


def caller_fails(reason: Reason = Reason.NO_ANSWER) -> Event:
    """A caller who is called back does not answer."""
    return TransfereeFailed(BEGIN, reason, reason.sip_code)


def promised(destination: Destination, within_s: float = 3600) -> Transfer:
    """A call back by a destination, just promised."""
    plan = replace(PLAN, within=timedelta(seconds=within_s))
    record = TransferRecord(
        transfer=TRANSFER, entry=Entry.CALLBACK, requested_target=destination.id, requested_at=BEGIN, pbx="asterisk"
    )
    decision = to(replace(destination, call_back=plan))
    return promise(record, decision, transferee=LegId(f"{TRANSFER}/caller-0"), kept=False, at=BEGIN)[0]


OVER = (StopTimer(Timer.RING), StopTimer(Timer.HUMAN), StopTimer(Timer.RELEASE))
"""An attempt is over."""
PARTING = (
    StopTimer(Timer.RING),
    StopTimer(Timer.DEADLINE),
    StopTimer(Timer.HUMAN),
    StartTimer(Timer.RELEASE, RELEASE_S),
    Report(Milestone.ENDED),
)
"""The outcome is known, and the transferor is still there."""


def told(reason: Reason, code: int | None = None) -> tuple[Notify, StopTimer]:
    """The final NOTIFY, with the target's own code or that of the reason."""
    return Notify(code or reason.sip_code, reason, final=True), StopTimer(Timer.DEADLINE)


class Playbook:
    """One transfer, of which a test writes down what is said: events, each followed by the commands it is to cause.

    It begins with the gate's decision, or with the far end of the transferor's consultation call.
    """

    def __init__(
        self,
        begin: Decision | LegId,
        *,
        entry: Entry = Entry.REFER,
        manner: Manner | None = None,
        fallback: Destination | None = None,
        total_ring: timedelta | None = None,
        consulted: AnsweredBy | None = None,
        place: Place | None = None,
    ) -> None:
        """`consulted`: who took the consultation call, as the PBX said then."""
        record = TransferRecord(
            transfer=TRANSFER, entry=entry, requested_target="+31201230001", requested_at=BEGIN, pbx="asterisk"
        )
        self.now = BEGIN
        transferor = None if entry is Entry.INVITE else ASSISTANT
        manner = manner or Manner()
        self.transfer, commands = (
            start(
                record,
                begin,
                transferee=CALLER,
                transferor=transferor,
                manner=manner,
                fallback=fallback,
                total_ring=total_ring,
                place=place,
                at=BEGIN,
            )
            if isinstance(begin, Decision)
            else join(
                replace(record, answered_by=consulted),
                transferee=CALLER,
                transferor=ASSISTANT,
                target=begin,
                manner=manner,
                at=BEGIN,
            )
        )
        self._unheard = [_line(command) for command in commands]

    @property
    def record(self) -> TransferRecord:
        """What the outside learns of the transfer."""
        return self.transfer.record

    @property
    def state(self) -> State:
        """Where the transfer is."""
        return self.transfer.state

    @property
    def attempts(self) -> list[tuple[str, Reason | None, int | None]]:
        """Destination, reason and code of each attempt."""
        return [(attempt.destination, attempt.reason, attempt.sip_code) for attempt in self.record.attempts]

    def play(self, *lines: Event | Command) -> "Playbook":
        """Send the events, one second apart, and fail unless the commands are exactly those written after each."""
        expected: list[str] = []
        actual: list[str] = self._unheard
        for line in lines:
            expected.append(_line(line))
            if isinstance(line, Event):
                actual += [_line(line), *(_line(command) for command in self._send(line))]
        self._unheard = []
        if expected != actual:
            diff = difflib.unified_diff(expected, actual, "as written", "as it went", lineterm="", n=100)
            raise AssertionError("the conversation went otherwise\n" + "\n".join(diff))
        return self

    def after(self, *events: Event) -> "Playbook":
        """Send events of which a test does not care what they cause."""
        self._unheard = []
        for event in events:
            self._send(event)
        return self

    def _send(self, event: Event) -> tuple[Command, ...]:
        self.now += timedelta(seconds=1)
        self.transfer, commands = step(self.transfer, replace(event, at=self.now))
        return commands


UNDECIDED: dict[State, list[Event]] = {
    State.DIALLING: [],
    State.RINGING: [rings(1)],
    State.SWITCHING: [rings(1), answers(1)],
    State.CONNECTED: [rings(1), answers(1), is_switched(1)],
}
"""How a transfer to a queue gets to each state before its outcome is known."""


def in_state(state: State, manner: Manner = ON_HUMAN) -> Playbook:
    """A transfer to a queue, in a state before its outcome is known."""
    book = Playbook(to(SALES), manner=manner).after(*UNDECIDED[state])
    assert book.state is state
    return book


def _line(said: Event | Command) -> str:
    mark = ">>" if isinstance(said, Event) else "<<"
    # What is said in words has tests of its own (test_words.py).
    told = {each.name: getattr(said, each.name) for each in fields(said) if each.name not in ("at", "sentence")}
    return f"{mark} {type(said).__name__}({', '.join(f'{name}={_brief(value)}' for name, value in told.items())})"


def _brief(value: object) -> str:
    match value:
        case Destination():
            return value.id
        case Decision():
            return f"<{value.reason}: {_brief(value.destination)}>"
        case float():
            return f"{value:g}"
        case _:
            return str(value)
