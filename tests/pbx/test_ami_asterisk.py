# SPDX-License-Identifier: GPL-2.0-or-later
"""The source of a PBX's state against a real Asterisk, with the shipped AMI user and phones that come and go."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gateway.core.model import DeviceState
from tests.pbx.fake_ami import Listener
from tests.pbx.followed_asterisk import BOOT_S, counts, running, sales_become
from tests.support.asterisk import SIP_PORT, Asterisk
from tests.support.peer import Peer

if TYPE_CHECKING:
    from gateway.core.model import QueueState
    from tests.conftest import Phones
    from tests.support.processes import Net

pytestmark = pytest.mark.pbx


async def summary(pbx: Asterisk) -> dict[str, tuple[int, int, int]]:
    """Logged in, available and waiting of each queue, in the PBX's own count."""
    return {
        each["Queue"]: (int(each["LoggedIn"]), int(each["Available"]), int(each["Callers"]))
        for each in (await pbx.action("QueueSummary"))[1:]
    }


async def test_every_change_counts_as_the_pbx_itself_counts(pbx: Asterisk, phones: Phones, listener: Listener) -> None:
    await phones("6001")
    bert = await phones("6002", manner="ring")
    async with running(pbx, listener) as source:
        await listener.known(within=BOOT_S)
        await sales_become(listener, 2, 2)

        async def agreed() -> None:
            assert {name: counts(queue) for name, queue in source.state.queues.items()} == await summary(pbx)

        await agreed()
        await pbx.pause("6001")
        await sales_become(listener, 2, 1)
        assert source.state.queues["sales"].paused == 1
        await agreed()
        await pbx.pause("6001", paused=False)
        await sales_become(listener, 2, 2)
        await agreed()
        await pbx.add_member("sales", "6003")
        await sales_become(listener, 2, 2)
        await agreed()
        await phones("6003")
        await sales_become(listener, 3, 3)
        await agreed()
        await pbx.remove_member("sales", "6003")
        await sales_become(listener, 2, 2)
        await agreed()
        await bert.stop()
        await sales_become(listener, 1, 1)
        await agreed()
        await bert.start()
        await sales_become(listener, 2, 2)
        await agreed()
        began = time.monotonic()
        await bert.kill()
        print(f"\na killed phone was noticed after {await sales_become(listener, 1, 1) - began:.1f} s")
        await agreed()


@pytest.mark.keeps("20.26")
async def test_a_phone_that_is_unplugged_is_not_there_whatever_its_do_not_disturb_says(
    pbx: Asterisk, phones: Phones, listener: Listener
) -> None:
    """Asterisk says of the hint that it is idle: a do-not-disturb that was set once is a device that is there."""
    carol = await phones("6003")

    async def becomes(state: DeviceState) -> None:
        await listener.until(lambda: listener.states[-1].extensions.get("6013") is state, within=15)

    async with running(pbx, listener, extensions=("6003", "6013")):
        await listener.known(within=BOOT_S)
        await becomes(DeviceState.IDLE)
        await pbx.cli("devstate change Custom:DND6003 BUSY")
        await becomes(DeviceState.BUSY)
        await pbx.cli("devstate change Custom:DND6003 NOT_INUSE")
        await becomes(DeviceState.IDLE)
        await carol.stop()
        await becomes(DeviceState.UNAVAILABLE)
        listed = [one for one in await pbx.action("ExtensionStateList") if one.get("Exten") == "6013"]
        assert [(one["Status"], one["Hint"]) for one in listed] == [("0", "PJSIP/6003&Custom:DND6003")]
        await carol.start()
        await becomes(DeviceState.IDLE)


