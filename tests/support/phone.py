# SPDX-License-Identifier: GPL-2.0-or-later
"""A phone without a PBX: baresip that calls the gateway or is called by it, with the test's codecs and encryption."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from tests.support.baresip import Agent, Manner
from tests.support.bound import bound_to
from tests.support.fetch import programs
from tests.support.processes import Child, free_port

if TYPE_CHECKING:
    from tests.support.certificates import Identity

Encryption = Literal["", "srtp", "srtp-mand", "dtls_srtp"]
"""RTP; SRTP if the other side has it; SRTP or nothing; SRTP by DTLS, with ICE (baresip's `mediaenc`)."""


WIDE = 16000
"""Samples a second in G.722."""


class Phone(Agent):
    """`async with Phone(host, hz=700, codecs=("opus/48000/2",), encryption="srtp-mand") as assistant`."""

    modules = ("g711", "g722", "opus", "srtp", "dtls_srtp", "ice", "aubridge", "aufile", "uuid")

    def __init__(
        self,
        host: str,
        *,
        hz: int,
        codecs: tuple[str, ...] = ("PCMA", "PCMU"),
        encryption: Encryption = "",
        manner: Manner = "answer",
        transport: Literal["udp", "tcp", "tls"] = "udp",
        identity: Identity | None = None,
    ) -> None:
        self.extension = host
        self.host = host
        self.hz = hz
        self.manner = manner
        self.events = []
        self._installed = programs()
        self._codecs = ",".join(codecs)
        if any(codec.startswith("G722") for codec in codecs):
            self.voice_rate = WIDE  # what it makes of 8000 samples has a 250th of their amplitude
        self._encryption = encryption
        self._transport = transport
        self._identity = identity
        self._directory = Path(tempfile.mkdtemp(prefix="phone-"))
        self._control_port = free_port(self.host)
        self._child = None

    async def start(self) -> Self:
        """Start it, and wait until it can be called."""
        self._configure()
        command = [*self._installed.command("usr/bin/baresip"), "-s", "-f", str(self._directory)]
        env = await bound_to(self.host, self._directory)
        self._child = Child(f"phone {self.host}", command, self._directory / "log", env=env)
        try:
            await self._child.accepts(self.host, self._control_port)
            # It would speak every codec that it has instead.
            assert "codec not found" not in self.log, f"a codec is not called so: {self._codecs}"
            self._reader, self._writer = await asyncio.open_connection(self.host, self._control_port)
            self._changed = asyncio.Condition()
            self._task = asyncio.create_task(self._listen())
        except BaseException:
            await self._child.kill()
            raise
        return self

    async def dial(self, number: str) -> None:
        """Call a URI."""
        await self._command("dial", number)

    async def refer(self, target: str) -> None:
        """Ask the other side of the call to go to this URI."""
        await self._command("transfer", target)

    def _account(self) -> str:
        media = f";mediaenc={self._encryption}" if self._encryption else ""
        if self._encryption == "dtls_srtp":
            media += ";medianat=ice"
        return f"<sip:phone@{self.host};transport={self._transport}>;regint=0{media}"

    def _settings(self) -> dict[str, str]:
        if self._identity is None:
            return {}
        both = self._directory / "identity.pem"
        both.write_text(self._identity.certificate.read_text() + self._identity.key.read_text())
        return {"sip_certificate": str(both), "sip_cafile": str(self._identity.authority)}

    @property
    def log(self) -> str:
        """What it has written, every message that it sent and received included."""
        return (self._directory / "log").read_text(errors="replace")
