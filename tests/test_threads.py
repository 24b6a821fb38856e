# SPDX-License-Identifier: GPL-2.0-or-later
"""What blocks is done in threads, and nobody waits for those that hang."""

import asyncio
import subprocess
import sys
import threading

import pytest

from gateway.threads import DaemonPool

HANGS = """
import asyncio, threading, time
from gateway.threads import DaemonPool

async def main():
    loop = asyncio.get_running_loop()
    loop.set_default_executor(DaemonPool())
    begun = threading.Event()
    loop.run_in_executor(None, lambda: (begun.set(), time.sleep(60)))
    while not begun.is_set():
        await asyncio.sleep(0.001)
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.keeps("16.164")
def test_a_thread_that_hangs_keeps_no_process_from_ending() -> None:
    subprocess.run([sys.executable, "-c", HANGS], check=True, timeout=30)


async def test_as_many_at_once_as_there_are_threads_and_then_the_next() -> None:
    asyncio.get_running_loop().set_default_executor(DaemonPool(3))
    gate, running = threading.Barrier(3), list[int]()

    def work(number: int) -> int:
        running.append(number)
        gate.wait(10)
        return number

    done = await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(6)))
    assert done == list(range(6))
    assert sorted(running) == list(range(6))


async def test_what_fails_in_a_thread_is_told() -> None:
    asyncio.get_running_loop().set_default_executor(DaemonPool(1))

    def fail() -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await asyncio.to_thread(fail)
    assert await asyncio.to_thread(lambda: 1) == 1


@pytest.mark.keeps("16.164")
async def test_without_a_thread_left_those_that_are_there_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.get_running_loop().set_default_executor(DaemonPool(4))
    assert await asyncio.to_thread(lambda: 1) == 1

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", fail)
        assert await asyncio.gather(*(asyncio.to_thread(abs, -number) for number in range(5))) == list(range(5))
