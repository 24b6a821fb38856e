# SPDX-License-Identifier: GPL-2.0-or-later
"""Real servers as children of the test: started, awaited, stopped or killed by pid, and never left behind.

Nothing here is bound to an event loop between calls, so a server that lives for a whole test session serves tests
that each have a loop of their own.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
    from types import TracebackType

# Below the kernel's ephemeral range (32768–60999), so that no outgoing connection takes a port just found free;
# above the ranges that the gateway (20000–29999) and the PBX (10000–19999) use for RTP.
PORTS = range(30000, 32768)
_given: deque[int] = deque(maxlen=2000)
"""The last ports that were found free: who was given one may be yet to begin."""
POLL_S = 0.01
WAIT_S = 20.0
"""How long what has to come is waited for. Only a test that fails takes it, or a machine whose disk stands still."""
FIRST = -20
"""How nice the least nice process is."""

T = TypeVar("T")


def open_files(pid: int) -> list[str]:
    """What each descriptor of a process stands for, e.g. "socket:[1234]" (proc_pid_fd(5))."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # closed since it was listed
            found.append(str(descriptor.readlink()))
    return found


class ChildError(RuntimeError):
    """A server did not start, or ended by itself; the message holds the end of its log."""


class Process(Protocol):
    """What a Child needs of subprocess.Popen."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def send_signal(self, number: int) -> None: ...


class Child:
    """A running child process whose output goes to a file.

    It gets no terminal and no pipe, since a server that inherits one can block or hold its parent open, and the
    kernel kills it when this process dies, however that happens.
    """

    _process: Process
    _family = False

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        family: bool = False,
    ) -> None:
        """`family`: it has children, which `kill` ends with it, whether it runs or not."""
        self.name = name
        self.log = log
        self._family = family
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                cwd=cwd,
                process_group=0 if family else None,
            )

    @property
    def pid(self) -> int:
        """The process id; it stays the same through the start-up helpers, which all exec."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    async def ready(self, condition: Callable[[], Awaitable[bool]], timeout_s: float = 20.0) -> Self:
        """Wait until `condition` holds, an OSError counting as no; raises ChildError when it ends or takes too long.

        While it waits for a CPU that others have, its time does not run. Who takes too long is killed: it would keep
        addresses that the next one needs.
        """
        begun, kept = time.monotonic(), kept_waiting_s(self.pid)
        while True:
            with suppress(OSError):
                if await condition():
                    return self
            if self.exit_code is not None:
                raise ChildError(f"{self.name} ended with {self.exit_code}\n{self.tail()}")
            if time.monotonic() - begun > timeout_s + kept_waiting_s(self.pid) - kept:
                await self.kill()
                raise ChildError(f"{self.name} is not ready after {timeout_s} s\n{self.tail()}")
            await asyncio.sleep(POLL_S)

    async def accepts(self, host: str, port: int, timeout_s: float = 20.0) -> Self:
        """Wait until it listens on a TCP port."""

        async def connects() -> bool:
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            await writer.wait_closed()
            return True

        return await self.ready(connects, timeout_s)

    async def wait(self, timeout_s: float = 20.0) -> int:
        """Wait for its end; returns the exit code, negative for a signal. Raises TimeoutError."""
        if (code := self.exit_code) is not None:
            return code
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        descriptor = os.pidfd_open(self.pid)
        loop.add_reader(descriptor, ended.set)
        try:
            await asyncio.wait_for(ended.wait(), timeout_s)
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self._process.wait()

    async def stop(self, timeout_s: float = 5.0) -> int:
        """End it by SIGTERM, and by SIGKILL when that does not help in time; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return await self.wait(timeout_s)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End it by SIGKILL: a crash, as its peers see it."""
        if self._family:
            # The group outlives the process that it is named after.
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self.signal(signal.SIGKILL)
        return await self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def tail(self, lines: int = 25) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def lines(self, poll_s: float = 0.02) -> AsyncIterator[str]:
        """Its output, line by line, from the beginning; ends when the process has ended and all is read."""
        with self.log.open(errors="replace") as file:
            rest = ""
            while True:
                ended = self.exit_code is not None
                rest += file.read()
                *whole, rest = rest.split("\n")
                for line in whole:
                    yield line
                if ended:
                    return
                await asyncio.sleep(poll_s)


