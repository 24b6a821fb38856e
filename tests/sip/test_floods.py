# SPDX-License-Identifier: GPL-2.0-or-later
"""Floods: of strangers, who get next to nothing, and of one trunk, which does not take the others' share."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.cli.status import page
from tests.sip.bed import ANNA, ASSISTANT_HZ, PORT, Bed, Pair, Stage
from tests.support.flood import Flood, again, invite, request
from tests.support.peer import Peer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.support.peer_call import Call

pytestmark = [pytest.mark.sip, pytest.mark.alone, pytest.mark.timeout(120)]

PAIRS = {"quiet": Pair(), "greedy": Pair(), "paced": Pair({"calls_per_second": 2}), "small": Pair({"max_calls": 1})}
TICKS = os.sysconf("SC_CLK_TCK")
ROOM = 16_384
"""Transactions that may be open before shares count; see binding/room.cpp."""
REJECTED = "transfer_gateway_requests_rejected_total"


def cpu_s(bed: Bed) -> float:
    """The processor time that the gateway has used so far."""
    fields = Path(f"/proc/{bed.gateway.child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def lines(bed: Bed, event: str) -> list[str]:
    return [line for line in bed.gateway.log.splitlines() if event in line]


async def conversation_and_transfer(at: Stage) -> float:
    """A caller, an assistant, and a transfer to Anna; how long the 202 took. Everything has to work."""
    caller, assistant = await at.conversation()
    began = time.monotonic()
    assert (await assistant.refer(ANNA)).code == 202
    took = time.monotonic() - began
    anna = await at.pbx.wait_call()
    await anna.answer()
    assert (await assistant.notifies())[-1].sipfrag == 200
    await anna.hang_up()
    await caller.wait_request("BYE")
    for call in (caller, assistant, anna):
        call.close()  # whoever does this often runs out of ports otherwise
    return took


async def cost_of_transfers(bed: Bed, at: Stage, seconds: float) -> tuple[float, float]:
    """One after the other for so long: the gateway's CPU seconds for each, and the longest wait for a 202."""
    began, used, waits = time.monotonic(), cpu_s(bed), []
    while time.monotonic() - began < seconds:
        waits.append(await conversation_and_transfer(at))
    return (cpu_s(bed) - used) / len(waits), max(waits)


# --- strangers, of whom 104 tells


@pytest.mark.keeps("16.17", "20.123")
async def test_who_is_not_configured_is_told_once_and_logged(bed: Bed) -> None:
    async with Peer(bed.net.host(190), PORT, user="forgotten") as trunk:
        uri = f"sip:{bed.number('quiet')}@{bed.net.gateway}"
        for _ in range(3):
            assert (await trunk.request("OPTIONS", uri, bed.gateway.sip)).code == 403
        assert len([line for line in lines(bed, "request-rejected") if trunk.host in line]) == 1

        async def all_known() -> bool:
            strangers = (await bed.gateway.get("/api/status"))["strangers"]
            return {each["source"]: each["requests"] for each in strangers}.get(trunk.host) == 3

        await eventually(all_known, "the stranger is in the status")
        told = [line.text for line in page(await bed.gateway.get("/api/status"), [], [])]
        assert any(text.startswith(f"{trunk.host}: 3 requests, last 2") for text in told), told


@pytest.mark.keeps("16.15")
@pytest.mark.parametrize("what", ["OPTIONS", "INVITE", "unreadable", "response"])
async def test_a_flood_of_strangers_costs_next_to_nothing(bed: Bed, tmp_path: Path, what: str) -> None:
    source, seconds, per_second = bed.net.host(200 + len(what)), 3, 5000
    uri = f"sip:{bed.number('quiet')}@{bed.net.gateway}"
    text = request("OPTIONS", uri, source) if what in ("OPTIONS", "unreadable") else invite(uri, source)
    if what == "unreadable":
        text = text.replace("Contact: <", "Contact: <<<sip:")
    if what == "response":
        text = text.replace(text.partition("\r\n")[0], "SIP/2.0 200 OK", 1).replace("1 INVITE", "1 OPTIONS")
    known = await bed.gateway.metric(REJECTED, reason="peer-not-allowed")
    flood = Flood(tmp_path, source, bed.gateway.sip, per_second=per_second, seconds=seconds, request=text)
    async with Stage(bed, "quiet") as at:
        alone, _ = await cost_of_transfers(bed, at, seconds - 1)
        async with flood:
            beside, longest_s = await cost_of_transfers(bed, at, seconds - 1)
            told = await flood.told()
        assert told.sent > per_second * seconds * 0.8
        assert sum(told.codes.values()) < 100, told
        assert set(told.codes) <= {"403"}, told
        # Held against the same work on the same machine without the flood: what the machine is like counts for both.
        print(f"{alone * 1000:.1f} ms of CPU a transfer alone, {beside * 1000:.1f} ms beside {per_second} strangers/s")
        assert beside < 1.5 * alone, f"{beside * 1000:.0f} ms a transfer instead of {alone * 1000:.0f}"
        assert longest_s < 1

    async def counted() -> bool:
        return await bed.gateway.metric(REJECTED, reason="peer-not-allowed") - known > told.sent * 0.95

    await eventually(counted, "all of them in the metric")
    assert len([line for line in lines(bed, "request-rejected") if source in line]) == 1
    assert len(lines(bed, "requests-rejected")) < 20


