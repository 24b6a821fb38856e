# SPDX-License-Identifier: GPL-2.0-or-later
"""sngrep as a capture server: what it has understood of HEP it writes into a capture file."""

from __future__ import annotations

import ipaddress
import shutil
import signal
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.fetch import capture_programs
from tests.support.processes import Child, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

_ETHERNET, _IP = 14, 20


class Sngrep:
    """`async with Sngrep(host, port) as sngrep`; it takes HEP by UDP, and crashes on RTCP in it (1.9)."""

    def __init__(self, host: str, port: int) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sngrep-"))
        self._capture = self._directory / "seen.pcap"
        listen = ["-L", f"udp:{host}:{port}"]
        program = capture_programs().command("usr/bin/sngrep")
        self._command = [*program, "--no-config", "--no-interface", *listen, "-O", str(self._capture)]
        self._where = f"{ipaddress.ip_address(host).packed[::-1].hex().upper()}:{port:04X}"
        self._child: Child

    async def __aenter__(self) -> Self:
        self._child = Child("sngrep", self._command, self._directory / "log", env={"TERM": "dumb"})
        await self._child.ready(self._listens)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child.exit_code is None:
            await self._child.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _listens(self) -> bool:
        return self._where in Path("/proc/net/udp").read_text(encoding="ascii")  # noqa: ASYNC240 - it is the kernel's

    async def stop(self) -> list[tuple[str, str, bytes]]:
        """End it, and read what it has written: source, destination and text of each message."""
        self._child._process.send_signal(signal.SIGINT)

        async def ended() -> bool:
            return self._child.exit_code is not None

        await eventually(ended, "sngrep has written its capture", timeout_s=30)
        return list(_messages(self._capture.read_bytes()))


def _messages(data: bytes) -> Iterator[tuple[str, str, bytes]]:
    at = 24
    while at + 16 <= len(data):
        _, _, held, _ = struct.unpack_from("<IIII", data, at)
        packet = data[at + 16 + _ETHERNET : at + 16 + held]
        at += 16 + held
        if len(packet) < _IP + 8 or at > len(data):
            return
        one, other = (str(ipaddress.IPv4Address(packet[part : part + 4])) for part in (12, 16))
        from_port, to_port = struct.unpack_from("!HH", packet, _IP)
        yield f"{one}:{from_port}", f"{other}:{to_port}", packet[_IP + 8 :]
