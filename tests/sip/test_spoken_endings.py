# SPDX-License-Identifier: GPL-2.0-or-later
"""Why not, in the status line, where it takes more than one request: what is wrong with a REFER, commands, our own end.

The others are in test_spoken_reasons.py. What is refused before a number is known has the RFC's words, as nobody knows
in which language to say more: strangers, loops, numbers that are nobody's, a trunk with too many calls, an INVITE
while the gateway stops, one with a Replaces. Nothing is told of a caller who has hung up, or who was put through. A
gateway without ports or descriptors says what one says here that is stopping (`at-capacity`), one that is killed says
nothing. Of a fresh INVITE there is no `bad-request` in words: one that can't be read belongs to no number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.sip.faulty_steps import NO_STEP, UNANSWERED, FaultyStepsGateway
from tests.sip.sipp_steps import OVER, bye, notify, played, refer, response
from tests.sip.spoken import Talk, fragment, handed_on
from tests.support.configuration import TOKEN, Configuration, Table
from tests.support.peer import Peer
from tests.support.processes import eventually
from tests.support.sip_message import parameter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.gateway import Gateway
    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="session")]

PBX_PORT = 5070
NAME = "Café “Zuid”"
OPEN, SINGLE, STEPLESS, UNANSWERABLE = "+31612349101", "+31612349102", "+31612349103", "+31612349104"
PLACES = {"response": (31, "+31201234501"), "fragment": (41, "+31201234511")}
"""Where a refusal is told: the host of the platform that reads it there, and its number."""

IMPOSSIBLE = "Daarheen kan niet worden doorverbonden"
UNREACHABLE = f"{NAME} is op dit moment niet bereikbaar"
FULL = f"{NAME} kan op dit moment geen gesprekken meer aannemen"
CALLED_OFF = "Het doorverbinden is afgebroken"


def settings(net: Net) -> Configuration:
    """Two Dutch platforms: one is refused in the REFER's response, one in the final NOTIFY."""
    files = Configuration(net.gateway, drain_timeout_s=5)
    files.pbx("pbx", f"sip:{net.pbx}:{PBX_PORT}")
    company: list[Table] = [
        {"id": "patient", "number": OPEN, "extension": "6021", "name": NAME},
        {"id": "one-at-a-time", "number": SINGLE, "extension": "6020", "max_concurrent": 1, "name": NAME},
        {"id": "stepless", "number": STEPLESS, "extension": NO_STEP, "name": NAME},
        {"id": "unanswerable", "number": UNANSWERABLE, "extension": UNANSWERED, "name": NAME},
    ]
    for place, (host, number) in PLACES.items():
        told = {"refusal": "notify"} if place == "fragment" else {}
        files.trunk(place, net.host(host), reason_phrase="sentence", options_interval_s=0, **told)
        files.number(place, number, place, "pbx", company, locale="nl")
    return files


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(own_net: Net) -> AsyncIterator[Gateway]:
    """A gateway, two of whose destinations meet with faults of its own."""
    async with FaultyStepsGateway(settings(own_net)) as started:
        yield started
        await started.idle()


@pytest_asyncio.fixture(params=PLACES, loop_scope="session")
async def talk(request: pytest.FixtureRequest, own_net: Net, gateway: Gateway) -> AsyncIterator[Talk]:
    """The platform that is refused in this place; nothing is left of its calls."""
    host, number = PLACES[request.param]
    async with (
        Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(own_net.host(host)) as platform,
        gateway.scenario(),
    ):
        yield Talk(own_net, gateway, pbx, platform, number)


async def told(agent: Call, target: str, *headers: tuple[str, str]) -> str:
    """The status line that says why a REFER is refused, wherever this platform is told it."""
    answer = await agent.refer(f"<{target}>", *headers)
    return fragment((await agent.notifies())[-1]) if answer.code == 202 else answer.start


def joining(call: Call, *, other: str = "", flag: str = "") -> str:
    """A target to be joined with this call of the platform, or with one that has another tag."""
    dialog = f"{call.call_id};to-tag={parameter(call.far, 'tag')};from-tag={other}{parameter(call.local, 'tag')}{flag}"
    return f"sip:{OPEN}@gw.example?Replaces={quote(dialog, safe='')}"


