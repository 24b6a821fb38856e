# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfer machine: what to do next, whatever happens to any of the three legs.

`start()` makes a transfer from a request and the gate's decision, `step()` takes it from event to event. Both are pure.
Until the outcome is reported the machine alone says which leg is hung up; afterwards the caller and whoever it was left
with are an ordinary call, and only the transferor is still to be let go.

Below is every next state an event can lead to. Where there is a dash, and in the state `ended`, the event is ignored:
it changes nothing, and nothing is done. So is an event of a target that is not the one dialled last. What comes of an
answer is in the table of accepting.py, with the state in which who has answered is asked whether to take the call; the
state in which the PBX is asked whose answer it is has its own in identifying.py, a place that is kept in keeping.py,
those of a caller whom the PBX transfers by itself theirs in hand_down.py. What is done in each case is there, and in
beginning.py, dialling.py, succeeding.py, failing.py and transferor.py.

    event           dialling           ringing            switching                 connected                 releasing
    TargetProgress  ringing            -                  -                         -                         -
    TargetFailed    dialling|ended     dialling|ended     dialling|ended            dialling|ended            -
    RingTimeout     dialling|ended     dialling|ended     -                         -                         -
    Switched        -                  -                  connected|releasing|ended -                         -
    SwitchFailed    -                  -                  dialling|ended            -                         -
    HumanAnswered   dialling           ringing            switching                 releasing|ended           -
    HumanTimeout    -                  -                  -                         releasing|ended           -
    Identified      dialling           ringing            switching                 releasing|dialling|ended  -
    Announced       dialling           -                  -                         -                         -
    TransfereeGone  releasing|ended    releasing|ended    releasing|ended           releasing|ended           -
    Cancelled       dialling|ended     dialling|ended     -                         -                         -
    TransferorGone  dialling           ringing            switching                 connected                 ended
    NotifyFailed    dialling           ringing            switching                 connected                 -
    Deadline        dialling|kept|ended ringing|kept|ended switching               connected|ended           -
    ReleaseTimeout  -                  -                  -                         connected                 ended
    Fault           dialling|ended     dialling|ended     dialling|ended            connected                 -
    Stop            ended              ended              ended                     ended                     ended
