# SPDX-License-Identifier: GPL-2.0-or-later
"""Has a program that binds its RTP to no address send it from the one that it names in its descriptions."""

from __future__ import annotations

import asyncio
from pathlib import Path

_SOURCE = Path(__file__).with_name("bound.c")


async def bound_to(host: str, directory: Path) -> dict[str, str]:
    """The environment for such a program; what it needs is compiled into `directory`."""
    library = directory / "bound.so"
    compiler = await asyncio.create_subprocess_exec("cc", "-shared", "-fPIC", "-o", library, _SOURCE)
    assert await compiler.wait() == 0
    return {"LD_PRELOAD": str(library), "BOUND_TO": host}
