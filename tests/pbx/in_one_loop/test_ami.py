# SPDX-License-Identifier: GPL-2.0-or-later
"""The source of a PBX's state, against a manager interface that does what each test says."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
from structlog.typing import EventDict

from gateway.core.model import DeviceState
from gateway.pbx.asterisk.ami_source import AmiSource, AmiTiming
from gateway.ports import Clock
from tests.bench.clock import VirtualClock
from tests.bench.jumping_loop import JumpingLoop, clock_of_loop
from tests.pbx.fake_ami import FakeAmi, Listener, caller, changed, error, hint, listing, member, ok
from tests.pbx.followed import followed

event_loop = JumpingLoop

QUICK = AmiTiming(
    login_s=2.0,
    settle_s=0.2,
    missing_s=0.4,
    resync_s=60.0,
    starting_s=0.01,
    doubt_s=0.01,
    retry_min_s=0.01,
    retry_max_s=0.02,
    refused_retry_s=0.01,
)
PATIENT = timedelta(seconds=60)
HASTY = timedelta(seconds=0.15)
BRISK = timedelta(seconds=0.6)  # for tests that must not lose the PBX on a busy machine


class Reachable(Protocol):
    """A manager interface on loopback, wherever it runs."""

    port: int
    secret: str


def running(
    pbx: Reachable,
    listener: Listener,
    *,
    max_age: timedelta = PATIENT,
    timing: AmiTiming = QUICK,
    secret: str | None = None,
    queues: frozenset[str] = frozenset({"sales"}),
    extensions: frozenset[str] = frozenset({"6001"}),
    clock: Clock | None = None,
) -> AbstractAsyncContextManager[AmiSource]:
    source = AmiSource(
        pbx="office",
        host="127.0.0.1",
        port=pbx.port,
        username="gateway",
        secret=secret or pbx.secret,
        queues=queues,
        extensions=extensions,
        listener=listener,
        max_age=max_age,
        timing=timing,
        clock=clock or clock_of_loop(),
    )
    return followed(source)


async def test_it_learns_everything_on_connecting(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener) as source:
        assert source.state.proven_at is None
        assert source.state.unknown_because == "not connected to the PBX yet"
        state = await listener.known()
        assert (state.queues["sales"].logged_in, state.queues["sales"].available) == (2, 2)
        assert state.extensions == {"6001": DeviceState.IDLE}
        assert state.fresh(datetime.now(UTC))
        assert source.state == state
        assert source.up


async def test_the_secret_never_travels(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener):
        await listener.known()
        assert not any("right" in value for action in pbx.actions for value in action.values())


async def test_an_event_is_in_the_snapshot_when_the_listener_is_told(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener) as source:
        await listener.known()
        reads = pbx.count("QueueStatus")
        pbx.send(
            changed("QueueMemberPause", "PJSIP/6001", paused=1), changed("QueueMemberStatus", "PJSIP/6002", status=5)
        )
        await listener.until(lambda: listener.states[-1].queues["sales"].available == 0)
        assert source.state.queues["sales"].logged_in == 1
        pbx.send(hint("6001", 1))
        await listener.until(lambda: listener.states[-1].extensions["6001"] is DeviceState.IN_USE)
        assert pbx.count("QueueStatus") == reads


async def test_the_listener_is_not_told_of_what_changes_nothing(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener):
        await listener.known()
        told = len(listener.states)
        noise = changed("QueueMemberStatus", "PJSIP/6001"), {"Event": "Newchannel", "Channel": "PJSIP/6001-1"}
        pbx.send(*noise, changed("QueueMemberPause", "PJSIP/6001", paused=1))
        await listener.until(lambda: listener.states[-1].queues["sales"].paused == 1)
        assert len(listener.states) == told + 1


async def test_an_event_right_behind_a_list_is_not_undone_by_it(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener) as source:
        await listener.known()
        pbx.script["QueueStatus"] = None
        source.reconfigure({"sales"}, {"6001"})
        asked = await pbx.asked("QueueStatus", pbx.count("QueueStatus") + 1)
        listed = listing([{"Event": "QueueParams", "Queue": "sales"}, {**member("PJSIP/6001"), "Queue": "sales"}])
        late = changed("QueueMemberPause", "PJSIP/6001", paused=1)
        pbx.send(*({**block, "ActionID": asked["ActionID"]} for block in listed), late)
        await listener.until(lambda: listener.states[-1].queues["sales"].logged_in == 1)
        await listener.until(lambda: listener.states[-1].queues["sales"].available == 0)


async def test_a_change_without_an_event_is_found_at_the_next_heartbeat(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener, max_age=HASTY):
        await listener.known()
        pbx.queues["sales"] = [member("PJSIP/6001", paused=1)]
        await listener.until(lambda: listener.states[-1].queues["sales"].paused == 1)


async def test_what_does_not_fit_makes_it_read_anew(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener):
        await listener.known()
        reads = pbx.count("QueueStatus")
        pbx.send(caller("QueueCallerJoin", "1", Count="3"))
        await pbx.asked("QueueStatus", reads + 1)


@pytest.mark.keeps("16.86")
async def test_waiting_callers(pbx: FakeAmi, listener: Listener) -> None:
    clock = VirtualClock(datetime.now(UTC))
    async with running(pbx, listener, clock=clock) as source:
        await listener.known()
        clock.advance(1)  # or the next change would wait for its turn
        pbx.send(caller("QueueCallerJoin", "1", Count="1"))
        await listener.until(lambda: listener.states[-1].queues["sales"].callers == 1)
        clock.advance(42)
        assert source.state.queues["sales"].longest_wait_s == 42.0
        # Whoever sets the machine's clock changes nothing of how long somebody waits.
        clock.set_by += timedelta(hours=1)
        assert source.state.queues["sales"].longest_wait_s == 42.0


async def test_a_caller_who_leaves_is_no_longer_counted(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener):
        await listener.known()
        pbx.send(caller("QueueCallerJoin", "1", Count="1"))
        await listener.until(lambda: listener.states[-1].queues["sales"].callers == 1)
        pbx.send(caller("QueueCallerLeave", "1", Count="0"))
        await listener.until(lambda: listener.states[-1].queues["sales"].callers == 0)


async def test_a_quiet_pbx_stays_fresh(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener, max_age=BRISK) as source:
        first = (await listener.known()).proven_at
        await pbx.asked("QueueSummary", 5)
        assert source.up
        assert first is not None
        assert source.state.proven_at is not None
        assert source.state.proven_at - first > BRISK
        assert all(state.proven_at for state in listener.states)


@pytest.mark.keeps("16.86")
async def test_a_snapshot_is_as_old_as_it_is_whatever_the_machine_s_clock_is_set_to(
    pbx: FakeAmi, listener: Listener
) -> None:
    clock = VirtualClock(datetime.now(UTC))
    async with running(pbx, listener, clock=clock) as source:
        await listener.known()
        for change in ({"hours": 1}, {"hours": -3}, {"days": 400}):
            clock.set_by += timedelta(**change)
            assert source.state.fresh(clock.now().wall)
            assert source.state.proven_at == clock.now().wall
            assert source.up
        # The PBX says nothing more: its snapshot grows old, and no clock that is set back makes it young again.
        pbx.script["QueueSummary"] = None
        clock.advance(PATIENT.total_seconds() + 1)
        clock.set_by += timedelta(hours=-1)
        assert not source.state.fresh(clock.now().wall)
        clock.set_by += timedelta(hours=2)
        assert not source.state.fresh(clock.now().wall)


async def test_without_queues_it_pings(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener, max_age=HASTY, queues=frozenset()):
        await listener.known()
        await pbx.asked("Ping", 4)
        assert pbx.count("QueueStatus") == pbx.count("QueueSummary") == 0


async def test_a_frozen_pbx_becomes_unknown_in_time(pbx: FakeAmi, listener: Listener, logs: list[EventDict]) -> None:
    async with running(pbx, listener, max_age=HASTY) as source:
        await listener.known()
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
    async with running(pbx, listener) as source:
        await listener.known()
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
    async with running(pbx, listener, timing=timing) as source:
        await listener.known()
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
    async with running(pbx, listener, timing=timing, extensions=frozenset({"6001", "6003"})):
        await listener.known()
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
    async with running(pbx, listener, timing=replace(QUICK, settle_s=60.0, missing_s=60.0)):
        await listener.known()
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
    async with running(pbx, listener):
        await listener.known()
        pbx.queues["sales"] = [member("PJSIP/6001", status=5)]
        pbx.send({"Event": "FullyBooted", "Uptime": "0"}, changed("QueueMemberStatus", "PJSIP/6001", status=5))
        await listener.unknown("the PBX has just started")
        await listener.known()


async def test_fully_booted_of_long_ago_changes_nothing(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener):
        await listener.known()
        reads = pbx.count("QueueStatus")
        pbx.send({"Event": "FullyBooted", "Uptime": "86400"})
        await pbx.asked("QueueStatus", reads + 1)
        assert all(state.proven_at for state in listener.states)


async def test_a_shutdown_is_known_before_the_connection_ends(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener):
        await listener.known()
        pbx.greeting = b""
        pbx.send({"Event": "Shutdown", "Shutdown": "Cleanly", "Restart": "False"})
        await listener.unknown("the PBX is shutting down")


async def test_an_agent_who_answers_is_told_with_the_call_id(pbx: FakeAmi, listener: Listener) -> None:
    pbx.call_ids["PJSIP/gw-1"] = "abc@127.0.0.2"
    async with running(pbx, listener):
        await listener.known()
        pbx.send(caller("QueueCallerJoin", "1", Count="1"))
        asked = await pbx.asked("Getvar")
        assert (asked["Channel"], asked["Variable"]) == ("PJSIP/gw-1", "CHANNEL(pjsip,call-id)")
        # The caller's channel may be gone by then.
        pbx.call_ids.clear()
        pbx.send(caller("QueueCallerLeave", "1", Count="0"), caller("AgentConnect", "1", Interface="PJSIP/6001"))
        await listener.until(lambda: bool(listener.connected))
        ((name, call_id, agent, at),) = listener.connected
        assert (name, call_id, agent) == ("office", "abc@127.0.0.2", "PJSIP/6001")
        assert abs(datetime.now(UTC) - at) < timedelta(seconds=5)
        assert pbx.count("Getvar") == 1


async def test_an_agent_who_answers_a_caller_unseen_before(pbx: FakeAmi, listener: Listener) -> None:
    pbx.call_ids["PJSIP/gw-1"] = "abc@127.0.0.2"
    async with running(pbx, listener):
        await listener.known()
        pbx.send(caller("AgentConnect", "1", Interface="PJSIP/6001"))
        await listener.until(lambda: bool(listener.connected))


async def test_a_caller_through_a_local_channel_is_found_by_where_it_began(pbx: FakeAmi, listener: Listener) -> None:
    pbx.call_ids["17"] = "abc@127.0.0.2"
    async with running(pbx, listener):
        await listener.known()
        pbx.send({**caller("AgentConnect", "18", "Local/6500@in-1;2", Interface="PJSIP/6001"), "Linkedid": "17"})
        await listener.until(lambda: bool(listener.connected))
        assert listener.connected[0][1] == "abc@127.0.0.2"


async def test_a_channel_name_that_would_be_an_action_is_not_sent(pbx: FakeAmi, listener: Listener) -> None:
    async with running(pbx, listener):
        await listener.known()
        pbx.send_raw(b"Event: AgentConnect\r\nUniqueid: 1\r\nChannel: PJSIP/a\rAction: x\r\nLinkedid: 1\r\n\r\n")
        pbx.send(changed("QueueMemberPause", "PJSIP/6001", paused=1))
        await listener.until(lambda: listener.states[-1].queues["sales"].paused == 1)
        assert pbx.count("Getvar") == 0
        assert listener.connected == []


async def test_an_extension_without_a_hint_is_known_by_its_device(pbx: FakeAmi, listener: Listener) -> None:
    pbx.devices["PJSIP/6002"] = "NOT_INUSE"
    async with running(pbx, listener, max_age=HASTY, extensions=frozenset({"6001", "6002", "6003", "60)04"})):
        state = await listener.known()
        assert state.extensions == {"6001": DeviceState.IDLE, "6002": DeviceState.IDLE}
        pbx.devices["PJSIP/6002"] = "BUSY"
        await listener.until(lambda: listener.states[-1].extensions["6002"] is DeviceState.BUSY)


async def test_a_pbx_without_any_hint(pbx: FakeAmi, listener: Listener) -> None:
    pbx.script["ExtensionStateList"] = [error("No dialplan hints are available")]
    pbx.devices["PJSIP/6001"] = "UNAVAILABLE"
    async with running(pbx, listener):
        assert (await listener.known()).extensions == {"6001": DeviceState.UNAVAILABLE}


async def test_a_queue_the_pbx_does_not_know(pbx: FakeAmi, listener: Listener, logs: list[EventDict]) -> None:
    async with running(pbx, listener, queues=frozenset({"sales", "nowhere"})):
        assert (await listener.known()).queues.keys() == {"sales"}
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert line["queues"] == ["nowhere"]


async def test_half_a_list_is_no_list(pbx: FakeAmi, listener: Listener) -> None:
    params = {"Event": "QueueParams", "Queue": "sales", "Max": "0"}
    pbx.script["QueueStatus"] = listing([params, {**member("PJSIP/6001"), "Queue": "sales"}], announced=3)
    async with running(pbx, listener):
        assert (await listener.known()).queues == {}


async def test_reconfiguring_while_it_runs(pbx: FakeAmi, listener: Listener) -> None:
    pbx.queues["support"] = [member("PJSIP/6003")]
    pbx.hints.append(hint("6003", 0))
    async with running(pbx, listener) as source:
        await listener.known()
        source.reconfigure({"support"}, {"6003"})
        assert source.state.queues == {}
        await listener.until(lambda: listener.states[-1].extensions == {"6003": DeviceState.IDLE})
        assert source.state.queues["support"].available == 1
        assert source.state.queues.keys() == {"support"}


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


async def test_a_flood_does_not_hide_an_event(pbx: FakeAmi, listener: Listener) -> None:
    noise = b"Event: TestEvent\r\nType: StateChange\r\nState: " + 500 * b"x" + b"\r\n\r\n"
    async with running(pbx, listener):
        await listener.known()
        pbx.send_raw(2_000 * noise + 40_000 * b"y" + b"\r\n\r\n")
        pbx.send(changed("QueueMemberPause", "PJSIP/6001", paused=1))
        await listener.until(lambda: listener.states[-1].queues["sales"].paused == 1)


async def test_less_rights_than_needed_is_no_reason_to_fail(pbx: FakeAmi, listener: Listener) -> None:
    pbx.script = {"CoreStatus": [error("Permission denied")], "ExtensionStateList": [error("Permission denied")]}
    async with running(pbx, listener):
        assert (await listener.known()).queues["sales"].available == 2


async def test_strange_answers_do_no_harm(pbx: FakeAmi, listener: Listener) -> None:
    pbx.script["CoreStatus"] = [ok(CoreStartupDate="yesterday", CoreStartupTime="\N{GREEK SMALL LETTER ALPHA}")]
    pbx.script["Ping"] = [ok(Timestamp="-inf")]
    async with running(pbx, listener):
        assert (await listener.known()).queues["sales"].available == 2
