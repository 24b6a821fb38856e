# SPDX-License-Identifier: GPL-2.0-or-later
"""The call machine: who is with whom, whatever happens to any leg.

`step()` takes a call from event to event, and is pure. While a transfer decides what becomes of the caller (`moving`),
its machine says which leg is hung up; otherwise a call whose one leg ends loses the other one too. What an event means
to a transfer in which its leg takes part is told to the transfer first, then to the call to which the leg belongs.

One who is to be called back has no leg: their call begins with its transfer.

Below is every next state an event can lead to. Where there is a dash, the event changes nothing, and nothing is done.

    event             new        calling            up             moving                        ending      over
    AssistantWanted   calling    -                  -              -                             -           -
    TransferRequested new|moving -                  up|moving      moving                        ending      moving
    LegEnded          over       new|calling|ending up|ending      calling|up|moving|ending|over ending|over over
    LegFailed         new|over   new|calling|ending up|ending      calling|up|moving|ending|over ending|over over
    LegTaken          over       new|ending|calling calling|ending moving                        ending|over over
    DialFailed        over       new|calling|ending up|ending      calling|up|moving|ending|over ending|over over
    Reconfigured      new        calling            up             moving                        ending      over
    PartyChanged      new        calling            up             moving                        ending      -
    LegPressed        -          -                  -              calling|up|moving|ending      -           -
    LegProgress       -          calling            up             moving                        ending      over
    LegEarlyMedia     -          calling            -              moving                        -           -
    LegAnswered       -          calling            up             moving                        ending      over
    JoinFailed        -          calling            calling        calling|up|moving|ending|over ending      over
    HumansUnknown     -          calling            up             calling|up|moving|ending|over ending      over
    TimerFired        -          calling            up             calling|up|moving|ending|over ending      over
    HumanAnswered     -          calling            up             calling|up|moving|ending|over ending      over
    Identified        -          calling            up             calling|up|moving|ending|over ending      over
    Cancelled         -          calling            up             calling|up|moving|ending|over ending      over
    EndWanted         over       over               over           moving|over                   over        over
    Fault             -          calling            up             calling|up|moving|ending|over ending      over
    Stop              -          calling            up             calling|up|ending|over        ending      over
    Joined            -          up                 -              up|moving|ending              -           -
    LegReplaced       -          calling            up             -                             -           -
    NotifyFailed      -          -                  -              moving                        -           -
    HandDownTold      -          -                  -              moving                        -           -
    CallerLost        -          -                  -              calling|up|ending|over        -           -
"""

from dataclasses import replace

from gateway.core.call.commands import Command, CountRejected, Dial, HangUp, Join, ReportCall, Respond, Wait
from gateway.core.call.events import (
    AssistantWanted,
    DialFailed,
    EndWanted,
    Event,
    HandDownTold,
    HumansUnknown,
    Identified,
    Joined,
    JoinFailed,
    LegAnswered,
    LegEarlyMedia,
    LegEnded,
    LegFailed,
    LegPressed,
    LegProgress,
    LegReplaced,
    LegTaken,
    PartyChanged,
    Reconfigured,
    TimerFired,
    TransferEvent,
    TransferRequested,
)
from gateway.core.call.state import Call, Leg, Running
from gateway.core.call.turn import Turn
from gateway.core.model import Decision, Entry, LegId, Peer, PeerKind
from gateway.core.outcome import CallEnd, Reason, passed_on, reason_for_failure
from gateway.core.record import CallRecord
from gateway.core.transfer import State
from gateway.core.transfer import events as ev
from gateway.core.transfer.commands import RELEASE_S

Step = tuple[Call, tuple[Command, ...]]

RINGING = 180  # RFC 3261 §21.1.2
SESSION_PROGRESS = 183  # RFC 3261 §21.1.5
RETRY_S = 10
"""What a caller is told to wait when there is no room for its call."""