@pytest.mark.keeps("16.17")
async def test_when_the_flood_is_over_strangers_are_answered_again(bed: Bed, tmp_path: Path) -> None:
    uri, source = f"sip:{bed.net.gateway}", bed.net.host(191)
    options = request("OPTIONS", uri, source)
    async with Flood(tmp_path, source, bed.gateway.sip, per_second=1000, seconds=1, request=options) as flood:
        await flood.told()
    async with Peer(bed.net.host(192), PORT) as other:

        async def answered() -> bool:
            other.send_raw(request("OPTIONS", uri, other.host).replace("{n}", f"{time.monotonic_ns():x}").encode(),
                           bed.gateway.sip)  # fmt: skip
            return bool(other.trace)

        await eventually(answered, "an answer", timeout_s=20, every_s=0.5)


# --- one trunk beside another, of which 104 and 51 tell


@pytest.mark.keeps("16.14", "16.18", "16.180")
async def test_one_trunk_at_many_times_its_share_takes_nobody_else_s(bed: Bed, tmp_path: Path) -> None:
    source, seconds = bed.trunk_host("greedy"), 6
    text = invite(f"sip:+31612345681@{bed.net.gateway}", source)
    flood = Flood(tmp_path, source, bed.gateway.sip, per_second=800, seconds=seconds, request=text)
    async with Stage(bed, "quiet").persistent() as at:
        alone = max([await conversation_and_transfer(at) for _ in range(5)])
        began, slowest = time.monotonic(), 0.0
        async with flood:
            while time.monotonic() - began < seconds - 1:
                slowest = max(slowest, await conversation_and_transfer(at))
            told = await flood.told()
        print(f"{told}, and the slowest 202 after {slowest * 1000:.0f} ms, {alone * 1000:.0f} ms alone")
        assert told.contradicted == 0, told
        assert told.codes.get("503", 0) > told.sent / 4, told
        # What the machine is like counts for both.
        assert slowest < max(1.0, 20 * alone), f"{slowest:.3f} s instead of {alone:.3f}"
        assert "reason=at-capacity" in "".join(lines(bed, "request-rejected")) or lines(bed, "at-capacity")
        await bed.gateway.idle(60)


@pytest.mark.keeps("16.14")
async def test_the_guard_does_not_mistake_a_hiccup_for_a_flood(bed: Bed) -> None:
    async with Stage(bed, "quiet") as at:
        bed.gateway.child.signal(signal.SIGSTOP)
        try:
            caller = at.call()
            with pytest.raises(AssertionError):
                await caller.final(timeout_s=0.3)
        finally:
            bed.gateway.child.signal(signal.SIGCONT)
        assistant = await at.trunk.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        await caller.media.hears(ASSISTANT_HZ)
        await caller.hang_up()


