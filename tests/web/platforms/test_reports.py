# SPDX-License-Identifier: GPL-2.0-or-later
"""What HMS reports of its calls, over HTTP: what is made of it, and that nothing of what was said is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.model import AssignedNumber, Destination
from gateway.core.platform_calls import PlatformCall, PromisedBy
from gateway.web.platforms.events import PlatformEvent, PlatformProblem
from gateway.web.platforms.reports import MAX_CALL_ID, read_report, report_handlers
from tests.web.platforms.listening import Listening, files

pytestmark = pytest.mark.slow  # a server, and whoever asks it, at sockets

NOW = datetime(2026, 11, 2, 9, 0, 30, tzinfo=UTC)
SALES = Destination("sales", "6500", message="One moment, I put you through.")
LINE = AssignedNumber("main-line", "+31201234567", "hms", "asterisk", {"sales": SALES}, country="NL")
CALL_ID = "call-_+31612340000_kq7x"


class Reporting(Listening):
    """A listener that notes what it is told of calls."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, files())
        self.told: list[PlatformCall] = []
        self.handlers = dict(report_handlers(self._told))

    async def _told(self, report: PlatformCall) -> None:
        self.told.append(report)


@pytest.fixture
def gateway(tmp_path: Path) -> Reporting:
    return Reporting(tmp_path)


def ended(**more: Any) -> dict[str, Any]:
    """The report of a call's end, as S2 of hms-platform.md has it, in so far as it differs from other events."""
    now = datetime.now(UTC)
    return {
        "duration_seconds": 61,
        "end_reason": "user_hangup",
        "started_at": (now - timedelta(seconds=61)).isoformat(),
        "ended_at": now.isoformat(),
        "summary": "Anna wants a refund.",
        "messages": [{"role": "user", "content": "a refund"}, {"role": "assistant", "content": "Certainly."}],
        **more,
    }


@pytest.mark.keeps("19.26")
async def test_a_call_is_told_of_while_it_goes_on_and_at_its_end(gateway: Reporting) -> None:
    async with gateway.running() as platform:
        for kind, more in (("status-update", {}), ("end-of-call-report", ended())):
            answer = await platform.post(platform.event(kind, **more))
            assert (answer.status, answer.json) == (200, {})
    going, over = gateway.told
    assert (going.over, going.status, going.ended_reason, going.duration_s) == (False, "in-progress", None, None)
    assert (going.platform, going.number, going.caller) == ("hms", "main-line", "+31612340000")
    assert over.over
    assert (over.ended_reason, over.duration_s) == ("user_hangup", 61)
    assert over.began_at is not None
    assert over.ended_at is not None
    assert (over.ended_at - over.began_at) == timedelta(seconds=61)
    assert over.clock_off_s is not None
    assert abs(over.clock_off_s) < 5


@pytest.mark.keeps("19.26")
async def test_nothing_of_what_was_said_is_in_what_is_told_on(gateway: Reporting) -> None:
    said = ended(analysis={"mood": "a refund"}, recording_url="https://example.com/a-refund.wav")
    async with gateway.running() as platform:
        await platform.post(platform.event("end-of-call-report", **said))
    assert "refund" not in repr(gateway.told)


@pytest.mark.parametrize("number", [None, "+31201234599", "+31699999999"], ids=["web", "another trunk's", "nobody's"])
async def test_a_call_to_no_number_of_the_trunk_is_not_told_of(gateway: Reporting, number: str | None) -> None:
    async with gateway.running() as platform:
        platform.number = number
        answer = await platform.post(platform.event("end-of-call-report", **ended()))
    assert (answer.status, answer.json, gateway.told) == (200, {}, [])


@pytest.mark.parametrize(
    ("more", "by"),
    [
        ({}, None),
        ({"end_reason": "call_transferred"}, PromisedBy.END_REASON),
        ({"messages": [{"role": "assistant", "content": "One moment."}]}, None),
        ({"messages": [{"role": "assistant", "content": "Sure! ONE moment, I put you through…"}]}, PromisedBy.SPOKEN),
        ({"messages": [{"role": "user", "content": "One moment, I put you through."}]}, None),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "transfer_call"}}]}]}, "tool-call"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "end_call"}}]}]}, None),
    ],
)
def test_what_says_that_a_transfer_was_promised(more: dict[str, Any], by: str | None) -> None:
    assert read(ended(**more)).promised_by == by


def test_a_call_that_was_transferred_says_so_by_its_status() -> None:
    assert read({}, status="transferred").promised_by is PromisedBy.STATUS
    assert read({}, status="transferred", kind="status-update").over


@pytest.mark.parametrize(
    ("caller", "known"),
    [
        ("+31612340000", "+31612340000"),
        ("0612340000", "+31612340000"),
        ("anonymous", None),
        (None, None),
        ("x" * 65, None),
        (7, None),
    ],
)
def test_a_caller_is_named_as_in_our_own_calls(caller: object, known: str | None) -> None:
    assert read({"customer": {"number": caller}}).caller == known


@pytest.mark.parametrize("call_id", [None, "", 7, "x" * (MAX_CALL_ID + 1)])
async def test_without_its_id_there_is_no_call(gateway: Reporting, call_id: object) -> None:
    async with gateway.running() as platform:
        event = platform.event("status-update")
        event["message"]["call"]["id"] = call_id
        answer = await platform.post(event)
    assert (answer.status, answer.json["code"], gateway.told) == (400, "bad-request", [])
    assert "message.call.id" in answer.json["error"]


WRONG: Mapping[str, list[object]] = {
    "end_reason": [7, "", "x" * 65, {"a": 1}],
    "started_at": ["yesterday", "2026-11-02T09:00:00", 7, "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"],
    "ended_at": ["", None, "2199-01-01T00:00:00Z", "2026-11-02T09:00:00+99:00"],
    "duration_seconds": [True, -1, 1e300, "61", 10**400],
    "messages": [7, [7, None, {"role": "assistant"}, {"role": "assistant", "content": 7, "tool_calls": [7, {}]}]],
    "error": [7, [], "broken\nhere"],
    "customer": [7, {"number": "x" * 65}, None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_what_is_not_as_documented_counts_as_not_told(name: str, value: object) -> None:
    told = read(ended(**{name: value}))
    assert told.over
    assert told.ended_reason in {"user_hangup", None}
    assert told.error in {None, "broken here"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*WRONG, "call", "timestamp", "type"]), JSON, max_size=5))
def test_whatever_a_report_holds_it_is_read_or_refused(message: dict[str, Any]) -> None:
    event = PlatformEvent("hms", "hms", "end-of-call-report", message, None, LINE, NOW, NOW)
    try:
        told = read_report(event, LINE)
    except PlatformProblem:
        return
    assert len(told.call_id) <= MAX_CALL_ID
    json.dumps(str(told))


def read(message: dict[str, Any], *, status: str = "ended", kind: str = "end-of-call-report") -> PlatformCall:
    whole = {"call": {"id": CALL_ID, "status": status}, "customer": {"number": "+31612340000"}, **message}
    return read_report(PlatformEvent("hms", "hms", kind, whole, LINE.number, LINE, NOW, NOW), LINE)
