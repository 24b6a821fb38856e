# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine: what to do next, whatever happens to any of the three legs.

`start()` makes a transfer from a request and the gate's decision, `step()` takes it from event to event. Both are pure.
An event that has no row below leaves the state as it is. `ended` is final: nothing is done after it.

    state      event           next
    dialling   TargetProgress  ringing
    dialling   TargetAnswered  switching
    dialling   TargetFailed    dialling releasing ended
    dialling   RingTimeout     dialling releasing ended
    dialling   TransfereeGone  releasing ended
    dialling   Deadline        ended
    dialling   Stop            ended
    ringing    TargetAnswered  switching
    ringing    TargetFailed    dialling ended
    ringing    RingTimeout     dialling ended
    ringing    TransfereeGone  releasing ended
    ringing    Deadline        ended
    ringing    Stop            ended
    switching  Switched        connected releasing ended
    switching  SwitchFailed    dialling ended
    switching  TargetFailed    dialling ended
    switching  TransfereeGone  releasing ended
    switching  Deadline        ended
    switching  Stop            ended
    connected  HumanAnswered   releasing ended
    connected  HumanTimeout    ended
    connected  TargetFailed    dialling releasing ended
    connected  TransfereeGone  releasing ended
    connected  Deadline        ended
    connected  Stop            ended
    releasing  TransferorGone  ended
    releasing  ReleaseTimeout  ended
    releasing  Stop            ended
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.core.commands import (
    AnswerRequest,
    Command,
    Dial,
    HangUp,
    Notify,
    Report,
    Respond,
    Return,
    StartTimer,
    StopTimer,
    Switch,
    Timer,
    Wait,
)
from gateway.core.events import (
    Deadline,
    Event,
    HumanAnswered,
    HumanTimeout,
    NotifyFailed,
    ReleaseTimeout,
    RingTimeout,
    Stop,
    SwitchFailed,
    Switched,
    TargetAnswered,
    TargetFailed,
    TargetProgress,
    TransfereeGone,
    TransferorGone,
)
from gateway.core.model import Decision, Destination, Entry, FinalNotify, LegId
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Attempt, Milestone, TransferRecord

RELEASE_S = 1.0
"""How long the transferor has to send its BYE after the final NOTIFY."""
HUMAN_S = 1.0
"""How long the outcome waits for the PBX to name the person who answered."""


