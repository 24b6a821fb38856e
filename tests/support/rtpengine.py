# SPDX-License-Identifier: GPL-2.0-or-later
"""A real rtpengine with deploy/rtpengine's configuration, between an address of the inside and one of the outside."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from tests.support.fetch import relay_programs
from tests.support.processes import Child, Server
from tests.support.sip_message import token

DEPLOYED = Path(__file__).resolve().parents[2] / "deploy" / "rtpengine"
NG_PORT = 2223
ANSWERS_S = 1.0
"""How long a question to it waits; while it starts, nobody reads it."""


class Rtpengine(Server):
    """`async with Rtpengine(inside, outside) as relay`: the addresses of either side."""

    def __init__(self, inside: str, outside: str) -> None:
        self.inside = inside
        self.outside = outside
        self.directory = Path(tempfile.mkdtemp(prefix="rtpengine-"))

    @property
    def socket(self) -> str:
        """Where Kamailio asks it."""
        return f"udp:{self.inside}:{NG_PORT}"

    async def start(self) -> Self:
        """Write its configuration, start it, and wait until it answers questions."""
        text = (DEPLOYED / "rtpengine.conf").read_text()
        for name, value in (
            ("interface", f"inside/{self.inside};outside/{self.outside}"),
            ("listen-ng", f"{self.inside}:{NG_PORT}"),
        ):
            text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
            assert count == 1, name
        file = self.directory / "rtpengine.conf"
        file.write_text(text)
        installed = relay_programs()
        command = [
            *installed.command("usr/bin/rtpengine"), "--config-file", str(file), "--foreground",
            "--pidfile", str(self.directory / "pid"),
        ]  # fmt: skip
        self.child = Child("rtpengine", command, self.directory / "log", cwd=self.directory)
        await self.child.ready(self._answers)
        return self

    @property
    def log(self) -> str:
        """The end of what it has written."""
        file = self.directory / "log"
        return file.read_text(errors="replace")[-6000:] if file.exists() else ""

    async def _answers(self) -> bool:
        return bool((await self.ask("ping"))["result"] == "pong")

    async def calls(self) -> list[str]:
        """The Call-IDs that it relays for."""
        answer = await self.ask("list")
        calls: list[str] = answer["calls"]
        return calls

    async def ask(self, command: str, **more: Any) -> dict[str, Any]:
        """A question by its ng protocol, as JSON; what it answers. Raises OSError where it does not."""
        return await asyncio.to_thread(self._ask, {"command": command, **more})

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asking:
            asking.settimeout(ANSWERS_S)
            asking.connect((self.inside, NG_PORT))
            # What comes with the same cookie is a question that was repeated, and answered as before.
            cookie = f"{token()} ".encode()
            asking.send(cookie + json.dumps(question).encode())
            answer: dict[str, Any] = json.loads(asking.recv(65536).removeprefix(cookie))
        return answer
