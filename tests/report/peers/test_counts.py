# SPDX-License-Identifier: GPL-2.0-or-later
"""What gateways say of their calls at shared destinations: added up, and believed no longer than it holds."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, cast

import pytest

from gateway.core.json_form import timestamp
from gateway.core.model import Elsewhere
from gateway.report.peers.counts import AGAIN_S, HOLDS_S, SharedCounts
from gateway.report.peers.line import Heard
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock

if TYPE_CHECKING:
    from gateway.report.peers.line import PeerLine


class Said:
    """Stands for the connection to the broker."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object], int | None]] = []

    def topic(self, kind: str) -> str:
        return f"base/gw-1/{kind}"

    def say(self, topic: str, body: bytes, lasts_s: int | None = None) -> None:
        self.said.append((topic, json.loads(body), lasts_s))


class World:
    """A gateway, gw-1, that hears of gw-2 and gw-3."""

    def __init__(self) -> None:
        self.clock = VirtualClock(BEGIN)
        self.line = Said()
        self.running: dict[str, int] = {}
        self.counts = SharedCounts(cast("PeerLine", self.line), lambda: self.running, self.clock)
        self.counts.configure(["sales"], ["gw-2", "gw-3"])

    def hears(self, node: str, body: str, lasts_s: float | None = HOLDS_S) -> Elsewhere:
        body = body.replace("}}", f'}}, "at": "{timestamp(BEGIN)}"}}')
        self.counts.heard(Heard(node, "load", "", body.encode(), lasts_s))
        return self.counts.elsewhere


@pytest.fixture
def world() -> World:
    return World()


def test_what_the_others_say_is_added_up(world: World) -> None:
    world.hears("gw-2", '{"calls": {"sales": 2, "support": 1}}')
    assert world.hears("gw-3", '{"calls": {"sales": 3}}') == Elsewhere(2, {"sales": 5, "support": 1})
    assert world.hears("gw-2", '{"calls": {}}') == Elsewhere(2, {"sales": 3})


def test_strangers_and_oneself_count_nothing(world: World) -> None:
    world.hears("gw-1", '{"calls": {"sales": 2}}')
    assert world.hears("somebody", '{"calls": {"sales": 2}}') == Elsewhere()


@pytest.mark.parametrize(
    "body", ["", "[]", "{", '{"calls": {"sales": "many"}}', '{"calls": {"sales": -9}}', "[" * 100_000, "\x00"]
)
def test_what_cannot_be_read_is_as_if_nothing_was_said(world: World, body: str) -> None:
    world.hears("gw-2", '{"calls": {"sales": 2}}')
    assert world.hears("gw-2", body) == Elsewhere()


def test_a_number_that_cannot_be_is_one_that_can_be_written_out(world: World) -> None:
    """The trail of each transfer says how many there are elsewhere, and Python writes 4,300 digits at most."""
    for node in ("gw-2", "gw-3"):
        world.hears(node, '{"calls": {"sales": %s}}' % ("9" * 4300))
    assert len(str(world.counts.elsewhere.running["sales"])) < 10


def test_it_holds_as_long_as_the_broker_keeps_it(world: World) -> None:
    world.hears("gw-2", '{"calls": {"sales": 2}}', lasts_s=7)
    world.hears("gw-3", '{"calls": {"sales": 1}}', lasts_s=None)
    world.clock.advance(6.5)
    assert world.counts.elsewhere == Elsewhere(2, {"sales": 3})
    world.clock.advance(1)
    assert world.counts.elsewhere == Elsewhere(1, {"sales": 1})
    world.clock.advance(HOLDS_S)
    assert world.counts.elsewhere == Elsewhere()


def test_who_is_gone_counts_nothing_whichever_is_heard_first(world: World) -> None:
    world.hears("gw-2", '{"calls": {"sales": 2}}')
    world.counts.there("gw-2", is_there=False)
    assert world.counts.elsewhere == Elsewhere()
    assert world.hears("gw-2", '{"calls": {"sales": 2}}') == Elsewhere()
    world.counts.there("gw-2", is_there=True)
    assert world.counts.elsewhere == Elsewhere(1, {"sales": 2})


def test_who_is_taken_out_of_the_configuration_counts_nothing(world: World) -> None:
    world.hears("gw-2", '{"calls": {"sales": 2}}')
    world.counts.configure(["sales"], ["gw-3"])
    assert world.counts.elsewhere == Elsewhere()


async def test_it_says_what_it_has_when_that_changes_and_again_from_time_to_time(world: World) -> None:
    saying = asyncio.ensure_future(world.counts.run())
    await world.clock.run(1)
    world.running |= {"sales": 1, "support": 4}
    await world.clock.run(AGAIN_S + 1)
    saying.cancel()
    told = [(topic, document["calls"], lasts_s) for topic, document, lasts_s in world.line.said]
    topic = "base/gw-1/load"
    assert told == [(topic, {}, HOLDS_S), (topic, {"sales": 1}, HOLDS_S), (topic, {"sales": 1}, HOLDS_S)]