async def commanded(gateway: Gateway, path: str) -> None:
    """Give a command over HTTP."""
    status, text = await gateway.http("POST", path, token=TOKEN, body={})
    assert status in (200, 202), text


async def over(caller: Call, agent: Call) -> None:
    """The caller hangs up."""
    await caller.hang_up()
    await agent.wait_request("BYE")


@pytest.mark.keeps("19.22")
async def test_what_is_wrong_with_a_refer(talk: Talk) -> None:
    caller, agent = await talk.transferor()
    consulting = talk.fresh(OPEN)
    consulted = await talk.pbx.wait_call()
    await consulted.answer()
    await consulting.answered()
    seen = [
        await told(agent, "http://gw.example"),
        await told(agent, f"sip:{OPEN}@gw.example", ("Require", "telepathy")),
        await told(agent, joining(consulting, other="not-")),
        await told(agent, joining(consulting, flag=";early-only")),
        await told(agent, joining(caller)),
    ]
    await consulting.hang_up()
    await consulted.wait_request("BYE")
    seen.append(await told(agent, joining(consulting)))
    assert seen == [f"SIP/2.0 {code} {IMPOSSIBLE}" for code in (400, 420, 481, 486, 403, 603)]
    newest = (await talk.gateway.ended(6))[:6]
    assert [one["reason"] for one in reversed(newest) if one["entry"] == "refer"][-5:] == [
        "unsupported-extension", "no-such-dialog", "dialog-not-early", "peer-not-allowed", "dialog-ended",
    ]  # fmt: skip
    await over(caller, agent)


@pytest.mark.keeps("19.22")
async def test_nobody_is_there_to_be_transferred_any_more(talk: Talk) -> None:
    caller, agent = await talk.transferor()
    assert (await agent.refer(f"<sip:{OPEN}@gw.example>")).code == 202
    target = await talk.pbx.wait_call()
    await target.answer()
    assert fragment((await agent.notifies())[-1]) == "SIP/2.0 200 OK"
    assert await told(agent, f"sip:{OPEN}@gw.example") == f"SIP/2.0 480 {IMPOSSIBLE}"
    await agent.wait_request("BYE")
    await caller.hang_up()
    await target.wait_request("BYE")


@pytest.mark.keeps("19.22")
async def test_what_another_transfer_brings_about(talk: Talk) -> None:
    first, first_agent = await talk.transferor()
    second, second_agent = await talk.transferor()
    assert (await first_agent.refer(f"<sip:{SINGLE}@gw.example>")).code == 202
    target = await talk.pbx.wait_call()
    await target.ring()
    assert await told(first_agent, f"sip:{OPEN}@gw.example") == "SIP/2.0 491 Er wordt al doorverbonden"
    assert await told(second_agent, f"sip:{SINGLE}@gw.example") == f"SIP/2.0 503 {FULL}"
    target.reject(486)
    assert fragment((await first_agent.notifies())[-1]) == f"SIP/2.0 486 {NAME} is op dit moment in gesprek"
    await over(first, first_agent)
    await over(second, second_agent)


@pytest.mark.keeps("19.23")
async def test_a_call_that_is_ended_by_command(talk: Talk) -> None:
    caller, agent = await talk.transferor()
    assert (await agent.refer(f"<sip:{OPEN}@gw.example>")).code == 202
    await (await talk.pbx.wait_call()).ring()
    [call] = (await talk.gateway.get("/api/calls"))["calls"]
    await commanded(talk.gateway, f"/api/calls/{call['call']}/hangup")
    assert fragment((await agent.notifies())[-1]) == f"SIP/2.0 487 {CALLED_OFF}"
    await agent.wait_request("BYE")
    await caller.wait_request("BYE")


@pytest.mark.keeps("19.23")
@pytest.mark.parametrize("what", ["call", "transfer"])
async def test_a_fresh_invite_that_is_ended_by_command(talk: Talk, what: str) -> None:
    calling = talk.fresh(OPEN)
    await (await talk.pbx.wait_call()).ring()
    [running] = await talk.gateway.until(lambda one: one["outcome"] is None)
    [call] = (await talk.gateway.get("/api/calls"))["calls"]
    path = {"call": f"/api/calls/{call['call']}/hangup", "transfer": f"/api/transfers/{running['transfer']}/cancel"}
    await commanded(talk.gateway, path[what])
    assert (await calling.final()).start == f"SIP/2.0 487 {CALLED_OFF}"
    assert (await talk.gateway.ended())[0]["sentence"] == f"{CALLED_OFF}."


