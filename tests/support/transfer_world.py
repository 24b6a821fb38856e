# SPDX-License-Identifier: GPL-2.0-or-later
"""The legs, timers and witnesses that the commands of one transfer act on, and what has to be true of them."""

from gateway.core.model import AnsweredBy, Destination, Entry, FinalNotify, LegId, WhileWaiting
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone
from gateway.core.transfer import Manner, State, Transfer
from gateway.core.transfer.commands import (
    Announce,
    AnswerRequest,
    Command,
    Dial,
    HandDown,
    HangUp,
    Hold,
    Identify,
    Listen,
    Notify,
    Press,
    Report,
    Respond,
    Return,
    StartTimer,
    StopTimer,
    Switch,
    Timer,
    Wait,
    Whisper,
)
from gateway.core.transfer.events import (
    AcceptTimeout,
    CallerLost,
    Event,
    HumanAnswered,
    Identified,
    Listened,
    NotifyFailed,
    PlaceLeft,
    RingTimeout,
    SwitchFailed,
    TargetAnswered,
    TargetFailed,
    TargetPressed,
    TransfereeGone,
    TransferorGone,
)
from tests.support.playbook import ASSISTANT, CALLER


class World:
    """What the gateway's commands make of the world; an impossible or untruthful one is an AssertionError."""

    def __init__(self, entry: Entry, manner: Manner, fallback: Destination | None, first: Destination | None) -> None:
        self.entry, self.manner, self.fallback = entry, manner, fallback
        self.named = [first]  # by the gate, to be dialled now
        self.announced: list[Destination | None] = []  # to be dialled after their announcement
        self.wants_notify = manner.notify and entry is Entry.REFER
        self.transferor_there = entry is not Entry.INVITE
        self.caller = "asking"  # … held | joined | in silence | returned | hung up | gone | with the PBX | lost
        self.pbx: LegId | None = None  # the target that the PBX is bringing the caller to by itself
        self.joined: LegId | None = None
        self.targets: dict[LegId, str] = {}  # live | gone | hung up
        self.whispered_to = set[LegId]()
        self.pressed: dict[LegId, str] = {}  # the newest key of each target since it was asked
        self.timers = dict[Timer, None]()  # those that run, the one that was started first in front
        self.answered: list[Command] = []
        self.notified: list[Notify] = []
        self.reported: list[Milestone] = []
        self.kept: LegId | None = None  # the leg that goes on waiting in the caller's place after the end
        self.taken_up = False  # by another transfer
        self.held: LegId | None = None  # … whose agent waits for the caller

    def happen(self, event: Event) -> None:
        """An event changes the world before anybody is told."""
        self.named = []
        match event:
            case TargetFailed(target=target, next=then):
                self._part_from(target, "gone")
                self.named.append(then.destination)
            case TargetAnswered(target=target) | HumanAnswered(target=target) if (
                target == self.pbx and self.caller == "held" and not self.targets
            ):
                self.caller = "with the PBX"
            case CallerLost():
                self.caller = "lost"
            case Listened(heard=heard, next=then):
                self.named.append(then.destination)
                self.caller = self.caller if heard else "lost"
            case TargetPressed(target=target, key=key, next=then):
                self.named.append(then.destination)
                self.pressed[target] = key
            case RingTimeout(next=then) | SwitchFailed(next=then) | AcceptTimeout(next=then):
                self.named.append(then.destination)
            case Identified(next=then):
                self.named.append(then.destination)
            case TransfereeGone():
                self.caller = "gone"
            case PlaceLeft(taken_up=True) if self.kept is not None and self.targets[self.kept] == "live":
                self.taken_up = True
            case TransferorGone():
                self.transferor_there = False
            case NotifyFailed() if not self.final:
                self.wants_notify = False

    def carry_out(self, commands: tuple[Command, ...], transfer: Transfer) -> None:
        """Do what `transfer` wants done after an event."""
        for command in commands:
            if Milestone.ENDED in self.reported:
                letting_go = isinstance(command, HangUp) and command.leg in (ASSISTANT, self.kept)
                assert letting_go or isinstance(command, StopTimer) or self._keeps_place(command)
            self._obey(command, transfer)
            if transfer.state is State.KEPT:
                self.kept = transfer.target
        if transfer.state is State.KEPT:
            assert self.targets[transfer.target] == "live"
            assert Timer.PLACE in self.timers
        if transfer.state in (State.DIALLING, State.RINGING, State.ANSWERED, State.WHISPERING):
            waits = self.entry is Entry.INVITE and not self.answered
            assert self.caller == ("asking" if waits or transfer.talks else "held")
        if Report(Milestone.ENDED) in commands:
            self._check_outcome(transfer)

    @property
    def final(self) -> list[Notify]:
        """The final NOTIFYs."""
        return [notify for notify in self.notified if notify.final]

    def _nobody_expects_the_caller(self) -> bool:
        if self.entry is Entry.INVITE:
            return bool(self.answered)
        return not self.transferor_there or any(notify.code == 200 for notify in self.final)

    def _part_from(self, target: LegId, how: str) -> None:
        if self.targets.get(target) == "live":
            self.targets[target] = how
        if self.joined == target:
            self.joined = None
            self.caller = "in silence" if self.caller == "joined" else self.caller

    def _obey(self, command: Command, transfer: Transfer) -> None:  # noqa: C901, PLR0912  # one case for each command
        match command:
            case AnswerRequest():
                assert self.entry is not Entry.INVITE
                self.answered.append(command)
            case Notify(code=code, final=final):
                assert self.wants_notify
                assert self.answered
                assert not self.final
                assert final or code in (100, 180)
                self.notified.append(command)
            case Respond(leg=at, code=code):
                assert (at, self.entry) == (CALLER, Entry.INVITE)
                assert not self.answered
                if code == 200:
                    self.answered.append(command)
                    self.caller = "held"
            case Dial(target=target, destination=destination):
                is_fallback = destination == self.fallback and self._nobody_expects_the_caller()
                assert is_fallback or destination in (*self.named, *self.announced)
                assert target == transfer.target
                assert target not in self.targets
                self.targets[target] = "live"
            case HandDown(target=target, destination=destination):
                assert self.manner.hand_down
                assert self.caller == "held"
                assert destination in self.named
                assert target == transfer.target
                self.pbx = target
            case Listen():
                assert self.pbx == transfer.target
                assert self.caller in ("held", "with the PBX")
            case Identify(target=target):
                assert self.manner.names_humans
                assert self.targets[target] == "live"
                assert target == transfer.target
            case Announce():
                assert self.caller in ("asking", "held")
                assert transfer.announcing
                self.announced = self.named
            case Wait():
                assert self.caller in ("asking", "in silence")
                self.caller = "held"
            case Whisper(target=target):
                assert transfer.destination is not None
                assert transfer.destination.holds_back
                assert self.targets[target] == "live"
                assert target not in self.whispered_to
                self.whispered_to.add(target)
                self.pressed.pop(target, None)
            case Hold(target=target):
                assert target == self.kept
                assert self.targets[target] == "live"
                assert self.held is None
                self.held = target
            case Switch(target=target):
                self._check_taken(target, transfer)
                assert self.caller == "held" or self._talks(transfer)
                assert self.targets[target] == "live"
                self.caller, self.joined = "joined", target
            case Press(target=target):
                assert target == self.joined
            case Return():
                assert self.transferor_there
                assert self.caller in ("held", "in silence") or self._talks(transfer)
                self.caller = "returned"
            case HangUp(leg=at) if at == CALLER:
                assert self.caller in ("asking", "held", "in silence", "with the PBX", "lost")
                if self.caller in ("with the PBX", "lost"):
                    return
                if self.entry is Entry.INVITE and not self.answered:
                    self.answered.append(command)
                self.caller = "hung up"
            case HangUp(leg=at) if at == ASSISTANT:
                assert self.transferor_there
                assert self.final or not self.wants_notify
                self.transferor_there = False
            case HangUp(leg=target):
                assert self.targets[target] == "live"
                self._part_from(target, "hung up")
            case StartTimer(timer=timer):
                self.timers.pop(timer, None)
                self.timers[timer] = None
            case StopTimer(timer=timer):
                self.timers.pop(timer, None)
            case Report(milestone=milestone):
                self.reported.append(milestone)

    def _keeps_place(self, command: Command) -> bool:
        """Whether a command has only to do with the leg that keeps a place."""
        match command:
            case Hold(target=target) | Identify(target=target):
                return target == self.kept
            case StartTimer(timer=Timer.PLACE):
                return self.kept is not None
        return False

    def _talks(self, transfer: Transfer) -> bool:
        """Whether the caller, of whom nothing was asked yet, goes on talking with the transferor."""
        talks = transfer.destination is not None and transfer.destination.while_waiting is WhileWaiting.ASSISTANT
        return talks and self.caller == "asking" and self.transferor_there

    def _check_taken(self, target: LegId, transfer: Transfer) -> None:
        """Who has answered has heard the whisper, and taken the call; the PBX's voicemail is asked for neither."""
        destination, record = transfer.destination, transfer.record
        if destination is None or record.answered_by is AnsweredBy.VOICEMAIL:
            return
        assert not destination.holds_back or target in self.whispered_to
        if destination.accept:
            assert self.pressed.get(target) == destination.accept
        assert (record.accepted_at is not None) == bool(destination.accept)

    def _check_outcome(self, transfer: Transfer) -> None:
        """When the outcome is reported the caller is in one place, and the record says so."""
        record = transfer.record
        assert record.reason is not None
        assert (record.outcome, record.sip_code) == (record.reason.outcome, record.reason.sip_code)
        assert record.returned_to_transferor == (self.caller == "returned")
        match record.outcome:
            case Outcome.COMPLETED:
                assert (self.caller, self.joined or self.pbx) in (
                    ("joined", transfer.target),
                    ("with the PBX", transfer.target),
                )
            case Outcome.ABANDONED:
                assert self.caller in ("gone", "lost")
            case Outcome.REFUSED:
                assert self.caller == ("hung up" if self.entry is Entry.INVITE else "asking")
            case _ if self.caller in ("gone", "lost"):
                assert record.fault
            case _:
                assert self.caller == ("returned" if self.transferor_there else "hung up")
        live = {target for target, status in self.targets.items() if status == "live"}
        stays = self.joined or (transfer.target if record.reason is Reason.PLACE_KEPT else None)
        assert live == ({stays} if stays else set())
        if self.targets and not transfer.announcing:
            assert record.attempts[-1].reason is record.reason
            assert all(attempt.reason for attempt in record.attempts)

    def check_end(self, transfer: Transfer) -> None:
        """At the end everybody was told, once, and nothing is left behind."""
        assert transfer.state is State.ENDED
        assert not self.timers
        assert self.kept is None or self.taken_up or self.targets[self.kept] != "live"
        assert not self.transferor_there or self.caller in ("asking", "returned", "gone")
        order = [list(Milestone).index(milestone) for milestone in self.reported]
        assert order == sorted(set(order))
        assert self.reported[-1] is Milestone.ENDED
        unanswerable = self.entry is Entry.INVITE and self.caller == "gone"
        assert len(self.answered) == 1 or (unanswerable and not self.answered)
        self._check_notifies(transfer.record.outcome)

    def _check_notifies(self, outcome: Outcome | None) -> None:
        if self.wants_notify:
            assert len(self.final) == (outcome is not Outcome.REFUSED or self.manner.refuse_in_notify)
        for notify in self.final:
            if notify.code != 200:
                assert outcome is not Outcome.COMPLETED or not self.manner.cancel_at_deadline
            elif self.manner.final_notify.waits_for_person or not self.manner.names_humans:
                assert outcome is Outcome.COMPLETED or self.manner.final_notify is FinalNotify.ON_RING
