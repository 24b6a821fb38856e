# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of a PBX's extensions without its manager interface: SIP subscriptions to them, as a phone's lamps have.

Each extension is subscribed to twice: to its dialogs (RFC 4235), which tell of calls, and to its presence (RFC 3856),
which tells of a phone that is not there. What a PBX refuses of the two is done without. Queues are not told of.

The PBX proves to be alive by what it sends; every third of `max_age` one subscription after the other is asked for
anew. A PBX that has lost one of them has lost them all: then all begins anew, and nothing is known meanwhile.
See docs/decisions/0012-dialog-info.md.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from gateway.core.model import PbxState
from gateway.core.state_sources import StateSource
from gateway.pbx.steady_clock import SteadyClock
from gateway.pbx.subscriptions.state_documents import DocumentError
from gateway.pbx.subscriptions.subscription import Subscription, SubscriptionTiming, extension_states, subscriptions_to
from gateway.ports import Clock, ExtensionWatcher, NotSentError, PbxListener, time_limit

log = structlog.get_logger()

_SOURCE = StateSource.DIALOG_INFO
_NOT_YET = "not subscribed at the PBX yet"
_NO_QUEUES = f"{_SOURCE} tells nothing of queues"
_SILENT = frozenset({408, 503})  # made by our own transaction layer as well, when nobody answers
_NO_DIALOG = 481  # a restarted Asterisk answers 500 to some that it had before
_AT_ONCE = frozenset({"deactivated", "timeout", ""})  # reasons after which one may come again at once (RFC 6665 §4.1.3)