@pytest.mark.keeps("19.24")
async def test_a_fault_of_our_own(talk: Talk) -> None:
    caller, agent = await talk.transferor()
    assert (await agent.refer(f"<sip:{STEPLESS}@gw.example>")).code == 202
    await (await talk.pbx.wait_call()).ring()
    assert fragment((await agent.notifies())[-1]) == f"SIP/2.0 500 {UNREACHABLE}"
    await over(caller, agent)


@pytest.mark.keeps("19.24")
async def test_a_fault_of_our_own_with_a_fresh_invite(talk: Talk) -> None:
    calling = talk.fresh(STEPLESS)
    await (await talk.pbx.wait_call()).ring()
    assert (await calling.final()).start == f"SIP/2.0 500 {UNREACHABLE}"
    calling = talk.fresh(UNANSWERABLE)
    target = await talk.pbx.wait_call()
    await target.answer()
    assert (await calling.final()).start == f"SIP/2.0 500 {UNREACHABLE}"
    await target.wait_request("BYE")


@pytest.mark.keeps("19.38")
async def test_a_caller_who_hangs_up_is_told_nothing(talk: Talk) -> None:
    caller, agent = await talk.transferor()
    assert (await agent.refer(f"<sip:{OPEN}@gw.example>")).code == 202
    await (await talk.pbx.wait_call()).ring()
    await caller.hang_up()
    assert fragment((await agent.notifies())[-1]) == "SIP/2.0 487 Request Terminated"
    await agent.wait_request("BYE")


@pytest.mark.keeps("19.25")
async def test_a_gateway_that_stops(own_net: Net, gateway: Gateway) -> None:
    """It takes no transfer more while it waits for those under way, and says of these why they came to nothing."""
    async with Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx:
        talks: list[tuple[Talk, Call, Call, Call]] = []
        async with Peer(own_net.host(31)) as at_once, Peer(own_net.host(41)) as in_notify:
            for platform, (_, number) in zip((at_once, in_notify), PLACES.values(), strict=True):
                talk = Talk(own_net, gateway, pbx, platform, number)
                _, referring = await talk.transferor()
                _, late = await talk.transferor()
                assert (await referring.refer(f"<sip:{OPEN}@gw.example>")).code == 202
                await (await pbx.wait_call()).ring()
                calling = talk.fresh(OPEN)
                await (await pbx.wait_call()).ring()
                talks.append((talk, referring, late, calling))
            gateway.terminate()

            async def draining() -> bool:
                return (await gateway.http("GET", "/readyz"))[0] == 503

            await eventually(draining, "the gateway stops")
            for _, _, late, _ in talks:
                assert await told(late, f"sip:{OPEN}@gw.example") == f"SIP/2.0 503 {FULL}"
            for _, referring, _, calling in talks:
                assert fragment((await referring.notifies())[-1]) == f"SIP/2.0 503 {UNREACHABLE}"
                assert (await calling.final()).start == f"SIP/2.0 503 {UNREACHABLE}"

            async def ended() -> bool:
                return gateway.child.exit_code is not None

            await eventually(ended, "the gateway's end", timeout_s=30)
            await gateway.start()


@pytest.mark.keeps("19.22")
@pytest.mark.parametrize("place", PLACES)
async def test_sipp_reads_what_is_wrong_with_a_refer(own_net: Net, gateway: Gateway, place: str) -> None:
    host, number = PLACES[place]
    steps = []
    asked: list[tuple[int, str, list[str]]] = [
        (400, "http://gw.example", []),
        (420, f"sip:{OPEN}@gw.example", ["Require: telepathy"]),
    ]
    for at, (code, target, headers) in enumerate(asked, 1):
        steps.append(refer(f"<{target}>", *headers, number=at))
        if place == "response":
            steps.append(response(code))
        else:
            event = f"refer;id={at}" if at > 1 else "refer"
            steps += [response(202), notify(code, OVER, event=event, phrase=".+")]
    messages = await played(
        [*steps, bye()], own_net.host(host), (own_net.pbx, PBX_PORT), gateway.sip, number, transferred=False
    )
    assert handed_on(messages) == {f"call transfer failed: sip status: {code}: {IMPOSSIBLE}" for code in (400, 420)}
