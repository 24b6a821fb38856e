# SPDX-License-Identifier: GPL-2.0-or-later
"""History, outbox and metrics are compared, and whatever is missing on one side is told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import cli
from gateway.cli import reports
from gateway.core.json_form import timestamp
from gateway.core.outcome import Reason
from gateway.core.record import Milestone, TransferRecord
from gateway.remote import RemoteError
from gateway.report.figures import reconciling
from gateway.report.figures.reconciling import Counters, read_counters, reconcile
from gateway.report.history.retention import Keep
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME
from gateway.report.metrics import Metrics
from gateway.report.reporter import EventReporter
from gateway.report.sinks.history import NAME
from gateway.report.store_file import FILE_NAME as OUTBOX
from gateway.report.store_file import StoreError
from tests.config_directory import MAIN, write
from tests.report import samples
from tests.report.history.made_up import ended
from tests.report.reporting import Standing

pytestmark = pytest.mark.slow

STARTED = samples.START


def no_gateway() -> None:
    """None answers."""


async def run_gateway(directory: Path, *records: TransferRecord) -> Metrics:
    """A run in which these transfers ended, of which all were stored."""
    metrics = Metrics(version="1", pjsip="2")
    metrics.reload_done(taken=True, at=STARTED)
    clock = Standing(samples.after(1000))
    reporter = EventReporter(instance="test-1", state_dir=directory, version="1", broker=None, clock=clock)
    await reporter.start()
    for record in records:
        reporter.transfer(Milestone.REQUESTED, samples.requested(record.transfer))
        reporter.transfer(Milestone.ENDED, record)
        metrics.transfer_ended(record)
    await reporter.stop()
    return metrics


def status(waiting: int = 0) -> dict[str, Any]:
    return {"instance": "test-1", "started_at": STARTED.isoformat(timespec="seconds"), "history": {"waiting": waiting}}


def read(metrics: Metrics) -> str:
    return metrics.render()[0].decode()


def counters(metrics: Metrics, waiting: int = 0) -> Counters:
    return read_counters(read(metrics), status(waiting))


def day() -> list[TransferRecord]:
    reasons = (Reason.ANSWERED, Reason.ANSWERED, Reason.BUSY, Reason.OUTSIDE_HOURS, Reason.CALLER_HUNG_UP)
    return [ended(n, reason) for n, reason in enumerate(reasons * 4)]


def change(directory: Path, file: str, *statements: str) -> None:
    with closing(sqlite3.connect(directory / file, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


async def test_what_agrees_has_no_differences(tmp_path: Path) -> None:
    metrics = await run_gateway(tmp_path, *day())
    assert reconcile(tmp_path, lambda: counters(metrics)) == {
        "outbox": {"waiting": {"history": 0, "mqtt": 40}, "remembered": 20},
        "metrics": {"since": timestamp(STARTED), "ended": 20, "stored": 20},
        "differences": [],
    }
    assert reconcile(tmp_path, no_gateway)["metrics"] is None
    (tmp_path / OUTBOX).unlink()
    assert reconcile(tmp_path, no_gateway) == {"outbox": None, "metrics": None, "differences": []}


async def test_what_ended_before_the_start_is_in_no_counter(tmp_path: Path) -> None:
    metrics = await run_gateway(tmp_path, *day())
    await run_gateway(tmp_path, ended(99, at=STARTED - timedelta(minutes=1)))
    assert reconcile(tmp_path, lambda: counters(metrics))["differences"] == []


async def test_what_the_limits_deleted_is_no_difference(tmp_path: Path) -> None:
    metrics = await run_gateway(tmp_path, *day())
    history = HistoryStore(tmp_path)
    history.open()
    while history.expire(Keep(days=1, failures_days=1), STARTED + timedelta(days=9)):
        pass
    assert history.size().transfers == 0
    history.close()
    assert reconcile(tmp_path, lambda: counters(metrics))["differences"] == []


_TWO_LESS = (
    "the metrics count more since the start than the history has"
    " (abandoned: 4, not 3, refused: 4, not 3; 0 events wait for it)"
)
DAMAGE: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "a row is gone": (
        ("DELETE FROM transfers WHERE id = 't000003'",),
        [
            "the history has 19 transfers and has deleted 0, and its chain has 20 lines after 0 transfers from before it: -1"  # noqa: E501 -- as it is told
        ],
    ),
    "rows and lines are gone": (
        ("DELETE FROM transfers WHERE id IN ('t000018', 't000019')", "DELETE FROM chain WHERE n > 18"),
        [
            "2 transfers that the outbox remembers are not in the history: t000018, t000019",
            _TWO_LESS,
        ],
    ),
    "a line is gone": (("DELETE FROM chain WHERE n = 7",), ["the chain has 19 lines from 1 to 20"]),
    "another outcome": (
        ("UPDATE kinds SET outcome = 'completed' WHERE reason = 'busy'",),
        ["4 transfers have another outcome in the history than in the outbox: t000002, t000007, t000012 …"],
    ),
}


@pytest.mark.parametrize("how", DAMAGE)
async def test_what_is_missing_is_told(tmp_path: Path, how: str) -> None:
    statements, words = DAMAGE[how]
    metrics = await run_gateway(tmp_path, *day())
    change(tmp_path, FILE_NAME, *statements)
    found = reconcile(tmp_path, lambda: counters(metrics))["differences"]
    assert sorted(words) == sorted(line for line in found if line in words)
    assert found


async def test_a_transfer_that_was_not_counted_is_told(tmp_path: Path) -> None:
    await run_gateway(tmp_path, *day())
    metrics = Metrics(version="1", pjsip="2")
    metrics.reload_done(taken=True, at=STARTED)
    for record in day()[1:]:
        metrics.transfer_ended(record)
    [told] = reconcile(tmp_path, lambda: counters(metrics))["differences"]
    assert told == "the metrics count less since the start than the history has (completed: 7, not 8)"


async def test_what_waits_for_the_history_is_no_difference(tmp_path: Path) -> None:
    metrics = await run_gateway(tmp_path, *day())
    for _ in range(3):
        metrics.transfer_ended(ended(99, Reason.BUSY))
    assert reconcile(tmp_path, lambda: counters(metrics, waiting=3))["differences"] == []
    assert len(reconcile(tmp_path, lambda: counters(metrics, waiting=2))["differences"]) == 1


async def test_what_ends_while_it_is_compared_is_no_difference(tmp_path: Path) -> None:
    metrics = await run_gateway(tmp_path, *day())
    before = counters(metrics)
    fewer = replace(before, ended={**before.ended, "completed": 5})
    readings = iter((fewer, before))
    assert reconcile(tmp_path, lambda: next(readings))["differences"] == []


async def test_counters_that_a_reload_took_away_are_not_missed(tmp_path: Path) -> None:
    metrics = await run_gateway(tmp_path, *day())
    metrics.reload_done(taken=True, at=STARTED + timedelta(seconds=50))
    found = counters(metrics)
    assert not found.complete
    fewer = replace(found, ended={"completed": 1})
    assert reconcile(tmp_path, lambda: fewer)["differences"] == []


async def test_what_the_history_could_not_store_is_told(tmp_path: Path) -> None:
    await run_gateway(tmp_path, *day())
    change(tmp_path, OUTBOX, "INSERT INTO apart SELECT 'history', max(seq), 'refused', 1, 'why', 0 FROM journal")
    [told] = reconcile(tmp_path, no_gateway)["differences"]
    assert told.startswith("1 events could not be stored in the history")


async def test_an_outbox_of_another_release_is_an_error(tmp_path: Path) -> None:
    await run_gateway(tmp_path, *day())
    change(tmp_path, OUTBOX, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="is of version 99"):
        reconcile(tmp_path, no_gateway)


Answer = Callable[[], Any]


async def test_the_command_fails_where_counts_differ(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    directory = write(tmp_path, MAIN.replace("/tmp/transfer-gateway-test", f"{tmp_path}/state"))
    metrics = await run_gateway(tmp_path / "state", *day())
    capsys.readouterr()
    answers: dict[str, Answer] = {"status": status, "metrics": lambda: read(metrics)}
    monkeypatch.setattr(reports, "ask", lambda _http, _path: answers["status"]())
    monkeypatch.setattr(reports, "read_metrics", lambda _http: answers["metrics"]())

    def run() -> tuple[int, dict[str, Any] | None, str]:
        code = cli.main(["report", "--since", "2026-03-01", "--format", "json", "--config", str(directory)])
        printed = capsys.readouterr()
        return code, json.loads(printed.out)["reconciled"] if printed.out else None, printed.err

    code, told, err = run()
    assert (code, err) == (0, "")
    assert told is not None
    assert told["metrics"]["ended"] == 20
    metrics.transfer_ended(ended(99))
    code, told, err = run()
    assert code == 1
    assert told is not None
    assert err == f"transfer-gateway: the counts differ: {told['differences'][0]}\n"
    answers["status"] = lambda: {**status(), "instance": "another"}
    code, told, _ = run()
    assert (code, told and told["metrics"]) == (0, None)
    answers["status"] = lambda: {"instance": "test-1"}
    assert run()[0] == 1

    def silent() -> None:
        raise RemoteError("none")

    answers["metrics"] = silent
    assert run()[0] == 0


def test_the_history_s_place_in_the_outbox_is_the_sink_s() -> None:
    assert NAME == reconciling._HISTORY
