# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole gateway in the process of a test: all of it real but the user agent and the engine's clock."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp

from gateway.app import App
from gateway.config import Config, load
from gateway.ports import Clock, IncomingCall, SipError, SipListener, Stranger
from tests.bench import ASSIGNED, BEGIN, EVE, PBX, Chance
from tests.bench.clock import VirtualClock
from tests.bench.sip import FakeSip
from tests.config_directory import MAIN, write
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from pathlib import Path

    from gateway.core.model import LegId
    from gateway.core.sip_message import Captured, KeptMessages
    from gateway.engine import Engine


class FakeUserAgent(FakeSip):
    """Implements app.UserAgent. `fails` names what it fails in: "start", "stop" or "reconfigure"."""

    trunks = SimpleNamespace(
        up={"platform": True}, failures={}, since={"platform": datetime(2026, 3, 2, 9, 30, tzinfo=UTC)}
    )
    subscriptions: Any = SimpleNamespace(count=0)

    def __init__(self, clock: VirtualClock, fails: str = "") -> None:
        super().__init__(Chance(), clock, [])
        self.fails = fails
        self.life: list[str] = []
        self.room = (0, 0)
        self.capture_room = 0
        self.waiting: list[Captured] = []
        self.kept_of: dict[str, KeptMessages] = {}
        self.config: Config
        self.when_started: Callable[[], None] = lambda: None

    def made(self, config: Config, listener: SipListener, _clock: Clock) -> FakeUserAgent:
        self.config, self.engine = config, listener  # type: ignore[assignment]  # it is the engine
        return self

    bridge_hz = 16000

    @property
    def strangers(self) -> list[Stranger]:
        return []

    @property
    def counts(self) -> dict[str, int]:
        return {"legs": len(self.live), "pairs": len(self.pairs) // 2, "subscriptions": 0}

    @property
    def stack(self) -> dict[str, int]:
        return {"dialogs": len(self.live), "transactions": 0, "timers": 0}

    def dialogs(self, most: int, call_id: str = "") -> list[dict[str, Any]]:
        return [{"call_id": str(leg)} for leg in self.live if str(leg) == (call_id or str(leg))][:most]

    def keep_messages(self, max_mb: int, calls: int) -> None:
        self.room = (max_mb, calls)

    def messages(self, call_id: str) -> KeptMessages | None:
        return self.kept_of.get(call_id)

    def forget_messages(self, texts: Sequence[str]) -> frozenset[str]:
        found = {
            leg for leg, kept in self.kept_of.items() for each in kept.messages for text in texts if text in each.text
        }
        self.forget_legs(found)
        return frozenset(found)

    def has_more(self) -> bool:
        return False

    def forget_legs(self, call_ids: Collection[str]) -> None:
        self.kept_of = {leg: kept for leg, kept in self.kept_of.items() if leg not in call_ids}

    def capture(self, most_bytes: int) -> None:
        self.capture_room = most_bytes

    def captured(self, most: int) -> list[Captured]:
        taken, self.waiting[:most] = self.waiting[:most], []
        return taken

    @property
    def capture_lost(self) -> int:
        return 0

    @property
    def kept(self) -> dict[str, int]:
        return {"legs": len(self.kept_of)}

    def _lives(self, what: str) -> None:
        self.life.append(what)
        if self.fails == what:
            raise SipError("cannot listen on udp 127.0.0.2:5060: Address already in use")

    def start(self) -> None:
        self._lives("start")
        self.when_started()

    def reconfigure(self, config: Config) -> None:
        if config is not self.config:
            self._lives("reconfigure")
        self.config = config

    async def part(self, left: Collection[LegId]) -> None:
        self._lives(f"part from all but {sorted(left)}")

    def leave(self) -> None:
        self._lives("leave")

    async def stop(self) -> None:
        self._lives("stop")


class Running:
    """A gateway on its way, and what can be asked of it."""

    def __init__(self, directory: Path, fails: str = "") -> None:
        self.directory = directory
        self.clock = VirtualClock(BEGIN)
        self.sip = FakeUserAgent(self.clock, fails)
        config = load(directory)
        config.prepare()
        self.port = config.http.port
        self.app = App(config, self.sip.made, self.clock)

    @property
    def engine(self) -> Engine:
        return self.app.engine

    def called(self, leg: str = "in-1") -> LegId:
        """Eve calls the number of the assistant."""
        name: Any = leg
        self.sip.live[name] = "offered"
        self.engine.incoming_call(IncomingCall(name, PBX, f"{leg}@test", (ASSIGNED,), (EVE,)))
        return name  # type: ignore[no-any-return]

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, **body: str) -> tuple[int, dict[str, Any]]:
        token = {"Authorization": "Bearer s3same"}
        async with (
            aiohttp.ClientSession(headers=token) as session,
            session.post(f"http://127.0.0.1:{self.port}{path}", json=body) as answer,
        ):
            return answer.status, await answer.json()


def written(directory: Path, state: Path, port: int, more: str = "", drain_s: int = 30) -> Path:
    main = MAIN.replace("/tmp/transfer-gateway-test", str(state)).replace(
        "[sip]", f"drain_timeout_s = {drain_s}\n\n[sip]", 1
    )
    main = main.replace("port = 0\n", f'port = {port}\ntoken_file = "http.token"\n')
    secrets = {"sip_profiles/ami.secret": "s3cret\n", "http.token": "s3same\n"}
    return write(directory, main + more, secrets=secrets)


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Running]:
    gateway = Running(directory)
    life = asyncio.create_task(gateway.app.run())
    try:
        await serving(gateway, life)
        yield gateway
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await over(gateway, life)


async def until(holds: Callable[[], bool], what: str) -> None:
    async def asked() -> bool:
        return holds()

    await eventually(asked, what)


async def serving(gateway: Running, life: asyncio.Task[None]) -> None:
    await until(lambda: life.done() or gateway.app.serving, "it serves")


async def over(gateway: Running, life: asyncio.Task[None]) -> None:
    """Let time pass until it has ended."""

    def ended() -> bool:
        gateway.clock.advance(1)
        return life.done()

    await until(ended, "it ends")
    await life
