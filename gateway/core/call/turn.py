# SPDX-License-Identifier: GPL-2.0-or-later
"""One step of a call while it is being made: the call as it becomes, and what its transfers do to it."""

from dataclasses import dataclass, field, replace

from gateway.core import transfer
from gateway.core.call.commands import (
    Command,
    Dial,
    DialOrder,
    HandDown,
    HandDownOrder,
    HangUp,
    Join,
    OfTransfer,
    OwnCommand,
    Press,
    Respond,
    Silence,
    Wait,
    Whisper,
)
from gateway.core.call.events import TransferRequested
from gateway.core.call.state import Call, Leg, Running
from gateway.core.caller import Party
from gateway.core.model import Destination, LegId, Peer, PeerKind, TransferId
from gateway.core.moment import Moment
from gateway.core.transfer import commands as cmd
from gateway.core.transfer import events as ev

OK = 200
TRANSFER_HEADER = "X-Transfer-ID"
"""Carries the transfer's id to the PBX, so that a screen pop can look it up."""


class StepError(Exception):
    """The machine of a transfer failed at an event; the reason is this exception's cause."""

    def __init__(self, transfer_id: TransferId, event: ev.Event) -> None:
        super().__init__(f"{type(event).__name__} of {transfer_id}")
        self.transfer = transfer_id
        self.event = event


