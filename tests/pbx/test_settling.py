# SPDX-License-Identifier: GPL-2.0-or-later
"""When a PBX that has started is believed again."""

import pytest

from gateway.pbx.settling import Settling, uptime_s

NOBODY: frozenset[tuple[str, str]] = frozenset()
ANNA = frozenset({("sales", "PJSIP/6001")})
BOTH = ANNA | {("sales", "PJSIP/6002")}


@pytest.fixture
def settling() -> Settling:
    return Settling(settle_s=5.0)


def test_a_pbx_that_runs_for_long_is_believed_at_once(settling: Settling) -> None:
    settling.connected("boot 1", 60.0, now=100.0)
    assert settling.settled(NOBODY, 100.0)
    assert settling.over_at() is None


def test_a_pbx_that_just_started_is_believed_after_the_time(settling: Settling) -> None:
    settling.connected("boot 1", 2.0, now=100.0)
    assert not settling.settled(ANNA, 102.9)
    assert settling.over_at() == 103.0
    assert settling.settled(NOBODY, 103.0)


def test_it_is_believed_sooner_when_everybody_is_back(settling: Settling) -> None:
    settling.connected("boot 1", 60.0, now=0.0)
    settling.remember(BOTH)
    settling.connected("boot 2", 0.5, now=100.0)
    assert not settling.settled(ANNA, 100.1)
    assert settling.settled(BOTH | {("", "6003")}, 100.2)
    assert settling.settled(NOBODY, 100.3)


def test_the_same_pbx_after_a_broken_connection_is_believed_at_once(settling: Settling) -> None:
    settling.connected("boot 1", 60.0, now=0.0)
    settling.remember(BOTH)
    settling.connected("boot 1", 0.5, now=100.0)
    assert settling.settled(NOBODY, 100.0)


def test_reconnecting_does_not_shorten_the_time(settling: Settling) -> None:
    settling.connected("boot 1", 0.0, now=100.0)
    settling.connected("boot 1", 2.0, now=102.0)
    assert not settling.settled(NOBODY, 102.0)
    assert settling.settled(NOBODY, 105.0)


def test_a_pbx_that_does_not_tell_is_given_the_whole_time(settling: Settling) -> None:
    settling.connected(None, None, now=100.0)
    assert not settling.settled(NOBODY, 104.9)
    settling.connected(None, None, now=110.0)
    assert not settling.settled(NOBODY, 114.9)


def test_still_loading_counts_as_starting(settling: Settling) -> None:
    settling.connected("boot 1", 60.0, now=100.0)
    settling.started(0.0, now=101.0)
    assert not settling.settled(NOBODY, 105.9)


@pytest.mark.parametrize(
    ("date", "time", "now", "uptime"),
    [
        ("2026-11-22", "14:36:31", "1795358192.0", 1.0),  # UTC
        ("2026-11-22", "15:36:31", "1795358192.5", 1.5),  # UTC+1
        ("2026-11-22", "20:21:31", "1795358192.0", 1.0),  # UTC+5:45
        ("2026-11-22", "14:36:31", "1795359091.0", 0.0),  # a quarter of an hour later: taken for just started
        ("2026-11-22", "14:36:31", "1795358791.0", 600.0),
        ("22-11-2026", "14:36:31", "1795358192.0", None),
        ("", "", "1795358192.0", None),
        ("2026-11-22", "14:36:31", "", None),
        ("2026-11-22", "14:36:31", "inf", None),
        ("2026-11-22", "14:36:31", "nan", None),
    ],
)
def test_uptime(date: str, time: str, now: str, uptime: float | None) -> None:
    assert uptime_s(date, time, now) == uptime
