# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told before a transfer is promised: the gate's own word for each destination, and who is there."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.availability import availability_document, what_changes
from gateway.core.gate import Request, Situation, decide
from gateway.core.model import Agent, Destination, DeviceState, Entry, Load, PbxState, QueueState, WhenUnknown
from gateway.core.numbers import parse_target
from gateway.core.routing import Routes
from gateway.documents import AvailabilityData
from gateway.web.availability import tag_of
from tests.core.gates import NOW, OFFICE, SALES, TRUNK, line, pbx, queue

DESK = Destination("desk", "600", group=("601", "602"), name="de balie")
ANNA = Destination("anna", "6001", number="+31612345681", overflow=("sales",), when_unknown=WhenUnknown.REFUSE)
LIMITED = Destination("limited", "6500", queue="sales", min_available=0, max_waiting=2, max_wait=timedelta(seconds=90))
BUSY_LINE = Destination("busy-line", "6002", max_concurrent=1)
NUMBER = line(SALES, DESK, ANNA, LIMITED, BUSY_LINE)
ROUTES = Routes([NUMBER])


def told(situation: Situation, *wanted: Destination) -> dict[str, dict[str, Any]]:
    """What is said of each destination, by its id; the document is as its schema says."""
    document = availability_document(NUMBER, ROUTES, situation, wanted or None)
    AvailabilityData.model_validate_json(json.dumps(document), strict=True)
    found = cast("list[dict[str, Any]]", document["destinations"])
    return {each["destination"]: each for each in found}


def in_the_morning(state: PbxState | None = None, **load: Any) -> Situation:
    """While the office is open."""
    return Situation(NOW, Load(**load), {"asterisk": state} if state else {})


def test_who_is_there_stands_beside_what_the_gate_says() -> None:
    found = told(in_the_morning(pbx(queue(logged_in=3, available=2, callers=1), extensions={"601": DeviceState.IDLE})))
    assert found["sales"] == {
        "destination": "sales", "name": "sales", "number": "+31612345678", "description": "",
        "available": True, "leads_to": "sales", "reason": "accepted", "sip_code": 200, "sentence": None,
        "open": True, "holiday": None, "opens_at": None, "closes_at": "2026-03-04T17:30:00.000Z",
        "known": True, "agents_logged_in": 3, "agents_available": 2, "agents_paused": 0, "callers_waiting": 1,
        "expected_wait_s": None,
    }  # fmt: skip
    assert list(found) == ["sales", "desk", "anna", "limited", "busy-line"]
    assert (found["desk"]["name"], found["desk"]["agents_logged_in"], found["desk"]["agents_available"]) == (
        "de balie", 1, 1,
    )  # fmt: skip


def test_a_closed_destination_says_when_again_and_in_words() -> None:
    at_night = Situation(datetime(2026, 3, 4, 20, 0, tzinfo=UTC), pbxs={"asterisk": pbx(queue())})
    sales = told(at_night, SALES)["sales"]
    assert (sales["available"], sales["reason"], sales["sip_code"]) == (False, "outside-hours", 480)
    assert sales["sentence"] == "Sales is closed until tomorrow at 09:00."
    assert (sales["open"], sales["opens_at"], sales["closes_at"]) == (False, "2026-03-05T09:00:00.000Z", None)


def test_a_destination_whose_overflow_takes_callers_is_available_and_says_where_it_leads() -> None:
    anna = told(in_the_morning(pbx(queue(), extensions={"6001": DeviceState.UNAVAILABLE})), ANNA)["anna"]
    assert (anna["available"], anna["leads_to"], anna["reason"]) == (True, "sales", "accepted")
    assert (anna["agents_logged_in"], anna["agents_available"]) == (0, 0)