class DialogInfoSource:
    """A `FollowedPbx`, and a `WatchListener`. `state` and `up` tell at any time what has become of `run`'s work."""

    def __init__(
        self,
        *,
        pbx: str,
        queues: Collection[str],
        extensions: Collection[str],
        watcher: ExtensionWatcher,
        listener: PbxListener,
        max_age: timedelta = timedelta(seconds=10),
        clock: Clock,
        timing: SubscriptionTiming | None = None,
    ) -> None:
        self._pbx = pbx
        self._watcher = watcher
        self._listener = listener
        self._clock = clock
        self._ages = SteadyClock(clock)
        self._timing = timing or SubscriptionTiming()
        self._log = log.bind(pbx=pbx)
        self._beat_s = max_age.total_seconds() / 3
        self._queues = frozenset(queues)
        self._subscriptions = subscriptions_to(extensions)
        self._asked: Subscription | None = None  # whose answer is waited for, as a sign of life
        self._next = 0  # the one to be asked then
        self._proven_at = self._ages()
        self._settled_at = 0.0
        self._lost = False
        self._wake = asyncio.Event()
        self._state = PbxState(pbx, _SOURCE, None, max_age, unknown_because=_NOT_YET)

    @property
    def state(self) -> PbxState:
        """The newest snapshot; `proven_at` is that of now."""
        proven_at = self._ages.on_the_wall(self._proven_at)
        if self._state.proven_at is not None and self._state.proven_at != proven_at:
            self._state = replace(self._state, proven_at=proven_at)
        return self._state

    @property
    def up(self) -> bool:
        """Whether the PBX tells of an extension, and proved to be alive within `max_age`."""
        return self._state.proven_at is not None and self._ages() - self._proven_at <= self._state.max_age

    @property
    def failure(self) -> str:
        """See ports.FollowedPbx."""
        because = self._state.unknown_because
        return "" if self._state.proven_at is not None or because == _NOT_YET else because

    def identify(self, sip_call_id: str) -> bool:
        """See ports.PbxSource: subscriptions tell of phones, and not of which call is whose."""
        return False

    def reconfigure(self, queues: Collection[str], extensions: Collection[str]) -> None:
        """Subscribe to these extensions from now on; new ones are unknown until the PBX told of them."""
        self._queues = frozenset(queues)
        for subscription in [each for each in self._subscriptions if each.extension not in extensions]:
            self._subscriptions.remove(subscription)
            self._unsubscribe(subscription)
        known = {each.extension for each in self._subscriptions}
        self._subscriptions += subscriptions_to(set(extensions) - known)
        self._changed()
        self._wake.set()

    async def run(self) -> None:
        """Subscribe, and keep that up, until cancelled."""
        beat_at = self._now + self._beat_s
        self._changed()
        try:
            while True:
                self._subscribe()
                if self._now >= beat_at:
                    beat_at = self._now + self._beat_s
                    self._beat()
                self._settle()
                self._wake.clear()
                due = [each.due for each in self._subscriptions if each.id is None]
                settling = [self._settled_at] if self._settled_at > self._now else []
                next_at = min(beat_at, *due, *settling, self._stale_at())
                with suppress(TimeoutError):
                    async with time_limit(self._clock, next_at - self._now):
                        await self._wake.wait()
        finally:
            for subscription in self._subscriptions:
                self._unsubscribe(subscription)

    @property
    def _now(self) -> float:
        return self._clock.now().steady

    def _stale_at(self) -> float:
        """When a PBX that says nothing more is to be called unknown."""
        if self._state.proven_at is None:
            return math.inf
        left = self._proven_at + self._state.max_age - self._ages()
        return self._now + max(left.total_seconds(), 0) + 0.01

    def _subscribe(self) -> None:
        now = self._now
        for subscription in self._subscriptions:
            if subscription.id is not None or subscription.due > now:
                continue
            try:
                subscription.id = self._watcher.watch(self._pbx, subscription.extension, subscription.package, self)
                subscription.since, subscription.confirmed = now, False
            except NotSentError as error:
                subscription.due = now + subscription.retry_s(self._timing)
                self._unreachable(f"nothing can be sent to the PBX: {error}")

    def _beat(self) -> None:
        """Ask for one subscription after the other, unless the last one is still to be answered."""
        held = [each for each in self._subscriptions if each.confirmed]
        if held and self._asked not in held:
            self._next = (self._next + 1) % len(held)
            self._asked = held[self._next]
            self._confirm(self._asked)

    def _confirm(self, subscription: Subscription) -> None:
        if subscription.id is not None:
            self._watcher.confirm(subscription.id)

    def _ask_for_all(self, subscription: Subscription) -> None:
        # Not at once again, or a PBX that miscounts would keep us both busy.
        if self._now - subscription.asked_at >= self._timing.retry_min_s:
            subscription.asked_at = self._now
            self._confirm(subscription)

    def _unsubscribe(self, subscription: Subscription) -> None:
        if subscription.id is not None:
            self._watcher.unwatch(subscription.id)
        if self._asked is subscription:
            self._asked = None
        subscription.forget()

    # --- ports.WatchListener

    def watch_confirmed(self, watch: int) -> None:
        """See ports.WatchListener."""
        if found := self._find(watch):
            if self._asked is found:
                self._asked = None
            found.confirmed = True
            self._alive()

    def watch_told(self, watch: int, content_type: str, body: bytes) -> None:
        """See ports.WatchListener."""
        found = self._find(watch)
        if found is None:
            return
        self._alive()
        if not body:
            return  # the PBX has nothing to tell as yet (RFC 6665 §4.1.3)
        before = found.state
        try:
            found.read(content_type, body)
        except DocumentError as error:
            found.state = None
            self._log.warning("state-not-understood", extension=found.extension, package=found.package, why=str(error))
        else:
            if found.state is None:
                self._ask_for_all(found)
            else:
                found.refused = ""
        if found.state is not before:
            self._changed()

    def watch_ended(self, watch: int, code: int, reason: str, retry_after_s: int | None) -> None:
        """See ports.WatchListener."""
        found = self._find(watch)
        if found is None:
            return
        now, held = self._now, found.confirmed
        if held and now - found.since > self._timing.lasting_s:
            found.failures = 0
        if self._asked is found:
            self._asked = None
        found.forget()
        if code in _SILENT or code == _NO_DIALOG or (held and code >= 500):
            found.due = now + found.retry_s(self._timing)
            if held:
                self._begin_anew()
            self._unreachable("the PBX does not answer" if code in _SILENT else "the PBX has lost our subscriptions")
        elif code or reason in ("rejected", "noresource"):
            found.due = now + self._timing.refused_retry_s
            self._refused(found, f"answers {code}" if code else f"answers {reason}")
            self._alive()
        else:
            self._alive()
            found.due = now if reason in _AT_ONCE and not found.failures else now + found.retry_s(self._timing)
            found.failures = max(found.failures, 1)
        if retry_after_s is not None:
            found.due = max(found.due, now + min(retry_after_s, self._timing.longest_retry_s))
        self._changed()
        self._wake.set()

    def _find(self, watch: int) -> Subscription | None:
        return next((each for each in self._subscriptions if each.id == watch), None)

    def _begin_anew(self) -> None:
        """A PBX that has lost one subscription has lost them all: what it told before may no longer be true."""
        for subscription in self._subscriptions:
            if subscription.confirmed:
                self._unsubscribe(subscription)
                subscription.due = self._now + self._timing.retry_min_s

    def _refused(self, subscription: Subscription, how: str) -> None:
        why = f"{self._pbx} {how} to our subscription to its {subscription.package}"
        if subscription.refused != why:
            subscription.refused = why
            self._log.warning(
                "subscription-refused", extension=subscription.extension, package=subscription.package, why=how
            )

    # --- what is known

    def _alive(self) -> None:
        self._proven_at = self._ages()
        if self._lost:
            self._lost = False
            self._settled_at = self._now + self._timing.settle_s
            self._become_unknown("the PBX has just come back")
            self._wake.set()
        elif self._state.proven_at is None:
            self._changed()

    def _settle(self) -> None:
        if self._settled_at and self._now >= self._settled_at:
            self._settled_at = 0.0
            self._changed()
        if self._state.proven_at is not None and not self.up:
            self._become_unknown("the PBX does not answer")

    def _unreachable(self, because: str) -> None:
        if not any(each.confirmed for each in self._subscriptions):
            self._lost = True
            self._become_unknown(because)

    def _become_unknown(self, because: str) -> None:
        if self._state.proven_at is None and self._state.unknown_because == because:
            return
        self._log.warning("pbx-unknown", because=because)
        self._state = PbxState(self._pbx, _SOURCE, None, self._state.max_age, unknown_because=because)
        self._listener.pbx_changed(self._state)

    def _changed(self) -> None:
        """Say what is known now, unless that is nothing."""
        if self._lost or self._settled_at:
            return
        extensions, withheld = extension_states(self._subscriptions)
        if not self._subscriptions:
            self._become_unknown(_NO_QUEUES)
            return
        if all(each.refused for each in self._subscriptions):
            self._become_unknown(self._subscriptions[0].refused)
            return
        if self._state.proven_at is None:
            if not extensions:
                return
            self._log.info("pbx-known", extensions=len(extensions))
        told = {("queue", queue): _NO_QUEUES for queue in self._queues}
        self._state = PbxState(
            self._pbx,
            _SOURCE,
            self._ages.on_the_wall(self._proven_at),
            self._state.max_age,
            extensions=extensions,
            withheld=told | withheld,
        )
        self._listener.pbx_changed(self._state)