def step(call: Call, event: Event) -> Step:  # noqa: C901, PLR0912, PLR0915  # one case for each event
    """Take one event; the new call and what is to be done, in order."""
    turn = Turn(call, event.now)
    match event:
        case AssistantWanted(order=order, party=party):
            turn.add(Leg(order.leg, order.peer, dialled=True), party)
            turn.do(Dial(order))
            turn.do(Wait(order.beside or order.leg, order.leg))
        case TransferRequested():
            turn.begin(event)
        case LegReplaced(replaced=replaced, leg=leg, party=party):
            turn.drop(replaced)
            turn.add(leg, party)
            _take_over(turn, leg.id)
            turn.do(HangUp(replaced, 487, Reason.ANSWERED))
        case DialFailed():
            _dial_failed(turn, event)
        case LegProgress():
            _progress(turn, event)
        case LegEarlyMedia(leg=leg):
            _early_media(turn, leg)
        case LegAnswered(leg=leg):
            _answered(turn, leg)
        case LegPressed(leg=leg, key=key):
            running = call.transferring(leg)
            if running is not None:
                turn.feed(running.id, ev.TargetPressed(running.at(turn.now), leg, key, event.next))
        case PartyChanged(leg=leg, party=party):
            turn.call = replace(turn.call, parties={**call.parties, leg: party})
        case LegEnded():
            _leg_ended(turn, event)
        case LegFailed():
            _leg_failed(turn, event)
        case LegTaken(leg=leg):
            if (kept := call.kept) is not None:
                turn.feed(kept.id, ev.PlaceLeft(kept.at(turn.now), taken_up=False))
            turn.call = replace(turn.call, up=False)
            turn.drop(leg)
        case Joined():
            _joined(turn, event)
        case JoinFailed():
            _join_failed(turn, event)
        case EndWanted(by=by):
            _end(turn, by)
        case Reconfigured(number=number):
            turn.call = replace(turn.call, number=number)
        case HandDownTold():
            _hand_down_told(turn, event)
        case HumansUnknown(pbx=pbx):
            for running in call.transfers:
                if pbx in running.machine.manner.names_humans:
                    _humans_unknown(turn, running, pbx)
        case TransferEvent(transfer=transfer) | TimerFired(transfer=transfer) | Identified(transfer=transfer):
            found = call.running(transfer)
            told = event.told_to(found) if found else None
            if told is not None:
                turn.feed(transfer, told)
    return turn.call, tuple(turn.commands)


def note_fault(call: Call, leg: LegId, text: str) -> Call:
    """Write down that something could not be done with a leg of a transfer, unless something went wrong before."""
    running = call.transferring(leg)
    if running is None or running.record.fault is not None or running.over:
        return call
    turn = Turn(call, call.began)
    turn.put(running.knowing(replace(running.record, fault=text)))
    return turn.call


def name_leg(call: Call, leg: LegId, call_id: str) -> Call:
    """Write down the SIP Call-ID of a leg that has been dialled."""
    turn = Turn(call, call.began)
    if leg in call.legs:
        turn.add(replace(call.legs[leg], call_id=call_id))
    running = call.transferring(leg)
    if running is not None and leg in (running.machine.target, running.machine.transferee):
        role = "target" if leg == running.machine.target else "transferee"
        turn.put(running.knowing(replace(running.record, call_ids={**running.record.call_ids, role: call_id})))
    return turn.call


# --- what happens to legs


def _dial_failed(turn: Turn, event: DialFailed) -> None:
    leg, no_room = event.leg, event.no_room
    if turn.call.transferring(leg) is not None:
        code, reason = (503, Reason.AT_CAPACITY) if no_room else (502, None)
        _transfer_leg_ended(turn, leg, code, event.next, reason)
    if leg not in turn.call.legs:
        return
    ended = turn.call.record(turn.now, "gateway", CallEnd.PEER_GONE)
    turn.drop(leg)
    if turn.call.recovering:
        _not_recovered(turn, ended)
        return
    for caller in turn.call.legs:
        if no_room:
            turn.do(CountRejected(Reason.AT_CAPACITY))
            turn.do(HangUp(caller, 503, Reason.AT_CAPACITY, RETRY_S))
        else:
            turn.do(HangUp(caller, 502, Reason.UNREACHABLE))


def _progress(turn: Turn, event: LegProgress) -> None:
    leg, code = event.leg, event.code
    if running := turn.call.transferring(leg):
        turn.feed(running.id, ev.TargetProgress(running.at(turn.now), leg, code))
    call = turn.call
    if code == RINGING and leg in call.legs and not call.up and not call.recovering and (caller := call.other(leg)):
        turn.do(Respond(caller, RINGING))


def _early_media(turn: Turn, leg: LegId) -> None:
    call = turn.call
    running = call.transferring(leg)
    if running is not None and leg == running.machine.target and running.record.entry is Entry.INVITE:
        turn.do(Respond(running.machine.transferee, SESSION_PROGRESS))
    if leg in call.legs and not call.up and not call.recovering and (caller := call.other(leg)):
        turn.do(Respond(caller, SESSION_PROGRESS))


