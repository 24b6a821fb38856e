# SPDX-License-Identifier: GPL-2.0-or-later
"""The ladder shows messages in the order of their times, whichever source told of them first."""

import time

import pytest

from tests.demo.ladder import GAP, HOLD_S, LEFT, PARTIES, Ladder, rung


def test_a_message_stands_between_its_two_parties() -> None:
    line = rung("PBX", "gateway", "INVITE")
    assert line.index("INVITE") // GAP == PARTIES.index("PBX")
    assert line.endswith("|")
    assert line.count("|") == len(PARTIES)
    assert ">" in line
    assert "<" not in line
    assert line.index("|") == LEFT - 7


@pytest.mark.parametrize(("sender", "receiver"), [("assistant", "gateway"), ("PBX", "caller")])
def test_an_arrow_to_the_left_points_left(sender: str, receiver: str) -> None:
    line = rung(sender, receiver, "200 INVITE")
    assert "|<" in line
    assert ">" not in line


def test_what_is_told_late_is_shown_where_it_happened() -> None:
    shown: list[str] = []
    ladder = Ladder(shown.append)
    ladder.begin()
    now = time.monotonic()
    ladder.message(now + 0.002, "gateway", "assistant", "NOTIFY 200")
    ladder.message(now + 0.001, "PBX", "gateway", "200 INVITE")
    ladder.flush()
    labels = [next(label for label in ("NOTIFY 200", "200 INVITE") if label in line) for line in shown[1:]]
    assert labels == ["200 INVITE", "NOTIFY 200"]


def test_a_fresh_line_waits_for_others_and_an_old_one_does_not() -> None:
    shown: list[str] = []
    ladder = Ladder(shown.append)
    now = time.monotonic()
    ladder.tell("long ago", now - 2 * HOLD_S)
    ladder.tell("just now", now)
    ladder.advance()
    assert len(shown) == 1
    assert shown[0].endswith("long ago")
    ladder.flush()
    assert shown[1].endswith("just now")
