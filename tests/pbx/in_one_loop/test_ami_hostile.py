# SPDX-License-Identifier: GPL-2.0-or-later
"""A manager interface that lies or refuses holds up nothing else, and is told in clear words."""

from datetime import UTC, datetime

import pytest
from structlog.typing import EventDict

from gateway.core.json_form import queue_document
from gateway.core.model import DeviceState
from gateway.report.labels import Plan
from gateway.report.metrics import Metrics
from tests.bench.jumping_loop import JumpingLoop
from tests.pbx.fake_ami import FakeAmi, Listener, caller, changed, error, hint, listing, member
from tests.pbx.running_ami import BRISK, known, running

event_loop = JumpingLoop
HUGE = "9" * 18


def warnings(logs: list[EventDict]) -> list[EventDict]:
    return [line for line in logs if line["log_level"] in {"warning", "error"}]


def tracebacks(logs: list[EventDict]) -> list[EventDict]:
    return [line for line in logs if line.get("exc_info")]


# Lies

STRANGE = [
    b"no colon and no end " * 2_000,
    b"x" * 100_000 + b"\r\n",
    b"Event: Reload\r\n" + b"a: b\r\n" * 60_000 + b"\r\n",
    b"Event: \xff\xfe\xc3\x28\r\nQueue: \xf0\x28\r\n\r\n",
    b"Event: QueueCallerJoin\r\nQueue: sales\r\nUniqueid: \0\0\r\nChannel: \0\r\nCount: 1\r\n\r\n",
    b"Event:\r\n\r\nResponse:\r\n\r\n: \r\n\r\n",
    b"\r\n" * 50_000,
    b"\n\n\n\r\r\r\n\r\n",
]


@pytest.mark.keeps("16.89")
@pytest.mark.parametrize("data", STRANGE, ids=range(len(STRANGE)))
async def test_bytes_of_any_kind_leave_the_connection_as_it_is(
    pbx: FakeAmi, listener: Listener, logs: list[EventDict], data: bytes
) -> None:
    async with known(pbx, listener):
        pbx.send_raw(data + b"\r\n\r\n")
        pbx.send(changed("QueueMemberPause", "PJSIP/6001", paused=1))
        await listener.until(lambda: listener.states[-1].queues["sales"].paused == 1)
        assert pbx.logins == 1
    assert warnings(logs) == []


NUMBERS = [HUGE, "-" + HUGE, "9" * 5_000, "1e999", "", "-1", "\N{ARABIC-INDIC DIGIT ONE}"]


@pytest.mark.keeps("16.89")
@pytest.mark.parametrize("number", NUMBERS, ids=range(len(NUMBERS)))
async def test_numbers_of_any_size_are_borne(
    pbx: FakeAmi, listener: Listener, logs: list[EventDict], number: str
) -> None:
    fields = ("Wait", "Max", "TalkTime", "Completed", "Penalty", "LastCall", "Wrapuptime", "Position", "Calls")
    strange = dict.fromkeys(fields, number)
    pbx.script["QueueStatus"] = listing(
        [
            {"Event": "QueueParams", "Queue": "sales", **strange},
            {**member("PJSIP/6001"), "Queue": "sales", **strange},
            {"Event": "QueueEntry", "Queue": "sales", "Uniqueid": "1.1", **strange},
        ]
    )
    async with running(pbx, listener) as source:
        state = await listener.known()
        assert state.queues["sales"].logged_in == 1
        assert 0 <= state.queues["sales"].longest_wait_s <= 7 * 86_400 + 10
        pbx.send(
            {"Event": "AgentComplete", "Queue": "sales", "TalkTime": number},
            {"Event": "FullyBooted", "Uptime": number},
            {"Event": "ExtensionStatus", "Exten": "6001", "Context": "phones", "Status": number},
            {"Event": "Hangup", "Uniqueid": "1.1", "Cause": number},
            caller("QueueCallerJoin", "2.1", Count=number),
            changed("QueueMemberStatus", "PJSIP/6001", status=1) | {"Penalty": number, "LastCall": number},
        )
        await pbx.asked("QueueStatus", 2)
        assert source.state.pbx == "office"
        assert pbx.logins == 1
    assert tracebacks(logs) == []


