# SPDX-License-Identifier: GPL-2.0-or-later
"""The one table of who is with whom, and what is asked of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import LegId
from gateway.sip.calls.pairs import Pairs

CALLER, ASSISTANT, AGENT, OTHER = (LegId(name) for name in ("caller", "assistant", "agent", "other"))


def test_two_who_are_joined_talk_with_each_other() -> None:
    pairs = Pairs()
    assert pairs.join(CALLER, ASSISTANT) == (CALLER, ASSISTANT)
    assert pairs.talks_with(CALLER) == ASSISTANT
    assert pairs.talks_with(ASSISTANT) == CALLER
    assert pairs.gives_keys_to(CALLER) == ASSISTANT
    assert pairs.gives_keys_to(ASSISTANT) == CALLER
    assert pairs.talking == [CALLER, ASSISTANT]
    assert len(pairs) == 1


def test_a_caller_who_waits_for_a_target_is_heard_by_it_and_does_not_talk() -> None:
    pairs = Pairs()
    pairs.join(CALLER, ASSISTANT)
    assert pairs.wait(CALLER, AGENT) == (ASSISTANT, CALLER, AGENT)
    assert pairs.waits(CALLER)
    assert not pairs.waits(AGENT)
    assert pairs.partner(AGENT) == CALLER
    assert pairs.talks_with(CALLER) is pairs.talks_with(AGENT) is pairs.partner(ASSISTANT) is None
    assert pairs.talking == []


def test_a_target_is_given_the_keys_of_who_waits_for_it_and_gives_none() -> None:
    pairs = Pairs()
    pairs.wait(CALLER, AGENT)
    assert pairs.gives_keys_to(CALLER) == AGENT
    assert pairs.gives_keys_to(AGENT) is None


def test_who_waits_between_two_targets_has_no_partner() -> None:
    pairs = Pairs()
    pairs.wait(CALLER, AGENT)
    assert pairs.wait(CALLER) == (AGENT, CALLER)
    assert pairs.waits(CALLER)
    assert pairs.partner(CALLER) is None
    assert pairs.gives_keys_to(CALLER) is None
    assert len(pairs) == 0


def test_who_waits_goes_on_waiting_when_the_target_is_gone() -> None:
    pairs = Pairs()
    pairs.wait(CALLER, AGENT)
    assert pairs.unpair(AGENT) == (CALLER, AGENT)
    assert pairs.waits(CALLER)
    assert pairs.partner(CALLER) is None


def test_the_answer_of_the_target_ends_the_waiting() -> None:
    pairs = Pairs()
    pairs.wait(CALLER, AGENT)
    assert set(pairs.join(CALLER, AGENT)) == {CALLER, AGENT}
    assert not pairs.waits(CALLER)
    assert pairs.talks_with(AGENT) == CALLER


def test_who_is_joined_with_another_leaves_the_one_before_alone() -> None:
    pairs = Pairs()
    pairs.join(CALLER, ASSISTANT)
    pairs.join(AGENT, OTHER)
    assert pairs.join(CALLER, AGENT) == (ASSISTANT, OTHER, CALLER, AGENT)
    assert pairs.partner(ASSISTANT) is pairs.partner(OTHER) is None


def test_who_is_parted_has_nobody_and_waits_for_nobody() -> None:
    pairs = Pairs()
    pairs.wait(CALLER, AGENT)
    assert pairs.unpair(CALLER) == (AGENT, CALLER)
    assert not pairs.waits(CALLER)
    assert pairs.unpair(CALLER) == (CALLER,)
    pairs.join(CALLER, AGENT)
    pairs.clear()
    assert len(pairs) == 0


LEGS = st.sampled_from([CALLER, ASSISTANT, AGENT, OTHER])
STEPS = st.lists(st.tuples(st.sampled_from(["join", "wait", "wait for", "unpair"]), LEGS, LEGS), max_size=30)


@given(STEPS)
def test_partners_are_each_others_and_whoever_changes_is_named(steps: list[tuple[str, LegId, LegId]]) -> None:
    pairs = Pairs()
    for what, one, other in steps:
        if one == other and what in ("join", "wait for"):
            continue
        before = {leg: (pairs.partner(leg), pairs.waits(leg)) for leg in (CALLER, ASSISTANT, AGENT, OTHER)}
        match what:
            case "join":
                changed = pairs.join(one, other)
            case "wait":
                changed = pairs.wait(one)
            case "wait for":
                changed = pairs.wait(one, other)
            case _:
                changed = pairs.unpair(one)
        after = {leg: (pairs.partner(leg), pairs.waits(leg)) for leg in before}
        assert {leg for leg in before if before[leg] != after[leg]} <= set(changed)
        for leg, (partner, _) in after.items():
            assert partner is None or pairs.partner(partner) == leg
        assert all(pairs.talks_with(leg) in pairs.talking for leg in pairs.talking)
