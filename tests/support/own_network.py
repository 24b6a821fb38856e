# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command in a network of its own, with nothing in it but loopback: `python own_network.py COMMAND…`.

Addresses, ports and abstract sockets of one network are not seen in another, so that what runs here and what runs
beside it can't take anything from each other. It runs as a script, before there are threads: the kernel gives a user
namespace to a process of one thread only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 1
INTERFACE = struct.Struct("16sh14x")


def enter() -> None:
    """Leave the network of this machine for an empty one. Raises OSError where the kernel does not let us."""
    user, group = os.geteuid(), os.getegid()
    try:
        _unshare(CLONE_NEWNET)
    except PermissionError:
        # Not root here; but root in a user namespace of our own may do it, where the machine allows those.
        _unshare(CLONE_NEWUSER | CLONE_NEWNET)
        _write("setgroups", "deny")
        _write("uid_map", f"{user} {user} 1")
        _write("gid_map", f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name, flags = INTERFACE.unpack(fcntl.ioctl(any_socket, SIOCGIFFLAGS, INTERFACE.pack(b"lo", 0)))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, INTERFACE.pack(name, flags | IFF_UP))


def allowed() -> str:
    """Empty if a command can have a network of its own here; else why not."""
    tried = subprocess.run([*command(), sys.executable, "-c", ""], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else tried.stderr.strip().rpartition("\n")[2]


HERE = "--here"
"""The argument by which a module of `played_in_one` knows that it is there, or is to stay where it is."""


def played_in_one(module: str, *more: str, here: bool) -> int | None:
    """Have `python -m module` run once more in a network of its own, with `more` arguments: with what it ended.

    None: it is to go on where it is, as `here` says, or as this machine gives none.
    """
    if here or allowed():
        return None
    return subprocess.call([*command(), sys.executable, "-m", module, *sys.argv[1:], *more, HERE])


def command() -> list[str]:
    """What to put in front of a command."""
    return [sys.executable, __file__]


def _unshare(what: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(what) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(file: str, text: str) -> None:
    Path("/proc/self", file).write_text(text)


if __name__ == "__main__":
    enter()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # with the arguments as they are, and no shell
