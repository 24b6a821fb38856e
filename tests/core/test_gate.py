# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate: who is put through where, who is refused, why, and what the trail says of it."""

import timeit
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.gate import Request, Situation, decide, explanation
from gateway.core.model import (
    Agent,
    Destination,
    DeviceState,
    Elsewhere,
    Entry,
    Load,
    PbxState,
    Peer,
    PeerKind,
    QueueState,
    WhenUnknown,
)
from gateway.core.numbers import parse_target
from gateway.core.outcome import Reason
from gateway.core.routing import Routes
from tests.core.gates import NOW, OFFICE, SALES, TRUNK, gate, line, pbx, queue


def test_a_staffed_queue_is_put_through_and_the_trail_tells_every_step() -> None:
    limited = replace(SALES, max_concurrent=10)
    load = Load(calls=12, per_destination={"sales": 2})
    decision = gate(limited, state=pbx(queue()), load=load, target="0612345678")
    assert decision.accepted
    assert decision.destination is limited
    assert decision.trail == (
        "peer: hms, a trunk",
        "number: main-line on trunk hms",
        "destination: sales, extension 6500",
        "hours: office is open until 17:30, for sales",
        "queue sales: 2 of 3 agents free, 0 waiting",
        "capacity: 12 of 500 calls, 2 of 10 at sales",
    )


@pytest.mark.parametrize(
    ("elsewhere", "line", "accepted"),
    [
        (Elsewhere(), "capacity: 12 of 500 calls, about 2 of 3 at sales: 2 here, no other is heard of", True),
        (
            Elsewhere(1, {"support": 9}),
            "capacity: 12 of 500 calls, about 2 of 3 at sales: 2 here, 0 at 1 other gateway",
            True,
        ),
        (
            Elsewhere(2, {"sales": 1}),
            "capacity: sales has about 3 calls, its limit is 3: 2 here, 1 at 2 other gateways",
            False,
        ),
        (
            Elsewhere(2, {"sales": 5}),
            "capacity: sales has about 7 calls, its limit is 3: 2 here, 5 at 2 other gateways",
            False,
        ),
    ],
)
def test_a_shared_limit_counts_what_others_carry_and_says_about(
    elsewhere: Elsewhere, line: str, accepted: bool
) -> None:
    limited = replace(SALES, max_concurrent=3, max_concurrent_shared=True)
    load = Load(calls=12, per_destination={"sales": 2}, elsewhere=elsewhere)
    decision = gate(limited, state=pbx(queue()), load=load)
    assert decision.accepted is accepted
    assert decision.trail[-1] == line
    assert accepted or decision.reason is Reason.AT_CAPACITY


def test_a_limit_of_this_gateway_alone_counts_its_own_calls() -> None:
    limited = replace(SALES, max_concurrent=3)
    load = Load(calls=12, per_destination={"sales": 2}, elsewhere=Elsewhere(2, {"sales": 5}))
    assert gate(limited, state=pbx(queue()), load=load).accepted


def test_explain_gives_the_decision_in_the_words_of_the_contract() -> None:
    assert explanation(gate(SALES, state=pbx(queue(logged_in=0, available=0)))) == {
        "decision": "refuse",
        "destination": "sales",
        "extension": "6500",
        "reason": "queue-unstaffed",
        "sip_code": 480,
        "trail": [
            "peer: hms, a trunk",
            "number: main-line on trunk hms",
            "destination: sales, extension 6500",
            "hours: office is open until 17:30, for sales",
            "queue sales: no agent is logged in",
        ],
        "sentence": "Nobody is available at sales right now.",
    }


def test_a_call_of_no_number_of_ours_is_refused() -> None:
    request = Request(parse_target("sales"), None, TRUNK, assigned="number: none of hms's was called")
    decision = decide(request, Routes([]), Situation(NOW))
    assert (decision.accepted, decision.reason, decision.destination) == (False, Reason.NOT_ASSIGNED, None)
    assert decision.trail == ("peer: hms, a trunk", "number: none of hms's was called")


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        (TRUNK, True),
        (Peer("asterisk", PeerKind.PBX), True),
        (None, True),  # an operator
        (Peer("vapi", PeerKind.TRUNK), False),
        (Peer("hms", PeerKind.PBX), False),
    ],
)
def test_only_the_numbers_own_trunk_and_pbx_may_transfer_its_calls(peer: Peer | None, allowed: bool) -> None:
    decision = gate(SALES, state=pbx(queue()), peer=peer)
    assert decision.accepted is allowed
    assert allowed or decision.reason is Reason.PEER_NOT_ALLOWED


@pytest.mark.parametrize("target", ["+31699999999", "6500", "+500", "sip:root@127.0.0.1"])
def test_what_is_not_configured_is_never_dialled(target: str) -> None:
    decision = gate(SALES, state=pbx(queue()), target=target)
    assert (decision.accepted, decision.reason, decision.destination) == (False, Reason.UNKNOWN_DESTINATION, None)


