# SPDX-License-Identifier: GPL-2.0-or-later
"""The next server of a peer with several, with legs that are none and servers that a test names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.ports import DialOrder, NotSent, NotSentError
from gateway.sip.calls.failover import SILENCE_S, Failover
from gateway.sip.stack.servers import Server, Wanted
from tests.bench.clock import VirtualClock
from tests.bench.leg import FakeLeg

FIRST, SECOND = ("192.0.2.1", 5060), ("192.0.2.2", 5060)


class KnownServers:
    """Implements failover.KnownServers: a name that leads to two servers."""

    def __init__(self) -> None:
        self.known = [FIRST, SECOND]
        self.down: list[Server] = []
        self.wanted: list[Wanted] = []

    def order(self, wanted: Wanted) -> list[Server]:
        """See failover.KnownServers."""
        self.wanted.append(wanted)
        return sorted(self.known, key=lambda one: one in self.down)

    def failed(self, server: Server) -> None:
        """See failover.KnownServers."""
        self.down.append(server)


class Stage:
    """A call to a peer behind a name."""

    def __init__(self, uri: str = "sip:pbx.example", transport: str = "udp", attempt: int = 1) -> None:
        self.clock, self.servers = VirtualClock(datetime(2026, 11, 29, tzinfo=UTC)), KnownServers()
        self.dialled: list[tuple[str, int]] = []
        self.no_way = False
        self.failover = Failover(self.servers, self._dial, self.clock)
        self.leg = FakeLeg("agent", established=False)
        self.failover.dialled(self.leg, DialOrder(self.leg.id, self.leg.peer, "2001"), uri, transport, attempt)

    def _dial(self, order: DialOrder, call_id: str, attempt: int) -> None:
        if self.no_way:
            raise NotSentError(NotSent.NO_ROOM, "no ports")
        self.dialled.append((call_id, attempt))


@pytest.mark.keeps("11.1")
@pytest.mark.parametrize("code", [408, 502, 503])
def test_a_server_that_cannot_take_the_call_is_passed_over(code: int) -> None:
    stage = Stage()
    assert stage.failover.goes_on(stage.leg, code)
    assert stage.dialled == [("agent@test", 2)]  # the same Call-ID
    assert stage.servers.down == [FIRST]
    assert stage.clock.waiting == 0


@pytest.mark.parametrize("code", [404, 486, 500, 603])
def test_what_another_server_would_say_too_is_final(code: int) -> None:
    stage = Stage()
    assert not stage.failover.goes_on(stage.leg, code)
    assert stage.dialled == []
    assert stage.servers.down == []


@pytest.mark.keeps("11.1")
def test_a_server_that_says_nothing_is_passed_over_and_its_call_cancelled() -> None:
    stage = Stage()
    stage.clock.advance(SILENCE_S - 0.1)
    assert stage.dialled == []
    stage.clock.advance(0.2)
    assert stage.dialled == [("agent@test", 2)]
    assert stage.leg.ended == 487


def test_a_server_that_has_said_100_is_waited_for() -> None:
    stage = Stage()
    stage.leg.was_answered_by_anything = True
    stage.clock.advance(60)
    assert stage.dialled == []
    assert stage.leg.ended is None


def test_a_call_that_a_server_has_taken_is_not_made_again() -> None:
    stage = Stage()
    stage.failover.forget(stage.leg.id)
    stage.clock.advance(60)
    assert not stage.failover.goes_on(stage.leg, 503)
    assert stage.dialled == []


def test_after_the_last_server_the_call_has_failed() -> None:
    stage = Stage(attempt=2)
    assert not stage.failover.goes_on(stage.leg, 503)
    assert stage.dialled == []


def test_a_silent_server_without_a_second_one_is_waited_for() -> None:
    stage = Stage()
    stage.servers.known = [FIRST]
    stage.clock.advance(60)
    assert stage.dialled == []
    assert stage.leg.ended is None


def test_a_next_attempt_that_cannot_be_made_is_the_end_of_it() -> None:
    stage = Stage()
    stage.no_way = True
    assert not stage.failover.goes_on(stage.leg, 503)


def test_another_leg_of_the_same_name_is_not_meant() -> None:
    stage = Stage()
    assert not stage.failover.goes_on(FakeLeg("agent"), 503)
    assert stage.failover.goes_on(stage.leg, 503)


@pytest.mark.parametrize("uri", ["sip:192.0.2.1", "sip:192.0.2.1:5070;transport=tcp", "sip:[2001:db8::1]:5060"])
def test_an_address_has_no_other_server(uri: str) -> None:
    stage = Stage(uri)
    assert stage.clock.waiting == 0
    assert not stage.failover.goes_on(stage.leg, 503)


@pytest.mark.parametrize(
    ("uri", "port"), [("sip:pbx.example", 0), ("sip:pbx.example:5070", 5070), ("sip:user@pbx.example;lr", 0)]
)
def test_a_port_in_the_uri_keeps_dns_from_naming_one(uri: str, port: int) -> None:
    stage = Stage(uri, "tcp")
    assert stage.servers.wanted[0] == Wanted("pbx.example", port, "tcp")  # RFC 3263 §4.2