@pytest.mark.parametrize("state", [None, pbx(queue(), proven_at=NOW - timedelta(seconds=11)), pbx()])
def test_what_the_pbx_does_not_tell_is_null_and_not_zero(state: PbxState | None) -> None:
    sales = told(in_the_morning(state), SALES)["sales"]
    assert not sales["known"]
    assert {sales[key] for key in ("agents_logged_in", "agents_available", "callers_waiting", "expected_wait_s")} == {
        None
    }
    assert sales["available"]  # as when_unknown says


def test_how_fresh_it_is() -> None:
    document = availability_document(NUMBER, ROUTES, in_the_morning(pbx(queue(), proven_at=NOW - timedelta(seconds=3))))
    assert document["pbx"] == {
        "pbx": "asterisk", "source": "ami", "known": True, "unknown_because": None,
        "proven_at": "2026-03-04T11:59:57.000Z", "age_s": 3.0,
    }  # fmt: skip


def test_only_what_is_said_makes_another_document() -> None:
    first = availability_document(NUMBER, ROUTES, in_the_morning(pbx(queue(), proven_at=NOW)))
    later = Situation(NOW + timedelta(seconds=2), pbxs={"asterisk": pbx(queue(), proven_at=NOW + timedelta(seconds=1))})
    assert availability_document(NUMBER, ROUTES, later) != first
    assert what_changes(availability_document(NUMBER, ROUTES, later)) == what_changes(first)
    assert tag_of(availability_document(NUMBER, ROUTES, later)) == tag_of(first)
    busy = availability_document(NUMBER, ROUTES, in_the_morning(pbx(queue(available=0))))
    assert tag_of(busy) != tag_of(first)


QUEUES = st.builds(
    lambda there, free, waiting, talk: QueueState(
        "sales", logged_in=there, available=min(there, free), callers=waiting, mean_talk_s=talk,
        expected_wait_s=None if talk is None else talk * waiting,
        agents=tuple(Agent(idle=number < free) for number in range(there)),
    ),
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 4), st.none() | st.floats(1, 300),
)  # fmt: skip
SITUATIONS = st.builds(
    lambda hours, queues, phones, age, running, draining: Situation(
        NOW + timedelta(hours=hours),
        Load(per_destination={"busy-line": running}, draining=draining),
        {"asterisk": replace(pbx(*queues, extensions=phones), proven_at=NOW + timedelta(hours=hours, seconds=-age))},
    ),
    st.integers(0, 200),
    st.lists(QUEUES, max_size=1),
    st.dictionaries(st.sampled_from(["601", "602", "6001", "6002"]), st.sampled_from(DeviceState)),
    st.integers(0, 15),
    st.integers(0, 1),
    st.booleans(),
)


@given(SITUATIONS)
def test_it_never_disagrees_with_what_a_refer_gets(situation: Situation) -> None:
    found = told(situation)
    for destination in NUMBER.destinations.values():
        asked = destination.number or destination.extension
        target = parse_target(asked if destination.number else destination.id, "NL")
        decision = decide(Request(target, NUMBER, TRUNK, Entry.REFER), ROUTES, situation)
        said = found[destination.id]
        assert (said["available"], said["reason"]) == (decision.accepted, decision.reason.value)
        assert (said["sip_code"], said["sentence"]) == (decision.sip_code, decision.sentence)
        assert (said["sentence"] is None) is said["available"]
        if decision.accepted:
            assert decision.destination
            assert said["leads_to"] == decision.destination.id


@pytest.mark.slow
def test_an_answer_costs_far_less_than_there_is_time_for() -> None:
    # 200 a second may take 5 ms each; CPU is counted, as a machine that is busy takes longer and counts no more.
    many = line(*(replace(SALES, id=f"sales-{number}", number=None, hours=OFFICE) for number in range(20)))
    routes, situation = Routes([many]), in_the_morning(pbx(queue()))
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        for _ in range(20):
            document = availability_document(many, routes, situation)
            tag_of(document)
            json.dumps(document).encode()
        best = min(best, (time.process_time() - begun) / 20)
    assert best < 0.005, f"{best * 1000:.1f} ms for 20 destinations"