class Server(ABC):
    """Something of the test bed that runs as a child, and can be stopped, killed and started again."""

    child: Child | None = None
    directory: Path
    """What it has written, which goes with it."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        shutil.rmtree(self.directory)

    @abstractmethod
    async def start(self) -> Self:
        """Start it and wait until it serves."""

    async def stop(self) -> None:
        """Stop it in an orderly way; nothing happens when it is not running."""
        if self.child is not None:
            await self.child.stop()
            self.child = None

    async def kill(self) -> None:
        """Crash it: nobody is told."""
        if self.child is not None:
            await self.child.kill()
            self.child = None


class Net:
    """A /24 of loopback addresses that no other test bed on this machine uses at the same time.

    Each actor gets an address of its own, since SIP peers are told apart by it: `host(2)` is 127.0.N.2. Claimed with
    `with Net() as net`: a test that fails gives its addresses back as well.
    """

    # Fixed places, so that a trace can be read without a legend.
    PBX, GATEWAY, TRUNK = 1, 2, 3
    AGENTS, PROVIDER = 10, 20

    def __init__(self) -> None:
        self._claim = socket.socket(socket.AF_UNIX)
        for number in range(256):
            # A name in the abstract namespace needs no file, and the kernel frees it when its holder dies.
            with suppress(OSError):
                self._claim.bind(f"\0transfer-gateway-bed-{number}")
                self.number = number
                return
        self._claim.close()
        raise RuntimeError("256 test beds are running")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def host(self, last: int) -> str:
        """The address with this last number."""
        return f"127.0.{self.number}.{last}"

    @property
    def pbx(self) -> str:
        """Where the PBX listens (port 5070)."""
        return self.host(self.PBX)

    @property
    def gateway(self) -> str:
        """Where the PBX expects the gateway (port 5060)."""
        return self.host(self.GATEWAY)

    @property
    def trunk(self) -> str:
        """Where the voice platform is played."""
        return self.host(self.TRUNK)

    @property
    def provider(self) -> str:
        """The company's own telephone line, from which outside callers reach the PBX."""
        return self.host(self.PROVIDER)

    def agent(self, extension: str) -> str:
        """The address of an agent's phone: 6001 is at 127.0.N.11."""
        return self.host(self.AGENTS + int(extension) % 10)

    def close(self) -> None:
        """Give the addresses back."""
        self._claim.close()


async def eventually(
    ask: Callable[[], Awaitable[T]], what: str, *, timeout_s: float = WAIT_S, every_s: float = POLL_S
) -> T:
    """Ask until the answer is true, and return it; for what no event tells. Raises AssertionError with `what`."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := await ask():
            return answer
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(every_s)


def kept_waiting_s(*pids: int) -> float:
    """How long the main threads of this process and of these could have run and had no CPU, in seconds, all together.

    What has a limit by the clock is given so much longer: on a busy machine it is late by that, and on one that has
    nothing else to do by nothing. 0 where the kernel does not tell.
    """
    waited_ns = 0
    for pid in ("self", *pids):
        with suppress(OSError, ValueError):
            waited_ns += int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
    return waited_ns / 1e9


@contextmanager
def before_others() -> Iterator[None]:
    """Have this process, and those that it starts, run before whatever else the machine does, where that is allowed.

    How late something is can be measured then although the machine is busy. A kernel that shares the processors out by
    sessions asks how nice a session is (autogroup, sched(7)); any other, how nice a process is.
    """
    session, nice = Path("/proc/self/autogroup"), os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
    with suppress(OSError):
        session.write_text(str(FIRST))
    try:
        yield
    finally:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        with suppress(OSError):
            session.write_text("0")


def free_port(host: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of `host` that nobody is bound to, nor is about to be: this process has not been given it of late."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket(family, kind) as probe, suppress(OSError):
            if port not in _given:
                probe.bind((host, port))
                _given.append(port)
                return port
    raise RuntimeError(f"no free port on {host}")