@dataclass(slots=True)
class Turn:
    """The call as it becomes, and the commands so far, in their order."""

    call: Call
    now: Moment
    commands: list[Command] = field(default_factory=list)

    def do(self, command: Command) -> None:
        """Have a command carried out after the others."""
        self.commands.append(command)

    # --- legs

    def add(self, leg: Leg, party: Party | None = None) -> None:
        """The leg is part of the call; `party` is whom it leads to, None: as it was."""
        call = self.call
        parties = call.parties if party is None else {**call.parties, leg.id: party}
        self.call = replace(call, legs={**call.legs, leg.id: leg}, parties=parties)

    def drop(self, *gone: LegId) -> None:
        """The legs are no longer part of the call."""
        legs = {leg.id: leg for leg in self.call.legs.values() if leg.id not in gone}
        self.call = replace(self.call, legs=legs)

    def keep(self, *kept: LegId) -> None:
        """No other legs are part of the call any more."""
        self.drop(*(leg for leg in self.call.legs if leg not in kept))

    # --- transfers

    def put(self, running: Running) -> None:
        """Replace what is known of a transfer."""
        transfers = tuple(running if one.id == running.id else one for one in self.call.transfers)
        self.call = replace(self.call, transfers=transfers)

    def begin(self, event: TransferRequested) -> None:
        """A transfer begins; one that is refused has ended with that."""
        kept = self.call.kept
        taken_up = kept if kept is not None and kept.id == event.takes_up else None
        running, commands = begun(event, self.call, taken_up)
        running = replace(running, before=self.call.put_through)
        if kept is not None and not running.over:
            self._leave_place(kept, running)
        self.call = replace(self.call, transfers=(*self.call.transfers, running))
        if not running.over:
            self.call = replace(self.call, transfer=running.id)
        for command in commands:
            self._interpret(running.id, command)

    def _leave_place(self, kept: Running, running: Running) -> None:
        """A place that is kept goes over to another transfer that is accepted, or is given up for it."""
        target = running.machine.taken_up
        if target is not None:
            self.put(replace(kept, present=kept.present - {target}))
        self.feed(kept.id, ev.PlaceLeft(kept.at(self.now), taken_up=target is not None))

    def feed(self, transfer_id: TransferId, event: ev.Event) -> None:
        """Let the machine of a transfer take an event, and the call what it wants done. Raises StepError."""
        running = self.call.running(transfer_id)
        if running is None:
            return
        try:
            machine, commands = transfer.step(running.machine, event)
        except Exception as error:
            raise StepError(transfer_id, event) from error
        self.put(replace(running, machine=machine))
        if transfer_id == self.call.led_by and self.call.answered_by is not machine.record.answered_by:
            self.call = replace(self.call, answered_by=machine.record.answered_by)
        for command in commands:
            self._interpret(transfer_id, command)

    def _interpret(self, transfer_id: TransferId, command: cmd.Command) -> None:  # noqa: C901, PLR0912  # one case each
        match command:
            case cmd.Respond(leg, code):
                running = self.call.running(transfer_id)
                self.do(Respond(leg, code, running.machine.target if running and code == OK else None))
            case cmd.Whisper(target, sounds, tones):
                self.do(Whisper(target, sounds, tones))
            case cmd.Hold(target):
                self.do(Wait(target))
            case cmd.Dial(target, destination):
                self._dial(transfer_id, target, destination)
            case cmd.CallCaller(transferee, target, destination):
                self._call_caller(transfer_id, transferee, target, destination)
            case cmd.HandDown(target, transferee, destination):
                self._hand_down(transfer_id, target, transferee, destination)
            case cmd.Announce(transferee, announcement):
                self.do(Wait(transferee, None, announcement))
            case cmd.Wait(transferee, transferor):
                if transferor is not None:
                    self.do(Silence(transferor))
                self.do(Wait(transferee))
            case cmd.Switch(transferee, target):
                running = self.call.running(transfer_id)
                reached = running.machine.destination if running else None
                self.do(Join(transferee, target, reached.extension if reached else None))
            case cmd.Press(target, keys):
                self.do(Press(target, keys))
            case cmd.Return(transferee, transferor):
                self._return(transfer_id, transferee, transferor)
            case cmd.HangUp(leg, reason, code, retry_after_s, words):
                self._hang_up(transfer_id, HangUp(leg, code, reason, retry_after_s, sentence=words))
            case _:
                self.do(OfTransfer(transfer_id, command))

    def _running(self, transfer_id: TransferId) -> Running:
        found = self.call.running(transfer_id)
        if found is None:
            raise RuntimeError(f"{transfer_id} is no transfer of {self.call.id}")
        return found

    def _dial(self, transfer_id: TransferId, target: LegId, destination: Destination) -> None:
        call, running = self.call, self._running(transfer_id)
        pbx = Peer(call.number.pbx_of(destination), PeerKind.PBX)
        transferee = running.machine.transferee
        shown = call.parties.get(transferee) or Party(None)
        self.put(replace(running, peers={**running.peers, target: pbx}, present=running.present | {target}))
        order = DialOrder(
            leg=target,
            peer=pbx,
            user=destination.extension,
            caller=shown.user,
            caller_name=shown.name,
            headers=((TRANSFER_HEADER, transfer_id), *running.record.context.items()),
            private=shown.private,
            diverted=() if shown.diverted is None else (call.number.number, *shown.diverted),
            max_forwards=call.max_forwards,
            beside=None if running.machine.calls_back else transferee,
        )
        self.do(Dial(order))
        announcement = destination.announcement
        if running.machine.talks or running.machine.calls_back:
            return  # with the transferor, or not there, and hears nothing of the target
        # Who is to be whispered to is not heard before, by nobody, and hears nobody.
        heard = None if destination.holds_back else target
        self.do(Wait(transferee, heard, announcement if announcement and not announcement.before else None))

    def _call_caller(self, transfer_id: TransferId, transferee: LegId, target: LegId, destination: Destination) -> None:
        """Call the caller back, who is shown the number that they had called; who is to talk to them hears it ring."""
        call, running = self.call, self._running(transfer_id)
        if destination.call_back is None or call.caller is None:
            raise RuntimeError(f"{transfer_id} has nobody to call back")
        peer = Peer(destination.call_back.pbx, PeerKind.PBX)
        peers = {**running.peers, transferee: peer}
        self.put(replace(running, peers=peers, present=running.present | {transferee}))
        self.add(Leg(transferee, peer, dialled=True), Party(call.caller))
        order = DialOrder(
            leg=transferee,
            peer=peer,
            user=call.caller,
            caller=call.number.number,
            headers=((TRANSFER_HEADER, transfer_id),),
            max_forwards=call.max_forwards,
            beside=target,
        )
        self.do(Dial(order))
        self.do(Wait(target, transferee))

    def _hand_down(self, transfer_id: TransferId, target: LegId, transferee: LegId, destination: Destination) -> None:
        running = self._running(transfer_id)
        self.put(replace(running, handed=target))
        context = running.record.context.items()
        referred_by = tuple((name, value) for name, value in context if name.lower() == "referred-by")
        self.do(HandDown(HandDownOrder(transferee, destination.extension, transfer_id, referred_by)))

    def _return(self, transfer_id: TransferId, transferee: LegId, transferor: LegId) -> None:
        """The caller talks with whoever had them before: the assistant, or one to whom they had been put through."""
        before = self._running(transfer_id).before
        peer = self._running(transfer_id).peers.get(transferor)
        self.keep(transferee, transferor)
        if transferor not in self.call.legs and peer is not None:
            call_id = self._running(transfer_id).record.call_ids.get("transferor")
            self.add(Leg(transferor, peer, call_id))
        self.call = replace(
            self.call, destination=before.destination, put_through_by=before.by, answered_by=before.answered_by
        )
        self.do(Join(transferee, transferor))

    def _hang_up(self, transfer_id: TransferId, command: HangUp) -> None:
        running = self._running(transfer_id)
        if command.leg == running.machine.transferee:
            # That it ends then is no news to the transfer.
            self.put(replace(running, present=running.present - {command.leg}))
        self.do(command)