@pytest.mark.alone
async def test_an_event_is_in_the_snapshot_within_milliseconds(
    pbx: Asterisk, phones: Phones, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    await phones("6001")
    whole, beside = [], []
    async with running(pbx, listener), pbx.ami() as ami:
        await listener.known(within=BOOT_S)

        async def event_comes(after: int) -> float:
            await ami.event("QueueMemberPause", after=after, Queue="sales")
            return time.monotonic()

        for paused in (True, False) * 10:
            events = asyncio.create_task(event_comes(len(ami.events)))
            snapshot = asyncio.create_task(sales_become(listener, 1, 0 if paused else 1))
            began = time.monotonic()
            await ami.action("QueuePause", Interface="PJSIP/6001", Paused=str(paused).lower())
            whole.append(await snapshot - began)
            beside.append(await snapshot - await events)
    whole.sort()
    beside.sort()
    with capsys.disabled():
        print(
            f"\nfrom an agent's pause, asked of the PBX, to our snapshot: median {whole[10] * 1e3:.1f} ms, worst"
            f" {whole[-1] * 1e3:.1f} ms; {beside[10] * 1e3:+.1f} ms against another connection that gets the same event"
        )
    assert whole[10] < 0.05
    assert beside[10] < 0.02


async def test_calls_change_agents_and_callers(pbx: Asterisk, phones: Phones, listener: Listener, net: Net) -> None:
    anna = await phones("6001", manner="ring")
    async with running(pbx, listener) as source, Peer(net.gateway, 5060, user="gateway") as gateway:
        await listener.known(within=BOOT_S)
        await sales_become(listener, 1, 1)
        assert source.state.extensions == {
            "6001": DeviceState.IDLE,
            "6002": DeviceState.UNAVAILABLE,
            "6009": DeviceState.UNAVAILABLE,
        }
        call = gateway.invite(f"sip:6500@{pbx.host}", (pbx.host, SIP_PORT))
        await sales_become(listener, 1, 0, callers=1)
        await listener.until(lambda: listener.states[-1].extensions["6001"] is DeviceState.RINGING)
        assert (await summary(pbx))["sales"] == (1, 0, 1)
        assert source.state.queues["sales"].longest_wait_s >= 0
        await anna.pick_up()
        await listener.until(lambda: listener.states[-1].extensions["6001"] is DeviceState.IN_USE)
        await sales_become(listener, 1, 0)
        await call.answered()
        await call.hang_up()
        await sales_become(listener, 1, 1)
        assert (await summary(pbx))["sales"] == (1, 1, 0)


async def test_the_expected_wait_comes_from_the_queue_s_own_calls(
    pbx: Asterisk, phones: Phones, listener: Listener, net: Net
) -> None:
    await pbx.cli("queue reset stats sales")
    anna = await phones("6001")
    async with running(pbx, listener) as source, Peer(net.gateway, 5060, user="gateway") as gateway, pbx.ami() as ami:
        await listener.known(within=BOOT_S)

        def sales() -> QueueState:
            return source.state.queues["sales"]

        async def talk(seconds: float) -> int:
            """A call of the queue; the seconds it took, as the PBX tells."""
            seen = len(ami.events)
            call = gateway.invite(f"sip:6500@{pbx.host}", (pbx.host, SIP_PORT))
            await call.answered()
            await sales_become(listener, 1, 0)
            await asyncio.sleep(seconds)
            await call.hang_up()
            complete = await ami.event("AgentComplete", after=seen, Queue="sales")
            await sales_become(listener, 1, 1)
            return int(complete["TalkTime"])

        await sales_become(listener, 1, 1)
        assert (sales().mean_talk_s, sales().expected_wait_s) == (None, 0.0)
        await anna.dial("6011")
        await anna.event("CALL_RINGING")  # a phone may not take back what has not been answered at all (RFC 3261 §9.1)
        await sales_become(listener, 1, 0)
        assert sales().expected_wait_s is None
        await anna.hang_up()
        await sales_become(listener, 1, 1)

        first = await talk(2.1)
        second = await talk(1.1)
        mean_s = first + (second - first) / 4
        await listener.until(lambda: sales().mean_talk_s == mean_s)
        await anna.dial("6011")
        await sales_become(listener, 1, 0)
        assert sales().expected_wait_s == mean_s
        waiting = gateway.invite(f"sip:6500@{pbx.host}", (pbx.host, SIP_PORT))
        await sales_become(listener, 1, 0, callers=1)
        assert sales().expected_wait_s == 2 * mean_s
        await waiting.cancel()

    # Who comes later takes the PBX's own figure, in whole seconds.
    async with running(pbx, listener) as source:
        told = len(listener.states)
        await listener.until(lambda: any(state.queues for state in listener.states[told:]))
        rounded = sales().mean_talk_s
        assert rounded is not None
        assert abs(rounded - mean_s) < 1


async def test_a_caller_who_gives_up_is_no_longer_counted(
    pbx: Asterisk, phones: Phones, listener: Listener, net: Net
) -> None:
    await phones("6001", manner="ring")
    async with running(pbx, listener), Peer(net.gateway, 5060, user="gateway") as gateway:
        await listener.known(within=BOOT_S)
        call = gateway.invite(f"sip:6500@{pbx.host}", (pbx.host, SIP_PORT))
        await sales_become(listener, 1, 0, callers=1)
        await call.cancel()
        await sales_become(listener, 1, 1)
        assert listener.connected == []


async def test_a_caller_who_waited_before_the_gateway_came(
    pbx: Asterisk, phones: Phones, listener: Listener, net: Net
) -> None:
    await phones("6001", manner="ring")
    async with pbx.ami() as ami, Peer(net.gateway, 5060, user="gateway") as gateway:
        call = gateway.invite(f"sip:6510@{pbx.host}", (pbx.host, SIP_PORT))
        await phones("6003", manner="ring")
        assert (await call.final()).code == 503
        call = gateway.invite(f"sip:6510@{pbx.host}", (pbx.host, SIP_PORT))
        await ami.event("QueueCallerJoin", Queue="tiny")
        async with running(pbx, listener):
            await listener.known(within=BOOT_S)
            await listener.until(lambda: listener.states[-1].queues["tiny"].callers == 1)
            assert listener.states[-1].queues["tiny"].max_len == 1
        await call.cancel()


async def test_the_agent_who_answers_is_told_with_the_dialog_call_id(
    pbx: Asterisk, phones: Phones, listener: Listener, net: Net
) -> None:
    await phones("6001")
    async with running(pbx, listener), Peer(net.gateway, 5060, user="gateway") as gateway:
        await listener.known(within=BOOT_S)
        before = datetime.now(UTC)
        call = gateway.invite(f"sip:6500@{pbx.host}", (pbx.host, SIP_PORT))
        await call.answered()
        await listener.until(lambda: bool(listener.connected))
        ((name, call_id, agent, at),) = listener.connected
        assert (name, call_id, agent) == ("office", call.call_id, "PJSIP/6001")
        assert listener.queued == [("office", call.call_id, "sales", 1)]
        assert before <= at <= datetime.now(UTC)
        await call.hang_up()
