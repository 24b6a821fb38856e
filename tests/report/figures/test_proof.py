# SPDX-License-Identifier: GPL-2.0-or-later
"""A proof can be recomputed from its file alone, and whatever is done to it is seen."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway import cli
from gateway.core.outcome import Reason
from gateway.core.record import Milestone, TransferRecord
from gateway.report.figures.proof import ProofFigures, month_span, proof
from gateway.report.figures.verifying import ProofError, Verified, verify
from gateway.report.history.chain import GENESIS, linked
from gateway.report.history.retention import Keep
from gateway.report.history.store import HistoryStore
from gateway.report.store_file import StoreError
from tests.config_directory import MAIN, write
from tests.report.history.made_up import ended, told

pytestmark = pytest.mark.slow

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
MARCH = datetime(2026, 3, 1, 0, 0, tzinfo=AMSTERDAM)
LATER = datetime(2026, 5, 1, tzinfo=UTC)


def store(directory: Path, *records: TransferRecord) -> None:
    history = HistoryStore(directory)
    history.open()
    history.apply([told(Milestone.ENDED, record) for record in records], Keep())
    history.close()


def asked(n: int, at: datetime, waited_s: float | None = 10, reason: Reason = Reason.ANSWERED) -> TransferRecord:
    return ended(n, reason, at=at, human_at=None if waited_s is None else at + timedelta(seconds=waited_s))


def months() -> list[TransferRecord]:
    """Two of February, five of March, two of April; the last of March ended after the first of April."""
    march = [MARCH + timedelta(days=6 * n) for n in range(5)]
    return [
        asked(1, MARCH - timedelta(days=1)),
        asked(2, MARCH - timedelta(milliseconds=1)),
        asked(3, march[0], 170),
        asked(4, march[1], 181),
        asked(5, march[2], None),
        asked(6, march[3], None, Reason.OUTSIDE_HOURS),
        asked(8, datetime(2026, 4, 1, 0, 0, tzinfo=AMSTERDAM)),
        asked(7, march[4], None, Reason.CALLER_HUNG_UP),
        asked(9, datetime(2026, 4, 2, tzinfo=AMSTERDAM)),
        asked(10, datetime(2026, 4, 3, tzinfo=AMSTERDAM)),
    ]


def made(directory: Path, month: str = "2026-03", now: datetime = LATER) -> list[str]:
    return list(proof(directory, month, AMSTERDAM, instance="pbx-1", now=now))


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    store(tmp_path, *months())
    return made(tmp_path)


def check(lines: list[str], **heads: str) -> Verified:
    return verify(lines, {int(n.removeprefix("line")): noted for n, noted in heads.items()})


def test_a_proof_is_found_whole_and_has_the_month_s_figures(lines: list[str]) -> None:
    found = check(lines)
    assert (found.first, found.last, found.notes) == (2, 9, ())
    assert found.figures == {
        "asked": 5, "asked_when_closed": 1, "reached": 2, "unknown": 1, "reached_within_180s": 1,
        "median_s": 170.0, "p95_s": 181.0,
        "of_all": {"asked": 5, "least_percent": 20.0, "most_percent": 40.0, "met": False},
        "of_all_but_when_closed": {"asked": 4, "least_percent": 25.0, "most_percent": 50.0, "met": False},
    }  # fmt: skip


def changed(lines: list[str], at: int, old: str, new: str) -> list[str]:
    assert old in lines[at]
    return [*lines[:at], lines[at].replace(old, new, 1), *lines[at + 1 :]]


def rehashed(lines: list[str]) -> list[str]:
    """Every hash made anew, as by one who knows how."""
    before = json.loads(lines[0].removeprefix("proof "))["before"]
    done = [lines[0]]
    for line in lines[1:-1]:
        text = line.partition(" ")[2]
        before = linked(before, text)
        done.append(f"{before} {text}")
    return [*done, lines[-1]]


TAMPERED: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "changed": (
        lambda it: changed(it, 4, '"human_at":null', '"human_at":"2026-03-13T00:00:09.000Z"'), "line 5: the hash",
    ),
    "taken out": (lambda it: it[:4] + it[5:], "line 5: line 5 of the chain should be here, not 6"),
    "added": (lambda it: [*it[:4], it[3], *it[4:]], "line 5: line 5 of the chain should be here, not 4"),
    "swapped": (lambda it: [*it[:3], it[4], it[3], *it[5:]], "line 4: line 4 of the chain should be here, not 5"),
    "renumbered": (
        lambda it: [*it[:4], it[3].replace('"n":4', '"n":5'), *it[5:]], "line 5: the hash of line 5",
    ),
    "another hash": (lambda it: changed(it, 3, it[3][:8], "0" * 8), "line 4: the hash"),
    "the end cut off": (lambda it: it[:-1], "the end is missing"),
    "tail cut off": (lambda it: it[:-2] + it[-1:], "line 9: the last line should be line 9, and is 8"),
    "tail cut off and the end made to fit": (
        lambda it: changed(it[:-2] + it[-1:], -1 % (len(it) - 1), '"last": 9', '"last": 8'),
        "the line after line 8 is missing: the end of the month was cut off",
    ),
    "beginning cut off": (
        lambda it: changed(it[:1] + it[2:], 0, '"first": 2', '"first": 3')[:], "line 2: the hash of line 3",
    ),
    "beginning cut off and linked anew": (
        lambda it: changed(
            changed(it[:1] + it[2:], 0, '"first": 2', '"first": 3'),
            0, json.loads(it[0][6:])["before"], it[1].partition(" ")[0],
        ),
        "line 2: the line before line 3 is missing: the beginning of the month was cut off",
    ),
    "figures": (
        lambda it: changed(it, 0, '"reached": 2', '"reached": 3'), "line 1: the figures are not those of the lines",
    ),
    "another time": (
        lambda it: changed(it, 0, "2026-02-28T23:00:00.000Z", "2026-03-02T23:00:00.000Z"), "line 1: since",
    ),
    "another form": (lambda it: changed(it, 0, '"form": 1', '"form": 2'), "line 1: it is of form 2"),
    "behind the end": (lambda it: [*it, it[3]], "line 11: there is something behind the end"),
    "no line": (lambda it: [*it[:4], "rubbish", *it[4:]], "line 5: this is no line of the chain"),
    "a line of rubbish": (lambda it: [*it[:4], f"{GENESIS} {{}}", *it[4:]], "line 5: this is no line of the chain"),
    "no end": (lambda it: [*it[:-1], "end {}"], "this is no end of a proof"),
    "no proof": (lambda it: it[1:], "line 1: this is no proof"),
    "empty": (lambda _: [], "line 1: this is no proof"),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_done_to_a_proof_is_seen(lines: list[str], how: str) -> None:
    tamper, words = TAMPERED[how]
    with pytest.raises(ProofError, match=r"^line \d+: ") as found:
        check(tamper(lines))
    assert words in str(found.value)


def test_any_character_that_is_another_is_seen(lines: list[str]) -> None:
    """But for what names the gateway and the time the file was made, which prove nothing."""
    chance = random.Random(1)
    text = "\n".join(lines[1:-1])
    for _ in range(300):
        at = chance.randrange(len(text))
        other = text[:at] + chance.choice('0af{"x') + text[at + 1 :]
        if other != text:
            with pytest.raises(ProofError):
                check([lines[0], *other.split("\n"), lines[-1]])


def test_who_makes_all_hashes_anew_is_seen_by_a_head_that_was_noted(lines: list[str]) -> None:
    noted = lines[-2].partition(" ")[0]
    assert check(lines, line9=noted).notes == ()
    forged = rehashed(changed(lines, 8, '"main-line"', '"other"'))
    assert check(forged).notes == ()  # the file alone can't tell
    with pytest.raises(ProofError, match="line 9: line 9 was noted with another hash"):
        check(forged, line9=noted)


def test_a_tail_that_is_cut_off_the_chain_itself_is_seen_by_a_head_that_was_noted(tmp_path: Path) -> None:
    store(tmp_path, *months()[:6])
    lines = made(tmp_path)
    assert check(lines).notes == ("line 6 was the newest: whether more followed, a later chain-head or --proof tells",)
    with pytest.raises(ProofError, match="line 8 was noted, and the chain ends with line 6 here"):
        check(lines, line8="0" * 64)


def test_a_head_of_another_month_is_compared_with_nothing(lines: list[str]) -> None:
    assert check(lines, line1="0" * 64).notes == ("line 1 is not in this file: its hash was compared with nothing",)
    assert len(check(lines, line99="0" * 64).notes) == 1


def test_a_month_that_is_not_over_is_noted(tmp_path: Path) -> None:
    store(tmp_path, *months())
    notes = check(made(tmp_path, "2026-04", datetime(2026, 4, 20, tzinfo=UTC))).notes
    assert notes[-1] == "it was made before 2026-04 was over"


def test_the_first_line_of_all_follows_nothing(tmp_path: Path) -> None:
    store(tmp_path, *months())
    found = made(tmp_path, "2026-02")
    assert json.loads(found[0][6:])["before"] == GENESIS
    assert check(found).first == 1
    forged = changed(found, 0, GENESIS, "null").copy()
    with pytest.raises(ProofError):
        check(changed(changed(forged, 0, '"null"', "null"), 1, '"main-line"', '"other"'))


def test_months_without_transfers_or_without_their_beginning_are_no_proof(tmp_path: Path) -> None:
    store(tmp_path, *months())
    with pytest.raises(StoreError, match="the chain has no transfer of 2026-07"):
        made(tmp_path, "2026-07")
    history = HistoryStore(tmp_path)
    history.open()
    history._file.db.execute("DELETE FROM chain WHERE n < 4")
    history.close()
    with pytest.raises(StoreError, match="no longer has the beginning of 2026-03: its oldest line is 4"):
        made(tmp_path)
    assert check(made(tmp_path, "2026-04")).last == 10


@pytest.mark.parametrize("month", ["2026", "2026-13", "2026-1", "x", "9999-12", "0001-01"])
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(ValueError, match="is no month such as"):
        month_span(month, AMSTERDAM)


def test_a_month_is_that_of_the_clock_on_the_wall() -> None:
    assert month_span("2026-03", AMSTERDAM) == (
        datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC),
    )  # fmt: skip
    assert month_span("2025-12", UTC) == (datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


def line(waited_s: float | None, reason: Reason = Reason.ANSWERED) -> dict[str, Any]:
    human = None if waited_s is None else (MARCH + timedelta(seconds=waited_s)).isoformat()
    return {"requested_at": MARCH.isoformat(), "human_at": human, "outcome": reason.outcome, "reason": reason}


@pytest.mark.parametrize(
    ("in_time", "late", "unknown", "least", "most", "met"),
    [
        (95, 5, 0, 95.0, 95.0, True),
        (949, 51, 0, 94.9, 94.9, False),
        (94, 1, 5, 94.0, 99.0, None),
        (0, 0, 1, 0.0, 100.0, None),
        (9499, 501, 0, 94.9, 94.9, False),
    ],
)
def test_the_share_is_told_as_far_as_it_is_known(
    in_time: int, late: int, unknown: int, least: float, most: float, met: bool | None
) -> None:
    figures = ProofFigures()
    for waited, count in ((180, in_time), (180.001, late), (None, unknown)):
        for _ in range(count):
            figures.add(line(waited))
    share = figures.document()["of_all"]
    assert (share["least_percent"], share["most_percent"], share["met"]) == (least, most, met)


def test_the_command_prints_a_proof_and_verifies_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    directory = write(tmp_path, MAIN.replace("/tmp/transfer-gateway-test", f"{tmp_path}/state"))
    (tmp_path / "state").mkdir()
    store(tmp_path / "state", *months())

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["report", *arguments, "--config", str(directory)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    code, out, _ = run("--proof", "2026-03")
    assert code == 0
    file = tmp_path / "march.txt"
    file.write_text(out)
    code, out, _ = run("--verify", str(file))
    assert (code, out.splitlines()[0]) == (0, f"{file}: lines 2 to 9 of the chain: nothing changed, added or missing")
    code, out, _ = run("--verify", str(file), "--head", f"9:{'0' * 64}")
    assert (code, out) == (1, f"{file}: line 9: line 9 was noted with another hash\n")
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    assert run("--verify", str(file))[0] == 1
    assert run("--verify", str(tmp_path / "nothing"))[0] == 2
    assert run("--proof", "2026-3")[0] == 2
    assert run("--proof", "2027-03")[0] == 1
