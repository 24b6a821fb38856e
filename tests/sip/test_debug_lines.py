# SPDX-License-Identifier: GPL-2.0-or-later
"""PJSIP's own log waits for nobody who has stopped reading it."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest

LINES = 2000
WRITES = f"""
import sys
import pjsua2 as pj
endpoint = pj.Endpoint()
endpoint.libCreate()
for _ in range({LINES}):
    endpoint.utilLogWrite(1, "test", "x" * 1000)
print("all written", file=sys.stderr, flush=True)
sys.stdin.readline()
endpoint.utilLogWrite(1, "test", "the last one")
"""


@pytest.mark.slow
@pytest.mark.keeps("16.161")
async def test_lines_that_nobody_reads_hold_up_nobody_and_are_counted() -> None:
    pipe = asyncio.subprocess.PIPE
    writing = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITES, stdin=pipe, stdout=pipe, stderr=pipe, limit=1024
    )
    try:
        assert writing.stdin
        assert writing.stdout
        assert writing.stderr
        assert await asyncio.wait_for(writing.stderr.readline(), 30) == b"all written\n"
        told = asyncio.ensure_future(writing.stdout.read())
        writing.stdin.write(b"\n")
        text = (await asyncio.wait_for(told, 30)).decode()
    finally:
        if writing.returncode is None:
            writing.kill()
        await writing.communicate()  # what is left in the pipe would keep it from being over
    missing = [int(count) for count in re.findall(r"(\d+) lines of PJSIP's are missing", text)]
    assert missing
    assert sum(missing) + text.count("x" * 1000) >= LINES
