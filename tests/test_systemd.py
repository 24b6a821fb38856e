# SPDX-License-Identifier: GPL-2.0-or-later
"""systemd hears what the service does, in the words of sd_notify(3)."""

import asyncio
import contextlib
import os
import resource
import shlex
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import systemd
from tests.config_directory import MAIN, write

UNIT = Path(__file__).parents[1] / "deploy" / "systemd" / "transfer-gateway.service"


@pytest.fixture(params=["file", "abstract"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The socket that systemd listens on, named in the environment."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@transfer-gateway-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(5)
        monkeypatch.setattr(systemd, "_unheard", deque(maxlen=16), raising=False)
        bound.bind(name.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield bound


def heard(listener: socket.socket) -> list[str]:
    return listener.recv(4096).decode().split("\n")


def now_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_the_life_of_a_service(listener: socket.socket) -> None:
    systemd.ready("takes calls\nWATCHDOG=trigger")
    assert heard(listener) == ["READY=1", "STATUS=takes calls WATCHDOG=trigger"]
    before = now_us()
    systemd.reloading()
    state, moment = heard(listener)
    assert state == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= now_us()
    systemd.ready()
    assert heard(listener) == ["READY=1"]
    systemd.status("3 calls")
    assert heard(listener) == ["STATUS=3 calls"]
    systemd.extend_timeout(1.5)
    assert heard(listener) == ["EXTEND_TIMEOUT_USEC=1500000"]
    systemd.stopping("3 calls are still going on")
    assert heard(listener) == ["STOPPING=1", "STATUS=3 calls are still going on"]


@pytest.mark.keeps("16.160")
@pytest.mark.parametrize(
    "status", ["x" * 300_000, "é" * 5_000, "a file named \udce9", "\ud800" * 4_000], ids=["long", "é", "name", "odd"]
)
def test_a_status_of_whatever_kind_leaves_what_is_said_beside_it(listener: socket.socket, status: str) -> None:
    systemd.ready(status)
    told = listener.recv(1_000_000)
    # systemd ignores what is longer than PIPE_BUF as a whole.
    assert len(told) < 4096
    ready, line = told.decode().split("\n")
    assert ready == "READY=1"
    assert line.startswith("STATUS=")
    assert line.endswith("…") is (len(status) > 1000)


@pytest.mark.keeps("16.160")
def test_without_a_descriptor_left_systemd_hears_all_the_same(listener: socket.socket) -> None:
    systemd.ready()
    heard(listener)
    with no_descriptor_left():
        systemd.reloading()
        systemd.status("3 calls")
        systemd.stopping()
    assert [heard(listener)[0] for _ in range(3)] == ["RELOADING=1", "STATUS=3 calls", "STOPPING=1"]


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_the_watchdog_is_fed_twice_in_its_time(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    listener.setblocking(False)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    feeding = asyncio.create_task(systemd.watchdog())
    async with asyncio.timeout(5):
        for _ in range(4):
            assert await loop.sock_recv(listener, 100) == b"WATCHDOG=1"
    assert loop.time() - begun >= 0.025
    feeding.cancel()


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "rubbish"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
)
async def test_without_a_watchdog_nothing_is_fed(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with asyncio.timeout(1):
        await systemd.watchdog()


@pytest.mark.parametrize("name", ["", "relative", "@", "/nowhere/at/all", "@" + "x" * 200])
def test_without_systemd_nothing_happens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    systemd.ready()
    systemd.stopping()


def test_a_systemd_that_does_not_listen_holds_up_nothing(listener: socket.socket) -> None:
    begun = time.monotonic()
    for _ in range(2000):
        systemd.status("more than its socket holds")
    assert time.monotonic() - begun < 2


@pytest.mark.keeps("16.160")
async def test_what_a_busy_systemd_did_not_hear_is_said_again(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    listener.setblocking(False)
    systemd.reloading()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others, contextlib.suppress(BlockingIOError):
        others.setblocking(False)
        while True:
            others.sendto(b"X=1", listener.getsockname())
    systemd.ready("serving")
    feeding = asyncio.create_task(systemd.watchdog())
    told: list[bytes] = []
    async with asyncio.timeout(5):
        while not told or told[-1] != b"WATCHDOG=1":
            told.append(await asyncio.get_running_loop().sock_recv(listener, 4096))
    feeding.cancel()
    assert [word for word in told if word not in (b"X=1", b"WATCHDOG=1")][1:] == [b"READY=1\nSTATUS=serving"]


def unit(key: str) -> list[str]:
    lines = UNIT.read_text().splitlines()
    return [value for name, _, value in (line.partition("=") for line in lines) if name == key]


@pytest.mark.slow
@pytest.mark.keeps("16.110")
@pytest.mark.parametrize(("main", "exit_code"), [(MAIN, 0), ("[gateway", 78), (MAIN.replace("udp", "upd"), 78)])
def test_a_reload_by_systemd_fails_where_the_configuration_has_mistakes(
    tmp_path: Path, main: str, exit_code: int
) -> None:
    check, tell = unit("ExecReload")
    [start] = unit("ExecStart")
    program, _, directory = shlex.split(start)[0], *shlex.split(start)[-2:]
    assert tell.endswith(f"{program} reload --pid $MAINPID --config {directory}")
    write(tmp_path, main)
    # As systemd would expand it, with this gateway in place of the installed one.
    assert check.startswith("+/usr/bin/env ")
    words = shlex.split(check.removeprefix("+").replace("%d", str(tmp_path / "no-credentials")))
    here = {program: [sys.executable, "-m", "gateway.cli"], directory: [str(tmp_path)]}
    command = [part for word in words for part in here.get(word, [word])]
    assert str(tmp_path) in command
    assert subprocess.run(command, capture_output=True, check=False).returncode == exit_code


def test_the_template_differs_from_the_unit_in_what_names_the_instance_alone() -> None:
    template = UNIT.with_name("transfer-gateway@.service").read_text()
    for own, shared in (
        ("transfer-gateway/instances/%i\n", "transfer-gateway\n"), ("transfer-gateway-%i\n", "transfer-gateway\n"),
        ("gateway %i between", "gateway between"),
    ):  # fmt: skip
        assert own in template
        template = template.replace(own, shared)
    written = [line for line in UNIT.read_text().splitlines() if line not in template.splitlines()]
    assert written == []
    assert len(template.splitlines()) - len(UNIT.read_text().splitlines()) == 4  # which say so
