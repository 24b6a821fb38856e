# SPDX-License-Identifier: GPL-2.0-or-later
"""A server of several processes is killed as a whole: what is left of it would keep the addresses of the next one."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.processes import Child, eventually

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("ended_by_itself", [False, True])
async def test_its_children_are_killed_with_it(tmp_path: Path, ended_by_itself: bool) -> None:
    told = tmp_path / "child"
    child = Child(
        "family",
        ["sh", "-c", f"sleep 600 & echo $! > {told}.new; mv {told}.new {told}; wait"],
        tmp_path / "log",
        family=True,
    )

    async def written() -> bool:
        return told.exists()

    await child.ready(written)
    pid = int(told.read_text())
    if ended_by_itself:
        child.signal(signal.SIGKILL)
        await child.wait()
    os.kill(pid, 0)
    await child.kill()

    async def gone() -> bool:
        return has_ended(pid)

    await eventually(gone, "the child has ended", timeout_s=30)


def has_ended(pid: int) -> bool:
    """Nobody may be there to take note of its end."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
