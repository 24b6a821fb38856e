# SPDX-License-Identifier: GPL-2.0-or-later
"""What a voice platform says of its calls, and which of ours each of them is.

No id travels from the platform's webhooks to SIP, so a call of the platform and a transfer or call of ours are joined
by what both sides know: **number, caller and time**.

- The assigned number must be the same.
- The caller: both sides know them, and they are the same (`matched_by` "caller"); or our side does not know them, as
  they are withheld or the platform calls with the number's own identity ("time"). A caller who is known here and not
  there is somebody else.
- The time: a transfer was requested, or a call of ours lasted, between the beginning and the end of the platform's
  call. Clocks may differ by `TOLERANCE`, by which that span is widened on both sides. A call that has not ended goes on
  until it does.

**Exactly one** call of the platform fits: it is that one. Several fit: which one is not guessed, the match is
"ambiguous" and says how many there were. Several transfers of one caller during one call are all of that call.

What is known of a call is made of any number of reports, whichever comes first and however often each comes: `merged`
gives the same for any order of them (a property test plays that). A report may come long before, or long after, the
transfer that it is about; one that never comes leaves the transfer's record without a word of the platform.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

TOLERANCE = timedelta(seconds=30)
"""By how much the platform's clock and ours may differ, with the time that its leg takes to reach us."""
SETTLES = timedelta(seconds=90)
"""How long after the first word of its end a call is judged: what it promised has arrived by then, or never will."""
LONGEST = timedelta(hours=24)
"""A platform's call that has gone on for longer than this is not believed to go on."""

_FEWEST_LETTERS = 8  # of a spoken message: "OK" is said for many reasons


class MatchedBy(StrEnum):
    """How a transfer or call of ours was found to be of a platform's call."""

    CALLER = "caller"
    TIME = "time"
    AMBIGUOUS = "ambiguous"


class Promise(StrEnum):
    """Whether the platform's assistant has promised a transfer, and what came of that."""

    NONE = "none"  # nothing says that it has
    PENDING = "pending"  # it has, and none has come by now
    KEPT = "kept"  # one was asked for, whatever became of it
    BROKEN = "broken"  # none was ever asked for
    UNCLEAR = "unclear"  # one may have been: see `judged`


