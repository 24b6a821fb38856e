# SPDX-License-Identifier: GPL-2.0-or-later
"""How far transfers came, by destination and day, read from the history's file beside whoever writes it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from gateway.core.outcome import Reason
from gateway.ports.history import FiguresQuery
from gateway.report import asking_figures
from gateway.report.asking_figures import FiguresAsking
from gateway.report.figures import funnel
from gateway.report.figures.funnel import Funnels, figures
from gateway.report.history.questions import Overview
from gateway.report.history.retention import Keep
from gateway.report.history.store import HistoryStore
from gateway.report.store_file import StoreError
from tests.report import samples
from tests.report.history.made_up import ended, whole

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    from gateway.core.record import TransferRecord
    from gateway.report.figures.counting import ZoneOf

SPAN = FiguresQuery(samples.START - timedelta(days=1), samples.START + timedelta(days=30))
STEPS = ("asked", "accepted", "rang", "answered", "reached")


def utc(_number: str, _destination: str) -> tzinfo:
    return UTC


def store(directory: Path, *records: TransferRecord) -> None:
    history = HistoryStore(directory)
    history.open()
    history.apply([event for record in records for event in whole(record)], Keep())
    history.close()


def asked(directory: Path, query: FiguresQuery = SPAN, zone_of: ZoneOf = utc) -> dict[str, object]:
    return dict(figures(directory, query, zone_of))


def mixed_day() -> list[TransferRecord]:
    """Two reached a person, one an answer of the PBX alone; one rang in vain, one was refused, the next day too."""
    return [
        ended(1, human_at=samples.after(4)),
        ended(2, human_at=samples.after(12)),
        ended(3, human_at=None),
        ended(4, Reason.NO_ANSWER, ringing_at=samples.after(5), destination="desk", returned_to_transferor=True),
        ended(5, Reason.QUEUE_UNSTAFFED),
        ended(6, Reason.CALLER_HUNG_UP, at=samples.START + timedelta(days=1)),
        ended(7, Reason.UNKNOWN_DESTINATION, destination=None),
    ]


@pytest.mark.keeps("23.28")
def test_each_step_of_the_funnel_is_among_those_before_it(tmp_path: Path) -> None:
    store(tmp_path, *mixed_day())
    found = asked(tmp_path)
    assert [found["total"][step] for step in STEPS] == [7, 5, 4, 3, 2]  # type: ignore[index]
    assert found["total"] | {"median_s": 3.0, "p95_s": 10.0, "lost": 1, "returned": 1} == found["total"]  # type: ignore[operator]
    assert [(each["destination"], each["asked"], each["reached"]) for each in found["destinations"]] == [  # type: ignore[attr-defined]
        ("sales", 5, 2), (None, 1, 0), ("desk", 1, 0)
    ]  # fmt: skip
    assert [(each["day"], each["asked"]) for each in found["days"]] == [("2026-03-02", 6), ("2026-03-03", 1)]  # type: ignore[attr-defined]
    assert found["reasons"][0] == {"outcome": "completed", "reason": "answered", "count": 3}  # type: ignore[index]


def test_it_is_of_the_number_and_destination_that_are_asked_for(tmp_path: Path) -> None:
    store(tmp_path, *mixed_day())
    desk = asked(tmp_path, FiguresQuery(SPAN.since, SPAN.until, destination="desk"))
    assert [desk["total"][step] for step in STEPS] == [1, 1, 1, 0, 0]  # type: ignore[index]
    assert (desk["destination"], desk["total"]["median_s"]) == ("desk", None)  # type: ignore[index]
    none = asked(tmp_path, FiguresQuery(SPAN.since, SPAN.until, number="other-line"))
    assert (none["total"]["asked"], none["days"]) == (0, [])  # type: ignore[index]


def test_a_day_is_one_by_the_clock_of_the_destination(tmp_path: Path) -> None:
    store(tmp_path, ended(1, at=samples.START))
    found = asked(tmp_path, zone_of=lambda _number, _destination: ZoneInfo("Pacific/Auckland"))
    assert [each["day"] for each in found["days"]] == [f"{samples.START + timedelta(hours=13):%Y-%m-%d}"]  # type: ignore[attr-defined]


def test_without_a_history_there_is_nothing(tmp_path: Path) -> None:
    found = asked(tmp_path)
    assert (found["total"]["asked"], found["destinations"]) == (0, [])  # type: ignore[index]


@pytest.mark.keeps("23.28")
def test_what_it_costs_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, *mixed_day())
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    monkeypatch.setattr(funnel, "_ROWS", 2)
    asked(tmp_path)
    assert len(rests) == 3  # seven rows
    monkeypatch.setattr(funnel, "MOST_ROWS", 6)
    with pytest.raises(StoreError, match="more than 6 transfers"):
        asked(tmp_path)
    monkeypatch.setattr(funnel, "MOST_ROWS", 100)
    monkeypatch.setattr(funnel, "LOOKING_S", -1)
    with pytest.raises(StoreError, match="ask for less"):
        asked(tmp_path)


async def test_one_question_is_answered_after_the_other_and_only_so_many_may_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(tmp_path, *mixed_day())
    asking = FiguresAsking(tmp_path)
    found = await asyncio.gather(*(asking.figures(SPAN, ()) for _ in range(asking_figures.MOST_WAITING)))
    assert [each["total"]["asked"] for each in found] == [7] * asking_figures.MOST_WAITING
    await asking.stop()
    monkeypatch.setattr(asking_figures, "MOST_WAITING", 0)
    with pytest.raises(StoreError, match="ask again"):
        await FiguresAsking(tmp_path).figures(SPAN, ())


def test_only_so_many_destinations_have_a_line_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(funnel, "MOST_GROUPS", 2)
    funnels = Funnels(utc)
    row = Overview(0, "main-line", "", "", "refer", "", "refused", "holiday", None, None, None, None, None, returned=0)
    for name in ("a", "b", "c", "d", "a"):
        funnels.add(row._replace(destination=name))
    assert [(each["destination"], each["asked"]) for each in funnels.document["destinations"]] == [
        (None, 2), ("a", 2), ("b", 1)
    ]  # fmt: skip


def test_many_waits_are_put_in_order_piece_by_piece() -> None:
    funnels = Funnels(utc)
    row = Overview(0, "main-line", "", "", "refer", "sales", "completed", "answered", 0, 0, 0, 0, 0, returned=0)
    for wait in range(5001, 0, -1):
        funnels.add(row._replace(human_ms=wait))
    total = funnels.document["total"]
    assert (total["reached"], total["median_s"], total["p95_s"]) == (5001, 2.501, 4.751)
