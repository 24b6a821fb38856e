# SPDX-License-Identifier: GPL-2.0-or-later
"""A restart that keeps its calls: nobody is hung up, and who talks hears one another again."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from gateway.restarting import EXIT_CODE
from tests.sip.bed import ANNA, TARGET_HZ, Bed, Pair
from tests.sip.recovering import (
    are_written_down,
    call_ended,
    hear_since,
    reinvites,
    sip_on_every_wire,
    stage,
    talk_on,
    told,
)
from tests.sip.wires import SRTP, TCP
from tests.support.begun import Begun
from tests.support.configuration import TOKEN
from tests.support.end import both_hear
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.certificates import Authority
    from tests.support.gateway import Gateway
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="session")]

PATIENCE_S = 30
PAIRS = {"plain": Pair(anna={"ring_timeout_s": 60}), "tcp": Pair(TCP, TCP), "srtp": Pair(SRTP, SRTP)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(own_net: Net, authority: Authority) -> AsyncIterator[Bed]:
    """A gateway whose calls outlive it."""
    made = Bed(own_net, PAIRS, sip=sip_on_every_wire(authority, own_net.gateway))
    made.gateway.files.main["gateway"]["drain_timeout_s"] = PATIENCE_S
    made.gateway.write()
    async with made.gateway:
        yield made


async def asked(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    """Ask for a restart; what is answered."""
    status, text = await gateway.http("POST", "/api/restart", token=TOKEN)
    return status, json.loads(text)


async def ended(gateway: Gateway, code: int = EXIT_CODE) -> None:
    """Wait until it has ended, for another one if nothing else is said."""

    async def is_over() -> bool:
        return gateway.child.exit_code is not None

    await eventually(is_over, "the end of the gateway", timeout_s=30)
    assert gateway.child.exit_code == code


async def follows(gateway: Gateway) -> float:
    """As whoever supervises it would: start the next one as soon as it has ended; when that serves."""
    await ended(gateway)
    await gateway.start()
    return time.monotonic()


async def restarted(gateway: Gateway) -> Begun:
    """Have it followed by the next one; when that was asked for."""
    await are_written_down(gateway, 1)
    begun = Begun()
    assert (await asked(gateway))[0] == 202
    await follows(gateway)
    return begun


@pytest.mark.keeps("22.46")
@pytest.mark.parametrize("name", PAIRS)
async def test_who_talks_talks_on(bed: Bed, authority: Authority, name: str) -> None:
    async with stage(bed, name, authority) as at:
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        (before,) = (await bed.gateway.get("/api/calls"))["calls"]
        await talk_on(bed.gateway, caller, assistant, restarted)
        for call in (caller, assistant):
            assert not any(one.method == "BYE" for one in call.requests)
            assert reinvites(call)
        (after,) = (await bed.gateway.get("/api/calls"))["calls"]
        for what in ("call", "caller", "number", "started_at", "connected_at", "call_ids"):
            assert after[what] == before[what]
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (1, 0)
        anna = await at.transfer(caller, assistant)
        await assistant.wait_request("BYE", 30)
        assert (await caller.hang_up()).code == 200
        await anna.wait_request("BYE", 30)
        over = await call_ended(bed.gateway, before["call"])
        assert (over["reason"], over["hung_up_by"]) == ("hung-up", "pbx")
        assert bed.gateway.log.count(f"call-ended call={before['call']} ") == 1  # in the words of both processes
        assert (await bed.gateway.ended())[0]["outcome"] == "completed"
        await are_written_down(bed.gateway, 0)


@pytest.mark.keeps("22.47")
async def test_a_transfer_under_way_ends_first(bed: Bed, authority: Authority) -> None:
    """Nobody new is taken meanwhile; who was put through goes on in the next process, and there is one outcome."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        assert (await assistant.refer(ANNA)).code == 202
        anna = await at.pbx.wait_call()
        await anna.ring()
        assert (await asked(bed.gateway))[0] == 202
        assert (await at.call().final(30)).code == 503
        status = await bed.gateway.get("/api/status")
        assert (status["state"], status["transfers"]) == ("draining", 1)
        assert any("restarted" in problem for problem in status["problems"])
        assert (await asked(bed.gateway))[1]["error"]["code"] == "stopping"
        await anna.answer(hz=TARGET_HZ)
        await hear_since(await follows(bed.gateway), caller, anna)
        (transfer,) = (await bed.gateway.ended())[:1]
        assert (transfer["outcome"], transfer["reason"]) == ("completed", "answered")
        assert not any(one.method == "BYE" for call in (caller, anna) for one in call.requests)
        assert (await caller.hang_up()).code == 200
        await anna.wait_request("BYE", 30)