class State(StrEnum):
    """Where a transfer is."""

    DIALLING = "dialling"
    RINGING = "ringing"
    SWITCHING = "switching"
    CONNECTED = "connected"  # caller and target hear each other; the outcome waits for a person
    RELEASING = "releasing"  # the outcome is known; the transferor has not hung up yet
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Manner:
    """How the transferor wants to be told, from its profile and its request."""

    notify: bool = True  # False: no NOTIFY was asked for (Refer-Sub: false, a command, an INVITE)
    final_notify: FinalNotify = FinalNotify.ON_ANSWER
    refuse_in_notify: bool = False
    deadline: timedelta | None = None  # the final NOTIFY must be out by then
    names_humans: bool = False  # the PBX tells when a queue's agent takes a call


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer; `record` is what the outside learns of it."""

    record: TransferRecord
    state: State
    transferee: LegId
    transferor: LegId | None  # None: nobody to return the caller to
    manner: Manner
    destination: Destination | None = None
    target: LegId | None = None
    fallback: Destination | None = None
    told_ringing: bool = False
    told_final: bool = False
    reported_ringing: bool = False
    dialled: int = 0

    @property
    def notifies(self) -> bool:
        """Whether the transferor still waits for NOTIFYs."""
        return self.manner.notify and not self.told_final

    @property
    def awaits_human(self) -> bool:
        """Whether the PBX will say when a person answers what is dialled now."""
        return self.manner.names_humans and self.destination is not None and self.destination.queue is not None

    def __repr__(self) -> str:
        return f"<Transfer {self.record.transfer} {self.state} to {self.record.destination}>"


Step = tuple[Transfer, tuple[Command, ...]]


def start(
    record: TransferRecord,
    decision: Decision,
    *,
    transferee: LegId,
    transferor: LegId | None,
    manner: Manner,
    fallback: Destination | None = None,
    at: datetime,
) -> Step:
    """Begin a transfer that the gate has decided on; `record` holds what the request said."""
    record = replace(
        record,
        decided_at=at,
        trail=record.trail + decision.trail,
        destination=decision.destination.id if decision.destination else None,
        final_notify=manner.final_notify if manner.notify else None,
    )
    transfer = Transfer(record, State.DIALLING, transferee, transferor, manner, fallback=fallback)
    if not decision.accepted or decision.destination is None:
        return _refuse(transfer, decision, at)
    transfer, dial = _dial(transfer, decision)
    commands: list[Command] = []
    if record.entry is not Entry.INVITE:
        commands.append(AnswerRequest(202, Reason.ACCEPTED))
        commands.extend(_notify(transfer, 100, Reason.ACCEPTED))
    commands += [Report(Milestone.REQUESTED), Report(Milestone.ACCEPTED)]
    if record.entry is not Entry.INVITE:
        commands.append(Wait(transferee, transferor))
    commands += dial
    if manner.deadline is not None:
        commands.append(StartTimer(Timer.DEADLINE, manner.deadline.total_seconds()))
    return transfer, tuple(commands)


def step(transfer: Transfer, event: Event) -> Step:
    """Take one event; the new transfer and what is to be done, in order."""
    if transfer.state is State.ENDED:
        return transfer, ()
    match event:
        case NotifyFailed():
            return replace(transfer, manner=replace(transfer.manner, notify=False)), ()
        case TransferorGone():
            return _transferor_gone(transfer, event.at)
        case Stop():
            return _stop(transfer, event.at)
        case TransfereeGone() if transfer.state is not State.RELEASING:
            return _abandoned(transfer, event.at)
        case TargetProgress(target=target) if target == transfer.target and transfer.state is State.DIALLING:
            return _ringing(transfer, event.at)
        case TargetAnswered(target=target) if target == transfer.target and _trying(transfer):
            return _answered(transfer, event.at)
        case TargetFailed(target=target) if target == transfer.target and transfer.state is not State.RELEASING:
            return _next(transfer, event.reason, event.sip_code, event.next, event.at)
        case RingTimeout() if _trying(transfer):
            return _give_up(transfer, Reason.NO_ANSWER, event.next, event.at)
        case SwitchFailed() if transfer.state is State.SWITCHING:
            return _give_up(transfer, Reason.PBX_ERROR, event.next, event.at)
        case Switched() if transfer.state is State.SWITCHING:
            return _switched(transfer, event.at)
        case HumanAnswered() if transfer.state is State.CONNECTED:
            return _completed(_human(transfer, event.at), event.at)
        case HumanAnswered() if transfer.state in (State.SWITCHING, State.DIALLING, State.RINGING):
            return _human(transfer, event.at), ()
        case HumanTimeout() if transfer.state is State.CONNECTED:
            return _completed(transfer, event.at)
        case Deadline() if transfer.state is not State.RELEASING:
            return _deadline(transfer, event.at)
        case ReleaseTimeout() if transfer.state in (State.CONNECTED, State.RELEASING):
            return _release(transfer)
    return transfer, ()


def _trying(transfer: Transfer) -> bool:
    return transfer.state in (State.DIALLING, State.RINGING)


def _notify(transfer: Transfer, code: int, reason: Reason, *, final: bool = False) -> list[Command]:
    return [Notify(code, reason, final)] if transfer.notifies else []


def _with(transfer: Transfer, **facts: object) -> Transfer:
    return replace(transfer, record=replace(transfer.record, **facts))  # type: ignore[arg-type]  # named by callers


def _refuse(transfer: Transfer, decision: Decision, at: datetime) -> Step:
    transfer = replace(_conclude(transfer, decision.reason, at), state=State.ENDED)
    code, reason, wait = decision.sip_code, decision.reason, decision.retry_after_s
    commands: list[Command] = []
    if transfer.record.entry is Entry.INVITE:
        commands.append(HangUp(transfer.transferee, reason, code, wait))
    elif transfer.manner.refuse_in_notify and transfer.manner.notify:
        commands += [AnswerRequest(202, Reason.ACCEPTED), Notify(code, reason, final=True)]
    else:
        commands.append(AnswerRequest(code, reason, wait))
    return transfer, (*commands, Report(Milestone.REQUESTED), Report(Milestone.ENDED))


def _conclude(transfer: Transfer, reason: Reason, at: datetime) -> Transfer:
    return _with(transfer, outcome=reason.outcome, reason=reason, sip_code=reason.sip_code, ended_at=at)


def _dial(transfer: Transfer, decision: Decision) -> tuple[Transfer, list[Command]]:
    destination = decision.destination
    assert destination is not None, "the gate accepts nothing but a destination"
    passed_over = tuple(Attempt(refused, "", reason, reason.sip_code) for refused, reason in decision.refusals)
    target = LegId(f"{transfer.record.transfer}/{transfer.dialled + 1}")
    transfer = replace(
        _with(
            transfer,
            destination=destination.id,
            attempts=(*transfer.record.attempts, *passed_over, Attempt(destination.id, destination.extension)),
        ),
        state=State.DIALLING,
        destination=destination,
        target=target,
        dialled=transfer.dialled + 1,
    )
    return transfer, [Dial(target, destination), StartTimer(Timer.RING, destination.ring_timeout.total_seconds())]


def _ringing(transfer: Transfer, at: datetime) -> Step:
    commands: list[Command] = []
    final = transfer.manner.final_notify is FinalNotify.ON_RING
    if transfer.record.entry is Entry.INVITE:
        if not transfer.told_ringing:
            commands.append(Respond(transfer.transferee, 180))
    elif final:
        commands += _notify(transfer, 200, Reason.ANSWERED, final=True)
        transfer = replace(transfer, told_final=True)
    elif not transfer.told_ringing:
        commands += _notify(transfer, 180, Reason.ACCEPTED)
    if not transfer.reported_ringing:
        transfer = _with(transfer, ringing_at=at)
        commands.append(Report(Milestone.RINGING))
    return replace(transfer, state=State.RINGING, told_ringing=True, reported_ringing=True), tuple(commands)


def _answered(transfer: Transfer, at: datetime) -> Step:
    assert transfer.target is not None, "only a dialled target can answer"
    transfer = replace(_with(transfer, answered_at=at), state=State.SWITCHING)
    commands: list[Command] = [StopTimer(Timer.RING)]
    if transfer.record.entry is Entry.INVITE:
        commands.append(Respond(transfer.transferee, 200))
    return transfer, (*commands, Switch(transfer.transferee, transfer.target))


def _switched(transfer: Transfer, at: datetime) -> Step:
    commands: list[Command] = []
    waits_for_human = transfer.awaits_human and transfer.record.human_at is None
    tells_human_only = waits_for_human and transfer.manner.final_notify is FinalNotify.ON_HUMAN
    if not waits_for_human and transfer.record.human_at is None and not transfer.awaits_human:
        transfer = _with(transfer, human_at=transfer.record.answered_at)
    if not tells_human_only:
        transfer, told = _tell_success(transfer)
        commands += told
    commands.append(Report(Milestone.CONNECTED))
    transfer = _settle_attempt(transfer, Reason.ANSWERED, 200)
    if waits_for_human:
        if not tells_human_only:
            commands.append(StartTimer(Timer.HUMAN, HUMAN_S))
        return replace(transfer, state=State.CONNECTED), tuple(commands)
    transfer, last = _completed(transfer, at)
    return transfer, (*commands, *last)


def _tell_success(transfer: Transfer) -> tuple[Transfer, list[Command]]:
    commands = _notify(transfer, 200, Reason.ANSWERED, final=True)
    commands.append(StopTimer(Timer.DEADLINE))
    if transfer.transferor is not None:
        commands.append(StartTimer(Timer.RELEASE, RELEASE_S))
    return replace(transfer, told_final=True), commands


def _human(transfer: Transfer, at: datetime) -> Transfer:
    return _with(transfer, human_at=at)


def _completed(transfer: Transfer, at: datetime) -> Step:
    commands: list[Command] = [StopTimer(Timer.HUMAN)]
    if transfer.manner.final_notify is FinalNotify.ON_HUMAN and not transfer.told_final:
        transfer, told = _tell_success(transfer)
        commands += told
    transfer = _conclude(transfer, Reason.ANSWERED, at)
    state = State.ENDED if transfer.transferor is None else State.RELEASING
    return replace(transfer, state=state), (*commands, Report(Milestone.ENDED))


def _settle_attempt(transfer: Transfer, reason: Reason, sip_code: int) -> Transfer:
    *others, last = transfer.record.attempts
    return _with(transfer, attempts=(*others, replace(last, reason=reason, sip_code=sip_code)))


def _give_up(transfer: Transfer, reason: Reason, following: Decision, at: datetime) -> Step:
    """End the attempt from our side: hang up the target, then go on as if it had failed."""
    assert transfer.target is not None, "only a dialled target can be given up"
    after, commands = _next(transfer, reason, reason.sip_code, following, at)
    return after, (HangUp(transfer.target, reason, 487), *commands)


def _next(transfer: Transfer, reason: Reason, sip_code: int, following: Decision, at: datetime) -> Step:
    """The attempt failed: dial what the gate lets pass now, or else take care of the caller."""
    transfer = replace(_settle_attempt(transfer, reason, sip_code), target=None)
    transfer = _with(transfer, trail=transfer.record.trail + following.trail, answered_at=None)
    stop: tuple[Command, ...] = (StopTimer(Timer.RING), StopTimer(Timer.HUMAN))
    if following.accepted and following.destination is not None:
        transfer, dial = _dial(transfer, following)
        return transfer, (*stop, *dial)
    after, commands = _fail(transfer, reason, at)
    return after, (*stop, *commands)


def _fail(transfer: Transfer, reason: Reason, at: datetime) -> Step:
    if transfer.record.entry is Entry.INVITE:
        ended = replace(_conclude(transfer, reason, at), state=State.ENDED)
        return ended, (HangUp(transfer.transferee, reason, reason.sip_code), Report(Milestone.ENDED))
    if transfer.transferor is None and transfer.fallback is not None:
        last_resort = Decision(
            True,
            Reason.ACCEPTED,
            transfer.fallback,
            (f"fallback {transfer.fallback.id}: nobody can take the caller back",),
        )
        transfer, dial = _dial(replace(transfer, fallback=None), last_resort)
        return _with(transfer, trail=transfer.record.trail + last_resort.trail), tuple(dial)
    ended = _conclude(transfer, reason, at)
    told = tuple(_notify(ended, reason.sip_code, reason, final=True))
    ended = replace(ended, state=State.ENDED, told_final=True)
    care: Command
    if ended.transferor is None:
        care = HangUp(ended.transferee, reason, reason.sip_code)
    else:
        care = Return(ended.transferee, ended.transferor)
        ended = _with(ended, returned_to_transferor=True)
    return ended, (StopTimer(Timer.DEADLINE), StopTimer(Timer.RELEASE), care, *told, Report(Milestone.ENDED))


def _deadline(transfer: Transfer, at: datetime) -> Step:
    if transfer.told_final or transfer.transferor is None or transfer.target is None:
        return transfer, ()
    nothing_left = Decision(False, Reason.NO_ANSWER, None, ("deadline: the transferor waits no longer",))
    return _give_up(transfer, Reason.NO_ANSWER, nothing_left, at)


def _abandoned(transfer: Transfer, at: datetime) -> Step:
    if transfer.state is State.CONNECTED and transfer.told_final:
        return _completed(transfer, at)
    assert transfer.target is not None, "a transfer that has not ended has a target"
    reason = Reason.CALLER_HUNG_UP
    after = _conclude(_settle_attempt(transfer, reason, reason.sip_code), reason, at)
    commands: list[Command] = [
        *(StopTimer(timer) for timer in (Timer.RING, Timer.DEADLINE, Timer.HUMAN)),
        HangUp(transfer.target, reason, reason.sip_code),
        *_notify(after, reason.sip_code, reason, final=True),
        Report(Milestone.ENDED),
    ]
    if after.transferor is None:
        return replace(after, state=State.ENDED, told_final=True), tuple(commands)
    # Its BYE, or ours, comes after the final NOTIFY: some senders read an early BYE as success.
    commands.append(StartTimer(Timer.RELEASE, RELEASE_S))
    return replace(after, state=State.RELEASING, told_final=True), tuple(commands)


def _transferor_gone(transfer: Transfer, at: datetime) -> Step:
    transfer = replace(transfer, transferor=None)
    if transfer.state is State.RELEASING:
        return replace(transfer, state=State.ENDED), (StopTimer(Timer.RELEASE),)
    return transfer, (StopTimer(Timer.RELEASE),)


def _release(transfer: Transfer) -> Step:
    state = State.ENDED if transfer.state is State.RELEASING else transfer.state
    if transfer.transferor is None:
        return replace(transfer, state=state), ()
    reason = transfer.record.reason or Reason.ANSWERED
    released = replace(transfer, state=state, transferor=None)
    return released, (HangUp(transfer.transferor, reason, reason.sip_code),)


def _stop(transfer: Transfer, at: datetime) -> Step:
    if transfer.state is State.RELEASING:
        after, commands = _release(transfer)
        return after, (StopTimer(Timer.RELEASE), *commands)
    if transfer.state is State.CONNECTED and transfer.told_final:
        after, commands = _completed(transfer, at)
        return replace(after, state=State.ENDED), (StopTimer(Timer.RELEASE), *commands)
    assert transfer.target is not None, "a transfer that has not ended has a target"
    reason = Reason.GATEWAY_STOPPED
    hang_up = HangUp(transfer.target, reason, 487)
    stops = tuple(StopTimer(timer) for timer in Timer)
    after = _settle_attempt(replace(transfer, fallback=None), reason, reason.sip_code)
    after, commands = _fail(after, reason, at)
    return after, (*stops, hang_up, *commands)
