# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that run side by side take nothing from each other, and a server that does not start leaves nothing behind."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tests.side_by_side import LONGEST
from tests.support import own_network
from tests.support.processes import Child, ChildError, kept_waiting_s

ROOT = Path(__file__).parents[2]
HOLDER = """
import socket, sys
with socket.socket() as address, socket.socket(socket.AF_UNIX) as name:
    address.bind(("127.0.7.7", 5060))
    name.bind("\\0transfer-gateway-bed-of-a-test")
    print(socket.if_nameindex(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(own_network.allowed()), reason="this machine gives nobody a network of their own")
def test_two_that_run_side_by_side_have_the_same_addresses_each_for_itself() -> None:
    command = [*own_network.command(), sys.executable, "-c", HOLDER]
    holders = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for holder in holders:
            assert holder.stdout
            assert holder.stdout.readline() == "[(1, 'lo')]\n"
    finally:
        for holder in holders:
            holder.communicate("")
    assert [holder.returncode for holder in holders] == [0, 0]


async def test_a_server_that_is_not_ready_in_time_does_not_stay(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    sleeper = Child("sleeper", ["sleep", "60"], tmp_path / "log")
    with pytest.raises(ChildError, match="not ready"):
        await sleeper.ready(never, 0.05)
    assert sleeper.exit_code == -9


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel does not tell who waits for a CPU")
async def test_what_waits_for_a_cpu_is_not_late(tmp_path: Path) -> None:
    """On one CPU with many who want it, a server gets its turns late: that time is not counted."""
    busy = ["taskset", "--cpu-list", "0", sys.executable, "-c", "print(sum(range(10**9)))"]
    crowd = [Child(f"busy {number}", busy, tmp_path / f"log {number}") for number in range(6)]
    try:

        async def waited() -> bool:
            return kept_waiting_s(crowd[0].pid) > 0.3

        await crowd[0].ready(waited, 0.2)
    finally:
        for one in crowd:
            await one.kill()


@pytest.mark.slow
def test_a_property_is_not_held_to_the_clock() -> None:
    """Two properties failed on a busy machine: hypothesis gave each of their examples 0.2 s."""

    @settings(max_examples=2)
    @given(st.booleans())
    def kept_from_the_cpu(_: bool) -> None:
        time.sleep(0.3)

    kept_from_the_cpu()


def test_what_is_begun_first_is_there() -> None:
    assert [file for file in LONGEST if not (ROOT / file).is_file()] == []


def test_make_test_leaves_no_test_out() -> None:
    """Whatever is not `alone` runs side by side, the rest after it, and both with the same selection."""
    recipe = re.search(r"^test: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    chosen = re.findall(r"-m '?\"?((?:not )?alone)\b", recipe[1])
    assert sorted(chosen) == ["alone", "not alone"]
