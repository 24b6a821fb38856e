# SPDX-License-Identifier: GPL-2.0-or-later
"""The source of a PBX's state against a real Asterisk, with the shipped AMI user and phones that come and go."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.clock import LoopClock
from gateway.core.model import DeviceState
from gateway.pbx.asterisk.ami_source import AmiSource, AmiTiming
from tests.pbx.fake_ami import Listener
from tests.pbx.followed import followed
from tests.support.asterisk import GATEWAY_AMI, SIP_PORT, Asterisk
from tests.support.peer import Peer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from gateway.core.model import QueueState
    from tests.conftest import Phones
    from tests.support.processes import Net

pytestmark = pytest.mark.pbx

TIMING = AmiTiming(retry_max_s=1.0)
BOOT_S = 12.0  # a start, its settling time, and room for a busy machine


def running(
    pbx: Asterisk,
    listener: Listener,
    *,
    secret: str = GATEWAY_AMI[1],
    max_age: timedelta = timedelta(seconds=10),
    timing: AmiTiming = TIMING,
) -> AbstractAsyncContextManager[AmiSource]:
    source = AmiSource(
        pbx="office",
        host="127.0.0.1",
        port=pbx.ami_port,
        username=GATEWAY_AMI[0],
        secret=secret,
        queues={"sales", "slow", "support", "tiny"},
        extensions={"6001", "6002", "6009", "6500"},
        listener=listener,
        max_age=max_age,
        timing=timing,
        clock=LoopClock(),
    )
    return followed(source)


@pytest.fixture
async def listener() -> Listener:
    return Listener()


async def summary(pbx: Asterisk) -> dict[str, tuple[int, int, int]]:
    """Logged in, available and waiting of each queue, in the PBX's own count."""
    return {
        each["Queue"]: (int(each["LoggedIn"]), int(each["Available"]), int(each["Callers"]))
        for each in (await pbx.action("QueueSummary"))[1:]
    }


def counts(queue: QueueState) -> tuple[int, int, int]:
    return queue.logged_in, queue.available, queue.callers


async def registered(pbx: Asterisk) -> bool:
    # Asterisk gives a COMMIT up, and tries no other, while a reader holds SQLite's lock: so this one takes none.
    database_file = pbx.directory / "var" / "astdb.sqlite3"
    file = f"file:{database_file}?mode=ro&immutable=1"
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(file, uri=True)) as database:
        rows = database.execute("SELECT key FROM astdb WHERE key LIKE '/registrar/contact/%'").fetchall()
        # While the journal stands, the COMMIT is not done: killed now, the next start rolls it back.
        return len(rows) >= 2 and not database_file.with_name("astdb.sqlite3-journal").exists()
    return False  # half written


async def sales_become(listener: Listener, logged_in: int, available: int, callers: int = 0) -> float:
    """Wait until sales has these counts; returns time.monotonic() of then."""
    wanted = (logged_in, available, callers)
    await listener.until(
        lambda: "sales" in listener.states[-1].queues and counts(listener.states[-1].queues["sales"]) == wanted,
        within=10,
    )
    return time.monotonic()


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
        assert before <= at <= datetime.now(UTC)
        await call.hang_up()


async def test_a_killed_pbx_is_unknown_then_known_again_and_never_wrong(
    pbx: Asterisk, phones: Phones, listener: Listener
) -> None:
    await phones("6001")
    await phones("6002")
    async with running(pbx, listener) as source:
        await listener.known(within=BOOT_S)
        await sales_become(listener, 2, 2)
        first = len(listener.states)
        # The PBX writes a registration to disk about a second after it came; a crash before loses it.
        await eventually(lambda: registered(pbx), "both registrations on disk")
        await pbx.kill()
        await listener.unknown("not connected to the PBX")
        began = time.monotonic()
        await pbx.start()
        await listener.known(within=BOOT_S)
        print(f"\nknown {time.monotonic() - began:.1f} s after the start began")
        await sales_become(listener, 2, 2)
        for state in listener.states[first:]:
            # A slow machine's phones are back later than the PBX is known: until then nothing is said of their queue.
            told = state.queues.get("sales")
            unknown = state.proven_at is None or ("queue", "sales") in state.unsettled
            assert unknown if told is None else counts(told) == (2, 2, 0)
        assert source.up
        await pbx.pause("6001")
        await sales_become(listener, 2, 1)


async def test_a_frozen_pbx_is_unknown_within_its_age_and_known_when_it_thaws(
    pbx: Asterisk, listener: Listener
) -> None:
    assert pbx.child is not None
    async with running(pbx, listener, max_age=timedelta(seconds=1.5), timing=AmiTiming(retry_max_s=0.5)) as source:
        await listener.known(within=BOOT_S)
        pbx.child.signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            await listener.unknown("the PBX does not answer")
        finally:
            pbx.child.signal(signal.SIGCONT)
        assert time.monotonic() - began < 2.5
        assert not source.up
        await listener.known(within=BOOT_S)


async def test_a_stopped_pbx_is_unknown_at_once(pbx: Asterisk, listener: Listener) -> None:
    async with running(pbx, listener):
        await listener.known(within=BOOT_S)
        told = len(listener.states)
        await pbx.stop()
        await listener.until(lambda: len(listener.states) > told)
        # A busy PBX at times closes its connections before the goodbye is out.
        assert listener.states[told].unknown_because in (
            "not connected to the PBX: the PBX is shutting down",
            "not connected to the PBX: the PBX closed the connection",
        )


async def test_a_wrong_password(pbx: Asterisk, listener: Listener) -> None:
    with capture_logs() as logs:
        async with running(pbx, listener, secret="wrong", timing=AmiTiming(refused_retry_s=0.1)) as source:
            await listener.unknown("login refused: Authentication failed")
            async with pbx.ami():
                pass
            assert not source.up
    assert [line["event"] for line in logs if line["log_level"] != "debug"] == ["ami-login-refused"]


async def test_the_shipped_rights_are_enough(pbx: Asterisk, listener: Listener) -> None:
    with capture_logs() as logs:
        async with running(pbx, listener) as source:
            await listener.known(within=BOOT_S)
            assert source.state.queues.keys() == {"sales", "slow", "support", "tiny"}
            assert {"6001", "6009"} <= source.state.extensions.keys()
    assert not [line for line in logs if "does not tell" in line["event"]]
