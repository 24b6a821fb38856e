# SPDX-License-Identifier: GPL-2.0-or-later
"""What the source of a PBX's state learns, against a manager interface that does what each test says."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.typing import EventDict

from gateway.core.model import DeviceState
from tests.bench.clock import VirtualClock
from tests.bench.jumping_loop import JumpingLoop
from tests.pbx.fake_ami import FakeAmi, Listener, caller, changed, error, hint, listing, member, ok
from tests.pbx.running_ami import BRISK, HASTY, PATIENT, known, running

event_loop = JumpingLoop


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


async def test_an_event_is_in_the_snapshot_when_the_listener_is_told(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener) as source:
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
    async with known(pbx, listener):
        told = len(listener.states)
        noise = changed("QueueMemberStatus", "PJSIP/6001"), {"Event": "Newchannel", "Channel": "PJSIP/6001-1"}
        pbx.send(*noise, changed("QueueMemberPause", "PJSIP/6001", paused=1))
        await listener.until(lambda: listener.states[-1].queues["sales"].paused == 1)
        assert len(listener.states) == told + 1


async def test_an_event_right_behind_a_list_is_not_undone_by_it(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener) as source:
        pbx.script["QueueStatus"] = None
        source.reconfigure({"sales"}, {"6001"})
        asked = await pbx.asked("QueueStatus", pbx.count("QueueStatus") + 1)
        listed = listing([{"Event": "QueueParams", "Queue": "sales"}, {**member("PJSIP/6001"), "Queue": "sales"}])
        late = changed("QueueMemberPause", "PJSIP/6001", paused=1)
        pbx.send(*({**block, "ActionID": asked["ActionID"]} for block in listed), late)
        await listener.until(lambda: listener.states[-1].queues["sales"].logged_in == 1)
        await listener.until(lambda: listener.states[-1].queues["sales"].available == 0)


async def test_a_change_without_an_event_is_found_at_the_next_heartbeat(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener, max_age=HASTY):
        pbx.queues["sales"] = [member("PJSIP/6001", paused=1)]
        await listener.until(lambda: listener.states[-1].queues["sales"].paused == 1)


async def test_what_does_not_fit_makes_it_read_anew(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
        reads = pbx.count("QueueStatus")
        pbx.send(caller("QueueCallerJoin", "1", Count="3"))
        await pbx.asked("QueueStatus", reads + 1)


@pytest.mark.keeps("16.86")
async def test_waiting_callers(pbx: FakeAmi, listener: Listener) -> None:
    clock = VirtualClock(datetime.now(UTC))
    async with known(pbx, listener, clock=clock) as source:
        clock.advance(1)  # or the next change would wait for its turn
        pbx.send(caller("QueueCallerJoin", "1", Count="1"))
        await listener.until(lambda: listener.states[-1].queues["sales"].callers == 1)
        clock.advance(42)
        assert source.state.queues["sales"].longest_wait_s == 42.0
        # Whoever sets the machine's clock changes nothing of how long somebody waits.
        clock.set_by += timedelta(hours=1)
        assert source.state.queues["sales"].longest_wait_s == 42.0


async def test_a_caller_who_leaves_is_no_longer_counted(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
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
    async with known(pbx, listener, clock=clock) as source:
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
    async with known(pbx, listener, max_age=HASTY, queues=frozenset()):
        await pbx.asked("Ping", 4)
        assert pbx.count("QueueStatus") == pbx.count("QueueSummary") == 0


async def test_an_agent_who_answers_is_told_with_the_call_id(pbx: FakeAmi, listener: Listener) -> None:
    pbx.call_ids["PJSIP/gw-1"] = "abc@127.0.0.2"
    async with known(pbx, listener):
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
    async with known(pbx, listener):
        pbx.send(caller("AgentConnect", "1", Interface="PJSIP/6001"))
        await listener.until(lambda: bool(listener.connected))


async def test_a_caller_through_a_local_channel_is_found_by_where_it_began(pbx: FakeAmi, listener: Listener) -> None:
    pbx.call_ids["17"] = "abc@127.0.0.2"
    async with known(pbx, listener):
        pbx.send({**caller("AgentConnect", "18", "Local/6500@in-1;2", Interface="PJSIP/6001"), "Linkedid": "17"})
        await listener.until(lambda: bool(listener.connected))
        assert listener.connected[0][1] == "abc@127.0.0.2"


async def test_a_channel_name_that_would_be_an_action_is_not_sent(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
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
    async with known(pbx, listener) as source:
        source.reconfigure({"support"}, {"6003"})
        assert source.state.queues == {}
        await listener.until(lambda: listener.states[-1].extensions == {"6003": DeviceState.IDLE})
        assert source.state.queues["support"].available == 1
        assert source.state.queues.keys() == {"support"}


async def test_a_flood_does_not_hide_an_event(pbx: FakeAmi, listener: Listener) -> None:
    noise = b"Event: TestEvent\r\nType: StateChange\r\nState: " + 500 * b"x" + b"\r\n\r\n"
    async with known(pbx, listener):
        pbx.send_raw(2_000 * noise + 40_000 * b"y" + b"\r\n\r\n")
        pbx.send(changed("QueueMemberPause", "PJSIP/6001", paused=1))
        await listener.until(lambda: listener.states[-1].queues["sales"].paused == 1)


async def test_strange_answers_do_no_harm(pbx: FakeAmi, listener: Listener) -> None:
    pbx.script["CoreStatus"] = [ok(CoreStartupDate="yesterday", CoreStartupTime="\N{GREEK SMALL LETTER ALPHA}")]
    pbx.script["Ping"] = [ok(Timestamp="-inf")]
    async with running(pbx, listener):
        assert (await listener.known()).queues["sales"].available == 2


async def test_a_caller_who_is_gone_before_they_can_be_asked_about_is_known_by_their_hangup(
    pbx: FakeAmi, listener: Listener
) -> None:
    moved = {"Event": "BlindTransfer", "Result": "Success", "TransfereeChannel": "PJSIP/gone"}
    async with known(pbx, listener):
        # 76 is none of ours. What is asked about either gets "No such channel".
        for unique, refer_to in (("76", ""), ("77", "sip:6001@pbx;x-transfer-id=01A")):
            variable = {"ChanVariable": f"SIPREFERTOHDR={refer_to}"}
            gone = {"Event": "Hangup", "Uniqueid": unique, "Cause": "17", **variable}
            pbx.send({**moved, "TransfereeUniqueid": unique}, gone)
        await listener.until(lambda: bool(listener.lost))
    assert listener.lost == [("office", "01A", 17)]
