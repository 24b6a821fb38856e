# SPDX-License-Identifier: GPL-2.0-or-later
"""What a PBX that has just started may be believed, and when."""

import math
from collections.abc import Iterable

import pytest

from gateway.pbx.asterisk.after_restart import AfterRestart, Presence, Watched, uptime_s

SALES: Watched = ("queue", "sales")
SUPPORT: Watched = ("queue", "support")
PHONE: Watched = ("extension", "6001")


def seen(here: Iterable[str] = (), absent: Iterable[str] = (), watched: Watched = SALES) -> dict[Watched, Presence]:
    return {watched: Presence(frozenset(here), frozenset(absent))}


@pytest.fixture
def after_restart() -> AfterRestart:
    """Of a PBX that started at 100, of which nothing is known from before."""
    made = AfterRestart(settle_s=5.0, missing_s=60.0)
    made.connected("boot 1", 0.0, now=100.0)
    return made


@pytest.fixture
def restarted() -> AfterRestart:
    """Of a PBX that had Anna and Bert in sales, and nobody in support, before it started again at 100."""
    made = AfterRestart(settle_s=5.0, missing_s=60.0)
    made.connected("boot 1", 600.0, now=0.0)
    made.remember(seen({"anna", "bert"}) | seen(absent={"carla"}, watched=SUPPORT), 90.0)
    made.connected("boot 2", 0.0, now=100.0)
    return made


def test_a_pbx_that_runs_for_long_is_believed_at_once() -> None:
    after_restart = AfterRestart(settle_s=5.0, missing_s=60.0)
    after_restart.connected("boot 1", 60.0, now=100.0)
    assert after_restart.settled(seen(absent={"anna"}), 100.0)
    assert not after_restart.doubted(seen(absent={"anna"}), 100.0)
    assert after_restart.next_change(100.0) == math.inf


@pytest.mark.keeps("16.166")
def test_a_start_that_is_yet_to_come_is_one_of_now(after_restart: AfterRestart) -> None:
    after_restart.started(-1e12, now=100.0)
    assert not after_restart.settled(seen(absent={"anna"}), 104.9)
    assert after_restart.settled(seen(absent={"anna"}), 105.0)


def test_an_empty_queue_is_believed_after_the_time(after_restart: AfterRestart) -> None:
    nobody = seen(absent={"anna"})
    assert not after_restart.settled(nobody, 104.9)
    assert after_restart.doubted(nobody, 104.9) == {SALES}
    assert after_restart.next_change(100.0) == 105.0
    assert after_restart.settled(nobody, 105.0)
    assert not after_restart.doubted(nobody, 105.0)


def test_a_queue_with_everybody_there_is_believed_at_once(after_restart: AfterRestart) -> None:
    assert not after_restart.settled(seen({"anna"}, {"bert"}), 100.2)
    assert after_restart.settled(seen({"anna", "bert"}), 100.2)


def test_a_queue_without_members_may_still_be_loading(after_restart: AfterRestart) -> None:
    assert not after_restart.settled(seen(), 100.2)


def test_after_a_restart_those_who_were_there_are_waited_for(restarted: AfterRestart) -> None:
    assert not restarted.settled(seen({"anna"}, {"bert", "carla"}), 100.2)
    assert restarted.settled(seen({"anna", "bert"}, {"carla"}), 100.2)


def test_a_queue_where_nobody_was_is_not_waited_for(restarted: AfterRestart) -> None:
    assert restarted.settled(seen(absent={"carla"}, watched=SUPPORT), 100.2)


def test_they_are_waited_for_longer_than_the_pbx_as_a_whole(restarted: AfterRestart) -> None:
    half = seen({"anna"}, {"bert"})
    assert restarted.settled(half, 105.0)
    assert restarted.doubted(half, 159.9) == {SALES}
    assert restarted.next_change(110.0) == 160.0
    assert not restarted.doubted(half, 160.0)


def test_who_is_no_member_any_more_is_not_waited_for(restarted: AfterRestart) -> None:
    assert restarted.doubted(seen({"anna"}), 104.9) == {SALES}
    assert not restarted.doubted(seen({"anna"}), 105.0)


def test_an_extension_is_waited_for_likewise(restarted: AfterRestart) -> None:
    restarted.remember(seen({"6001"}, watched=PHONE), 99.0)
    assert restarted.doubted(seen(absent={"6001"}, watched=PHONE), 130.0)
    assert not restarted.doubted(seen({"6001"}, watched=PHONE), 100.1)


def test_what_was_in_doubt_is_not_remembered(restarted: AfterRestart) -> None:
    restarted.remember(seen(absent={"anna", "bert"}), 101.0)
    restarted.connected("boot 3", 0.0, now=102.0)
    assert restarted.doubted(seen(absent={"anna", "bert"}), 130.0) == {SALES}


def test_the_same_pbx_after_a_broken_connection_is_believed_at_once(after_restart: AfterRestart) -> None:
    after_restart.remember(seen({"anna"}), 200.0)
    after_restart.connected("boot 1", 0.5, now=200.0)
    assert not after_restart.doubted(seen(absent={"anna"}), 200.0)


def test_reconnecting_does_not_shorten_the_time(after_restart: AfterRestart) -> None:
    after_restart.connected("boot 1", 300.0, now=102.0)
    assert not after_restart.settled(seen(absent={"anna"}), 102.0)


def test_a_pbx_that_does_not_tell_is_given_the_whole_time() -> None:
    after_restart = AfterRestart(settle_s=5.0, missing_s=60.0)
    for now in (100.0, 110.0):
        after_restart.connected(None, None, now=now)
        assert not after_restart.settled(seen(absent={"anna"}), now + 4.9)
        assert after_restart.settled(seen(absent={"anna"}), now + 5.0)


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
