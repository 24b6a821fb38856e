# SPDX-License-Identifier: GPL-2.0-or-later
"""What the running gateway says of a transfer at another time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.config import load
from gateway.core.model import PbxState, QueueState
from gateway.core.state_sources import StateSource
from tests.bench import Bench
from tests.bench.bench import Source
from tests.config_directory import write

MONDAY_NOON = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


@pytest.mark.keeps("16.81")
def test_a_time_without_a_zone_is_one_on_the_clock_of_the_hours(tmp_path: Path) -> None:
    engine = Bench(load(write(tmp_path))).engine

    def hours(at: str, target: str = "sales") -> list[str]:
        trail = engine.explain(target, "main-line", datetime.fromisoformat(at))["trail"]
        return [line for line in trail if line.startswith("hours")]

    # Amsterdam is at UTC+1 then, and at UTC+2 in summer; the office opens at 9.
    assert hours("2026-03-02T08:59") != hours("2026-03-02T09:00") == ["hours: office is open until 17:30, for sales"]
    assert hours("2026-07-06T08:59") != hours("2026-07-06T09:00") == ["hours: office is open until 17:30, for sales"]
    assert hours("2026-03-02T09:00") == hours("2026-03-02T08:00Z") == hours("2026-03-02T09:00+01:00")
    assert hours("2026-03-02T17:29", "sip:2001@gw") == ["hours: office is open until 17:30, for sales"]
    assert engine.explain("support", "main-line", datetime.fromisoformat("2026-03-02T03:00"))["decision"] == "accept"
    assert engine.explain("nobody", "main-line", datetime.fromisoformat("2026-03-02T03:00"))["decision"] == "refuse"


def test_another_time_is_not_judged_by_what_the_pbx_says_now(tmp_path: Path) -> None:
    engine = Bench(load(write(tmp_path))).engine
    queues = {"sales": QueueState("sales", logged_in=0, available=0, callers=0)}
    for proven_at in (MONDAY_NOON, MONDAY_NOON + timedelta(days=1)):
        engine.sources = {"asterisk": Source(PbxState("asterisk", StateSource.AMI, proven_at, queues=queues))}
        answer = engine.explain("0612345678", "main-line", MONDAY_NOON)
        assert (answer["decision"], answer["destination"]) == ("accept", "sales")
        assert "queue sales: state unknown, asked for another time: allowed, as when_unknown says" in answer["trail"]
