# SPDX-License-Identifier: GPL-2.0-or-later
"""`make bench-quick` notices what takes far too much; what it counts is what happens."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.compare.compiled import compiled
from tests.compare.counters import Counter, Counters
from tests.compare.counts import (
    LOGGED,
    STATEMENTS,
    CountedSystem,
    counted_by_itself,
    excesses,
    table,
)
from tests.compare.strace import parsed, traced

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Net

TRANSFERS = 30

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.02    0.120000          20      6000        12 futex
 30.10    0.060000          10      5800           sendto
  5.00    0.010000           5      1200       600 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.200000          15     13000       612 total
"""


def test_a_table_of_strace_is_read_without_waits() -> None:
    assert parsed(STRACE) == {"sendto": 5800, "recvfrom": 1200}


async def test_without_strace_there_are_no_system_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    async with traced(os.getpid()) as counts:
        pass
    assert not counts


async def test_who_has_ended_has_no_system_calls() -> None:
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    async with traced(ended.pid) as counts:
        pass
    assert not counts


def test_what_is_within_its_bound_is_no_excess() -> None:
    assert excesses({STATEMENTS: STATEMENTS.most, LOGGED: 0}) == []


def test_an_excess_is_told_with_count_and_bound() -> None:
    [told] = excesses({STATEMENTS: STATEMENTS.most + 1, LOGGED: 1})
    assert told == f"SQL statements: {STATEMENTS.most + 1:,.1f} for each transfer, more than {STATEMENTS.most:,.0f}"


def test_the_table_says_what_was_not_counted() -> None:
    lines = "\n".join(table({STATEMENTS: 12.25}, {}))
    assert "| SQL statements | 12.2 |" in lines
    assert "System calls were not counted" in lines


def test_allocations_of_python_are_counted_and_told_apart(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "counters")
    environment = {
        "LD_PRELOAD": str(compiled("counting.c")),
        "PYTHONMALLOC": "malloc",
        "COUNTS_FILE": str(tmp_path / "counters"),
    }
    code = """
import ctypes, itertools, sys, tests.compare.counters as c
from pathlib import Path
counters = c.Counters(Path(sys.argv[1]))
ctypes.CDLL(None).find_who_allocates()
before = counters.read()
kept = [object() for _ in itertools.repeat(None, 10_000)]
after = counters.read()
print(*(after[each] - before[each] for each in c.Counter))
"""
    told = subprocess.check_output([sys.executable, "-c", code, str(tmp_path / "counters")], env=environment, text=True)
    made = dict(zip(Counter, map(int, told.split()), strict=True))
    assert 10_000 <= made[Counter.PYTHON_ALLOCATIONS] < 12_000
    assert made[Counter.PJSIP_ALLOCATIONS] == 0
    assert counters.read()[Counter.PYTHON_ALLOCATIONS] >= 10_000


@pytest.mark.sip
@pytest.mark.alone
@pytest.mark.keeps("16.230")
async def test_more_statements_than_there_should_be_are_noticed(own_net: Net) -> None:
    async with CountedSystem(own_net, worse=True) as system:
        each = await counted_by_itself(system, own_net, TRANSFERS)
    assert any(one.startswith(f"{STATEMENTS.what}: ") for one in excesses(each)), list(table(each, {}))
    assert all(value > 0 for value in each.values()), "all of them are counted"
