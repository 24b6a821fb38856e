# SPDX-License-Identifier: GPL-2.0-or-later
"""What the transfer machine knows of one transfer."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.core.model import Announcement, AnsweredBy, Destination, Entry, FinalNotify, LegId, TransferId
from gateway.core.record import Milestone, TransferRecord
from gateway.core.transfer.commands import WHO_S

SHORTEST_RING = timedelta(seconds=1)
"""Nobody answers in less."""


class State(StrEnum):
    """Where a transfer is."""

    DIALLING = "dialling"
    RINGING = "ringing"
    ANSWERED = "answered"  # the PBX has answered, and is asked who that was
    WHISPERING = "whispering"  # who has answered hears the whisper, and may be asked for a key; the caller waits
    HANDING = "handing"  # the PBX has been asked to take the caller on by itself
    LISTENING = "listening"  # it failed to: is the caller still on our leg?
    HANDED = "handed"  # it has the caller, and our leg is gone; the outcome waits for a person
    PROMISED = "promised"  # a call back: the caller is not there, and nobody is dialled before somebody is free
    CALLING = "calling"  # … somebody has taken it, and the caller is called
    SWITCHING = "switching"
    CONNECTED = "connected"  # caller and target hear each other; the outcome waits for a person
    RELEASING = "releasing"  # the outcome is known; the transferor has not hung up yet
    KEPT = "kept"  # the outcome is told; our leg keeps the caller's place in the queue for a second request
    ENDED = "ended"


_CAN_BE_CANCELLED = (State.DIALLING, State.RINGING, State.WHISPERING, State.PROMISED, State.CALLING)


@dataclass(frozen=True, slots=True)
class Manner:
    """How the transferor wants to be told, from its profile and its request."""

    notify: bool = True  # False: no NOTIFY was asked for (Refer-Sub: false, a command, an INVITE)
    final_notify: FinalNotify = FinalNotify.ON_ANSWER
    refuse_in_notify: bool = False
    deadline: timedelta | None = None  # the final NOTIFY must be out by then
    cancel_at_deadline: bool = True  # False: the failure is told, and the dialling goes on all the same
    own_codes: bool = True  # a failure is told with the target's own code; False: with that of its reason
    hand_down: bool = False  # the PBX, on which the transferee's leg is, may carry out the first attempt by itself
    names_humans: frozenset[str] = frozenset()  # the PBXs that tell who takes a call


@dataclass(frozen=True, slots=True)
class Place:
    """A caller's place in a queue that is kept: the leg that waits there, and what has become of it since."""

    leg: LegId
    destination: Destination
    kept_by: TransferId
    until: datetime  # when it is given up
    rings: bool = False
    answered: bool = False  # by the PBX, which may be before an agent
    named: bool = False  # the PBX says by whom
    by: AnsweredBy | None = None  # … and that is who; None: nobody yet
    agent: str = ""

    @property
    def has_agent(self) -> bool:
        """Whether somebody is there for the caller."""
        return self.answered and (self.by is not None or not self.named)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer; `record` is what the outside learns of it."""

    record: TransferRecord
    state: State
    transferee: LegId
    transferor: LegId | None  # None: nobody to return the caller to
    manner: Manner
    fallback: Destination | None = None  # None: there is none, or it was tried
    destination: Destination | None = None  # what was dialled last
    dialled: int = 0  # how many targets
    places: frozenset[tuple[str, str]] = frozenset()  # … and where
    named_at: datetime | None = None  # when the PBX said who took the call
    looking: bool = False  # the PBX has answered, and has not found a person yet
    talks: bool = False  # the caller still talks with the transferor
    announcing: bool = False  # the destination is announced, and will be dialled when that is over
    hunt_until: datetime | None = None  # when nothing but the fallback is rung any more
    joined: LegId | None = None  # the far end of a consultation call, which takes the place of a dialled target
    taken_up: LegId | None = None  # the leg that kept the caller's place, which does so too
    place: Place | None = None  # that this transfer keeps
    final_code: int | None = None  # the code in the final NOTIFY; 200 also for an INVITE that was answered
    uploaded: Announcement | None = None  # a sound for who answers, of this transfer alone
    reached: Milestone | None = None  # the last one that was reported
    promised: Destination | None = None  # by whom the caller is to be called back; None: by nobody, or nobody any more
    due_at: datetime | None = None  # when that is to be tried next, at the earliest
    rounds: int = 0  # how often it was tried, and came to nothing
    called: bool = False  # the caller has a leg, by which they are called back

    @property
    def target(self) -> LegId:
        """The leg that was dialled last, or the one that is joined without dialling."""
        if self.joined is not None:
            return self.joined
        if self.taken_up is not None:
            return self.taken_up
        return LegId(f"{self.record.transfer}/{self.dialled}")

    def rings_for(self, destination: Destination, at: datetime) -> float:
        """How many seconds a target that is dialled at `at` may ring."""
        left = self.hunt_until - at if self.hunt_until else destination.ring_timeout
        return min(destination.ring_timeout, left).total_seconds()

    def hunt_is_over(self, at: datetime) -> bool:
        """Whether too little of the hunt's time is left at `at` for another target."""
        return self.hunt_until is not None and self.hunt_until - at < SHORTEST_RING

    def has_tried(self, destination: Destination) -> bool:
        """Whether the extension of a destination was dialled, for whichever destination."""
        return destination.place in self.places

    @property
    def notifies(self) -> bool:
        """Whether the transferor still waits for NOTIFYs."""
        return self.manner.notify and self.final_code is None

    @property
    def deadline(self) -> timedelta | None:
        """How long the transferor waits for the final NOTIFY; None: as long as it takes, or nobody waits."""
        return self.manner.deadline if self.notifies and self.transferor is not None else None

    @property
    def hands_down(self) -> bool:
        """Whether the PBX may take the caller: it says so long before a person answers, and never gives them back."""
        manner = self.manner
        waits = manner.notify and manner.final_notify.waits_for_person
        return manner.hand_down and not waits and self.record.entry is not Entry.INVITE

    @property
    def awaits_human(self) -> bool:
        """Whether the PBX has yet to say who took the call."""
        record = self.record
        return record.pbx in self.manner.names_humans and record.human_at is None and record.answered_by is None

    def is_stale(self, at: datetime) -> bool:
        """Whether whom the PBX named, long before its answer at `at`, may have refused the call, for others to take it.

        As where a key is to be pressed to accept it, and voicemail has it otherwise. A queue names its agents last.
        """
        if self.named_at is None or self.record.answered_by is AnsweredBy.AGENT:
            return False
        return at - self.named_at > timedelta(seconds=WHO_S)

    @property
    def asks_who(self) -> bool:
        """Whether the PBX's answer is not believed to be a person's before the PBX has said so."""
        return self.awaits_human and self.destination is not None and self.destination.queue is None

    @property
    def holds_back(self) -> bool:
        """Whether who has answered is to hear the whisper first, or to take the call by a key."""
        return self.destination is not None and self.destination.holds_back and self.joined is None

    @property
    def keeps_apart(self) -> bool:
        """Whether the PBX's answer alone puts the caller through to nobody: a person is waited for behind it."""
        return self.holds_back or self.talks or self.calls_back

    @property
    def may_keep_place(self) -> bool:
        """Whether the leg goes on waiting in the queue, in the caller's place, when the transferor no longer waits."""
        holds = self.destination is not None and bool(self.destination.hold_place)
        return holds and self.talks and (self.state is not State.ANSWERED or self.looking)

    @property
    def waits_behind(self) -> bool:
        """Whether the PBX has answered, a person is still looked for there, and the caller is held back meanwhile."""
        return self.state is State.ANSWERED and self.looking

    @property
    def waits_on_line(self) -> bool:
        """Whether the caller hears the PBX, which has not found a person for them yet."""
        in_queue = self.destination is not None and self.destination.queue is not None
        return self.awaits_human and (in_queue or self.looking)

    @property
    def stranded(self) -> bool:
        """Whether nobody expects the caller back: neither a transferor nor an INVITE that waits for its final code.

        One who is to be called back is not there to be left alone.
        """
        expected = self.transferor is not None or self.record.entry is Entry.INVITE or self.calls_back
        return self.final_code == 200 or not expected

    @property
    def calls_back(self) -> bool:
        """Whether the caller is not there, and is called once somebody has answered."""
        return self.record.entry is Entry.CALLBACK

    @property
    def falls_back(self) -> bool:
        """Whether the caller, whom nobody expects back, goes to the fallback when nothing else is left."""
        return self.stranded and self.fallback is not None and not self.has_tried(self.fallback)

    @property
    def can_be_cancelled(self) -> bool:
        """Whether nobody has taken the call yet, and the caller has somewhere to go when it is no longer wanted."""
        if self.state is State.KEPT:
            return True
        waits = self.state in _CAN_BE_CANCELLED or self.waits_behind
        return waits and (not self.stranded or self.falls_back)

    def __repr__(self) -> str:
        return f"<Transfer {self.record.transfer} {self.state} to {self.record.destination}>"
