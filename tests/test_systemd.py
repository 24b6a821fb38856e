# SPDX-License-Identifier: GPL-2.0-or-later
"""systemd hears what the service does, in the words of sd_notify(3)."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.systemd import Notifier


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """The socket systemd listens on, and the environment that names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(5)
        if request.param == "file":
            name = str(tmp_path / "notify")
            listener.bind(name)
        else:
            listener.bind(f"\0transfer-gateway-test-{os.getpid()}")
            name = f"@transfer-gateway-test-{os.getpid()}"
        yield listener, {"NOTIFY_SOCKET": name}


def heard(listener: socket.socket) -> list[str]:
    return listener.recv(4096).decode().split("\n")


def test_the_life_of_a_service(systemd: tuple[socket.socket, dict[str, str]]) -> None:
    listener, environ = systemd
    notifier = Notifier(environ)
    notifier.ready("takes calls\non 2 trunks")
    assert heard(listener) == ["READY=1", "STATUS=takes calls on 2 trunks"]
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    state, moment = heard(listener)
    assert state == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.status("3 calls")
    assert heard(listener) == ["STATUS=3 calls"]
    notifier.extend_timeout(1.5)
    assert heard(listener) == ["EXTEND_TIMEOUT_USEC=1500000"]
    notifier.stopping()
    assert heard(listener) == ["STOPPING=1"]
    notifier.close()


async def test_the_watchdog_is_fed_twice_in_its_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.setblocking(False)
        listener.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"})
        feeding = asyncio.create_task(notifier.keep_alive())
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.timeout(5):
            for _ in range(4):
                assert await loop.sock_recv(listener, 100) == b"WATCHDOG=1"
        assert loop.time() - begun >= 0.03
        feeding.cancel()
        notifier.close()


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "rubbish"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
)
async def test_without_a_watchdog_nothing_is_fed(environ: dict[str, str]) -> None:
    async with asyncio.timeout(1):
        await Notifier(environ).keep_alive()


@pytest.mark.parametrize("name", ["", "relative", "@", "/nowhere/at/all"])
def test_without_systemd_nothing_happens(name: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": name} if name else {})
    notifier.ready()
    notifier.close()
    notifier.stopping()


def test_a_systemd_that_does_not_listen_holds_up_nothing(systemd: tuple[socket.socket, dict[str, str]]) -> None:
    _, environ = systemd
    notifier = Notifier(environ)
    begun = time.monotonic()
    for _ in range(5000):
        notifier.status("more than its socket holds")
    assert time.monotonic() - begun < 2
    notifier.close()