"""

from dataclasses import replace
from datetime import datetime, timedelta

from gateway.core.model import Announcement, Decision, Destination, Entry, LegId
from gateway.core.outcome import Reason
from gateway.core.record import Milestone, TransferRecord
from gateway.core.transfer import (
    accepting,
    beginning,
    calling_back,
    dialling,
    failing,
    hand_down,
    identifying,
    keeping,
    succeeding,
)
from gateway.core.transfer.commands import Command
from gateway.core.transfer.events import (
    AcceptTimeout,
    Announced,
    Cancelled,
    Deadline,
    Event,
    Fault,
    HumanAnswered,
    HumanTimeout,
    Identified,
    NotifyFailed,
    ReleaseTimeout,
    RingTimeout,
    Stop,
    Switched,
    SwitchFailed,
    TargetAnswered,
    TargetEvent,
    TargetFailed,
    TargetPressed,
    TargetProgress,
    TransfereeGone,
    TransferorGone,
    WhoTimeout,
)
from gateway.core.transfer.state import Manner, Place, State, Transfer
from gateway.core.transfer.transfer_step import TransferStep
from gateway.core.transfer.transferor import hang_up_transferor, lose_transferor, stop_notifying

Step = tuple[Transfer, tuple[Command, ...]]

_RINGING = (State.DIALLING, State.RINGING)


def start(
    record: TransferRecord,
    decision: Decision,
    *,
    transferee: LegId,
    transferor: LegId | None,
    manner: Manner,
    fallback: Destination | None = None,
    total_ring: timedelta | None = None,
    place: Place | None = None,
    uploaded: Announcement | None = None,
    at: datetime,
) -> Step:
    """Begin a transfer that the gate has decided on; `record` holds what the request said.

    A fresh INVITE has no transferor: its own leg is the transferee. Target legs get the ids `<transfer>/1`, `/2`, …
    `total_ring` is how long all of them together may ring, the fallback aside. `place` is one that an earlier transfer
    has kept, and whose leg is the first target; `uploaded` a sound for who answers.
    """
    if record.entry is not Entry.REFER:
        manner = replace(manner, notify=False)
    record = replace(
        record,
        decided_at=at,
        destination=decision.destination.id if decision.destination else None,
        pbx=(decision.destination.pbx if decision.destination else "") or record.pbx,
        final_notify=manner.final_notify if manner.notify else None,
    )
    hunt_until = at + total_ring if total_ring else None
    transfer = Transfer(
        record, State.DIALLING, transferee, transferor, manner, fallback, hunt_until=hunt_until, uploaded=uploaded
    )
    first = TransferStep(transfer, at)
    first.note_decision(decision)
    if decision.accepted and place is not None:
        keeping.take_up(first, place)
    elif decision.accepted and decision.destination is not None:
        beginning.accept(first, decision.destination)
    else:
        beginning.refuse(first, decision)
    return first.result


def join(
    record: TransferRecord, *, transferee: LegId, transferor: LegId, target: LegId, manner: Manner, at: datetime
) -> Step:
    """Begin an attended transfer: `target` is the far end of a call that the transferor has already (RFC 3891).

    Nothing is dialled. `record.destination` says where that call went, if anything is known of it.
    """
    record = replace(record, decided_at=at, final_notify=manner.final_notify if manner.notify else None)
    first = TransferStep(Transfer(record, State.DIALLING, transferee, transferor, manner, joined=target), at)
    beginning.join(first)
    return first.result


def promise(record: TransferRecord, decision: Decision, *, transferee: LegId, kept: bool, at: datetime) -> Step:
    """Begin a call back that the gate has allowed; the caller's legs get the ids `<transfer>/caller-1`, and so on.

    `transferee` stands for the caller, who has none yet. `kept`: it was promised in another life of the gateway. Where
    its destination is not known any more, that is found at its first turn.
    """
    promised = decision.destination
    within = promised.call_back.within if promised is not None and promised.call_back is not None else timedelta(0)
    if not kept:
        record = replace(
            record,
            decided_at=at,
            destination=promised.id if promised else None,
            pbx=(promised.pbx if promised else "") or record.pbx,
            expires_at=at + within,
            caller_calls=0,
        )
    reached = Milestone.ACCEPTED if kept else None
    transfer = Transfer(
        record, State.PROMISED, transferee, None, Manner(notify=False), promised=promised, due_at=at, reached=reached
    )
    first = TransferStep(transfer, at)
    if not kept:
        first.note_decision(decision)
    calling_back.promise(first, kept=kept)
    return first.result


def step(transfer: Transfer, event: Event) -> Step:
    """Take one event; the new transfer and what is to be done, in order."""
    if isinstance(event, TargetEvent) and (event.target != transfer.target or transfer.announcing):
        return transfer, ()  # of a target that was given up
    taken = TransferStep(transfer, event.at)
    if transfer.state is State.RELEASING:
        _release(taken, event)
    elif transfer.state is State.KEPT:
        keeping.proceed(taken, event)
    elif transfer.state in calling_back.STATES:
        calling_back.proceed(taken, event)
    elif transfer.state in hand_down.STATES:
        hand_down.proceed(taken, event)
    elif transfer.state is not State.ENDED and not _learns_of_person(taken, event):
        _proceed(taken, event)
    return taken.result


def _learns_of_person(step: TransferStep, event: Event) -> bool:
    """Take an event that tells who has answered, or what they want; False: it is another, or tells nothing now."""
    match step.transfer.state, event:
        case state, HumanAnswered(at=at, by=by, agent=agent):
            step.note_human(at, by, agent)
            if state is State.ANSWERED:
                accepting.go_ahead(step)
            elif state is State.CONNECTED:
                succeeding.complete(step)
        case State.ANSWERED | State.WHISPERING | State.CONNECTED, Identified(by=by, name=name, next=following):
            identifying.identify(step, by, name, following)
        case _, Identified(by=by, name=name) if by is not None:
            step.note_answerer(by, name)
        case State.ANSWERED, WhoTimeout():
            accepting.go_ahead(step)
        case State.CONNECTED, HumanTimeout():
            succeeding.complete(step)
        case State.WHISPERING, TargetPressed(key=key, next=following):
            accepting.take_key(step, key, following)
        case State.WHISPERING, AcceptTimeout(next=following):
            accepting.time_out(step, following)
        case State.WHISPERING, TargetFailed(reason=reason, sip_code=sip_code, next=following):
            accepting.lose_target(step, reason, sip_code, following)
        case _:
            return False
    return True


def _proceed(step: TransferStep, event: Event) -> None:  # noqa: C901, PLR0912  # the table above, row by row
    match step.transfer.state, event:
        case State.DIALLING, TargetProgress(code=code):
            succeeding.ring(step, code)
        case State.DIALLING | State.RINGING, TargetAnswered():
            identifying.answer(step)
        case _, TargetFailed(reason=reason, sip_code=sip_code, next=following):
            failing.try_next(step, reason, sip_code, following)
        case state, RingTimeout(next=following) if state in _RINGING or step.transfer.waits_behind:
            failing.give_up(step, Reason.NO_ANSWER, following)
        case State.SWITCHING, Switched():
            succeeding.connect(step)
        case State.SWITCHING, SwitchFailed(next=following):
            failing.give_up(step, Reason.PBX_ERROR, following)
        case State.DIALLING, Announced():
            dialling.end_announcement(step)
        case _, TransfereeGone(fault=fault, ended_by=by):
            failing.abandon(step, fault, by)
        case _, Cancelled(by=by) if step.transfer.can_be_cancelled:
            failing.cancel(step, by)
        case _, TransferorGone():
            lose_transferor(step)
        case _, NotifyFailed():
            stop_notifying(step)
        case _, Deadline(wait_s=wait_s):
            keeping.pass_deadline(step, wait_s)
        case State.CONNECTED, ReleaseTimeout():
            hang_up_transferor(step)
        case State.CONNECTED, Fault(text=text):
            step.note_fault(text)
        case _, Fault(text=text):
            failing.break_off(step, text)
        case _, Stop():
            failing.interrupt(step)


def _release(step: TransferStep, event: Event) -> None:
    match event:
        case TransferorGone():
            lose_transferor(step)
            step.enter(State.ENDED)
        case ReleaseTimeout() | Stop():
            hang_up_transferor(step)
            step.enter(State.ENDED)