def test_outside_hours_says_when_to_come_back() -> None:
    decision = gate(SALES, state=pbx(queue()), now=datetime(2026, 3, 4, 17, 30, tzinfo=UTC))
    assert decision.reason is Reason.OUTSIDE_HOURS
    assert decision.retry_after_s == (15 * 60 + 30) * 60
    assert decision.trail[-1] == "hours: office is closed: opens Thu 09:00, for sales"


def test_a_holiday_has_its_own_reason() -> None:
    hours = replace(OFFICE, holiday=lambda _day: "Koningsdag")
    assert gate(replace(SALES, hours=hours), state=pbx(queue())).reason is Reason.HOLIDAY


@pytest.mark.parametrize(
    ("settings", "state", "reason"),
    [
        ({}, queue(available=1), Reason.ACCEPTED),
        ({}, queue(available=0), Reason.AGENTS_BUSY),
        ({}, queue(logged_in=0, available=0), Reason.QUEUE_UNSTAFFED),
        ({"min_available": 0}, queue(logged_in=0, available=0), Reason.QUEUE_UNSTAFFED),
        ({}, replace(queue(logged_in=2, available=0), paused=2), Reason.QUEUE_UNSTAFFED),  # nobody is there
        ({"min_available": 0}, replace(queue(logged_in=2, available=0), paused=2), Reason.QUEUE_UNSTAFFED),
        ({}, replace(queue(logged_in=2, available=0), paused=1, busy=1), Reason.AGENTS_BUSY),
        ({"min_available": 0}, replace(queue(logged_in=2, available=0), paused=1, busy=1), Reason.ACCEPTED),
        ({"min_available": 0}, queue(available=0, callers=7), Reason.ACCEPTED),
        ({"min_available": 3}, queue(available=2), Reason.AGENTS_BUSY),
        ({"min_available": 0, "max_waiting": 5}, queue(available=0, callers=4), Reason.ACCEPTED),
        ({"min_available": 0, "max_waiting": 5}, queue(available=0, callers=5), Reason.QUEUE_FULL),
        ({"min_available": 0, "max_waiting": 0}, queue(available=0), Reason.QUEUE_FULL),
        ({"max_waiting": 0}, queue(available=1), Reason.ACCEPTED),  # nobody waits where an agent is free
        ({"max_waiting": 1}, queue(available=1, callers=1), Reason.QUEUE_FULL),
        ({}, replace(queue(available=2, callers=2), max_len=2), Reason.QUEUE_FULL),
        ({"min_available": 0}, replace(queue(available=0, callers=2), max_len=3), Reason.ACCEPTED),
    ],
)
def test_agents_and_waiting_callers(settings: dict[str, int], state: QueueState, reason: Reason) -> None:
    assert gate(replace(SALES, **settings), state=pbx(state)).reason is reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("available", "expected", "longest", "reason"),
    [
        (0, 180.0, 0.0, Reason.ACCEPTED),
        (0, 181.0, 0.0, Reason.WAIT_TOO_LONG),
        (0, None, 180.0, Reason.ACCEPTED),
        (0, None, 181.0, Reason.WAIT_TOO_LONG),
        (0, 10.0, 500.0, Reason.ACCEPTED),  # what is expected counts for more than what has been
        (2, 500.0, 500.0, Reason.ACCEPTED),  # two agents for one who waits
        (1, 500.0, 0.0, Reason.WAIT_TOO_LONG),
    ],
)
def test_the_expected_wait(available: int, expected: float | None, longest: float, reason: Reason) -> None:
    patient = replace(SALES, min_available=0, max_wait=timedelta(seconds=180))
    state = replace(queue(available=available, callers=1), expected_wait_s=expected, longest_wait_s=longest)
    assert gate(patient, state=pbx(state)).reason is reason


def test_an_unknown_wait_is_called_unknown() -> None:
    patient = replace(SALES, min_available=0, max_wait=timedelta(seconds=180))
    decision = gate(patient, state=pbx(replace(queue(available=0, callers=1), longest_wait_s=12.4)))
    line = "wait: expected wait unknown; the longest so far is 12 s of 180 s"
    assert f"{line}: allowed, as when_unknown says" in decision.trail
    sure = gate(replace(patient, when_unknown=WhenUnknown.REFUSE), state=pbx(queue(available=0, callers=1)))
    assert sure.reason is Reason.QUEUE_UNKNOWN


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (None, "queue sales: state unknown, no state source is configured"),
        (pbx(queue(), proven_at=None), "queue sales: state unknown, no state source is configured"),
        (
            pbx(queue(), proven_at=NOW - timedelta(seconds=10.1)),
            "queue sales: state unknown, asterisk last spoke 10 s ago",
        ),
        (pbx(queue("other")), "queue sales: state unknown, asterisk says nothing of such a queue"),
    ],
)
def test_an_unknown_queue_is_for_the_configuration_to_decide(state: PbxState | None, says: str) -> None:
    allowed = gate(SALES, state=state)
    assert allowed.accepted
    assert f"{says}: allowed, as when_unknown says" in allowed.trail
    refused = gate(replace(SALES, when_unknown=WhenUnknown.REFUSE), state=state)
    assert refused.reason is Reason.QUEUE_UNKNOWN
    assert refused.trail[-1] == f"{says}: refused, as when_unknown says"