def _answered(turn: Turn, leg: LegId) -> None:
    if running := turn.call.transferring(leg):
        at = running.at(turn.now)
        is_called_back = running.machine.called and leg == running.machine.transferee
        turn.feed(running.id, ev.TransfereeAnswered(at) if is_called_back else ev.TargetAnswered(at, leg))
    call = turn.call
    if call.recovering:
        _recovered(turn, leg)
        return
    if leg not in call.legs or call.up or not call.legs[leg].dialled or call.newest is not None:
        return
    if caller := call.other(leg):
        turn.do(Respond(caller, 200))
        turn.do(Join(caller, leg))


def _recovered(turn: Turn, leg: LegId) -> None:
    """A leg of an earlier process is there again; whose partner is as well hears it as before."""
    turn.call = replace(turn.call, recovering=turn.call.recovering - {leg})
    if not turn.call.recovering and (other := turn.call.other(leg)):
        turn.do(Join(other, leg))


def _take_over(turn: Turn, successor: LegId) -> None:
    """The successor of a leg is joined with who is left at the other end."""
    turn.do(Respond(successor, 200))
    other = turn.call.other(successor)
    if other is None:
        return
    if not turn.call.up:
        turn.do(Respond(other, 200))
    turn.do(Join(other, successor))


def _joined(turn: Turn, event: Joined) -> None:
    running = turn.call.switching_to(event.other)
    if running is not None:
        _switched(turn, event, running)
        return
    if not {event.one, event.other} <= turn.call.legs.keys():
        return  # one of them ended meanwhile, and the other one was hung up for that
    if turn.call.connected_at is None:
        turn.call = replace(turn.call, connected_at=turn.now)
    turn.call = replace(turn.call, up=True)


def _switched(turn: Turn, event: Joined, running: Running) -> None:
    """The caller talks to the target of its transfer."""
    call = turn.call
    peer = running.peers.get(event.other) or Peer(call.number.pbx, PeerKind.PBX)
    turn.keep(event.one)
    turn.add(Leg(event.other, peer, running.record.call_ids.get("target"), dialled=True), event.party)
    turn.call = replace(
        turn.call,
        up=True,
        destination=running.record.destination,
        put_through_by=running.id,
        connected_at=turn.now,
    )
    turn.feed(running.id, ev.Switched(running.at(turn.now), event.other))
    if running.consultation is not None:
        # Its holder, who has put two people through to each other, is done there too.
        turn.do(HangUp(running.consultation, 200, Reason.ANSWERED, in_s=RELEASE_S))


def _join_failed(turn: Turn, event: JoinFailed) -> None:
    running = turn.call.switching_to(event.other)
    if running is not None:
        turn.feed(running.id, ev.SwitchFailed(running.at(turn.now), event.other, event.next))
        return
    # Nobody is to be left in silence.
    turn.call = replace(turn.call, up=False)
    for leg in (event.one, event.other):
        turn.do(HangUp(leg, 500, Reason.GATEWAY_ERROR))


def _leg_failed(turn: Turn, event: LegFailed) -> None:
    leg = event.leg
    running = turn.call.transferring(leg)
    sentence = None
    if running is not None and leg == running.machine.transferee:
        turn.put(replace(running, present=running.present - {leg}))
        turn.feed(running.id, ev.TransfereeGone(running.at(turn.now), event.text))
        sentence = _sentence(turn, running)
    turn.do(HangUp(leg, 500, Reason.GATEWAY_ERROR, sentence=sentence))
    _leg_ended(turn, LegEnded(event.now, leg, 500, by_peer=False, next=event.next))


def _leg_ended(turn: Turn, event: LegEnded) -> None:
    """The transfer of the leg learns of it first, then what is left of the call is taken care of."""
    leg, code = event.leg, event.code
    before = turn.call.newest
    _transfer_leg_ended(turn, leg, code, event.next)
    call = turn.call
    if leg not in call.legs:
        return
    ended = call.record(turn.now, call.legs[leg].peer.kind.value if event.by_peer else "gateway", event.why)
    turn.drop(leg)
    if call.recovering:
        _not_recovered(turn, ended, tuple(call.legs.values()))
        return
    newest = call.running(before.id) if before else None
    if newest is not None and newest.holds_transferee:
        return
    releases = newest is not None and newest.machine.state is State.RELEASING
    keep = newest.machine.transferor if newest and releases else None  # to let it go is left to its transfer
    reason = reason_for_failure(code) if code >= 300 else Reason.UNREACHABLE
    for other in turn.call.legs:
        if other == keep:
            continue
        if call.up:
            turn.do(HangUp(other, 200, Reason.ANSWERED))
        else:
            turn.do(HangUp(other, passed_on(code, reason.sip_code), reason))
    turn.call = replace(turn.call, up=False)
    if call.up:
        turn.do(ReportCall(ended, event=call.destination is not None, legs=tuple(call.legs.values())))


