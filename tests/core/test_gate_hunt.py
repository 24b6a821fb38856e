# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a caller goes who is refused, or not answered: overflow, in order, and nobody twice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.gate import Request, Situation, decide, next_after
from gateway.core.model import Decision, Destination, DeviceState, Load, PbxState, QueueState, WhenUnknown
from gateway.core.numbers import parse_target
from gateway.core.outcome import Reason
from gateway.core.routing import Routes
from tests.core.gates import NOW, OFFICE, SALES, gate, line, pbx, queue

SUPPORT = Destination(id="support", extension="6501", queue="support")
VOICEMAIL = Destination(id="voicemail", extension="190")


def test_a_refusal_goes_on_to_the_first_overflow_destination_that_is_open() -> None:
    sales = replace(SALES, overflow=("support", "voicemail"))
    state = pbx(queue(available=0), queue("support", logged_in=0, available=0), extensions={"190": DeviceState.IDLE})
    decision = gate(sales, SUPPORT, VOICEMAIL, state=state)
    assert decision.accepted
    assert decision.destination is VOICEMAIL
    assert decision.refusals == (("sales", Reason.AGENTS_BUSY), ("support", Reason.QUEUE_UNSTAFFED))
    assert decision.trail[3:] == (
        "hours: office is open until 17:30, for sales",
        "queue sales: 0 of 3 agents free, 0 waiting; at least 1 must be free",
        "overflow: sales is refused (agents-busy); next is support, 6501",
        "hours: always open, for support",
        "queue support: no agent is logged in",
        "overflow: support is refused (queue-unstaffed); next is voicemail, 190",
        "hours: always open, for voicemail",
        "extension 190: idle",
        "capacity: 0 of 500 calls",
    )


def test_when_no_overflow_is_open_the_reason_is_that_of_what_was_asked_for() -> None:
    sales = replace(SALES, overflow=("support",))
    decision = gate(sales, SUPPORT, state=pbx(queue(available=0), queue("support", logged_in=0, available=0)))
    assert not decision.accepted
    assert decision.destination is sales
    assert decision.reason is Reason.AGENTS_BUSY
    assert [name for name, _ in decision.refusals] == ["sales", "support"]


def after(tried: Sequence[str], *destinations: Destination, state: PbxState) -> Decision:
    return next_after(line(*destinations), destinations[0], tried, Situation(NOW, pbxs={"asterisk": state}))


def test_after_no_answer_the_next_that_is_open_now_is_dialled() -> None:
    sales = replace(SALES, overflow=("support", "voicemail"))
    state = pbx(queue(), queue("support", logged_in=0, available=0))
    decision = after(["sales"], sales, SUPPORT, VOICEMAIL, state=state)
    assert decision.destination is VOICEMAIL
    assert decision.refusals == (("support", Reason.QUEUE_UNSTAFFED),)
    assert decision.trail[0] == "overflow: support, extension 6501"


def test_nothing_is_dialled_twice_be_it_under_another_name() -> None:
    sales = replace(SALES, overflow=("again", "voicemail"))
    again = Destination(id="again", extension=SALES.extension)
    assert after(["sales"], sales, again, VOICEMAIL, state=pbx()).destination is VOICEMAIL
    done = after(["sales", "voicemail"], sales, again, VOICEMAIL, state=pbx())
    assert (done.accepted, done.destination) == (False, None)
    assert done.trail == ("overflow: none left after sales, voicemail",)


def test_what_was_passed_over_is_looked_at_again() -> None:
    sales = replace(SALES, overflow=("support",))
    assert after(["support"], sales, SUPPORT, state=pbx(queue(), queue("support"))).destination is sales