def test_a_queue_without_agents_is_not_an_unknown_queue() -> None:
    assert gate(SALES, state=pbx(queue(logged_in=0, available=0))).reason is Reason.QUEUE_UNSTAFFED


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (DeviceState.IDLE, Reason.ACCEPTED),
        (DeviceState.IN_USE, Reason.AGENTS_BUSY),
        (DeviceState.RINGING, Reason.AGENTS_BUSY),
        (DeviceState.ON_HOLD, Reason.AGENTS_BUSY),
        (DeviceState.BUSY, Reason.AGENTS_BUSY),
        (DeviceState.UNAVAILABLE, Reason.QUEUE_UNSTAFFED),
        (DeviceState.UNKNOWN, Reason.QUEUE_UNKNOWN),
    ],
)
def test_without_a_queue_the_extension_itself_is_looked_at(state: DeviceState, reason: Reason) -> None:
    desk = Destination(id="desk", extension="100", when_unknown=WhenUnknown.REFUSE)
    assert gate(desk, state=pbx(extensions={"100": state})).reason is reason


def test_an_extension_on_the_phone_may_be_allowed_a_second_call() -> None:
    desk = Destination(id="desk", extension="100", min_available=0)
    assert gate(desk, state=pbx(extensions={"100": DeviceState.IN_USE})).accepted
    assert not gate(desk, state=pbx(extensions={"100": DeviceState.BUSY})).accepted


@pytest.mark.parametrize(
    ("states", "settings", "reason", "says"),
    [
        ("idle idle", {}, Reason.ACCEPTED, "2 of 2 phones free"),
        ("in-use idle", {}, Reason.ACCEPTED, "1 of 2 phones free"),  # the PBX's hint of them all says in use
        ("unavailable idle", {}, Reason.ACCEPTED, "1 of 1 phones free"),
        ("unknown idle", {}, Reason.ACCEPTED, "1 of 1 phones free"),
        ("idle ringing", {"min_available": 2}, Reason.AGENTS_BUSY, "1 of 2 phones free; at least 2 must be free"),
        ("in-use busy", {}, Reason.AGENTS_BUSY, "0 of 2 phones free; at least 1 must be free"),
        ("in-use busy", {"min_available": 0}, Reason.ACCEPTED, "0 of 2 phones free"),
        ("busy busy", {"min_available": 0}, Reason.AGENTS_BUSY, "0 of 2 phones free"),
        ("unavailable unavailable", {"min_available": 0}, Reason.QUEUE_UNSTAFFED, "none of 2 phones is there"),
        ("unavailable unknown", {}, Reason.QUEUE_UNKNOWN, "0 of 0 phones free, 1 of unknown state"),
    ],
)
def test_of_a_ring_group_each_phone_counts(states: str, settings: dict[str, int], reason: Reason, says: str) -> None:
    desk = Destination("desk", "600", group=("601", "602"), when_unknown=WhenUnknown.REFUSE, **settings)  # type: ignore[arg-type]
    phones = dict(zip(desk.group, map(DeviceState, states.split()), strict=True))
    decision = gate(desk, state=pbx(extensions=phones))
    assert decision.reason is reason
    assert any(line.startswith(f"group 600: {says}") for line in decision.trail)


AGENTS = (
    Agent(idle=True, penalty=5),
    Agent(idle=False, penalty=0),
    Agent(idle=True, paused=True, penalty=0),
    Agent(idle=True, penalty=0, last_call=NOW - timedelta(seconds=20)),
)
FOUR = QueueState("sales", 4, 2, 0, paused=1, busy=1, mean_talk_s=60, expected_wait_s=0.0, agents=AGENTS)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "2 of 4 agents free"),
        ({"max_penalty": 5}, "2 of 4 agents free"),
        ({"max_penalty": 4}, "1 of 3 agents free"),
        ({"wrap_up": timedelta(seconds=20)}, "2 of 4 agents free"),
        ({"wrap_up": timedelta(seconds=21)}, "1 of 4 agents free"),
        ({"wrap_up": timedelta(seconds=21), "max_penalty": 4}, "0 of 3 agents free"),
    ],
)
def test_agents_beyond_the_penalty_and_in_wrap_up_are_not_free(settings: dict[str, object], says: str) -> None:
    decision = gate(replace(SALES, min_available=0, **settings), state=pbx(FOUR))  # type: ignore[arg-type]
    assert f"queue sales: {says}, 0 waiting" in decision.trail


