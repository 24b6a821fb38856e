# SPDX-License-Identifier: GPL-2.0-or-later
"""A shell for commands as the documents have them, with programs of its own before those of this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0


def gateway_programs(configuration: Path) -> dict[str, str]:
    """The command, for the configuration in that directory, and a journalctl with the log of the gateway there."""
    return {
        "transfer-gateway": f'exec {sys.executable} -m gateway.cli "$@" --config {configuration}',
        "journalctl": f'[ "$*" = "-u transfer-gateway" ] && cat {configuration}/gateway.log',
    }


class Shell:
    """Runs commands with bash. `programs` are scripts for sh by their names; `within` is put before each command."""

    def __init__(
        self, directory: Path, programs: Mapping[str, str], within: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self._within = within
        self._programs = directory / "programs"
        self._programs.mkdir()
        for name, script in programs.items():
            file = self._programs / name
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)

    async def run(self, commands: str, *, cwd: Path = ROOT, **environment: str) -> tuple[int, str]:
        """Run them as one script, which ends at the first that fails: its exit code, and all that it printed."""
        paths = {"PATH": f"{self._programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        child = await asyncio.create_subprocess_exec(
            *self._within(), "bash", "-euo", "pipefail", "-c", commands, cwd=cwd,
            env={**os.environ, **paths, **environment},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(LIMIT_S):
            said, _ = await child.communicate()
        assert child.returncode is not None
        return child.returncode, said.decode()