@pytest.mark.keeps("16.19")
@pytest.mark.timeout(180)
async def test_one_peer_s_transactions_leave_room_for_the_others(bed: Bed, tmp_path: Path) -> None:
    before = await bed.gateway.metric(REJECTED, reason="at-capacity")
    async with Stage(bed, "greedy") as at, Stage(bed, "quiet") as beside:
        caller, assistant = await at.conversation()
        for call in (caller, assistant):
            call.media.pause()
        update = assistant.begin("UPDATE")
        assert (await update.final()).code == 200
        source, port, seconds = at.trunk.host, PORT + 900, 10
        text = again(update.request, port)
        flood = Flood(tmp_path, source, at.gateway, per_second=3000, seconds=seconds, request=text, port=port)
        open_, began = 0, time.monotonic()
        async with flood:
            while time.monotonic() - began < seconds:
                await conversation_and_transfer(beside)
                open_ = max(open_, (await bed.gateway.get("/api/status"))["stack"]["transactions"])
            told = await flood.told()
        # What the others and we begin comes on top; the flood alone would be nearly twice as many.
        assert ROOM * 0.9 < open_ < ROOM * 1.4, open_
        assert set(told.codes) == {"200", "503"}, told
        assert told.contradicted == 0, told
        assistant.cseq = 1_000_000_000  # beyond the flood's
        while (await (refused := assistant.begin("UPDATE")).final()).code == 200:
            pass  # in the place of those whose time has come meanwhile
        assert refused.responses[0].code == 503
        assert int(refused.responses[0]["Retry-After"]) > 0
        refused.resend()
        await at.trunk.until(lambda: len(refused.responses) > 1 or None, "the same answer again")
        assert {bytes(one) for one in refused.responses} == {bytes(refused.responses[0])}
        await assistant.hang_up()  # what ends a call is never refused
        await caller.wait_request("BYE")

    async def counted() -> bool:
        return await bed.gateway.metric(REJECTED, reason="at-capacity") - before > told.codes["503"]

    await eventually(counted, "the refusals in the metric")


# --- a trunk's own limits


async def calls(at: Stage, count: int) -> list[Call]:
    """The trunk calls Anna so many times at once."""
    return [at.trunk.invite("sip:+31612345681@gateway", at.gateway) for _ in range(count)]


@pytest.mark.keeps("16.13", "16.20")
async def test_a_trunk_makes_as_many_calls_a_second_as_it_may(bed: Bed) -> None:
    before = await bed.gateway.metric(REJECTED, reason="trunk-at-capacity")
    async with Stage(bed, "paced") as at, Stage(bed, "quiet") as beside:
        first, second, third = await calls(at, 3)
        refused = await third.final()
        assert refused.code == 503
        assert int(refused["Retry-After"]) > 0
        assert refused["Reason"] == 'SIP;cause=503;text="trunk-at-capacity"'
        for caller in (first, second):
            anna = await at.pbx.wait_call()
            await anna.answer()
            await caller.answered()
        await conversation_and_transfer(beside)
        # In the meantime there is room again, yet the same request has had its answer.
        await eventually(lambda: _sent_long_ago(at, 1.5), "a second and a half")
        assert third.invite
        third.invite.resend()
        again = await at.trunk.until(
            lambda: third.invite.responses[1] if third.invite and len(third.invite.responses) > 1 else None, "answer"
        )
        assert bytes(again) == bytes(refused)
        [fourth] = await calls(at, 1)
        anna = await at.pbx.wait_call()
        await anna.answer()
        await fourth.answered()
        for caller in (first, second, fourth):
            await caller.hang_up()

    async def counted() -> bool:
        return await bed.gateway.metric(REJECTED, reason="trunk-at-capacity") == before + 1

    await eventually(counted, "the refusal in the metric")


async def _sent_long_ago(at: Stage, seconds: float) -> bool:
    return time.monotonic() - at.trunk.trace[-1].at > seconds


@pytest.mark.keeps("16.20")
async def test_a_trunk_has_as_many_calls_as_it_may(bed: Bed) -> None:
    async with Stage(bed, "small") as at, Stage(bed, "quiet") as beside:
        caller, assistant = await at.conversation()
        [further] = await calls(at, 1)
        refused = await further.final()
        assert (refused.code, refused["Reason"]) == (503, 'SIP;cause=503;text="trunk-at-capacity"')
        assert int(refused["Retry-After"]) > 0
        assert (await at.call().final()).code == 503  # a caller for the assistant of that trunk
        await conversation_and_transfer(beside)
        await assistant.hang_up()
        await caller.wait_request("BYE")
        caller, _ = await at.conversation()
        await caller.hang_up()


# --- one answer for one request, of which 50 tells


@pytest.mark.keeps("16.13")
async def test_what_was_refused_stays_refused_when_it_is_repeated(bed: Bed) -> None:
    async with Stage(bed, "small") as at:
        caller, _ = await at.conversation()
        [further] = await calls(at, 1)
        refused = await further.final()
        assert refused.code == 503
        await caller.hang_up()
        await bed.gateway.idle()
        assert further.invite
        further.invite.resend()
        await at.trunk.until(lambda: len(further.invite.responses) > 1 or None if further.invite else None, "answer")
        assert {bytes(one) for one in further.invite.responses} == {bytes(refused)}
        assert not at.pbx.received("INVITE")
