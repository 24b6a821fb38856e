# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses that are no loopback to anybody, in a network of a test's own: who does ICE leaves loopback out."""

from __future__ import annotations

import fcntl
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.support.own_network import IFF_UP, INTERFACE, SIOCGIFFLAGS, SIOCSIFFLAGS
from tests.support.processes import Net

ADDRESS, MASK = "198.18.0.1", "255.255.0.0"
"""Of the range for tests of network devices (RFC 2544 appendix C)."""
LABEL = b"lo:outside"
SIOCSIFADDR, SIOCSIFNETMASK = 0x8916, 0x891C
ADDRESSED = struct.Struct("16sHH4s8x")


class OutsideNet(Net):
    """A Net whose addresses are 198.18.N.x. Skips the test in the network of the machine, and where it has no right."""

    def __enter__(self) -> Self:
        if len(Path("/proc/net/route").read_text().splitlines()) > 1:
            pytest.skip("needs a network of its own: pytest -n 1")
        try:
            _give()
        except PermissionError:
            pytest.skip("may not give its network an address")
        return super().__enter__()

    def close(self) -> None:
        """Give the addresses back."""
        _take()
        super().close()

    def host(self, last: int) -> str:
        """The address with this last number."""
        return f"198.18.{self.number + 1}.{last}"

    @property
    def trunk(self) -> str:
        """Where the voice platform is played: the one address that programs find at an interface."""
        return ADDRESS


def _give() -> None:
    """Loopback gets the range, all of whose addresses are this network's own then."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for request, address in ((SIOCSIFADDR, ADDRESS), (SIOCSIFNETMASK, MASK)):
            fcntl.ioctl(any_socket, request, ADDRESSED.pack(LABEL, socket.AF_INET, 0, socket.inet_aton(address)))


def _take() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        _, flags = INTERFACE.unpack(fcntl.ioctl(any_socket, SIOCGIFFLAGS, INTERFACE.pack(LABEL, 0)))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, INTERFACE.pack(LABEL, flags & ~IFF_UP))