@pytest.mark.keeps("16.89")
async def test_an_answer_that_breaks_us_is_one_traceback_and_tried_again_slowly(
    pbx: FakeAmi, listener: Listener, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr("gateway.pbx.asterisk.snapshot.Snapshot.load_queue", broken)
    async with running(pbx, listener):
        await listener.unknown("an answer that was not understood")
        await pbx.asked("Login", 8)
    # One for each connection would be one a second for ever.
    assert len(tracebacks(logs)) == 1
    assert len([line for line in warnings(logs) if "unknown" in line["event"]]) == 1


async def test_a_pbx_that_hangs_up_before_it_has_told_all_is_tried_less_and_less(
    pbx: FakeAmi, listener: Listener
) -> None:
    pbx.script["QueueStatus"] = None
    async with running(pbx, listener) as source:
        for times in range(1, 6):
            await pbx.asked("QueueStatus", times)
            pbx.drop()
        assert source._failures._count >= 4


# Refusals

DENIED = [error("Permission denied")]
MAY_NOT = "the manager user may not ask for it"


def refusals(logs: list[EventDict]) -> list[tuple[str, str | None]]:
    return [(line["action"], line["missing_right"]) for line in logs if line["event"] == "ami-action-refused"]


@pytest.mark.keeps("16.83")
async def test_a_user_who_may_ask_for_nothing_is_told_of_once(
    pbx: FakeAmi, listener: Listener, logs: list[EventDict]
) -> None:
    for action in ("QueueStatus", "QueueSummary", "ExtensionStateList", "Getvar", "CoreStatus"):
        pbx.script[action] = DENIED
    async with running(pbx, listener, max_age=BRISK) as source:
        await listener.unknown(MAY_NOT)
        state = source.state
        assert (state.queues, state.extensions) == ({}, {})
        assert "reporting" in state.unknown_because
        reads, told = pbx.count("QueueStatus"), len(listener.states)
        # Five heartbeats later nothing was asked again and again, and what is told of it is no better.
        await pbx.asked("Ping", 6)
        assert pbx.count("QueueStatus") - reads <= 1
        assert not source.up
        assert len(listener.states) == told
    assert sorted(refusals(logs)) == [
        ("CoreStatus", "reporting"),
        ("ExtensionStateList", "reporting"),
        ("Getvar", "reporting"),
        ("QueueStatus", "reporting"),
    ]
    assert pbx.logins == 1


@pytest.mark.keeps("16.84")
@pytest.mark.parametrize(
    ("refused", "queues", "extensions"),
    [
        (("QueueStatus",), frozenset({"sales"}), frozenset[str]()),
        (("ExtensionStateList", "Getvar"), frozenset[str](), frozenset({"6001"})),
    ],
)
async def test_a_pbx_that_refuses_all_that_is_asked_is_unknown_until_it_tells_something(
    pbx: FakeAmi, listener: Listener, refused: tuple[str, ...], queues: frozenset[str], extensions: frozenset[str]
) -> None:
    pbx.script = dict.fromkeys(refused, DENIED)
    metrics = Metrics(version="1", pjsip="1")
    metrics.configure(Plan(numbers={}, queues={"office": tuple(queues)}, trunks=()))
    up = 'transfer_gateway_pbx_up{pbx="office"}'
    async with running(pbx, listener, queues=queues, extensions=extensions) as source:
        await listener.unknown(MAY_NOT)
        metrics.pbx_state(source.state)
        assert f"{up} 0.0" in metrics.render()[0].decode()
        ups = [source.up]
        pbx.script = {}
        pbx.send({"Event": "Reload"})
        metrics.pbx_state(await listener.known())
        assert f"{up} 1.0" in metrics.render()[0].decode()
        ups.append(source.up)
        # … and back: what was told is not kept.
        pbx.script = dict.fromkeys(refused, DENIED)
        pbx.send({"Event": "Reload"})
        await listener.until(lambda: MAY_NOT in listener.states[-1].unknown_because)
        assert (source.state.queues, source.state.extensions) == ({}, {})
    assert ups == [False, True]
    assert pbx.logins == 1


@pytest.mark.keeps("16.83")
@pytest.mark.parametrize(
    ("action", "queues", "extensions"),
    [
        ("QueueStatus", set(), {"6001"}),
        ("QueueSummary", {"sales"}, {"6001"}),
        ("ExtensionStateList", {"sales"}, set()),
        ("CoreStatus", {"sales"}, {"6001"}),
        ("Ping", {"sales"}, {"6001"}),
        ("Getvar", {"sales"}, {"6001"}),
    ],
)
async def test_what_can_be_asked_for_is(
    pbx: FakeAmi, listener: Listener, logs: list[EventDict], action: str, queues: set[str], extensions: set[str]
) -> None:
    pbx.script[action] = DENIED
    async with running(pbx, listener, max_age=BRISK) as source:
        state = await listener.known()
        assert (set(state.queues), set(state.extensions)) == (queues, extensions)
        await pbx.asked("QueueSummary" if queues else "Ping", 4)
        assert source.up
        assert source.state.proven_at is not None
        assert pbx.count("QueueStatus") <= 3
    assert refusals(logs) == ([(action, "reporting")] if action != "Getvar" else [])
    assert pbx.logins == 1


async def test_hints_refused_leaves_the_devices(pbx: FakeAmi, listener: Listener) -> None:
    pbx.script["ExtensionStateList"] = DENIED
    pbx.devices["PJSIP/6001"] = "INUSE"
    async with running(pbx, listener):
        assert (await listener.known()).extensions == {"6001": DeviceState.IN_USE}


@pytest.mark.keeps("16.83")
async def test_rights_that_are_taken_and_given_are_seen(
    pbx: FakeAmi, listener: Listener, logs: list[EventDict]
) -> None:
    async with known(pbx, listener) as source:
        pbx.script["QueueStatus"] = DENIED
        pbx.send({"Event": "Reload"})
        await listener.until(lambda: MAY_NOT in source.state.withheld.get(("queue", "sales"), ""))
        assert source.state.queues == {}
        document = queue_document(source.state, "sales", datetime.now(UTC))
        assert MAY_NOT in str(document["unknown_because"])
        pbx.send(changed("QueueMemberPause", "PJSIP/6001", paused=1))
        del pbx.script["QueueStatus"]
        pbx.send({"Event": "Reload"})
        # Its queues are told as they come, and that nothing is withheld a moment after them.
        await listener.until(lambda: "sales" in source.state.queues and not source.state.withheld)
    assert refusals(logs) == [("QueueStatus", "reporting")]


async def test_a_pbx_without_queues_is_known_after_a_while(
    pbx: FakeAmi, listener: Listener, logs: list[EventDict]
) -> None:
    pbx.script["QueueStatus"] = [error("Invalid/unknown command: QueueStatus. Use Action: ListCommands to show.")]
    pbx.script["QueueSummary"] = [error("Invalid/unknown command: QueueSummary.")]
    async with running(pbx, listener):
        state = await listener.known()
        assert state.extensions == {"6001": DeviceState.IDLE}
        assert "unknown command" in state.withheld["queue", "sales"]
        assert refusals(logs) == [("QueueStatus", None)]


async def test_words_of_any_kind_do_not_fill_the_log(pbx: FakeAmi, listener: Listener, logs: list[EventDict]) -> None:
    async with known(pbx, listener, max_age=BRISK):
        for number in range(5):
            pbx.script["QueueSummary"] = [error("Not now" + "!" * 5_000)]
            await pbx.asked("QueueSummary", number + 2)
    (line,) = [line for line in logs if line["event"] == "ami-action-refused"]
    assert len(line["error"]) <= 200


@pytest.mark.keeps("16.87")
@pytest.mark.parametrize("event_class", ["agent", "call"])
async def test_events_that_may_not_be_read_are_missed(
    pbx: FakeAmi, listener: Listener, logs: list[EventDict], event_class: str
) -> None:
    async with known(pbx, listener, max_age=BRISK) as source:
        for status in (2, 1, 2):
            if event_class == "agent":
                pbx.queues["sales"] = [member("PJSIP/6001", status=status), member("PJSIP/6002")]
                await listener.until(lambda status=status: source.state.queues["sales"].busy == status - 1)  # type: ignore[misc]
            else:
                pbx.hints = [hint("6001", status)]
                pbx.send({"Event": "Reload"})
                expected = DeviceState.BUSY if status == 2 else DeviceState.IN_USE
                await listener.until(lambda expected=expected: source.state.extensions["6001"] is expected)  # type: ignore[misc]
        if event_class == "call":
            # From now on they are asked for at each heartbeat.
            pbx.hints = [hint("6001", 0)]
            await listener.until(lambda: source.state.extensions["6001"] is DeviceState.IDLE)
    missed = [line["missing_right"] for line in logs if line["event"] == "ami-tells-no-events"]
    assert missed == [f"read = {event_class}"]
