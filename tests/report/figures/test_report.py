# SPDX-License-Identifier: GPL-2.0-or-later
"""`transfer-gateway report` on a history's file: for people, for spreadsheets, for programs."""

import csv
import io
import json
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import cli
from gateway.core.outcome import Reason
from gateway.core.platform_calls import Promise
from gateway.core.record import Milestone, TransferRecord
from gateway.report.cursors import StoredEvent
from gateway.report.event import platform_call_event
from gateway.report.figures import made
from gateway.report.figures.made import Wanted, report
from gateway.report.history.retention import Keep
from gateway.report.history.store import HistoryStore
from tests.config_directory import MAIN, write
from tests.report import samples
from tests.report.history.made_up import ended, mixed, stored, told, whole

pytestmark = pytest.mark.slow

SPAN = ("--since", "2026-03-01", "--until", "2026-03-31")


def store(directory: Path, *records: TransferRecord) -> None:
    put(directory, [told(Milestone.ENDED, record) for record in records])


def put(directory: Path, events: list[StoredEvent]) -> None:
    history = HistoryStore(directory)
    history.open()
    history.apply(events, Keep())
    history.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return write(tmp_path, MAIN.replace("/tmp/transfer-gateway-test", f"{tmp_path}/state"))


def run(capsys: pytest.CaptureFixture[str], directory: Path, *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["report", *arguments, "--config", str(directory)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def day() -> list[TransferRecord]:
    """Three reached, of whom one by a number that is no longer there; refused, lost, and what is no destination."""
    return [
        ended(1, human_at=samples.after(3)),
        ended(2, human_at=samples.after(12)),
        ended(3, human_at=samples.after(203), number="gone"),
        ended(4, Reason.OUTSIDE_HOURS, at=samples.after(9 * 3600)),
        ended(5, Reason.CALLER_HUNG_UP, returned_to_transferor=False),
        ended(6, Reason.NO_ANSWER, destination="desk", returned_to_transferor=True),
        ended(7, Reason.UNKNOWN_DESTINATION, destination=None, requested_target="sip:\x1b[2Jboss@x"),
        ended(8, Reason.UNKNOWN_DESTINATION, destination=None, requested_target="+31999"),
        ended(9, Reason.UNKNOWN_DESTINATION, destination=None, requested_target="+31999"),
    ]


def test_json_has_all_of_it(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    store(directory / "state", *day())
    code, out, err = run(capsys, directory, *SPAN, "--by", "destination", "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["since"] == "2026-02-28T23:00:00.000Z"  # by the clock in Amsterdam
    assert found["total"] == {
        "asked": 9, "reached": 3, "unknown": 0, "refused": 4, "lost": 1, "failed": 1, "interrupted": 0, "returned": 1,
        "reached_percent": 33.3, "median_s": 10.0, "p95_s": 200.0,
    }  # fmt: skip
    assert found["reasons"][:2] == [
        {"outcome": "completed", "reason": "answered", "count": 3},
        {"outcome": "refused", "reason": "unknown-destination", "count": 3},
    ]
    assert [(each["number"], each["destination"], each["asked"]) for each in found["groups"]] == [
        ("main-line", "sales", 4), ("main-line", None, 3), ("gone", "sales", 1), ("main-line", "desk", 1),
    ]  # fmt: skip
    assert found["training"] == {
        "no_destination": [
            {"number": "main-line", "target": "+31999", "count": 2},
            {"number": "main-line", "target": "sip:\x1b[2Jboss@x", "count": 1},
        ],
        "closed": [{"number": "main-line", "destination": "sales", "asked": 1, "hours": {"19:00": 1}}],
        "unreached": [{"number": "main-line", "destination": "desk", "asked": 1, "reasons": {"no-answer": 1}}],
        "never_came": [],
    }


def test_of_one_number_alone(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    store(directory / "state", *day())
    _, out, _ = run(capsys, directory, *SPAN, "--number", "main-line", "--format", "json")
    assert json.loads(out)["total"]["asked"] == 8
    code, _, err = run(capsys, directory, "--number", "nowhere")
    assert code == 2
    assert "nowhere is not assigned" in err


def test_csv_is_a_line_for_each_group_that_no_spreadsheet_takes_for_a_formula(
    capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    store(directory / "state", *day(), ended(20, number="=1+1"))
    _, out, _ = run(capsys, directory, *SPAN, "--by", "destination", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {(row["number"], row["asked"]) for row in rows} == {
        ("main-line", "4"), ("main-line", "3"), ("main-line", "1"), ("gone", "1"), ("'=1+1", "1")
    }  # fmt: skip
    _, out, _ = run(capsys, directory, *SPAN, "--format", "csv")
    assert [row["asked"] for row in csv.DictReader(io.StringIO(out))] == ["10"]


def test_the_table_holds_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    store(directory / "state", *day())
    for by in ("destination", "hour", "reason"):
        code, out, _ = run(capsys, directory, *SPAN, "--by", by)
        assert code == 0
        assert "\x1b" not in out
        assert "training opportunity: asked for when closed\nnumber" in out
    assert "19:00 1×" in out


def test_nothing_in_the_time_is_a_report_of_nothing(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    store(directory / "state", *day())
    for form in ("table", "csv", "json"):
        code, out, _ = run(capsys, directory, "--until", "2026-01-01", "--by", "hour", "--format", form)
        assert code == 0
    assert json.loads(out)["total"]["median_s"] is None


def test_without_a_history_it_says_so(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    code, out, err = run(capsys, directory)
    assert (code, out) == (1, "")
    assert "there is no" in err


def test_figures_are_those_of_the_records(tmp_path: Path) -> None:
    records = mixed(500)
    store(tmp_path, *records)
    since, until = samples.START + timedelta(hours=1), samples.START + timedelta(hours=2)

    def counted(number: str | None) -> dict[str, Any]:
        found = report(tmp_path, Wanted(since, until, number), lambda _n, _d: UTC)
        total: dict[str, Any] = found["total"]
        return total

    for number in (None, "shop"):
        chosen = [each for each in records if since <= each.requested_at < until and number in {None, each.number}]
        assert chosen
        assert counted(number)["asked"] == len(chosen)
        assert counted(number)["reached"] == sum(each.human_at is not None for each in chosen)


def test_a_peer_that_asks_for_anything_fills_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "MOST_TARGETS", 3)
    asked = [ended(n, Reason.UNKNOWN_DESTINATION, destination=None, requested_target=f"+{n}") for n in range(10)]
    store(tmp_path, *asked)
    found = report(tmp_path, Wanted(samples.START, samples.after(100)), lambda _n, _d: UTC)
    targets = found["training"]["no_destination"]
    assert targets[0] == {"number": None, "target": "(others)", "count": 7}
    assert len(targets) == 4


def test_milestones_of_what_still_runs_are_no_transfer(tmp_path: Path) -> None:
    store(tmp_path)
    history = HistoryStore(tmp_path)
    history.open()
    history.apply([*whole(ended(1)), told(Milestone.REQUESTED, samples.requested())], Keep())
    history.close()
    found = report(tmp_path, Wanted(samples.after(-9), samples.after(100)), lambda _n, _d: UTC)
    assert found["total"]["asked"] == 1


def test_what_was_promised_and_never_came_is_a_training_opportunity(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = samples.platform_call(promise=Promise.BROKEN, transfers=())
    other = samples.platform_call(id="b" * 32, promise=Promise.KEPT)
    put(directory / "state", [stored(platform_call_event("pbx-1", one, samples.START)) for one in (broken, other)])

    _, out, _ = run(capsys, directory, *SPAN, "--format", "json")
    assert json.loads(out)["training"]["never_came"] == [
        {
            "number": "main-line",
            "platform": "hms",
            "ended_at": "2026-03-02T09:30:01.123Z",
            "promised_by": "spoken-message",
            "ended_reason": "user_hangup",
            "call_id": "call-_+31201112222_kq7x",
        }
    ]
    _, out, _ = run(capsys, directory, *SPAN)
    assert "training opportunity: promised by the assistant, and never asked for\nnumber" in out