@pytest.mark.keeps("22.48")
async def test_what_cannot_go_on_ends_as_when_it_drains(bed: Bed, authority: Authority) -> None:
    """Who is being moved when the time is over goes back to the assistant, and both go on; one who rings ends."""
    bed.gateway.files.main["gateway"]["drain_timeout_s"] = 1
    bed.gateway.write()
    assert (await bed.gateway.http("POST", "/api/reload", token=TOKEN))[0] == 200
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        assert (await assistant.refer(ANNA)).code == 202
        anna = await at.pbx.wait_call()
        await anna.ring()
        ringing = at.call()
        await at.trunk.until(lambda: len(at.trunk.calls) >= 2 or None, "a second call", 30)
        assert (await asked(bed.gateway))[0] == 202
        assert (await ringing.final(30)).code == 503
        await hear_since(await follows(bed.gateway), caller, assistant)
        assert (await bed.gateway.ended())[0]["outcome"] == "interrupted"
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (1, 0)
        assert (await caller.hang_up()).code == 200
        await assistant.wait_request("BYE", 30)
    bed.gateway.files.main["gateway"]["drain_timeout_s"] = PATIENCE_S
    bed.gateway.write()
    assert (await bed.gateway.http("POST", "/api/reload", token=TOKEN))[0] == 200


@pytest.mark.keeps("22.48")
async def test_whoever_stops_it_meanwhile_stops_it(bed: Bed, authority: Authority) -> None:
    """SIGTERM after that says that nobody goes on: every call is ended, and the exit code is that of a stop."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        other, another = await at.conversation()
        assert (await another.refer(ANNA)).code == 202
        anna = await at.pbx.wait_call()
        await anna.ring()
        assert (await asked(bed.gateway))[0] == 202
        bed.gateway.terminate()
        assert (await caller.hang_up()).code == 200
        await assistant.wait_request("BYE", 30)
        await anna.answer(hz=TARGET_HZ)
        assert (await other.hang_up()).code == 200
        await anna.wait_request("BYE", 30)
        await ended(bed.gateway, 0)
        await bed.gateway.start()
        await are_written_down(bed.gateway, 0)


@pytest.mark.keeps("22.49")
async def test_when_it_is_refused(bed: Bed, authority: Authority) -> None:
    """Without the key, or where no gateway would start, calls go on as if nothing had been asked."""
    async with stage(bed, "plain", authority) as at:
        caller, assistant = await at.conversation()
        files = bed.gateway.files
        files.sip["recover_calls"] = False
        bed.gateway.write()
        status, answer = await asked(bed.gateway)
        assert (status, answer["error"]["code"]) == (409, "recovery-off")
        assert (await bed.gateway.http("POST", "/api/reload", token=TOKEN))[0] == 200
        status, answer = await asked(bed.gateway)
        assert (status, answer["error"]["code"]) == (409, "recovery-off")
        assert "recover_calls = true" in answer["error"]["message"]
        files.sip["recover_calls"] = True
        bed.gateway.write()
        assert (await bed.gateway.http("POST", "/api/reload", token=TOKEN))[0] == 200
        files.sip["max_calls"] = "many"
        bed.gateway.write()
        status, answer = await asked(bed.gateway)
        assert (status, answer["error"]["code"]) == (422, "bad-configuration")
        assert "max_calls" in answer["mistakes"][0]
        del files.sip["max_calls"]
        bed.gateway.write()
        await both_hear(caller, assistant)
        (given,) = {one["result"] for one in (await audited(bed.gateway)) if one["action"] == "restart"} - {
            "recovery-off", "accepted", "stopping",
        }  # fmt: skip
        assert given == "bad-configuration"
        assert (await caller.hang_up()).code == 200
        await assistant.wait_request("BYE", 30)


async def audited(gateway: Gateway) -> list[dict[str, Any]]:
    """The trail of commands."""
    _, text = await gateway.http("GET", "/api/audit", token=TOKEN)
    return list(json.loads(text)["commands"])
