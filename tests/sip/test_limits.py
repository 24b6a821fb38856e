# SPDX-License-Identifier: GPL-2.0-or-later
"""More calls than were agreed on, than there are ports, than there are descriptors: 503, and nobody else suffers."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sip.bed import ANNA, Bed, Pair, Stage
from tests.sip.scenario import both_hear_anew
from tests.support.peer_call import Call
from tests.support.processes import eventually

pytestmark = pytest.mark.sip

MAX_CALLS = 2
LOW, HIGH = 20000, 20011  # six for each call
PAIRS = {"small": Pair()}
SIP = {"max_calls": MAX_CALLS, "rtp_port_min": LOW, "rtp_port_max": HIGH}


async def hang_up(*callers: Call) -> None:
    for caller in callers:
        await caller.hang_up()


async def refused(at: Stage) -> None:
    """The next call is refused for now, before anybody else hears of it."""
    dialled = len(at.trunk.received("INVITE"))
    answer = await at.call().final()
    assert answer.code == 503
    assert int(answer["Retry-After"]) > 0
    assert 'text="at-capacity"' in answer["Reason"]
    assert len(at.trunk.received("INVITE")) == dialled


REMEMBERED_S = 0.1
"""After so long the gateway looks anew whether there is a place: 50 ms, and of that nobody tells (front.cpp)."""


def descriptors(bed: Bed) -> int:
    return len(list(Path(f"/proc/{bed.gateway.child.pid}/fd").iterdir()))


def taken_ports(host: str) -> ExitStack:
    """Every port of the gateway's range that is free, taken away from it."""
    held = ExitStack()
    for port in range(LOW, HIGH + 1):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            one.bind((host, port))
        except OSError:
            one.close()
        else:
            held.enter_context(one)
    return held


@pytest.mark.keeps("8.20")
async def test_max_calls(bed: Bed) -> None:
    async with Stage(bed, "small") as at:
        first = await at.conversation()
        second = await at.conversation()
        await refused(at)
        await both_hear_anew(*first)
        await both_hear_anew(*second)
        await hang_up(first[0])
        third = await at.conversation()
        await hang_up(second[0], third[0])


@pytest.mark.keeps("8.20")
async def test_no_ports_left(bed: Bed) -> None:
    async with Stage(bed, "small") as at:
        caller, assistant = await at.conversation()
        with taken_ports(bed.net.gateway):
            await refused(at)
            answer = await assistant.refer(ANNA)
            assert answer.code == 503
            assert int(answer["Retry-After"]) > 0
            await both_hear_anew(caller, assistant)
        anna = await at.transfer(caller, assistant)
        await assistant.wait_request("BYE")
        await hang_up(caller)
        await anna.wait_request("BYE")
    with taken_ports(bed.net.gateway) as held:
        assert len(held._exit_callbacks) == HIGH + 1 - LOW  # type: ignore[attr-defined]  # all were given back


@pytest.mark.keeps("8.20")
async def test_no_descriptors_left(bed: Bed) -> None:
    pid = bed.gateway.child.pid
    before = descriptors(bed)
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    async with Stage(bed, "small") as at:
        caller, assistant = await at.conversation()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(bed) + 8, limits[1]))
        try:
            await refused(at)
            assert (await assistant.refer(ANNA)).code == 503
            await both_hear_anew(caller, assistant)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        await asyncio.sleep(REMEMBERED_S)
        other, _ = await at.conversation()
        await hang_up(caller, other)

    async def given_back() -> bool:
        return descriptors(bed) <= before

    await eventually(given_back, "all descriptors are closed again")


@pytest.mark.keeps("8.20")
async def test_everything_is_released_after_many_calls(bed: Bed) -> None:
    """Twice as many calls one after the other as there are ports for."""
    before = descriptors(bed)
    async with Stage(bed, "small") as at:
        for _ in range(2 * (HIGH + 1 - LOW) // 4):
            caller, _ = await at.conversation()
            await hang_up(caller)

    async def given_back() -> bool:
        return descriptors(bed) <= before

    await eventually(given_back, "all descriptors are closed again")
