# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway that is a copy of a process with all modules loaded is to a test what a started one is."""

from __future__ import annotations

import asyncio
import functools
import os
import select
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import LINES, settings
from tests.support.gateway import Gateway
from tests.support.prepared import Copy, Prepared, prepared
from tests.support.processes import open_files

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

ENDS_AT_ONCE = """
import sys
from pathlib import Path
from tests.support.prepared import Copy
copy = Copy("gateway", ["run", "--config", sys.argv[1]], Path(sys.argv[1], "log"))
assert copy.exit_code is None
print(copy.pid)
"""


def connections(pid: int) -> set[str]:
    """The sockets and pipes that a process holds."""
    return {one for one in open_files(pid) if one.startswith(("socket:", "pipe:"))}


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("copied", [False, True], ids=["started", "copied"])
async def test_its_life(own_net: Net, copied: bool) -> None:
    gateway = Gateway(settings(own_net, {"main": LINES["main"]}))
    gateway.copied = copied
    async with gateway:
        assert isinstance(gateway.child, Copy) == copied
        assert parent_of(gateway.child.pid) == os.getpid()
        assert gateway.child.exit_code is None
        assert await gateway.stop() == 0
        assert " started " in gateway.log
        await gateway.start()
        await gateway.kill()
        assert gateway.child.exit_code == -9


async def test_it_keeps_nothing_of_what_it_is_a_copy_of(own_net: Net) -> None:
    gateway = Gateway(settings(own_net, {"main": LINES["main"]}))
    gateway.copied = True
    async with gateway:
        assert connections(prepared().pid)
        assert not connections(prepared().pid) & connections(gateway.child.pid)


def test_it_ends_with_the_test(own_net: Net) -> None:
    gateway = Gateway(settings(own_net, {"main": LINES["main"]}))
    pid = int(subprocess.check_output([sys.executable, "-c", ENDS_AT_ONCE, str(gateway.directory)]))
    with suppress(ProcessLookupError), os.fdopen(os.pidfd_open(pid)) as process:
        ended, _, _ = select.select([process], [], [], 10)
        assert ended
    shutil.rmtree(gateway.directory)


def test_a_thread_that_ends_takes_nothing_with_it(own_net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tests begin in a thread of their own, which may be the first that needs a gateway."""
    fresh = functools.cache(Prepared)
    monkeypatch.setattr("tests.support.prepared._prepared", fresh)

    def begin() -> None:
        async def life() -> None:
            gateway = Gateway(settings(own_net, {"main": LINES["main"]}))
            gateway.copied = True
            async with gateway:
                pids.append(gateway.child.pid)

        asyncio.run(life())

    pids: list[int] = []
    for _ in range(2):
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join()
    assert len(pids) == 2
    fresh().close()


def test_what_would_find_other_surroundings_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepared().fits
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody")
    assert prepared().fits
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/nowhere")
    assert not prepared().fits
