# SPDX-License-Identifier: GPL-2.0-or-later
"""The snapshot: what Asterisk's events and lists make of its queues and extensions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.model import Agent, DeviceState, QueueState
from gateway.core.staffing import seen_by_caller
from gateway.pbx.asterisk.after_restart import Presence
from gateway.pbx.asterisk.ami_codec import Message
from gateway.pbx.asterisk.snapshot import Effect, Snapshot

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def event(name: str, **fields: object) -> Message:
    return Message((("Event", name), *((key, str(value)) for key, value in fields.items())))


def params(queue: str = "sales", maximum: int = 0) -> Message:
    return event("QueueParams", Queue=queue, Max=maximum)


def listed(interface: str, status: int = 1, paused: int = 0, queue: str = "sales") -> Message:
    return event("QueueMember", Queue=queue, Location=interface, Status=status, Paused=paused)


def member(name: str, interface: str, status: int = 1, paused: int = 0, queue: str = "sales") -> Message:
    return event(name, Queue=queue, Interface=interface, Status=status, Paused=paused)


def join(unique: str, count: int) -> Message:
    return event("QueueCallerJoin", Queue="sales", Uniqueid=unique, Count=count)


def leave(unique: str, count: int) -> Message:
    return event("QueueCallerLeave", Queue="sales", Uniqueid=unique, Count=count)


def hint(extension: str, status: int, context: str = "phones") -> Message:
    return event("ExtensionStatus", Exten=extension, Context=context, Status=status)


@pytest.fixture
def snapshot() -> Snapshot:
    """Sales, with Anna and Bart idle and nobody waiting."""
    made = Snapshot({"sales"}, {"6001", "6002"})
    made.load_queue("sales", [params(), listed("PJSIP/6001"), listed("PJSIP/6002")], NOW)
    return made


def sales(snapshot: Snapshot, at: datetime = NOW) -> QueueState:
    return snapshot.queue_states(at)["sales"]


def test_a_list_gives_the_queue(snapshot: Snapshot) -> None:
    both = (Agent(idle=True), Agent(idle=True))
    free = QueueState("sales", logged_in=2, available=2, callers=0, expected_wait_s=0.0, agents=both)
    assert sales(snapshot) == free


def test_what_is_told_of_an_agent_goes_along() -> None:
    snapshot = Snapshot({"sales"}, ())
    told = {"Penalty": 5, "LastCall": int(NOW.timestamp()), "Wrapuptime": 30}
    anna = Message((*listed("PJSIP/6001", 2, 1).fields, *((key, str(value)) for key, value in told.items())))
    snapshot.load_queue("sales", [params(), anna], NOW)
    agent = Agent(idle=False, paused=True, penalty=5, last_call=NOW, wrap_up=timedelta(seconds=30))
    assert sales(snapshot).agents == (agent,)
    odd = Message((*listed("PJSIP/6001").fields, ("LastCall", "9" * 18), ("Wrapuptime", "-1"), ("Penalty", "x")))
    snapshot.load_queue("sales", [params(), odd], NOW)
    assert sales(snapshot).agents == (Agent(idle=True),)


@pytest.mark.keeps("16.166")
@pytest.mark.parametrize(
    ("last_call", "available"),
    [(253402300799, 1), (-62135596800, 1), (int(NOW.timestamp()) + 86_401, 1), (int(NOW.timestamp()) + 5, 0)],
)
def test_a_last_call_of_another_age_keeps_no_agent(last_call: int, available: int) -> None:
    snapshot = Snapshot({"sales"}, ())
    told = (("LastCall", str(last_call)), ("Wrapuptime", "86400"))
    snapshot.load_queue("sales", [params(maximum=-3), Message((*listed("PJSIP/6001").fields, *told))], NOW)
    seen = seen_by_caller(sales(snapshot), None, timedelta(0), NOW)
    assert (seen.available, seen.max_len) == (available, None)


def test_the_mean_talk_time_is_the_pbx_s_and_each_call_carries_it_on(snapshot: Snapshot) -> None:
    def read(completed: int, talk_s: int) -> None:
        figures = event("QueueParams", Queue="sales", Max=0, Completed=completed, TalkTime=talk_s)
        snapshot.load_queue("sales", [figures, listed("PJSIP/6001", 2), listed("PJSIP/6002", 2)], NOW)

    read(0, 0)
    assert (sales(snapshot).mean_talk_s, sales(snapshot).expected_wait_s) == (None, None)
    assert snapshot.apply(event("AgentComplete", Queue="sales", TalkTime=100), NOW) is Effect.CHANGED
    assert sales(snapshot).mean_talk_s == 100
    snapshot.apply(event("AgentComplete", Queue="sales", TalkTime=102), NOW)
    assert (sales(snapshot).mean_talk_s, sales(snapshot).expected_wait_s) == (100.5, 50.25)
    read(2, 100)  # the same two calls, as Asterisk rounds them
    assert sales(snapshot).mean_talk_s == 100.5
    read(3, 140)  # one that we missed
    assert sales(snapshot).mean_talk_s == 140
    read(0, 0)  # somebody reset its statistics
    assert sales(snapshot).mean_talk_s is None
    assert snapshot.apply(event("AgentComplete", Queue="other", TalkTime=100), NOW) is Effect.NONE


@pytest.mark.parametrize(
    ("strategy", "ringing", "callers", "rung"),
    [("ringall", 2, 2, 1), ("leastrecent", 2, 3, 2), ("leastrecent", 2, 1, 1), ("ringall", 0, 2, 0)],
)
def test_callers_for_whom_phones_ring(strategy: str, ringing: int, callers: int, rung: int) -> None:
    snapshot = Snapshot({"sales"}, ())
    head = event("QueueParams", Queue="sales", Strategy=strategy)
    members = [listed(f"PJSIP/{each}", 6 if each < ringing else 1) for each in range(3)]
    waiting = [event("QueueEntry", Queue="sales", Uniqueid=each, Wait=1) for each in range(callers)]
    snapshot.load_queue("sales", [head, *members, *waiting], NOW)
    assert sales(snapshot).rung == rung


# What QueueSummary of Asterisk 22 counts for a member in each state: (status, paused) -> (logged in, available).
@pytest.mark.parametrize(
    ("status", "paused", "logged_in", "available"),
    [
        (0, 0, 1, 1),  # unknown
        (1, 0, 1, 1),  # idle
        (1, 1, 1, 0),
        (2, 0, 1, 0),  # in use
        (3, 0, 1, 0),  # busy
        (4, 0, 0, 0),  # invalid
        (5, 0, 0, 0),  # unavailable
        (5, 1, 0, 0),
        (6, 0, 1, 0),  # ringing
        (7, 0, 1, 0),  # in use and ringing
        (8, 0, 1, 0),  # on hold
    ],
)
def test_members_count_as_in_queue_summary(status: int, paused: int, logged_in: int, available: int) -> None:
    snapshot = Snapshot({"sales"}, ())
    snapshot.load_queue("sales", [params(), listed("PJSIP/6001", status, paused)], NOW)
    state = sales(snapshot)
    assert (state.logged_in, state.available) == (logged_in, available)
    assert state.logged_in == state.available + state.paused + state.busy
    summary = event("QueueSummary", Queue="sales", LoggedIn=logged_in, Available=available, Callers=0)
    assert snapshot.agrees([summary])


def test_an_event_changes_the_counts_at_once(snapshot: Snapshot) -> None:
    assert snapshot.apply(member("QueueMemberPause", "PJSIP/6001", paused=1), NOW) is Effect.CHANGED
    assert (sales(snapshot).available, sales(snapshot).paused) == (1, 1)
    snapshot.apply(member("QueueMemberStatus", "PJSIP/6002", status=5), NOW)
    assert (sales(snapshot).logged_in, sales(snapshot).available) == (1, 0)
    snapshot.apply(member("QueueMemberAdded", "PJSIP/6003"), NOW)
    assert sales(snapshot).available == 1
    snapshot.apply(member("QueueMemberRemoved", "PJSIP/6003"), NOW)
    assert sales(snapshot).available == 0


def test_an_event_that_changes_nothing_says_so(snapshot: Snapshot) -> None:
    assert snapshot.apply(member("QueueMemberStatus", "PJSIP/6001"), NOW) is Effect.NONE
    assert snapshot.apply(member("QueueMemberStatus", "PJSIP/6001", queue="other"), NOW) is Effect.NONE
    assert snapshot.apply(event("Newchannel", Channel="PJSIP/6001-1"), NOW) is Effect.NONE
    assert snapshot.apply(hint("7000", 0), NOW) is Effect.NONE


def test_callers_and_their_waiting_time(snapshot: Snapshot) -> None:
    snapshot.apply(join("a", 1), NOW)
    snapshot.apply(join("b", 2), NOW + timedelta(seconds=10))
    assert (sales(snapshot).callers, sales(snapshot, NOW + timedelta(seconds=30)).longest_wait_s) == (2, 30.0)
    snapshot.apply(leave("a", 1), NOW + timedelta(seconds=31))
    assert (sales(snapshot).callers, sales(snapshot, NOW + timedelta(seconds=40)).longest_wait_s) == (1, 30.0)


def test_callers_who_waited_before_we_came(snapshot: Snapshot) -> None:
    entry = event("QueueEntry", Queue="sales", Position=1, Uniqueid="a", Wait=45)
    snapshot.load_queue("sales", [params(maximum=7), entry], NOW)
    assert sales(snapshot) == QueueState("sales", 0, 0, 1, longest_wait_s=45.0, max_len=7)
    assert snapshot.apply(leave("a", 0), NOW) is Effect.CHANGED


def test_reading_anew_keeps_the_finer_waiting_time(snapshot: Snapshot) -> None:
    snapshot.apply(join("a", 1), NOW)
    later = NOW + timedelta(seconds=10.9)
    snapshot.load_queue("sales", [params(), event("QueueEntry", Queue="sales", Uniqueid="a", Wait=10)], later)
    assert sales(snapshot, later).longest_wait_s == 10.9


def test_a_wait_is_never_negative(snapshot: Snapshot) -> None:
    snapshot.apply(join("a", 1), NOW)
    assert sales(snapshot, NOW - timedelta(seconds=5)).longest_wait_s == 0.0


@pytest.mark.parametrize(
    "strange",
    [
        join("a", 3),
        leave("nobody", 1),
        event("QueueCallerJoin", Queue="sales", Uniqueid="a"),
        event("QueueMemberStatus", Queue="sales", Interface="PJSIP/6001", Status="idle"),
    ],
    ids=["someone missed", "someone left unseen", "no count", "no status"],
)
def test_what_does_not_fit_is_doubtful(snapshot: Snapshot, strange: Message) -> None:
    assert snapshot.apply(strange, NOW) is Effect.DOUBTFUL


def test_a_queue_the_pbx_does_not_have_is_absent_until_it_does() -> None:
    snapshot = Snapshot({"sales"}, ())
    snapshot.load_queue("sales", [], NOW)
    assert snapshot.queue_states(NOW) == {}
    assert snapshot.unknown_queues() == {"sales"}
    assert snapshot.agrees([])
    assert snapshot.apply(member("QueueMemberAdded", "PJSIP/6001"), NOW) is Effect.DOUBTFUL


def test_a_queue_removed_from_the_pbx_becomes_unknown(snapshot: Snapshot) -> None:
    assert not snapshot.agrees([])
    assert snapshot.load_queue("sales", [], NOW) is Effect.CHANGED
    assert snapshot.queue_states(NOW) == {}


def test_an_unreadable_member_makes_the_queue_unknown(snapshot: Snapshot) -> None:
    snapshot.load_queue("sales", [params(), event("QueueMember", Queue="sales", Location="PJSIP/6001")], NOW)
    assert snapshot.queue_states(NOW) == {}


def test_the_name_is_ours_and_its_case_the_pbxs() -> None:
    snapshot = Snapshot({"Sales"}, ())
    snapshot.load_queue("Sales", [params("SALES"), listed("PJSIP/6001", queue="sales")], NOW)
    assert snapshot.queue_states(NOW)["Sales"].available == 1


@pytest.mark.parametrize(
    "summary",
    [
        {"LoggedIn": 1, "Available": 2, "Callers": 0},
        {"LoggedIn": 2, "Available": 1, "Callers": 0},
        {"LoggedIn": 2, "Available": 2, "Callers": 1},
        {"LoggedIn": "x", "Available": 2, "Callers": 0},
    ],
)
def test_a_different_count_is_noticed(snapshot: Snapshot, summary: dict[str, object]) -> None:
    assert not snapshot.agrees([event("QueueSummary", Queue="sales", **summary)])


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0, DeviceState.IDLE),
        (1, DeviceState.IN_USE),
        (2, DeviceState.BUSY),
        (4, DeviceState.UNAVAILABLE),
        (8, DeviceState.RINGING),
        (9, DeviceState.IN_USE),
        (16, DeviceState.ON_HOLD),
        (17, DeviceState.IN_USE),
        (-1, None),
        (-2, None),
    ],
)
def test_hints(snapshot: Snapshot, status: int, state: DeviceState | None) -> None:
    snapshot.load_hints([hint("6001", 0 if status else 1)])
    assert snapshot.apply(hint("6001", status), NOW) is Effect.CHANGED
    assert snapshot.extension_states().get("6001") is state


def test_without_a_hint_the_device_speaks(snapshot: Snapshot) -> None:
    snapshot.load_hints([hint("6001", 0)])
    assert snapshot.devices_to_ask() == ("PJSIP/6002",)
    snapshot.load_device("PJSIP/6002", "NOT_INUSE")
    assert snapshot.extension_states()["6002"] is DeviceState.IDLE
    snapshot.apply(event("DeviceStateChange", Device="PJSIP/6002", State="INUSE"), NOW)
    assert snapshot.extension_states()["6002"] is DeviceState.IN_USE
    snapshot.apply(event("DeviceStateChange", Device="PJSIP/6001", State="INUSE"), NOW)
    assert snapshot.extension_states()["6001"] is DeviceState.IDLE
    snapshot.load_device("PJSIP/6002", "INVALID")
    assert "6002" not in snapshot.extension_states()


DND = "PJSIP/6001&Custom:DND6001,CustomPresence:6001"  # as FreePBX writes it


@pytest.mark.keeps("20.26")
@pytest.mark.parametrize(
    ("hint_of", "status", "devices", "state"),
    [
        (DND, 0, {"PJSIP/6001": "UNAVAILABLE"}, DeviceState.UNAVAILABLE),
        (DND, 0, {"PJSIP/6001": "NOT_INUSE"}, DeviceState.IDLE),
        (DND, 2, {"PJSIP/6001": "NOT_INUSE"}, DeviceState.BUSY),
        (DND, 2, {"PJSIP/6001": "UNAVAILABLE"}, DeviceState.UNAVAILABLE),
        (DND, 0, {}, DeviceState.IDLE),  # not asked yet
        (DND, -1, {"PJSIP/6001": "NOT_INUSE"}, DeviceState.IDLE),  # no hint: the device speaks
        ("PJSIP/6001&SIP/6001", 0, {"PJSIP/6001": "UNAVAILABLE", "SIP/6001": "NOT_INUSE"}, DeviceState.IDLE),
        ("PJSIP/6001&SIP/6001", 0, {"PJSIP/6001": "UNAVAILABLE", "SIP/6001": "UNAVAILABLE"}, DeviceState.UNAVAILABLE),
        ("PJSIP/6001&SIP/6001", 0, {"PJSIP/6001": "UNAVAILABLE"}, DeviceState.IDLE),
        ("PJSIP/6001", 0, {"PJSIP/6001": "UNAVAILABLE"}, DeviceState.IDLE),  # the hint alone is as good
        ("&".join(f"PJSIP/{n}" for n in range(40)), 0, {}, DeviceState.IDLE),
    ],
)
def test_a_hint_of_several_devices_is_no_phone_that_is_there(
    snapshot: Snapshot, hint_of: str, status: int, devices: dict[str, str], state: DeviceState
) -> None:
    snapshot.load_hints([event("ExtensionStatus", Exten="6001", Context="phones", Status=status, Hint=hint_of)])
    for device, value in devices.items():
        snapshot.apply(event("DeviceStateChange", Device=device, State=value), NOW)
    assert snapshot.extension_states().get("6001") is state
    if "Custom" in hint_of and status >= 0:
        assert snapshot.devices_to_ask() == ("PJSIP/6001", "PJSIP/6002")
    snapshot.load_hints([])
    assert snapshot.devices_to_ask() == ("PJSIP/6001", "PJSIP/6002")


def test_contexts_that_disagree_tell_nothing(snapshot: Snapshot) -> None:
    snapshot.load_hints([hint("6001", 0), hint("6001", 0, "others"), hint("6002", 0), hint("6002", 4, "others")])
    assert snapshot.extension_states() == {"6001": DeviceState.IDLE}


def test_only_the_named_context_counts() -> None:
    snapshot = Snapshot((), {"6001"}, context="phones")
    snapshot.load_hints([hint("6001", 4, "others"), hint("6001", 0)])
    assert snapshot.extension_states() == {"6001": DeviceState.IDLE}
    assert snapshot.apply(hint("6001", 1, "others"), NOW) is Effect.NONE


def test_watching_something_else(snapshot: Snapshot) -> None:
    snapshot.load_hints([hint("6001", 0), hint("6002", 0)])
    snapshot.watch({"support"}, {"6002"})
    assert snapshot.queue_states(NOW) == {}
    assert snapshot.extension_states() == {"6002": DeviceState.IDLE}
    assert snapshot.load_queue("sales", [params()], NOW) is Effect.NONE


def test_who_can_be_reached(snapshot: Snapshot) -> None:
    snapshot.load_queue(
        "sales", [params(), listed("PJSIP/6001"), listed("PJSIP/6002", 5), listed("PJSIP/6003", 0)], NOW
    )
    snapshot.load_hints([hint("6001", 0), hint("6002", 4)])
    assert snapshot.presence() == {
        ("queue", "sales"): Presence(frozenset({"PJSIP/6001"}), frozenset({"PJSIP/6002", "PJSIP/6003"})),
        ("extension", "6001"): Presence(frozenset({"6001"}), frozenset()),
        ("extension", "6002"): Presence(frozenset(), frozenset({"6002"})),
    }
    snapshot.forget()
    assert snapshot.presence() == {}


interfaces = st.sampled_from(["PJSIP/6001", "PJSIP/6002", "PJSIP/6003"])
changes = st.builds(
    member,
    st.sampled_from(["QueueMemberStatus", "QueueMemberAdded", "QueueMemberPause", "QueueMemberRemoved"]),
    interfaces,
    st.integers(0, 8),
    st.integers(0, 1),
)


@settings(deadline=None)
@given(st.lists(changes, max_size=30), st.data())
def test_events_older_than_a_list_do_no_lasting_harm(events: list[Message], data: st.DataObject) -> None:
    """A list overtakes events that the PBX has queued for us; once they have come, the counts are right again."""
    truth, ours = Snapshot({"sales"}, ()), Snapshot({"sales"}, ())
    for each in (truth, ours):
        each.load_queue("sales", [params()], NOW)
    overtaken = data.draw(st.integers(0, len(events)))
    for each_event in events:
        truth.apply(each_event, NOW)
    members = {e.get("Interface"): e for e in events}
    items = [
        listed(name, int(e.get("Status")), int(e.get("Paused")))
        for name, e in members.items()
        if e.event != "QueueMemberRemoved"
    ]
    ours.load_queue("sales", [params(), *items], NOW)
    for each_event in events[overtaken:]:
        ours.apply(each_event, NOW)
    assert ours.queue_states(NOW) == truth.queue_states(NOW)