def begun(
    event: TransferRequested, call: Call | None, kept: Running | None = None
) -> tuple[Running, tuple[cmd.Command, ...]]:
    """A transfer at its begin, and what is to be done first; without a call there is nobody to transfer.

    `kept` is the transfer whose place it takes up.
    """
    consultation = event.consultation
    began = Moment(event.record.requested_at, event.now.steady)
    at = began.told_at(event.now)
    if consultation is not None:
        machine, commands = transfer.join(
            event.record,
            transferee=event.transferee,
            transferor=event.transferor or event.transferee,
            target=consultation.target.id,
            manner=event.manner,
            at=at,
        )
    elif event.calls_back and (event.decision.accepted or event.kept):
        machine, commands = transfer.promise(
            event.record, event.decision, transferee=event.transferee, kept=event.kept, at=at
        )
        running = Running(machine, began, asked=event.asked, number=call.number if call else None)
        return running, commands
    else:
        machine, commands = transfer.start(
            event.record,
            event.decision,
            transferee=event.transferee,
            transferor=event.transferor,
            manner=event.manner,
            fallback=call.number.destinations.get(call.number.fallback or "") if call else None,
            total_ring=call.number.total_ring if call else None,
            place=kept.machine.place if kept else None,
            uploaded=event.uploaded,
            at=at,
        )
    roles = {
        "transferee": machine.transferee,
        "transferor": machine.transferor,
        "target": machine.joined or machine.taken_up,
    }
    legs = {role: leg for role, leg in roles.items() if leg is not None}
    named = {role: event.call_ids[leg] for role, leg in legs.items() if leg in event.call_ids}
    if kept is not None and machine.taken_up is not None and (call_id := kept.record.call_ids.get("target")):
        named["target"] = call_id
    running = Running(machine, began).knowing(replace(machine.record, call_ids=named))
    if running.over or call is None:
        return running, commands
    peers = {leg: call.legs[leg].peer for leg in legs.values() if leg in call.legs}
    if consultation is not None:
        peers[consultation.target.id] = consultation.target.peer
    if kept is not None and machine.taken_up is not None:
        peers[machine.taken_up] = kept.peers[machine.taken_up]
    running = replace(
        running,
        asked=event.asked,
        number=call.number if consultation is None else None,
        peers=peers,
        present=frozenset(legs.values()),
        consultation=consultation.leg if consultation else None,
    )
    return running, commands


def refused(event: TransferRequested) -> tuple[Running, tuple[Command, ...]]:
    """A transfer for which there is no call, and what is done for it: it is refused, and over with that."""
    running, commands = begun(event, None)
    return running, tuple(OfTransfer(running.id, one) for one in commands if isinstance(one, OwnCommand))