class PromisedBy(StrEnum):
    """What says that a transfer was promised, the firmest first; the last is a heuristic."""

    STATUS = "status"  # the platform's own: `transferred`
    END_REASON = "end-reason"  # its reason for the end names a transfer
    TOOL_CALL = "tool-call"  # the assistant has called its transfer tool
    SPOKEN = "spoken-message"  # the assistant has said the `message` of a destination


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformCall:
    """What one report of a platform tells of a call of its, or several of them together.

    All but `platform`, `call_id` and `number` may be unknown. Times are the platform's, but for `reported_at`.
    """

    platform: str  # whose it is
    call_id: str  # the platform's own, opaque
    number: str  # id of the assigned number
    caller: str | None = None  # E.164; None: withheld, or not told
    names: frozenset[str] = frozenset()  # by which the caller may be known; empty: not known
    status: str | None = None  # as the platform names it
    over: bool = False
    ended_reason: str | None = None
    error: str | None = None
    began_at: datetime | None = None  # as told
    ended_at: datetime | None = None  # as told
    duration_s: float | None = None
    heard_at: datetime | None = None  # the earliest time stamp of a report
    over_at: datetime | None = None  # … of one that says that it is over
    reported_at: datetime | None = None  # by our clock: when we first heard that it is over
    clock_off_s: float | None = None  # how much later than its time stamp the promptest report came
    promised_by: PromisedBy | None = None

    @property
    def until(self) -> datetime | None:
        """When it ended; None: it goes on."""
        return self.ended_at or self.over_at

    @property
    def since(self) -> datetime | None:
        """When it began, as far as that can be told."""
        if self.began_at is not None:
            return self.began_at
        if self.until is not None and self.duration_s is not None:
            return self.until - timedelta(seconds=self.duration_s)
        return self.heard_at

    @property
    def clock_is_off(self) -> bool:
        """Whether the platform's clock, or the way of its reports, is beyond what times can be compared by."""
        return self.clock_off_s is not None and abs(self.clock_off_s) > TOLERANCE.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A transfer, which happens at a moment, or a call, which lasts."""

    id: str
    number: str
    names: frozenset[str]  # by which the caller may be known; empty: not known
    since: datetime
    until: datetime


_FIRMEST = {each: place for place, each in enumerate(PromisedBy)}
_BEFORE_THE_END = ("connecting", "ringing", "in-progress")


def merged(one: PlatformCall, other: PlatformCall) -> PlatformCall:
    """What both tell together, of the same call; the same in any order, and however often either is told."""
    both: dict[str, Any] = {}
    for each in fields(PlatformCall):
        found = [value for call in (one, other) if (value := getattr(call, each.name)) is not None]
        both[each.name] = _MERGED.get(each.name, max)(found) if found else None
    return PlatformCall(**both)


def _latest(statuses: Iterable[str]) -> str:
    """How a call stands of which all of this was said: it never goes back."""
    return max(statuses, key=lambda each: (_BEFORE_THE_END.index(each) if each in _BEFORE_THE_END else 9, each))


def _promptest(values: Iterable[float]) -> float:
    # What a report needs on its way only adds.
    return min(values, key=lambda value: (abs(value), value))


_MERGED: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("began_at", "heard_at", "over_at", "reported_at"), min),
    "status": _latest,
    "names": lambda found: frozenset().union(*found),
    "promised_by": lambda found: min(found, key=lambda each: _FIRMEST[each]),
    "clock_off_s": _promptest,
}


def match(call: PlatformCall, ours: Ours) -> MatchedBy | None:
    """Whether this transfer or call may be of that call of the platform, and what speaks for it; None: it is not."""
    if call.number != ours.number or call.since is None:
        return None
    until = call.until or call.since + LONGEST
    if ours.until < call.since - TOLERANCE or ours.since > until + TOLERANCE:
        return None
    # A platform that calls us may show the number that was called in place of who calls.
    if not ours.names:
        return MatchedBy.TIME
    return None if ours.names.isdisjoint(call.names) else MatchedBy.CALLER


def of_one(found: Mapping[str, MatchedBy]) -> MatchedBy | None:
    """How something of ours is joined whose candidates are these; None: nothing fits."""
    if not found:
        return None
    return next(iter(found.values())) if len(found) == 1 else MatchedBy.AMBIGUOUS


def judged(call: PlatformCall, *, came: bool, may_have_come: bool, settled: bool) -> Promise:
    """What is to be said of the promise of a call.

    `came`: a transfer was joined to it. `may_have_come`: one fits that fits another call as well. `settled`: what was
    promised has come by now, or never will. Where the clocks differ too much to tell, or the call's times are not
    known, it is unclear, never broken.
    """
    if came:
        return Promise.KEPT
    if call.promised_by is None:
        return Promise.NONE
    if not settled:
        return Promise.PENDING
    if may_have_come or call.clock_is_off or call.since is None:
        return Promise.UNCLEAR
    return Promise.BROKEN


def promised_by(
    status: str | None, ended_reason: str | None, *, tool_called: bool, spoken: Collection[str], said: Collection[str]
) -> PromisedBy | None:
    """What says that a transfer was promised.

    `said` is what the assistant said, `spoken` the `message` of each destination, which the platform has it say before
    a transfer. An assistant that says it in other words is not noticed; one that says it and then does something else
    is taken for one that promised.
    """
    if status is not None and _names_transfer(status):
        return PromisedBy.STATUS
    if ended_reason is not None and _names_transfer(ended_reason):
        return PromisedBy.END_REASON
    if tool_called:
        return PromisedBy.TOOL_CALL
    texts = [f" {_plain(text)} " for text in said]
    for message in spoken:
        plain = _plain(message)
        if len(plain) >= _FEWEST_LETTERS and any(f" {plain} " in text for text in texts):
            return PromisedBy.SPOKEN
    return None


_NAMES = re.compile(r"transfer|forward", re.IGNORECASE)
_DENIES = re.compile(r"fail|error|not[-_ ]|cancel", re.IGNORECASE)
_MARKS = re.compile(r"[\W_]+")


def _names_transfer(slug: str) -> bool:
    # "transfer-failed" tells of a promise, too: but not of one that can be held against what reached us.
    return _NAMES.search(slug) is not None and _DENIES.search(slug) is None


def _plain(text: str) -> str:
    return _MARKS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
