# SPDX-License-Identifier: GPL-2.0-or-later
"""A listener for platforms with whatever handles their events, and the platform that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.config import Config, load
from gateway.ports import Clock
from gateway.ports.platform import PlatformResult
from gateway.web.platforms.events import Handler, JsonObject, PlatformEvent
from gateway.web.platforms.listener import PlatformListener
from tests.bench.jumping_loop import clock_of_loop
from tests.support.company import NUMBER, destinations
from tests.support.configuration import Configuration
from tests.support.platform_client import PlatformClient
from tests.support.processes import free_port

SECRET, OTHER_SECRET, SPARE_SECRET = "the platform's secret", "the next one", "the spare platform's"
SPARE_NUMBER = "+31201234599"


def files(**platform: Any) -> Configuration:
    """Two trunks whose platforms ask, each with a number of its own, and one whose platform does not."""
    made = Configuration("127.0.0.2")
    made.main["gateway"]["state_dir"] = "/tmp/transfer-gateway-test"
    made.main["http"]["port"] = 0
    made.main["platform"] = {"port": free_port(), **platform}
    for name, host, secret in (("hms", "203.0.113.10", SECRET), ("spare", "203.0.113.11", SPARE_SECRET)):
        made.trunk(name, host, platform={"form": "hms", "secret_files": [f"{name}-webhook.secret"]})
        made.secrets[f"sip_profiles/{name}-webhook.secret"] = secret
    made.trunk("silent", "203.0.113.12")
    made.pbx("asterisk", "sip:198.51.100.5")
    made.number("main-line", NUMBER, "hms", "asterisk", destinations("sales", "anna", "voicemail"))
    made.number("spare-line", SPARE_NUMBER, "spare", "asterisk", destinations("support"))
    made.number("silent-line", "+31201234598", "silent", "asterisk", destinations("support"))
    return made


class Observed:
    """What is counted: a `PlatformObserver`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, PlatformResult]] = []
        self.tools: list[tuple[str, str, str]] = []

    def platform_asked(self, trunk: str, kind: str, result: PlatformResult, seconds: float) -> None:
        assert seconds >= 0
        self.asked.append((trunk, kind, result))

    def tool_called(self, trunk: str, tool: str, result: str) -> None:
        self.tools.append((trunk, tool, result))


class Listening:
    """A listener that runs, and what it gave to whoever handles it."""

    def __init__(self, directory: Path, written: Configuration) -> None:
        self.directory, self.written = directory, written
        self.events: list[PlatformEvent] = []
        self.observed = Observed()
        self.answer: JsonObject | None = {"noted": True}
        self.handlers = {("hms", "status-update"): Handler(self._note)}

    async def _note(self, event: PlatformEvent) -> JsonObject | None:
        self.events.append(event)
        return self.answer

    def config(self) -> Config:
        """The configuration as it is written now."""
        self.written.write(self.directory)
        return load(self.directory)

    def url(self, trunk: str = "hms") -> str:
        table = self.written.main["platform"]
        scheme = "https" if "tls_certificate" in table else "http"
        return f"{scheme}://127.0.0.1:{table['port']}{table.get('path', '/platform')}/{trunk}"

    def client(self, trunk: str = "hms", **more: Any) -> PlatformClient:
        """The platform of a trunk."""
        secret = {"hms": SECRET, "spare": SPARE_SECRET}.get(trunk, SECRET)
        return PlatformClient(self.url(trunk), **{"secret": secret, **more})

    @asynccontextmanager
    async def running(self, clock: Clock | None = None) -> AsyncIterator[PlatformClient]:
        """Have it listen; the platform of trunk hms."""
        self.listener = PlatformListener(self.config(), self.handlers, clock or clock_of_loop(), self.observed)
        await self.listener.start()
        try:
            async with self.client() as client:
                yield client
        finally:
            await self.listener.stop()
