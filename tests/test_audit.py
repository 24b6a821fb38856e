# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit trail on disk: it outlives the gateway, stays within bounds, and holds up nobody."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway import audit
from gateway.audit import AT_HAND, AuditTrail
from gateway.ports import GivenCommand
from tests.bench.clock import VirtualClock

BEGIN = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def given(call: str = "c1") -> GivenCommand:
    """A command about this call."""
    return GivenCommand("crm", "http", "transfer", "accepted", call=call, number="main-line", remote="192.0.2.1")


async def opened(directory: Path, max_bytes: int = 1_000_000) -> AuditTrail:
    """The trail that is kept in this directory."""
    trail = AuditTrail(str(directory), VirtualClock(BEGIN), max_bytes)
    await trail.start()
    return trail


async def test_it_outlives_the_gateway(tmp_path: Path) -> None:
    trail = await opened(tmp_path)
    with capture_logs() as logs:
        for call in ("c1", "c2", "c3"):
            trail.note(given(call))
    await trail.stop()
    assert [each["event"] for each in logs] == ["command-given"] * 3
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    again = await opened(tmp_path)
    assert [each["call"] for each in again.newest(2)] == ["c3", "c2"]
    assert again.newest(1) == [
        {
            "at": "2026-03-04T12:00:00.000Z", "author": "crm", "via": "http", "action": "transfer",
            "result": "accepted", "call": "c3", "transfer": None, "number": "main-line", "destination": None,
            "remote": "192.0.2.1",
        }
    ]  # fmt: skip
    await again.stop()


async def test_it_stays_within_bounds(tmp_path: Path) -> None:
    trail = await opened(tmp_path, max_bytes=10_000)
    for number in range(500):
        trail.note(given(f"c{number}"))
    await trail.stop()
    sizes = [(tmp_path / name).stat().st_size for name in ("audit.jsonl", "audit.1.jsonl")]
    assert all(0 < size <= 10_000 for size in sizes)
    assert not (tmp_path / "audit.2.jsonl").exists()
    again = await opened(tmp_path)
    calls = [each["call"] for each in again.newest(AT_HAND)]
    assert calls == [f"c{number}" for number in range(499, 499 - len(calls), -1)]  # the newest, without a gap
    assert len(calls) > 50
    await again.stop()


async def test_half_a_line_is_left_out(tmp_path: Path) -> None:
    whole = json.dumps({"call": "c1"})
    (tmp_path / "audit.jsonl").write_bytes(f"{whole}\n[1]\n{whole[:5]}".encode() + b"\xff\n")
    trail = await opened(tmp_path)
    assert trail.newest(9) == [{"call": "c1"}]
    await trail.stop()


async def test_a_full_disk_is_told_once_and_the_trail_goes_on_in_memory(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").symlink_to("/dev/full")
    trail = AuditTrail(str(tmp_path), VirtualClock(BEGIN))
    with capture_logs() as logs:
        for call in ("c1", "c2"):
            trail.note(given(call))
        await trail.stop()
    assert [each["event"] for each in logs].count("audit-unwritten") == 1
    assert [each["call"] for each in trail.newest(9)] == ["c2", "c1"]


async def test_a_line_does_not_wait_for_the_disk_that_hangs_over_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _descriptor: goes_on.wait())
    trail = await opened(tmp_path)
    for call in ("c1", "c2", "c3"):
        trail.note(given(call))
        await trail.kept()
        assert json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[-1])["call"] == call
    goes_on.set()
    await trail.stop()


async def test_all_that_was_written_is_brought_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    trail = await opened(tmp_path)
    for call in ("c1", "c2", "c3"):
        trail.note(given(call))
    await trail.stop()
    assert sizes[-1] == (tmp_path / "audit.jsonl").stat().st_size


async def test_an_answer_waits_for_its_line_for_so_long_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, real = threading.Event(), os.open

    def hangs(*arguments: object) -> int:
        goes_on.wait()
        return real(*arguments)  # type: ignore[arg-type]  # as they were given

    trail = await opened(tmp_path)
    monkeypatch.setattr(os, "open", hangs)
    monkeypatch.setattr(audit, "KEPT_S", 0.01)
    trail.note(given())
    await trail.kept()
    assert not (tmp_path / "audit.jsonl").exists()
    assert len(trail.newest(9)) == 1
    goes_on.set()
    await trail.stop()
    assert (tmp_path / "audit.jsonl").exists()


async def test_a_disk_that_takes_nothing_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    trail = await opened(tmp_path)
    with capture_logs() as logs:
        for call in ("c1", "c2"):
            trail.note(given(call))
            await trail.kept()
        await trail.stop()
    assert [each["event"] for each in logs].count("audit-unwritten") == 1
