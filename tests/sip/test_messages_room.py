# SPDX-License-Identifier: GPL-2.0-or-later
"""How many calls' messages are kept, what is told when they are gone, and that keys of media are in none."""

from __future__ import annotations

import re

import pytest

from gateway.call_messages import GONE, OFF
from tests.sip.bed import Bed, Pair, Stage
from tests.sip.kept_messages import of_transfer
from tests.support.configuration import TOKEN

pytestmark = pytest.mark.sip

PAIRS = {"sealed": Pair({"srtp": "required"}, {"srtp": "required"}), "plain": Pair()}


async def transferred(at: Stage) -> str:
    """A caller is put through, and hangs up: the transfer."""
    await transferred_beside(at)
    await at.bed.gateway.idle()
    newest: str = (await at.bed.gateway.ended())[0]["transfer"]
    return newest


async def transferred_beside(at: Stage) -> None:
    """The same beside another call, which goes on."""
    caller, assistant = await at.conversation()
    anna = await at.transfer(caller, assistant)
    await assistant.wait_request("BYE")
    await caller.hang_up()
    await anna.wait_request("BYE")


@pytest.mark.keeps("20.74")
async def test_no_key_of_media_is_kept(bed: Bed) -> None:
    async with Stage(bed, "sealed") as at:
        at.trunk.encryption = at.pbx.encryption = "required"
        told = await of_transfer(bed.gateway, await transferred(at))
        bodies = [one.message.body for peer in (at.trunk, at.pbx) for one in peer.trace]
    everything = "".join(one["text"] for one in told["messages"])
    keys = {
        line.split(b" ")[2].decode() for body in bodies for line in body.split(b"\r\n") if line.startswith(b"a=crypto:")
    }
    assert len(keys) >= 3
    assert not [key for key in keys if key in everything]
    assert len(re.findall(r"a=crypto:\d+ \w+ \[redacted\]", everything)) == everything.count("a=crypto:") >= 3


@pytest.mark.keeps("20.77")
async def test_the_oldest_go_and_that_is_told_and_so_is_a_reload_that_keeps_none(bed: Bed) -> None:
    gateway = bed.gateway
    gateway.files.main["messages"] = {"calls": 2}
    gateway.write()
    assert (await reloaded(bed))["messages"]["legs"] <= 10
    async with Stage(bed, "plain") as at:
        first = await transferred(at)
        assert (await of_transfer(gateway, first))["kept"] is True
        for _ in range(4):
            last = await transferred(at)
        gone = await of_transfer(gateway, first)
        assert (gone["kept"], gone["because"], gone["messages"], gone["marks"]) == (False, GONE, [], [])
        assert len(gone["legs"]) == 3
        assert (await of_transfer(gateway, last))["kept"] is True
        caller, assistant = await at.conversation()
        for _ in range(4):
            await transferred_beside(at)
        anna = await at.transfer(caller, assistant)
        await assistant.wait_request("BYE")
        await caller.hang_up()
        await anna.wait_request("BYE")
        await gateway.idle()
        told = await of_transfer(gateway, (await gateway.ended(6))[0]["transfer"])
        assert [(leg["role"], leg["late"]) for leg in told["legs"]] == [
            ("transferee", True), ("transferor", True), ("target", False),
        ]  # fmt: skip
        assert told["messages"][0]["text"].startswith("REFER ")
        gateway.files.main["messages"] = {"max_mb": 0}
        gateway.write()
        held = (await reloaded(bed))["messages"]
        assert {held[each] for each in ("bytes", "legs", "messages")} == {0}
        told = await of_transfer(gateway, await transferred(at))
        assert (told["kept"], told["because"]) == (False, OFF)


async def reloaded(bed: Bed) -> dict[str, dict[str, int]]:
    """The gateway has taken what was written: its status."""
    status, text = await bed.gateway.http("POST", "/api/reload", token=TOKEN)
    assert status == 200, text
    found: dict[str, dict[str, int]] = await bed.gateway.get("/api/status")
    return found