def test_an_agent_s_own_wrap_up_counts_before_the_queue_s() -> None:
    slow = Agent(idle=True, last_call=NOW - timedelta(seconds=20), wrap_up=timedelta(seconds=30))
    one = QueueState("sales", 1, 1, 0, agents=(slow,))
    assert gate(SALES, state=pbx(one)).reason is Reason.AGENTS_BUSY
    assert gate(SALES, state=pbx(one), now=NOW + timedelta(seconds=10)).accepted


def test_nobody_within_the_penalty_is_nobody_at_all() -> None:
    decision = gate(replace(SALES, max_penalty=2), state=pbx(QueueState("sales", 1, 1, 0, agents=AGENTS[:1])))
    assert decision.reason is Reason.QUEUE_UNSTAFFED
    assert decision.trail[-1] == "queue sales: no agent with a penalty of at most 2 is logged in"


def test_the_wait_is_worked_out_anew_for_those_who_would_be_called() -> None:
    """One agent works within the penalty: 60 s of talk and 30 s of wrap-up for this caller and each one ahead."""
    patient = replace(
        SALES, min_available=0, max_penalty=4, wrap_up=timedelta(seconds=30), max_wait=timedelta(seconds=100)
    )
    state = replace(FOUR, agents=AGENTS[1:3], callers=1)
    decision = gate(patient, state=pbx(state))
    assert decision.reason is Reason.WAIT_TOO_LONG
    assert decision.trail[-1] == "wait: 180 s expected, 100 s allowed"
    assert decision.retry_after_s == 80
    assert decision.sentence == "The wait for sales is about 3 minutes, which is too long."


def test_a_caller_for_whom_a_phone_rings_already_is_not_ahead() -> None:
    """Two agents, one of them called for the caller who waits: the other one is free for this caller."""
    strict = replace(SALES, max_waiting=0)
    assert gate(strict, state=pbx(replace(queue(available=1, callers=1), rung=1))).accepted
    assert gate(strict, state=pbx(queue(available=1, callers=1))).reason is Reason.QUEUE_FULL


def test_what_is_not_believed_of_a_pbx_that_has_just_started_is_told_so() -> None:
    state = replace(pbx(), unsettled=frozenset({("queue", "sales"), ("extension", "100")}))
    why = "state unknown, asterisk has just started and does not see all its phones yet: allowed, as when_unknown says"
    assert f"queue sales: {why}" in gate(SALES, state=state).trail
    assert f"extension 100: {why}" in gate(Destination(id="desk", extension="100"), state=state).trail


@pytest.mark.parametrize(
    ("load", "entry", "accepted"),
    [
        (Load(calls=499, max_calls=500), Entry.INVITE, True),
        (Load(calls=500, max_calls=500), Entry.INVITE, False),
        (Load(calls=500, max_calls=500), Entry.REFER, True),  # the caller is one of the 500
        (Load(draining=True), Entry.REFER, False),
        (Load(per_destination={"sales": 1}), Entry.REFER, True),
        (Load(per_destination={"sales": 2}), Entry.REFER, False),
        (Load(per_destination={"support": 2}), Entry.REFER, True),
    ],
)
def test_capacity(load: Load, entry: Entry, accepted: bool) -> None:
    decision = gate(replace(SALES, max_concurrent=2), state=pbx(queue()), load=load, entry=entry)
    assert decision.accepted is accepted
    assert accepted or decision.reason is Reason.AT_CAPACITY


def test_a_refusal_can_be_spoken() -> None:
    closed = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
    number = replace(line(replace(SALES, name="Verkoop")), locale="nl")
    decision = decide(Request(parse_target("sales"), number), Routes([number]), Situation(closed))
    assert decision.sentence == "Verkoop is gesloten tot 09:00 uur."
    assert gate(SALES, now=closed).sentence == "Sales is closed until 09:00."
    assert gate(SALES, target="+31699999999").sentence == "This call can't be transferred there."
    assert gate(SALES, state=pbx(queue())).sentence is None


def test_a_decision_takes_well_under_a_millisecond() -> None:
    chain = [replace(SALES, id=f"d{n}", number=None, overflow=(f"d{n + 1}",) if n < 4 else ()) for n in range(5)]
    number = line(*chain)
    routes, request = Routes([number]), Request(parse_target("d0"), number)
    situation = Situation(NOW, pbxs={"asterisk": pbx(queue())})
    best = min(timeit.repeat(lambda: decide(request, routes, situation), number=20, repeat=5)) / 20
    assert best < 0.001
