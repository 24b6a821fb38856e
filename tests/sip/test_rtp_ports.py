# SPDX-License-Identifier: GPL-2.0-or-later
"""RTP ports of the next calls: held while there are calls, and never believed to be free."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import Any

import pjsua2 as pj
import pytest

from gateway.sip.calls.leg_registry import LegRegistry

ADDRESS, LOW, HIGH = "127.0.0.77", 41001, 41008  # three pairs: RTP's port is even
PORTS = range(41002, 41008)


def is_free(port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as tried:
        try:
            tried.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def taken() -> list[int]:
    return [port for port in range(LOW, HIGH + 1) if not is_free(port)]


def find(pairs: int, *, hold: bool = True) -> bool:
    return pj.find_rtp_ports(ADDRESS, LOW, HIGH, pairs, hold)


@pytest.fixture(autouse=True)
def none_held() -> Iterator[None]:
    pj.release_rtp_ports()
    yield
    pj.release_rtp_ports()


@pytest.mark.keeps("18.1")
def test_what_is_held_for_the_next_calls_is_nobody_elses() -> None:
    assert find(2)
    held = taken()
    assert len(held) == 4
    assert find(1)
    assert taken() == held
    assert pj.use_rtp_ports(0, ADDRESS, LOW, HIGH)
    freed = [port for port in held if is_free(port)]
    assert len(freed) == 2
    assert freed[0] % 2 == 0
    pj.release_rtp_ports()
    assert taken() == []


@pytest.mark.keeps("18.1")
def test_a_question_without_calls_leaves_nothing_behind() -> None:
    assert find(3, hold=False)
    assert not find(4, hold=False)
    assert taken() == []


@pytest.mark.keeps("18.1")
def test_ports_that_others_have_are_passed_over_and_missed() -> None:
    with ExitStack() as others:
        for port in (41003, 41004):
            other = others.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
            other.bind((ADDRESS, port))
        assert find(1)
        assert not find(2)
        assert set(taken()) == {41003, 41004, 41006, 41007}
        assert pj.use_rtp_ports(0, ADDRESS, LOW, HIGH)
    assert find(3)
    assert taken() == list(PORTS)


@pytest.mark.keeps("18.1")
def test_another_range_lets_go_of_the_one_before() -> None:
    assert find(2)
    assert pj.find_rtp_ports(ADDRESS, LOW + 20, HIGH + 20, 1, True)
    assert taken() == []
    assert not pj.find_rtp_ports("no address", LOW, HIGH, 1, True)


async def test_who_holds_ports_is_told_when_the_last_leg_is_over() -> None:
    told: list[str] = []
    legs = LegRegistry(lambda: told.append("empty"))
    one, other = (_leg(name) for name in "ab")
    legs.add(one)
    legs.add(other)
    legs.remove(one)
    assert told == []
    legs.remove(other)
    assert told == ["empty"]


def _leg(name: str) -> Any:
    return SimpleNamespace(id=name, peer=SimpleNamespace(name="hms"), sip_call_id=name, number=ord(name))
