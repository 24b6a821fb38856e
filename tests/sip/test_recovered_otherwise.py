# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that a gateway takes up which is not configured as the one before it was, or whose clock is behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.sip.bed import Bed, Pair
from tests.sip.recovering import (
    are_written_down,
    call_ended,
    has_audio_since,
    put_through,
    reinvites,
    rewrite,
    stage,
    told,
)
from tests.support.end import both_hear
from tests.support.sip_message import address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="session")]

PAIRS = {"here": Pair(), "gone": Pair()}
OTHER_HOST = 5
AHEAD = timedelta(hours=1)


@pytest_asyncio.fixture(loop_scope="session")
async def bed(own_net: Net) -> AsyncIterator[Bed]:
    """A gateway whose calls outlive it; each test changes its configuration."""
    made = Bed(own_net, PAIRS, sip={"recover_calls": True})
    async with made.gateway:
        yield made


def with_other_codecs(bed: Bed) -> None:
    """What was spoken is turned off."""
    for profile in bed.gateway.files.profiles.values():
        profile["codecs"] = ["PCMU"]


def at_another_address(bed: Bed) -> None:
    """The machine has another one now."""
    bed.gateway.files.sip["bind_address"] = bed.net.host(OTHER_HOST)


def with_a_clock_that_is_behind(bed: Bed) -> None:
    """The one of the process before was ahead."""

    def later(row: dict[str, Any]) -> None:
        for name in ("began_at", "connected_at", "kept_at"):
            row[name] = (datetime.fromisoformat(row[name]) + AHEAD).isoformat()

    rewrite(bed.gateway, later)


@pytest.mark.keeps("22.68")
@pytest.mark.parametrize("change", [with_other_codecs, at_another_address, with_a_clock_that_is_behind])
async def test_both_talk_on(bed: Bed, change: Callable[[Bed], None]) -> None:
    async with stage(bed, "here") as at:
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        anna, call = await put_through(at, caller, assistant)
        await are_written_down(bed.gateway, 1)
        await bed.gateway.kill()
        for one in (caller, anna):
            one.media.received.clear()
        change(bed)
        bed.gateway.write()
        await bed.gateway.start()
        for one in (caller, anna):
            await has_audio_since(one, 0)
            (asked,) = reinvites(one)
            assert f"@{bed.gateway.files.sip['bind_address']}:" in address(asked["Contact"])
        await both_hear(caller, anna)
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (1, 0)
        assert (await caller.hang_up()).code == 200
        await anna.wait_request("BYE", 30)
        ended = await call_ended(bed.gateway, call["call"])
        assert (ended["reason"], ended["transfer"]) == ("hung-up", call["transfer"])
        assert ended["started_at"] <= ended["connected_at"] <= ended["ended_at"]
        assert 0 <= ended["talk_s"] < AHEAD.total_seconds()


def without_its_number(bed: Bed) -> None:
    """It is assigned no more."""
    numbers = bed.gateway.files.main["numbers"]
    numbers[:] = [one for one in numbers if one["id"] != "gone"]


def without_its_peers(bed: Bed) -> None:
    """Nobody whom it was made with is configured any more."""
    without_its_number(bed)
    for name in ("gone-trunk", "gone-pbx"):
        del bed.gateway.files.profiles[name]
        (bed.gateway.directory / "sip_profiles" / f"{name}.toml").unlink()


@pytest.mark.keeps("22.68")
@pytest.mark.parametrize("change", [without_its_number, without_its_peers])
async def test_nobody_is_asked_whom_the_configuration_does_not_have(bed: Bed, change: Callable[[Bed], None]) -> None:
    async with stage(bed, "gone") as at:
        caller, assistant = await at.conversation()
        anna, call = await put_through(at, caller, assistant)
        await are_written_down(bed.gateway, 1)
        await bed.gateway.kill()
        change(bed)
        bed.gateway.write()
        await bed.gateway.start()
        ended = await call_ended(bed.gateway, call["call"])
        assert (ended["reason"], ended["hung_up_by"]) == ("gateway-stopped", "gateway")
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (0, 1)
        await are_written_down(bed.gateway, 0)
        assert (await caller.hang_up()).code in {403, 481}
        assert not reinvites(caller) + reinvites(anna)
