# SPDX-License-Identifier: GPL-2.0-or-later
"""A process that has loaded the gateway's modules and nothing else, and of which each gateway of a run is a copy.

A run of all tests starts some two hundred gateways, and four fifths of the CPU that a start takes go into loading. A
copy is a process like any other: a child of the test's process, with files, environment, signals and an end of its own.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import Child, ChildError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
OF_A_TEST = ("PYTEST_CURRENT_TEST", "NOTIFY_SOCKET")
"""What differs from one test to the next, and is read only when it is used."""


class Copied:
    """What subprocess.Popen is to a process that it started, for one that came to us as an orphan."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        """The same at its end."""
        code = self._reap(0)
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Nothing happens when it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _reap(self, options: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


class Prepared:
    """The process that is copied, by any thread; it ends when this one does, or the connection is closed."""

    def __init__(self) -> None:
        self._surroundings = _surroundings()
        self._lock = threading.Lock()
        # A copy's parent, which has nothing more to do, ends at once; the copy is ours then.
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        ours, its = socket.socketpair()
        with its:
            # Not as a Child, which ends with the thread that started it.
            command = [sys.executable, "-m", __name__, str(its.fileno())]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[its.fileno()]
            )
        self._socket, self._stream = ours, ours.makefile("rwb")

    @property
    def pid(self) -> int:
        """Of the process that is copied."""
        return self._process.pid

    @property
    def fits(self) -> bool:
        """Whether what is started now would find the same surroundings as when this was prepared."""
        return self._surroundings == _surroundings()

    def copy(self, arguments: Sequence[str], log: Path) -> Copied:
        """A process that runs the command `transfer-gateway` with these arguments; it writes to the file `log`."""
        asked = {"arguments": arguments, "log": str(log), "environment": dict(os.environ), "parent": os.getpid()}
        with self._lock:
            answer = b""
            with suppress(BrokenPipeError):
                self._stream.write(json.dumps(asked).encode() + b"\n")
                self._stream.flush()
                answer = self._stream.readline()
        if not answer:
            raise ChildError(f"what gateways are copied from ended with {self._process.wait()}")
        return Copied(int(answer))

    def close(self) -> None:
        """Have it end; its copies go on."""
        self._stream.close()
        self._socket.close()
        self._process.wait()


_preparing = threading.Lock()


def prepared() -> Prepared:
    """The one of this process."""
    with _preparing:
        return _prepared()


@functools.cache
def _prepared() -> Prepared:
    return Prepared()


class Copy(Child):
    """A Child that was not started, but copied."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = prepared().copy(arguments, log)


def _surroundings() -> tuple[str, Mapping[str, str]]:
    return str(Path.cwd()), {name: text for name, text in os.environ.items() if name not in OF_A_TEST}


def _prctl(option: int, argument: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


# --- in the process that is copied


def _copies(connection: socket.socket) -> list[str]:
    """Answer each request with the pid of a copy; returns in the copy alone, with the command's arguments."""
    stream = connection.makefile("rwb")
    for line in stream:
        asked = json.loads(line)
        told, tells = os.pipe()
        orphaned, lets_go = os.pipe()
        parent = os.fork()
        if not parent:
            if child := os.fork():
                os.write(tells, str(child).encode())
                os._exit(0)
            os.close(lets_go)
            os.read(orphaned, 1)
            for descriptor in (told, tells, orphaned):
                os.close(descriptor)
            stream.close()
            connection.close()
            return _begin(**asked)
        os.waitpid(parent, 0)
        pid = os.read(told, 32)
        for descriptor in (told, tells, orphaned, lets_go):
            os.close(descriptor)
        stream.write(pid + b"\n")
        stream.flush()
    os._exit(0)


def _begin(arguments: list[str], log: str, environment: dict[str, str], parent: int) -> list[str]:
    """Become what a started process would be: a child of `parent` that ends with it, and writes to its log."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    return arguments


def _main() -> int:
    cli = importlib.import_module("gateway.cli")
    importlib.import_module("gateway.app")
    gc.collect()
    gc.freeze()  # or the first search for garbage in each copy would write to all of it
    code: int = cli.main(_copies(socket.socket(fileno=int(sys.argv[1]))))
    return code


if __name__ == "__main__":
    sys.exit(_main())
