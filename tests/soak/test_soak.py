# SPDX-License-Identifier: GPL-2.0-or-later
"""Three minutes of what `make soak` plays for an hour; and what it compares finds what is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.soak.kinds import DESTINATIONS, KINDS, NAMES, Told
from tests.soak.run import Soak, differs
from tests.soak.troubles import STEP_S, SteppedClock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Net

SECONDS, PER_SECOND = 180, 8


@pytest.mark.parametrize(
    ("told", "ended", "wrong"),
    [
        (Told(1, accepted=1, finals=[200]), [("completed", 200)], ""),
        (Told(1, accepted=1), [("abandoned", 487)], ""),
        (Told(2, [491], 1, [487]), [("abandoned", 487), ("refused", 491)], ""),
        (Told(1, finals=[200]), [("completed", 200)], ""),
        (Told(1), [], ""),
        (Told(1, [481]), [], ""),
        (Told(1, accepted=1, finals=[200]), [("abandoned", 487)], ""),
        (Told(1, [404]), [], "1 requests, 1 answered (refused [404]), outcomes []"),
        (Told(1, [404]), [("refused", 404)] * 2, "1 requests, 1 answered (refused [404]), outcomes [("),
        (Told(1, accepted=1, finals=[200]), [("failed", 480)], "the far end was told [200]"),
        (Told(1, accepted=1, finals=[480]), [("completed", 200)], "the far end was told [480]"),
        (Told(2, [491], 1, [487]), [("abandoned", 487), ("refused", 480)], "refused with [491]"),
    ],
)
def test_what_is_lost_or_told_otherwise_is_found(told: Told, ended: list[tuple[str, int]], wrong: str) -> None:
    found = differs(told, ended)
    assert found.startswith(wrong)
    assert bool(found) is bool(wrong)


def test_each_kind_asks_for_something_that_there_is() -> None:
    assert {kind.target for kind in KINDS} <= {*NAMES, ""}
    assert {str(one["id"]) for one in DESTINATIONS} <= {kind.target for kind in KINDS}


@pytest.mark.slow
def test_a_clock_is_set_and_set_right(tmp_path: Path) -> None:
    clock = SteppedClock(tmp_path)
    code = "import time; print(time.time() - float(input()))"

    def off_s() -> float:
        """How far the time of day of a program is off this one's."""
        ran = subprocess.run(
            [sys.executable, "-c", code], env=clock.environment, input=str(time.time()), capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return float(ran.stdout)

    assert abs(off_s()) < 30
    clock.set_to(STEP_S)
    assert abs(off_s() - STEP_S) < 30
    clock.set_to(0)
    assert abs(off_s()) < 30


@pytest.mark.sip
@pytest.mark.broker
@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.keeps("22.3")
async def test_three_minutes_of_it_lose_nothing_and_leave_nothing(own_net: Net) -> None:
    result = await Soak(own_net, seconds=SECONDS, per_second=PER_SECOND).play()
    print(*result.lines(), sep="\n")
    assert result.faults == []


@pytest.mark.sip
@pytest.mark.broker
@pytest.mark.alone
@pytest.mark.timeout(420)
@pytest.mark.keeps("22.51")
async def test_nor_do_kills(own_net: Net) -> None:
    result = await Soak(own_net, seconds=60, per_second=6, recovers=True).play()
    print(*result.lines(), sep="\n")
    assert result.faults == []
