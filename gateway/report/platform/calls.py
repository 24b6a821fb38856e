# SPDX-License-Identifier: GPL-2.0-or-later
"""The calls of voice platforms, joined to ours: what a platform believed, and what it promised and never asked for.

`core.platform_calls` says by which rule. Reports, transfers and calls come in any order; whenever more is known of a
call of the platform that is over, it is published anew. What is held is bounded, and made again at the start from what
is stored: a gateway that is killed publishes nothing twice, and forgets no promise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from gateway.core.platform_calls import (
    LONGEST,
    SETTLES,
    MatchedBy,
    Ours,
    PlatformCall,
    Promise,
    match,
    merged,
)
from gateway.core.record import (
    CallRecord,
    PlatformCallRecord,
    PlatformView,
    TransferRecord,
)
from gateway.report.history.callers import is_full
from gateway.report.platform.held import Known, Mine, OurCalls, PlatformsCalls, id_of
from gateway.report.platform.records import as_stored, call_of, record_of, view_of

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.ports import Clock

MOST_CALLS = 5000  # of one platform, under way or not settled for long
MOST_OURS = 10_000  # transfers and calls of ours that a report may still come for
KEPT = SETTLES + timedelta(minutes=10)
"""How long a call that is over is held in memory, so that reports that come twice are known."""

log = structlog.get_logger(__name__)


class PlatformCalls:
    """See the module. Nothing is noted before `configure` says that platforms report.

    `publish` stores the event of a call; `count` is told once of each that is settled. `names` has the names by which a
    caller may be known: their number, and its hash where one is made.
    """

    def __init__(
        self,
        clock: Clock,
        publish: Callable[[PlatformCallRecord], object],
        count: Callable[[PlatformCallRecord], object],
        names: Callable[[str], Collection[str]],
    ) -> None:
        self._active = False
        self._own: frozenset[str] = frozenset()
        self._clock = clock
        self._publish = publish
        self._count = count
        self._names = names
        self._calls = PlatformsCalls()
        self._ours = OurCalls()
        self._dropped = 0

    @property
    def active(self) -> bool:
        """Whether platforms report."""
        return self._active

    def configure(self, *, active: bool, own: Collection[str]) -> None:
        """Whether platforms report, and which numbers are assigned ones, in E.164: they are nobody's who calls."""
        self._active = active
        self._own = frozenset(own)

    # --- what comes in

    def told(self, report: PlatformCall) -> PlatformCallRecord | None:
        """A platform has reported; what is known of the call by now, if it is over."""
        now = self._clock.now().wall
        report = as_stored(
            replace(
                report,
                names=self._names_of(report.caller),
                reported_at=(report.reported_at or now) if report.over else None,
            )
        )
        which = id_of(report.platform, report.call_id)
        known = self._calls.get(which)
        if known is None:
            known = self._hold(Known(which, report))
        else:
            call = merged(known.call, report)
            if call == known.call:
                return known.last
            known.nameless = known.nameless and not call.names
            self._calls.change(known, call)
        self._join(known)
        self._wait(known)
        return self._tell(known)

    def transfer(self, record: TransferRecord) -> PlatformView | None:
        """A transfer has come to its next milestone; what the platform says of its call."""
        if not self._active or record.number is None:
            return record.platform
        self.recall_transfer(record.transfer, record.number, record.caller, record.requested_at)
        return self.view(record.transfer) or record.platform

    def recall_transfer(self, which: str, number: str | None, caller: str | None, at: datetime) -> None:
        """There was, or is, a transfer that reports may come for."""
        if number is not None and self._ours.get(which) is None:
            ours = Ours(id=which, number=number, names=self._names_of_ours(caller), since=at, until=at)
            self._note(Mine(ours, is_transfer=True))

    def call_ended(self, record: CallRecord) -> PlatformView | None:
        """A call of ours is over; what the platform says of it."""
        if not self._active or record.number is None:
            return record.platform
        if self._ours.get(record.call) is None:
            self._note(Mine(self._spanned(record, record.number), is_transfer=False))
        return self.view(record.call) or record.platform

    def recall(self, record: PlatformCallRecord) -> None:
        """Know again a call that was published before, unless it is known or its caller was erased."""
        if self._calls.get(record.id) is not None or record.call_id is None:
            return
        call = call_of(record, record.call_id, self._names_of(record.caller))
        nameless = record.caller is not None and not call.names
        is_settled = record.promise is not Promise.PENDING and record.reported_at + SETTLES <= self._clock.now().wall
        known = self._hold(Known(record.id, call, last=record, nameless=nameless, settled=is_settled))
        self._join(known)
        self._wait(known)

    def forget(self, forms: Collection[str]) -> None:
        """Take a caller out of what is in memory."""
        for known in self._calls:
            if not known.call.names.isdisjoint(forms):
                self._calls.remove(known)
        for mine in self._ours:
            if not mine.ours.names.isdisjoint(forms):
                self._let_go(mine)

    # --- what is asked

    def view(self, which: str) -> PlatformView | None:
        """What the platform says of the call that this transfer or call of ours belongs to; None: nothing."""
        mine = self._ours.get(which)
        return view_of(mine.fits, self._calls) if mine else None

    def of_open_call(self, record: CallRecord) -> PlatformView | None:
        """What the platform says of a call of ours that goes on."""
        if not self._active or record.number is None:
            return None
        return view_of(self._fitting(self._spanned(record, record.number)), self._calls)

    def knows(self, platform: str, call_id: str) -> bool:
        """Whether a call of a platform is in memory."""
        return self._calls.get(id_of(platform, call_id)) is not None

    @property
    def published(self) -> list[PlatformCallRecord]:
        """Those in memory that are over."""
        return [known.last for known in self._calls if known.last is not None]

    # --- joining

    def _hold(self, known: Known) -> Known:
        platform = known.call.platform
        self._calls.add(known)
        while (first := self._calls.beyond(platform, MOST_CALLS)) is not None:
            self._calls.remove(first)
            self._dropped += 1
            if self._dropped & (self._dropped - 1) == 0:  # the first, the second, the fourth, …
                log.warning("platform-calls-dropped", platform=platform, dropped=self._dropped)
        return known

    def _note(self, mine: Mine) -> None:
        self._ours.add(mine)
        while len(self._ours) > MOST_OURS:
            self._let_go(self._ours.oldest())
        mine.fits = self._fitting(mine.ours)
        fitting = [known for which in mine.fits if (known := self._calls.get(which))]
        for known in fitting:
            known.ours.add(mine.ours.id)
        for known in fitting:
            self._tell(known)

    def _let_go(self, mine: Mine) -> None:
        self._ours.remove(mine)
        for which in mine.fits:
            if (known := self._calls.get(which)) is not None:
                known.ours.discard(mine.ours.id)

    def _fitting(self, ours: Ours) -> dict[str, MatchedBy]:
        return {known.id: by for known in self._calls.likely(ours) if (by := match(known.call, ours))}

    def _join(self, known: Known) -> None:
        """Find what of ours fits a call of which something new is known; others may now have to share it."""
        likely = {mine.ours.id: mine for mine in self._ours.likely(known.call)}
        before = {which: mine for which in known.ours if (mine := self._ours.get(which))}
        others: set[str] = set()
        for which, mine in {**before, **likely}.items():
            by = match(known.call, mine.ours)
            if by == mine.fits.get(known.id):
                continue
            if by is None:
                del mine.fits[known.id]
                known.ours.discard(which)
            else:
                mine.fits[known.id] = by
                known.ours.add(which)
            others.update(mine.fits)
        for other in sorted(others - {known.id}):
            if (shares := self._calls.get(other)) is not None:
                self._tell(shares)

    # --- what is said

    def _tell(self, known: Known) -> PlatformCallRecord | None:
        """Publish what is known of a call that is over, unless that was published already."""
        record = record_of(known, self._ours)
        if record is not None and record != known.last:
            known.last = record
            self._publish(record)
        return record

    # --- time

    def _wait(self, known: Known) -> None:
        """Judge the call when it is settled, and let go of it some time later; of one that never ends, too."""
        if known.timer is not None:
            known.timer.cancel()
        now, call = self._clock.now().wall, known.call
        if call.reported_at is None:
            until, act = (call.heard_at or now) + LONGEST, self._calls.remove
        elif not known.settled:
            until, act = call.reported_at + SETTLES, self._settle
        else:
            until, act = call.reported_at + KEPT, self._calls.remove
        known.timer = self._clock.after(max(0.0, (until - now).total_seconds()), lambda: act(known))

    def _settle(self, known: Known) -> None:
        known.settled = True
        record = self._tell(known)
        if record is not None:
            self._count(record)
            if record.promise is Promise.BROKEN:
                log.warning("transfer-never-came", platform=record.platform, call=known.id, by=str(record.promised_by))
        self._wait(known)

    # --- callers

    def _names_of(self, caller: str | None) -> frozenset[str]:
        if caller is None:
            return frozenset()
        if not is_full(caller):
            return frozenset((caller,)) if caller.startswith("hmac:") else frozenset()
        try:
            return frozenset(self._names(caller))
        except OSError:
            return frozenset((caller,))  # the key of the hashes cannot be read

    def _names_of_ours(self, caller: str | None) -> frozenset[str]:
        # A platform that calls us may show the number that was called in place of who calls.
        return frozenset() if caller in self._own else self._names_of(caller)

    def _spanned(self, record: CallRecord, number: str) -> Ours:
        until = record.ended_at or self._clock.now().wall
        names = self._names_of_ours(record.caller)
        since = record.started_at
        return Ours(id=record.call, number=number, names=names, since=since, until=max(since, until))
