# SPDX-License-Identifier: GPL-2.0-or-later
"""A manager interface that refuses, goes away, comes back or has just started, and when it is believed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.typing import EventDict

from gateway.core.model import DeviceState
from tests.bench.jumping_loop import JumpingLoop
from tests.pbx.fake_ami import FakeAmi, Listener, changed, error, hint, member
from tests.pbx.running_ami import HASTY, QUICK, known, running

event_loop = JumpingLoop


async def test_the_secret_never_travels(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
        assert not any("right" in value for action in pbx.actions for value in action.values())


async def test_a_frozen_pbx_becomes_unknown_in_time(pbx: FakeAmi, listener: Listener, logs: list[EventDict]) -> None:
    async with known(pbx, listener, max_age=HASTY) as source:
        pbx.script = {"QueueSummary": None, "Challenge": None}
        await listener.unknown("the PBX does not answer")
        assert source.state.queues == {}
        proven = max(state.proven_at for state in listener.states if state.proven_at)
        assert datetime.now(UTC) - proven < HASTY + timedelta(seconds=1)
        assert not source.up
        pbx.script = {}
        pbx.drop()
        await listener.known()
    told = [line for line in logs if line["log_level"] != "debug"]
    assert [line["event"] for line in told].count("pbx-unknown") <= 2


async def test_a_wrong_secret_is_one_clear_error(pbx: FakeAmi, listener: Listener, logs: list[EventDict]) -> None:
    async with running(pbx, listener, secret="wrong") as source:
        await pbx.asked("Login", 5)
        assert not source.up
        assert source.state.unknown_because == "login refused: Authentication failed"
        assert len(listener.states) == 1
    errors = [line for line in logs if line["log_level"] in {"error", "warning", "info"}]
    assert [(line["log_level"], line["event"]) for line in errors] == [("error", "ami-login-refused")]
    assert not any("wrong" in str(value) for line in logs for value in line.values())


async def test_a_refused_login_is_tried_again_slowly(pbx: FakeAmi, listener: Listener) -> None:
    timing = replace(QUICK, refused_retry_s=60.0)
    async with running(pbx, listener, secret="wrong", timing=timing):
        await listener.unknown("login refused")
        with pytest.raises(TimeoutError):
            await pbx.asked("Login", 2, within=0.1)


async def test_the_right_secret_later_is_enough(pbx: FakeAmi, listener: Listener) -> None:
    pbx.secret = "another"
    async with running(pbx, listener, secret="right"):
        await listener.unknown("login refused")
        pbx.secret = "right"
        await listener.known()


async def test_a_lost_connection_is_made_anew(pbx: FakeAmi, listener: Listener, logs: list[EventDict]) -> None:
    async with known(pbx, listener) as source:
        port = pbx.port
        await pbx.stop()
        await listener.unknown("not connected to the PBX: connection refused")
        assert not source.up
        pbx.queues["sales"] = [member("PJSIP/6001")]
        await pbx.listen(port)
        state = await listener.known()
        assert state.queues["sales"].logged_in == 1
    # The attempts between are not worth a line each.
    assert sum(line["log_level"] == "warning" for line in logs) <= 2


async def test_a_restarted_pbx_is_believed_when_everybody_is_back(pbx: FakeAmi, listener: Listener) -> None:
    timing = replace(QUICK, settle_s=60.0, missing_s=60.0)
    async with known(pbx, listener, timing=timing) as source:
        before = len(listener.states)
        pbx.restarted()
        pbx.queues["sales"] = [member("PJSIP/6001", status=5), member("PJSIP/6002", status=5)]
        pbx.hints = [hint("6001", 4)]
        pbx.drop()
        await listener.unknown("the PBX has just started")
        assert source.up
        pbx.send(changed("QueueMemberStatus", "PJSIP/6001"), hint("6001", 0))
        with pytest.raises(TimeoutError):
            await listener.until(lambda: listener.states[-1].proven_at is not None, within=0.05)
        pbx.send(changed("QueueMemberStatus", "PJSIP/6002"))
        state = await listener.known()
        assert state.queues["sales"].available == 2
        assert all(told.proven_at is None for told in listener.states[before:-1])


async def test_a_queue_that_misses_somebody_is_unknown_for_longer(pbx: FakeAmi, listener: Listener) -> None:
    pbx.hints.append(hint("6003", 0))
    timing = replace(QUICK, settle_s=1.2, missing_s=1.7)
    async with known(pbx, listener, timing=timing, extensions=frozenset({"6001", "6003"})):
        pbx.restarted()
        pbx.queues["sales"] = [member("PJSIP/6001"), member("PJSIP/6002", status=5)]
        pbx.hints = [hint("6001", 0), hint("6003", 4)]
        pbx.drop()
        await listener.unknown("the PBX has just started")
        state = await listener.known()
        assert state.queues == {}
        assert state.extensions == {"6001": DeviceState.IDLE}
        await listener.until(lambda: bool(listener.states[-1].queues))
        assert listener.states[-1].queues["sales"].logged_in == 1
        assert listener.states[-1].extensions["6003"] is DeviceState.UNAVAILABLE


async def test_the_same_pbx_after_a_broken_connection_is_believed_at_once(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener, timing=replace(QUICK, settle_s=60.0, missing_s=60.0)):
        pbx.queues["sales"] = [member("PJSIP/6001", status=5)]
        pbx.drop()
        await listener.until(lambda: listener.states[-1].proven_at is None)
        assert (await listener.known()).queues["sales"].logged_in == 0


async def test_a_pbx_that_loads_its_queues_late(pbx: FakeAmi, listener: Listener) -> None:
    pbx.script["QueueStatus"] = [error("Invalid/unknown command: QueueStatus.")]
    async with running(pbx, listener):
        await listener.unknown("the PBX has just started")
        await pbx.asked("QueueStatus", 3)
        del pbx.script["QueueStatus"]
        assert (await listener.known()).queues["sales"].available == 2


async def test_fully_booted_starts_the_settling_time(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
        pbx.queues["sales"] = [member("PJSIP/6001", status=5)]
        pbx.send({"Event": "FullyBooted", "Uptime": "0"}, changed("QueueMemberStatus", "PJSIP/6001", status=5))
        await listener.unknown("the PBX has just started")
        await listener.known()


async def test_fully_booted_of_long_ago_changes_nothing(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
        reads = pbx.count("QueueStatus")
        pbx.send({"Event": "FullyBooted", "Uptime": "86400"})
        await pbx.asked("QueueStatus", reads + 1)
        assert all(state.proven_at for state in listener.states)


async def test_a_shutdown_is_known_before_the_connection_ends(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
        pbx.greeting = b""
        pbx.send({"Event": "Shutdown", "Shutdown": "Cleanly", "Restart": "False"})
        await listener.unknown("the PBX is shutting down")


async def test_another_service_at_the_address(pbx: FakeAmi, listener: Listener) -> None:
    pbx.greeting = b"SSH-2.0-OpenSSH_9.2\r\n"
    async with running(pbx, listener) as source:
        await listener.unknown("no manager interface there: it says 'SSH-2.0-OpenSSH_9.2")
        assert not source.up
        assert pbx.count("Login") == 0


async def test_a_pbx_that_says_nothing(pbx: FakeAmi, listener: Listener) -> None:
    pbx.greeting = b""
    pbx.script["Challenge"] = None
    async with running(pbx, listener, timing=replace(QUICK, login_s=0.05)):
        await listener.unknown("the PBX does not answer")


async def test_less_rights_than_needed_is_no_reason_to_fail(pbx: FakeAmi, listener: Listener) -> None:
    pbx.script = {"CoreStatus": [error("Permission denied")], "ExtensionStateList": [error("Permission denied")]}
    async with running(pbx, listener):
        assert (await listener.known()).queues["sales"].available == 2
