# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit trail on disk: it outlives the gateway, stays within bounds, and holds up nobody."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from structlog.testing import capture_logs

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
