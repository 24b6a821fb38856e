# SPDX-License-Identifier: GPL-2.0-or-later
"""One queue of an Asterisk: its members, its callers and how long its calls take, and what follows from them. Pure.

The mean talk time is Asterisk's own moving average, in which the newest call weighs a quarter. Between two readings
each AgentComplete carries it on.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from gateway.core.model import Agent, QueueState
from gateway.core.staffing import expected_wait_s
from gateway.pbx.asterisk.ami_codec import Message

_UNKNOWN, _IDLE, _INVALID, _UNAVAILABLE, _RINGING, _RINGING_IN_USE = 0, 1, 4, 5, 6, 7
_NEWEST_CALL_WEIGHS = 0.25
_LONGEST_WRAP_UP_S = 86400
_LONGEST_TALK_S = 86400


@dataclass(frozen=True, slots=True)
class Member:
    """An agent, whether their phone is there or not."""

    status: int  # of their phone, as AST_DEVICE_… numbers it
    paused: bool
    penalty: int = 0
    last_call: datetime | None = None  # when their last call from this queue ended
    wrap_up: timedelta = timedelta(0)  # their own; AMI does not tell the queue's

    @classmethod
    def read(cls, message: Message) -> Self | None:
        """From QueueMember, or an event about one; None: it can't be read."""
        status = message.number("Status")
        if status is None:
            return None
        return cls(
            status,
            message.get("Paused") == "1",
            message.number("Penalty") or 0,
            _moment(message.number("LastCall")),
            timedelta(seconds=min(max(0, message.number("Wrapuptime") or 0), _LONGEST_WRAP_UP_S)),
        )

    @property
    def logged_in(self) -> bool:
        """As QueueSummary counts."""
        return self.status not in {_INVALID, _UNAVAILABLE}

    @property
    def idle(self) -> bool:
        """Whether Asterisk would ring them, were they not paused."""
        return self.status in {_UNKNOWN, _IDLE}

    @property
    def available(self) -> bool:
        """As QueueSummary counts."""
        return self.idle and not self.paused

    @property
    def rings(self) -> bool:
        """Whether their phone rings."""
        return self.status in {_RINGING, _RINGING_IN_USE}

    @property
    def reachable(self) -> bool:
        """Whether their phone is known to be there."""
        return self.logged_in and self.status != _UNKNOWN


@dataclass(frozen=True, slots=True)
class Talk:
    """How long the queue's calls take."""

    completed: int = 0
    mean_s: float | None = None  # None: unknown

    @classmethod
    def read(cls, params: Message) -> Self:
        """From QueueParams."""
        completed, mean_s = params.number("Completed") or 0, talk_s_of(params)
        return cls(completed, mean_s if completed and mean_s else None)

    def then(self, talk_s: float) -> Self:
        """After one more call."""
        mean_s = talk_s if self.mean_s is None else self.mean_s + (talk_s - self.mean_s) * _NEWEST_CALL_WEIGHS
        return replace(self, completed=self.completed + 1, mean_s=mean_s)


@dataclass(slots=True)
class Queue:
    """What is known of a queue."""

    max_len: int | None = None
    rings_all: bool = False
    talk: Talk = Talk()
    members: dict[str, Member] = field(default_factory=dict)  # by interface
    callers: dict[str, datetime] = field(default_factory=dict)  # when each joined, by the channel's unique id

    @classmethod
    def read(cls, params: Message, before: "Queue | None") -> "Queue":
        """From QueueParams, without members and callers. `before`: what was known until now."""
        talk = Talk.read(params)
        if before is not None and before.talk.completed == talk.completed:
            talk = before.talk  # Asterisk rounds its average down to whole seconds
        return cls(max(0, params.number("Max") or 0) or None, params.get("Strategy") == "ringall", talk)

    def counts(self) -> tuple[int, int, int]:
        """Logged in, available and callers, as QueueSummary tells them."""
        members = self.members.values()
        return sum(m.logged_in for m in members), sum(m.available for m in members), len(self.callers)

    def state(self, name: str, now: datetime) -> QueueState:
        """The queue at `now`, for the core."""
        members = [member for _, member in sorted(self.members.items()) if member.logged_in]
        logged_in, available, callers = self.counts()
        paused, ringing = sum(m.paused for m in members), sum(m.rings for m in members)
        state = QueueState(
            name=name,
            logged_in=logged_in,
            available=available,
            callers=callers,
            longest_wait_s=max(0.0, (now - min(self.callers.values(), default=now)).total_seconds()),
            paused=paused,
            busy=logged_in - paused - available,
            max_len=self.max_len,
            mean_talk_s=self.talk.mean_s,
            rung=min(callers, ringing, 1 if self.rings_all else ringing),
            agents=tuple(Agent(m.idle, m.paused, m.penalty, m.last_call, m.wrap_up) for m in members),
        )
        wait_s = expected_wait_s(available, logged_in - paused, state.ahead, state.mean_talk_s)
        return replace(state, expected_wait_s=wait_s)


def talk_s_of(message: Message) -> float | None:
    """How long a call took, or calls take, in seconds; None: it does not say."""
    talk_s = message.number("TalkTime")
    return talk_s if talk_s is None else min(max(0, talk_s), _LONGEST_TALK_S)


def _moment(unix_s: int | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(unix_s, UTC) if unix_s else None
    except (ValueError, OverflowError, OSError):  # no moment of this calendar
        return None
