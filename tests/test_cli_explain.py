# SPDX-License-Identifier: GPL-2.0-or-later
"""What `transfer-gateway explain` prints, from the configuration alone or from the running gateway."""

import json
import time
from pathlib import Path

import pytest

from tests.config_directory import MAIN, write
from tests.support.command_line import run, running_gateway

WEDNESDAY_NOON = "2026-03-04T12:00+01:00"
MONDAY_NOON = "2026-03-02T12:00+01:00"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write(tmp_path)


def test_explain_without_a_gateway_answers_from_the_configuration_and_says_so(
    capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    code, out, err = run(capsys, directory, "explain", "0612345678", "--number", "+31201234567", "--at", MONDAY_NOON)
    assert code == 0
    assert out.splitlines() == [
        "decision     accept",
        "destination  sales",
        "extension    6500",
        "reason       accepted (200)",
        "trail",
        "  peer: an operator",
        "  number: main-line on trunk platform",
        "  destination: sales, extension 6500",
        "  hours: office is open until 17:30, for sales",
        "  queue sales: state unknown, no running gateway was asked: allowed, as when_unknown says",
        "  capacity: 0 of 10 calls",
    ]
    assert "this answer is made from the configuration alone" in err


@pytest.mark.keeps("16.81")
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_explain_reads_a_time_by_the_clock_of_the_hours_and_not_of_the_machine(
    capsys: pytest.CaptureFixture[str], directory: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", zone)
        time.tzset()
        _, before, _ = run(capsys, directory, "explain", "sales", "--at", "2026-03-02T17:29")
        _, after, _ = run(capsys, directory, "explain", "sales", "--at", "2026-03-02T17:31")
    time.tzset()
    assert "  hours: office is open until 17:30, for sales" in before.splitlines()
    assert "  hours: office is open until 17:30, for sales" not in after.splitlines()


def test_explain_as_json_is_what_the_contract_says(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    code, out, _ = run(capsys, directory, "explain", "sip:2001@gw", "--at", WEDNESDAY_NOON, "--json")
    answer = json.loads(out)
    assert code == 0
    assert list(answer) == ["decision", "destination", "extension", "reason", "sip_code", "trail", "sentence"]
    assert (answer["decision"], answer["destination"], answer["extension"]) == ("accept", "support", "6501")
    assert "hours: office is closed: opens Fri 09:00, for sales" in answer["trail"]


def test_explain_says_that_it_is_the_overflow_that_would_take_it(
    capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    code, out, _ = run(capsys, directory, "explain", "sip:2001@gw", "--at", WEDNESDAY_NOON)
    assert code == 0
    assert out.splitlines()[:3] == [
        "decision     accept", "destination  support", "overflow     sales is refused (outside-hours)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "reason", "sip_code"),
    [("+31699999999", "unknown-destination", 404), ("http://example.com", "bad-request", 400)],
)
def test_explain_ends_with_1_when_it_would_be_refused(
    capsys: pytest.CaptureFixture[str], directory: Path, target: str, reason: str, sip_code: int
) -> None:
    code, out, _ = run(capsys, directory, "explain", target, "--json")
    answer = json.loads(out)
    assert code == 1
    assert (answer["decision"], answer["reason"], answer["sip_code"]) == ("refuse", reason, sip_code)
    assert answer["destination"] is None


def test_explain_asks_the_running_gateway(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        gateway.answer = {
            "decision": "refuse",
            "destination": "sales",
            "extension": "6500",
            "reason": "queue-unstaffed",
            "sip_code": 480,
            "trail": ["queue sales: no agent is logged in"],
        }
        code, out, err = run(capsys, tmp_path, "explain", "+31612345678", "--at", "2026-03-04T11:00Z")
    assert code == 1
    assert "reason       queue-unstaffed (480)\n" in out
    assert not err
    ((method, path, _, _),) = gateway.asked
    assert method == "GET"
    assert path == "/api/explain?target=%2B31612345678&number=main-line&at=2026-03-04T11%3A00%3A00%2B00%3A00"


def test_a_gateway_in_trouble_does_not_keep_explain_from_answering(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with running_gateway(tmp_path) as gateway:
        error = {"code": "internal-error", "message": "out of order"}
        gateway.status, gateway.answer = 500, {"error": error}
        code, out, err = run(capsys, tmp_path, "explain", "support")
    assert code == 0
    assert "destination  support" in out
    assert "answers 500: out of order; this answer is made from the configuration alone" in err


def test_which_number_is_meant_must_be_said_where_there_are_two(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    second = MAIN[MAIN.index("[[numbers]]") :].replace("main-line", "second").replace("+31201234567", "+31201234568")
    directory = write(tmp_path, MAIN + second)
    assert run(capsys, directory, "tool")[0] == 2
    code, _, err = run(capsys, directory, "tool", "--number", "third")
    assert code == 2
    assert err == "transfer-gateway: --number third is not assigned; known are: main-line, second\n"
    assert run(capsys, directory, "tool", "--number", "+31201234568")[0] == 0