@pytest.mark.keeps("16.53")
def test_a_refusal_that_was_told_is_not_told_again() -> None:
    chain = replace(SALES, overflow=("support", "voicemail"))
    destinations = line(chain, SUPPORT, VOICEMAIL)
    closed = pbx(queue(), queue("support", logged_in=0, available=0))
    told = (("support", Reason.QUEUE_UNSTAFFED),)
    decision = next_after(destinations, chain, ["sales"], Situation(NOW, pbxs={"asterisk": closed}), told)
    assert (decision.destination, decision.refusals) == (VOICEMAIL, ())
    assert decision.trail[0] == "overflow: voicemail, extension 190"
    assert not [text for text in decision.trail if "support" in text]
    nothing = next_after(destinations, chain, ["sales", "voicemail"], Situation(NOW, pbxs={"asterisk": closed}), told)
    assert (nothing.accepted, nothing.refusals) == (False, ())
    assert nothing.trail == ("overflow: none, the rest is refused as before",)
    # Another refusal is news, and so is that it is open now.
    busy = pbx(queue(), queue("support", available=0))
    changed = next_after(destinations, chain, ["sales"], Situation(NOW, pbxs={"asterisk": busy}), told)
    assert changed.refusals == (("support", Reason.AGENTS_BUSY),)
    free = next_after(
        destinations, chain, ["sales"], Situation(NOW, pbxs={"asterisk": pbx(queue(), queue("support"))}), told
    )
    assert free.destination is SUPPORT


def test_when_the_next_are_all_closed_there_is_none() -> None:
    sales = replace(SALES, overflow=("support",))
    decision = after(["sales"], sales, SUPPORT, state=pbx(queue("support", logged_in=0, available=0)))
    assert (decision.accepted, decision.destination, decision.reason) == (False, None, Reason.QUEUE_UNSTAFFED)


NAMES = ["a", "b", "c", "d"]
QUEUES = st.builds(
    QueueState,
    st.sampled_from(NAMES),
    logged_in=st.integers(0, 3),
    available=st.integers(0, 3),
    callers=st.integers(0, 4),
    expected_wait_s=st.none() | st.floats(0, 600),
)
DESTINATIONS = st.fixed_dictionaries(
    {
        name: st.builds(
            Destination,
            id=st.just(name),
            extension=st.sampled_from(["1", "2", name]),
            queue=st.none() | st.sampled_from(NAMES),
            hours=st.none() | st.just(OFFICE),
            min_available=st.integers(0, 2),
            max_waiting=st.none() | st.integers(0, 3),
            max_wait=st.none() | st.just(timedelta(seconds=120)),
            max_concurrent=st.none() | st.just(1),
            when_unknown=st.sampled_from(WhenUnknown),
            overflow=st.lists(st.sampled_from(NAMES), max_size=3).map(tuple),
        )
        for name in NAMES
    }
)


@pytest.mark.thorough
@given(
    destinations=DESTINATIONS,
    queues=st.lists(QUEUES, max_size=4),
    age=st.integers(-20, 0),
    hour=st.integers(0, 167),
    idle=st.sets(st.sampled_from(NAMES)),
    running=st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2)),
)
def test_a_hunt_comes_to_an_end_and_dials_nothing_twice(
    *,
    destinations: dict[str, Destination],
    queues: list[QueueState],
    age: int,
    hour: int,
    idle: set[str],
    running: dict[str, int],
) -> None:
    number = line(*destinations.values())
    now = NOW + timedelta(hours=hour)
    extensions = dict.fromkeys(idle, DeviceState.IDLE)
    state = pbx(*queues, extensions=extensions, proven_at=now + timedelta(seconds=age))
    situation = Situation(now, Load(per_destination=running), {"asterisk": state})
    decision = decide(Request(parse_target("a"), number), Routes([number]), situation)
    assert decision.trail
    assert decision.accepted or decision.reason.sip_code in (480, 486, 503)
    dialled: list[Destination] = []
    while decision.accepted:
        assert decision.destination is not None
        assert decision.destination.id in destinations
        dialled.append(decision.destination)
        decision = next_after(number, destinations["a"], [each.id for each in dialled], situation)
    assert len({each.extension for each in dialled}) == len(dialled)
