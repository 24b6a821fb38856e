# SPDX-License-Identifier: GPL-2.0-or-later
"""`transfer-gateway report` beside the gateway that serves: it asks it over HTTP, and tells what differs."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.sip.scene import ANNA, EXTENSIONS, OVERFLOWS, UNKNOWN
from tests.support.command_line import transfer_gateway
from tests.support.processes import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip

TRANSFERS = "transfer_gateway_transfers_total"
CHANGED = (
    "DELETE FROM transfers WHERE at = (SELECT max(at) FROM transfers)",
    "DELETE FROM chain WHERE n = (SELECT max(n) FROM chain)",
)


async def report(directory: Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, figures and complaints of the command."""
    figures = ("report", "--by", "destination", "--format", "json", "--config", str(directory))
    code, printed, complaints = await transfer_gateway(*figures)
    return code, json.loads(printed), complaints


async def stored(scene: Scene) -> None:
    """Wait until the history has all that has ended."""

    async def nothing_waits() -> bool:
        return not (await scene.gateway.get("/api/status"))["history"]["waiting"]

    await eventually(nothing_waits, "the history has taken all")


def of(figures: dict[str, Any], destination: str) -> dict[str, int]:
    """How often one was rung, unanswered and reached."""
    found = [one for one in figures["rung"] if (one["number"], one["destination"]) == ("main", destination)]
    return {name: found[0][name] if found else 0 for name in ("rung", "no_answer", "reached")}


@pytest.mark.keeps("16.194")
async def test_a_report_beside_the_gateway_compares_what_both_have_counted(scene: Scene, tmp_path: Path) -> None:
    await stored(scene)
    _, before, _ = await report(scene.gateway.directory)
    _, assistant = await scene.bridged()
    assert (await assistant.refer(UNKNOWN)).code == 404
    # A hunt: the first has no time, the second takes the caller.
    first = await scene.referred(assistant, OVERFLOWS, "overflowing")
    first.reject(486)
    second = await scene.extension(EXTENSIONS["anna"])
    await second.answer()
    await assistant.wait_request("BYE")
    caller, other = await scene.bridged()
    third = await scene.referred(other, ANNA)
    await third.ring()
    await caller.hang_up()
    await scene.outcome()
    await stored(scene)

    code, figures, complaints = await report(scene.gateway.directory)
    assert (code, figures["reconciled"]["differences"]) == (0, []), complaints
    counted = sum(int(one.value) for one in await scene.gateway._samples(TRANSFERS))
    compared = figures["reconciled"]["metrics"]
    assert compared["ended"] == compared["stored"] == counted
    assert figures["reconciled"]["outbox"]["waiting"]["history"] == 0
    more = {name: figures["total"][name] - before["total"][name] for name in ("asked", "refused", "lost", "unknown")}
    # No PBX says who answered, and nobody guesses.
    assert more == {"asked": 3, "refused": 1, "lost": 1, "unknown": 1}
    rung = {
        name: {what: of(figures, name)[what] - of(before, name)[what] for what in ("rung", "reached")}
        for name in ("overflowing", "anna")
    }
    assert rung == {"overflowing": {"rung": 1, "reached": 0}, "anna": {"rung": 2, "reached": 0}}

    # The same gateway, and a history out of which somebody has taken a transfer, with its line.
    changed = tmp_path / "changed"
    shutil.copytree(scene.gateway.directory, changed)
    for file in changed.rglob("*.toml"):
        file.write_text(file.read_text().replace(str(scene.gateway.directory), str(changed)))
    with closing(sqlite3.connect(changed / "state" / "history.db", isolation_level=None)) as db:
        for statement in CHANGED:
            db.execute(statement)
    code, figures, complaints = await report(changed)
    assert code == 1
    assert "the counts differ: the metrics count more since the start than the history has" in complaints
    assert "are not in the history" in complaints
    assert figures["reconciled"]["metrics"]["ended"] == figures["reconciled"]["metrics"]["stored"] + 1