def _not_recovered(turn: Turn, ended: CallRecord, legs: tuple[Leg, ...] = ()) -> None:
    """A conversation of an earlier process ends here: who is left of it is hung up, as anybody who talked."""
    turn.call = replace(turn.call, recovering=frozenset())
    for other in turn.call.legs:
        turn.do(HangUp(other, 200, Reason.ANSWERED))
    turn.do(ReportCall(ended, event=ended.destination is not None, legs=legs))


def _end(turn: Turn, by: str) -> None:
    """Hang up every leg, and wait for none: it may be that one never tells of its end."""
    was_up = turn.call.up or bool(turn.call.recovering)
    ended = turn.call.record(turn.now, "gateway", CallEnd.BY_COMMAND)
    legs = tuple(turn.call.legs.values())
    sentences: dict[LegId, str | None] = {}
    for running in turn.call.transfers:
        if running.holds_transferee or running.keeps_place:
            transferee = running.machine.transferee
            turn.put(replace(running, present=running.present - {transferee}))
            turn.feed(running.id, ev.TransfereeGone(running.at(turn.now), ended_by=by))
            sentences[transferee] = _sentence(turn, running)
    turn.drop(*(leg.id for leg in legs))
    turn.call = replace(turn.call, up=False)
    for leg in legs:
        if was_up:
            turn.do(HangUp(leg.id, 200, Reason.ANSWERED))
        else:
            told = sentences.get(leg.id)
            turn.do(HangUp(leg.id, Reason.CANCELLED.sip_code, Reason.CANCELLED, sentence=told))
    if was_up:
        turn.do(ReportCall(ended, event=ended.destination is not None, legs=legs))


def _sentence(turn: Turn, running: Running) -> str | None:
    """Why the caller of a transfer is not put through, as far as its record says it by now."""
    after = turn.call.running(running.id)
    return after.record.sentence if after else None


# --- what a transfer learns


def _transfer_leg_ended(turn: Turn, leg: LegId, code: int, following: Decision, why: Reason | None = None) -> None:
    running = turn.call.transferring(leg)
    if running is None:
        return
    turn.put(replace(running, present=running.present - {leg}))
    at, machine = running.at(turn.now), running.machine
    if leg == machine.target:
        # After its answer a target ends with 200: it hung up before a person was there.
        reason = why or (reason_for_failure(code) if code >= 300 else Reason.NO_ANSWER)
        turn.feed(running.id, ev.TargetFailed(at, leg, reason, code if code >= 300 else reason.sip_code, following))
    elif leg == machine.transferee and machine.state is State.CALLING:
        reason = why or (reason_for_failure(code) if code >= 300 else Reason.NO_ANSWER)
        turn.feed(running.id, ev.TransfereeFailed(at, reason, code if code >= 300 else reason.sip_code))
    elif leg == machine.transferee:
        turn.feed(running.id, ev.TransfereeGone(at))
    elif leg == machine.transferor:
        turn.feed(running.id, ev.TransferorGone(at))


def _hand_down_told(turn: Turn, event: HandDownTold) -> None:
    running = turn.call.transferring(event.leg)
    if running is None or running.handed is None:
        return
    at, target, code = running.at(turn.now), running.handed, event.code
    if code >= 300:
        reason = reason_for_failure(code)
        turn.feed(running.id, ev.TargetFailed(at, target, reason, code, event.next, event.accepted))
    elif code >= 200:
        turn.feed(running.id, ev.TargetAnswered(at, target))
    else:
        turn.feed(running.id, ev.TargetProgress(at, target, code))


def _humans_unknown(turn: Turn, running: Running, pbx: str) -> None:
    machine = running.machine
    left = machine.manner.names_humans - {pbx}
    turn.put(replace(running, machine=replace(machine, manner=replace(machine.manner, names_humans=left))))
    if machine.record.pbx != pbx:
        return
    if machine.state in (State.CONNECTED, State.HANDED):
        turn.feed(running.id, ev.HumanTimeout(running.at(turn.now)))
    elif machine.state is State.ANSWERED:
        turn.feed(running.id, ev.WhoTimeout(running.at(turn.now)))
