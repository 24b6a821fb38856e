# SPDX-License-Identifier: GPL-2.0-or-later
"""The source of a PBX's state that lives by subscriptions, over a watcher that does what each test says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.core import checks
from gateway.core.model import Destination, DeviceState, Entry, Load, WhenUnknown
from gateway.core.outcome import Reason
from gateway.pbx.subscriptions.dialog_info_source import DialogInfoSource
from gateway.ports import NotSent, NotSentError
from tests.bench.clock import VirtualClock
from tests.pbx.fake_ami import Listener
from tests.pbx.followed import followed
from tests.support.notifier import BODY_TYPES, dialog_info, pidf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.ports import WatchListener

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MAX_AGE = timedelta(seconds=10)


class Watcher:
    """Plays ports.ExtensionWatcher; each subscription is asked of `answer`, at once."""

    def __init__(self) -> None:
        self.listeners: dict[int, WatchListener] = {}
        self.about: dict[int, tuple[str, str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.confirmed: list[tuple[str, str]] = []
        self.answers: dict[tuple[str, str], int] = {}
        self.silent = False
        self.broken = False

    def watch(self, pbx: str, extension: str, package: str, listener: WatchListener) -> int:
        if self.broken:
            raise NotSentError(NotSent.REFUSED, "no transport")
        number = len(self.asked) + 1
        self.asked.append((extension, package))
        self.listeners[number], self.about[number] = listener, (extension, package)
        code = self.answers.get((extension, package), 200)
        if not self.silent:
            asyncio.get_running_loop().call_soon(self.answer, number, code)
        return number

    def answer(self, number: int, code: int) -> None:
        if code != 200:
            self.end(number, code)
        elif listener := self.listeners.get(number):
            listener.watch_confirmed(number)

    def confirm(self, watch: int) -> None:
        self.confirmed.append(self.about[watch])
        if not self.silent:
            asyncio.get_running_loop().call_soon(self.answer, watch, 200)

    def unwatch(self, watch: int) -> None:
        self.listeners.pop(watch, None)

    def number(self, extension: str, package: str) -> int:
        return max(number for number, about in self.about.items() if about == (extension, package))

    def tell(self, extension: str, package: str, body: bytes) -> None:
        number = self.number(extension, package)
        self.listeners[number].watch_told(number, BODY_TYPES[package], body)

    def end(self, number: int, code: int, reason: str = "", retry_after_s: int | None = None) -> None:
        if listener := self.listeners.pop(number, None):
            listener.watch_ended(number, code, reason, retry_after_s)


class Bed:
    """A source that runs, and whom it talks to."""

    def __init__(self, source: DialogInfoSource, watcher: Watcher, listener: Listener, clock: VirtualClock) -> None:
        self.source, self.watcher, self.listener, self.clock = source, watcher, listener, clock

    async def until(self, holds: Callable[[], bool]) -> None:
        await self.clock.until(holds, 120)

    async def subscribed(self, count: int = 2) -> None:
        await self.until(lambda: len(self.watcher.asked) >= count)

    async def idle(self) -> None:
        """6001 is told to be idle."""
        self.watcher.tell("6001", "dialog", dialog_info("6001", "", 0))
        self.watcher.tell("6001", "presence", pidf("6001", "open"))
        await self.until(lambda: self.source.state.extensions.get("6001") is DeviceState.IDLE)

    def gate(self, when_unknown: WhenUnknown = WhenUnknown.REFUSE, **more: str) -> tuple[Reason, str]:
        """What the gate finds of 6001, and its line."""
        destination = Destination(**{"id": "anna", "extension": "6001", **more}, when_unknown=when_unknown)  # type: ignore[arg-type]
        now = self.clock.now().wall
        _, state, *_ = checks.check_in_order(destination, self.source.state, Load(), Entry.REFER, now)
        return state.reason, state.lines[0]


@asynccontextmanager
async def running(watcher: Watcher, *extensions: str) -> AsyncIterator[Bed]:
    listener, clock = Listener(), VirtualClock(START)
    source = DialogInfoSource(
        pbx="office",
        queues={"sales"},
        extensions=extensions or ("6001",),
        watcher=watcher,
        listener=listener,
        max_age=MAX_AGE,
        clock=clock,
    )
    async with followed(source):
        yield Bed(source, watcher, listener, clock)
    assert not watcher.listeners


@asynccontextmanager
async def known() -> AsyncIterator[Bed]:
    """The same, subscribed to 6001, which is idle."""
    async with running(Watcher()) as bed:
        await bed.subscribed()
        await bed.idle()
        yield bed


@pytest.mark.keeps("16.86")
async def test_a_state_is_as_old_as_it_is_whatever_the_machine_s_clock_is_set_to() -> None:
    async with known() as bed:
        for change in ({"hours": 1}, {"hours": -3}, {"days": 400}):
            bed.clock.set_by += timedelta(**change)
            assert bed.source.state.fresh(bed.clock.now().wall)
            assert bed.source.up
        bed.clock.advance(MAX_AGE.total_seconds() + 1)
        bed.clock.set_by -= timedelta(hours=1)
        assert not bed.source.state.fresh(bed.clock.now().wall)
        assert not bed.source.up


async def test_an_extension_is_known_once_both_have_spoken() -> None:
    async with running(Watcher()) as bed:
        assert bed.gate()[1].startswith("extension 6001 (dialog-info): state unknown, not subscribed")
        await bed.subscribed()
        bed.watcher.tell("6001", "dialog", dialog_info("6001", "terminated", 0))
        assert not bed.source.state.extensions
        bed.watcher.tell("6001", "presence", pidf("6001", "closed"))
        assert bed.gate() == (Reason.QUEUE_UNSTAFFED, "extension 6001 (dialog-info): unavailable")
        bed.watcher.tell("6001", "presence", pidf("6001", "open"))
        assert bed.gate() == (Reason.ACCEPTED, "extension 6001 (dialog-info): idle")
        bed.watcher.tell("6001", "dialog", dialog_info("6001", "early", 1))
        assert bed.gate() == (Reason.AGENTS_BUSY, "extension 6001 (dialog-info): ringing")
        assert bed.source.up
        assert bed.listener.states[-1].extensions == {"6001": DeviceState.RINGING}


async def test_presence_alone_will_do_and_so_will_dialogs() -> None:
    watcher = Watcher()
    watcher.answers = {("6001", "dialog"): 489, ("6002", "presence"): 489}
    async with running(watcher, "6001", "6002") as bed:
        await bed.subscribed(4)
        watcher.tell("6001", "presence", pidf("6001", "open", "busy"))
        watcher.tell("6002", "dialog", dialog_info("6002", "", 0))
        await bed.until(lambda: len(bed.source.state.extensions) == 2)
        assert bed.source.state.extensions == {"6001": DeviceState.IN_USE, "6002": DeviceState.IDLE}


@pytest.mark.parametrize("code", [403, 404, 489])
async def test_a_refusal_is_told_and_asked_again(code: int) -> None:
    watcher = Watcher()
    watcher.answers = {("6001", "dialog"): code, ("6001", "presence"): code}
    async with running(watcher, "6001", "6002") as bed:
        await bed.subscribed(4)
        watcher.tell("6002", "dialog", dialog_info("6002", "", 0))
        watcher.tell("6002", "presence", pidf("6002", "open"))
        await bed.until(lambda: bed.source.state.proven_at is not None)
        line = f"extension 6001 (dialog-info): state unknown, office answers {code} to our subscription to its dialog"
        assert bed.gate() == (Reason.QUEUE_UNKNOWN, f"{line}: refused, as when_unknown says")
        watcher.answers.clear()
        await bed.subscribed(6)
        await bed.idle()


async def test_when_all_are_refused_the_pbx_is_unknown_and_says_why() -> None:
    watcher = Watcher()
    watcher.answers = {("6001", "dialog"): 403, ("6001", "presence"): 403}
    async with running(watcher) as bed:
        await bed.until(lambda: "403" in bed.source.state.unknown_because)
        assert not bed.source.up
        assert "office answers 403" in bed.gate()[1]


async def test_queues_are_not_told_of() -> None:
    async with known() as bed:
        line = "queue sales (dialog-info): state unknown, dialog-info tells nothing of queues"
        assert bed.gate(queue="sales") == (Reason.QUEUE_UNKNOWN, f"{line}: refused, as when_unknown says")
        assert bed.gate(WhenUnknown.ALLOW, queue="sales")[0] is Reason.ACCEPTED


async def test_each_is_asked_in_turn_and_that_proves_the_pbx_alive() -> None:
    async with known() as bed:
        first = bed.source.state.proven_at
        await bed.until(lambda: len(bed.watcher.confirmed) >= 4)
        assert set(bed.watcher.confirmed) == {("6001", "dialog"), ("6001", "presence")}
        assert first is not None
        assert bed.source.state.proven_at is not None
        assert bed.source.state.proven_at > first
        assert bed.source.up


async def test_a_silent_pbx_is_unknown_and_known_again_when_it_speaks() -> None:
    async with known() as bed:
        bed.watcher.silent = True
        await bed.until(lambda: bed.source.state.unknown_because == "the PBX does not answer")
        assert not bed.source.up
        bed.watcher.listeners[bed.watcher.number("6001", "dialog")].watch_confirmed(
            bed.watcher.number("6001", "dialog")
        )
        assert bed.source.state.extensions == {"6001": DeviceState.IDLE}


@pytest.mark.parametrize("code", [408, 481, 500, 503])
async def test_one_lost_subscription_means_that_all_are(code: int) -> None:
    async with known() as bed:
        bed.watcher.end(bed.watcher.number("6001", "dialog"), code)
        assert bed.source.state.proven_at is None
        await bed.subscribed(4)
        assert bed.watcher.asked.count(("6001", "presence")) == 2
        await bed.until(lambda: bed.source.state.unknown_because == "the PBX has just come back")
        bed.watcher.tell("6001", "dialog", dialog_info("6001", "", 0))
        bed.watcher.tell("6001", "presence", pidf("6001", "closed"))
        assert bed.source.state.proven_at is None  # its phones may yet have to find it
        bed.watcher.tell("6001", "presence", pidf("6001", "open"))
        await bed.until(lambda: bed.source.state.extensions.get("6001") is DeviceState.IDLE)


@pytest.mark.parametrize("reason", ["deactivated", "timeout", "giveup", "probation", "", "noresource"])
async def test_a_subscription_that_the_pbx_ends_is_made_anew(reason: str) -> None:
    async with known() as bed:
        bed.watcher.end(bed.watcher.number("6001", "presence"), 0, reason)
        assert bed.gate()[0] is (Reason.ACCEPTED if reason == "noresource" else Reason.QUEUE_UNKNOWN)
        await bed.subscribed(3)
        assert bed.watcher.asked[2] == ("6001", "presence")
        bed.watcher.tell("6001", "presence", pidf("6001", "open"))
        assert bed.gate()[0] is Reason.ACCEPTED


async def test_a_pbx_that_ends_them_again_and_again_is_not_asked_without_pause() -> None:
    async with running(Watcher()) as bed:
        await bed.subscribed()
        begun = bed.clock.now().steady
        for count in range(3, 9):
            bed.watcher.end(bed.watcher.number("6001", "dialog"), 0, "deactivated")
            await bed.subscribed(count)
        assert bed.clock.now().steady - begun > 5


@pytest.mark.keeps("16.166")
async def test_a_pbx_that_wants_to_be_asked_in_a_hundred_years_is_asked_in_ten_minutes() -> None:
    async with running(Watcher()) as bed:
        await bed.subscribed()
        begun = bed.clock.now().steady
        bed.watcher.end(bed.watcher.number("6001", "dialog"), 0, "probation", 2**31)
        await bed.clock.until(lambda: len(bed.watcher.asked) >= 3, 700)
        assert bed.clock.now().steady - begun <= 610


async def test_what_cannot_be_read_makes_its_extension_unknown() -> None:
    async with known() as bed:
        bed.watcher.tell("6001", "dialog", b"<!DOCTYPE x><dialog-info/>")
        assert bed.gate()[0] is Reason.QUEUE_UNKNOWN
        bed.watcher.tell("6001", "dialog", dialog_info("6001", "", 1))
        assert bed.gate()[0] is Reason.ACCEPTED


async def test_a_document_that_was_lost_is_asked_for() -> None:
    async with known() as bed:
        bed.watcher.tell("6001", "dialog", dialog_info("6001", "confirmed", 7, "partial"))
        assert bed.watcher.confirmed == [("6001", "dialog")]
        assert bed.gate()[0] is Reason.QUEUE_UNKNOWN


async def test_a_reload_watches_what_is_new_and_lets_go_of_the_rest() -> None:
    async with known() as bed:
        bed.source.reconfigure((), ("6002",))
        await bed.subscribed(4)
        assert sorted(bed.watcher.about[number] for number in bed.watcher.listeners) == [
            ("6002", "dialog"),
            ("6002", "presence"),
        ]
        assert "6001" not in bed.source.state.extensions


async def test_nothing_can_be_sent_for_a_while() -> None:
    watcher = Watcher()
    watcher.broken = True
    async with running(watcher) as bed:
        await bed.until(lambda: "no transport" in bed.source.state.unknown_because)
        watcher.broken = False
        await bed.subscribed()
        await bed.idle()
