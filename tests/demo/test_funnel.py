# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's funnel has a bar for each milestone, as long as its share of those who asked."""

from gateway.report.labels import MILESTONES
from tests.demo.funnel import STEPS, WIDTH, drawn


def test_each_milestone_has_a_bar_of_its_share() -> None:
    lines = drawn({"requested": 4, "accepted": 3, "ringing": 2, "answered": 2, "human": 1})
    assert [line.count("#") for line in lines] == [WIDTH, WIDTH * 3 // 4, WIDTH // 2, WIDTH // 2, WIDTH // 4]
    assert [line.split()[:2] for line in lines] == [
        ["asked", "4"], ["accepted", "3"], ["rang", "2"], ["answered", "2"], ["person", "1"],
    ]  # fmt: skip


def test_nobody_has_asked_yet() -> None:
    assert [line.split() for line in drawn({})] == [[name, "0"] for name in STEPS.values()]


def test_the_milestones_are_those_of_the_gateway() -> None:
    assert tuple(STEPS) == MILESTONES
