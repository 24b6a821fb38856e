# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted manager interface on loopback, and a listener whose news can be waited for."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gateway.core.model import AnsweredBy, PbxState

Block: TypeAlias = dict[str, str]
WAIT_S = 5.0


class Listener:
    """A `PbxListener` that remembers all it was told."""

    def __init__(self) -> None:
        self.states: list[PbxState] = []
        self.connected: list[tuple[str, str, str, datetime]] = []
        self.answered: list[tuple[str, AnsweredBy | None, str]] = []
        self.unknown_answerers: list[str] = []
        self.lost: list[tuple[str, str, int]] = []
        self.queued: list[tuple[str, str, str, int]] = []
        self._news = asyncio.Event()

    def pbx_changed(self, state: PbxState) -> None:
        self.states.append(state)
        self._news.set()

    def agent_connected(self, pbx: str, sip_call_id: str, agent: str, at: datetime) -> None:
        self.connected.append((pbx, sip_call_id, agent, at))
        self._news.set()

    def call_answered(self, pbx: str, sip_call_id: str, by: AnsweredBy | None, name: str, at: datetime) -> None:
        self.answered.append((sip_call_id, by, name))
        self._news.set()

    def answerer_unknown(self, pbx: str, sip_call_id: str) -> None:
        self.unknown_answerers.append(sip_call_id)
        self._news.set()

    def caller_queued(self, pbx: str, sip_call_id: str, queue: str, place: int, at: datetime) -> None:
        self.queued.append((pbx, sip_call_id, queue, place))
        self._news.set()

    def caller_lost(self, pbx: str, transfer: str, cause: int, at: datetime) -> None:
        self.lost.append((pbx, transfer, cause))
        self._news.set()

    async def until(self, told: Callable[[], bool], *, within: float = WAIT_S) -> None:
        """Wait for news after which `told` is true. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while not told():
                self._news.clear()
                await self._news.wait()

    async def known(self, *, within: float = WAIT_S) -> PbxState:
        await self.until(lambda: bool(self.states) and self.states[-1].proven_at is not None, within=within)
        return self.states[-1]

    async def unknown(self, because: str, *, within: float = WAIT_S) -> None:
        await self.until(
            lambda: (
                bool(self.states) and self.states[-1].proven_at is None and because in self.states[-1].unknown_because
            ),
            within=within,
        )


class FakeAmi:
    """`async with FakeAmi() as pbx`: answers as Asterisk 22 does, until told otherwise.

    `script[action]` replaces an answer: a list of blocks, or None for silence. `queues` maps a queue to its members, of
    which `counts` is what QueueSummary says (None: what fits the members).
    """

    def __init__(self) -> None:
        self.secret = "right"
        self.greeting = b"Asterisk Call Manager/11.0.0\r\n"
        self.script: dict[str, list[Block] | None] = {}
        self.queues: dict[str, list[Block]] = {"sales": [member("PJSIP/6001"), member("PJSIP/6002")]}
        self.hints: list[Block] = [hint("6001", 0)]
        self.devices: dict[str, str] = {}
        self.call_ids: dict[str, str] = {}  # by channel
        self.applications: dict[str, str] = {}  # … that it is in
        self.started = time.time() - 3600 - 450
        self.actions: list[Block] = []
        self.logins = 0
        self._arrived = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.listen(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        self._server.close()
        self.drop()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def restarted(self) -> None:
        """From the next connection on it is one that has just started."""
        self.started = time.time()

    def send(self, *blocks: Block) -> None:
        """Send events to everybody, in one piece."""
        for writer in self._writers:
            writer.write(b"".join(_encode(block) for block in blocks))

    def send_raw(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    def count(self, action: str) -> int:
        return sum(block["Action"] == action for block in self.actions)

    async def asked(self, action: str, times: int = 1, *, within: float = WAIT_S) -> Block:
        """Wait until an action has come so many times in all; returns the last of them."""
        async with asyncio.timeout(within):
            while self.count(action) < times:
                self._arrived.clear()
                await self._arrived.wait()
        return [block for block in self.actions if block["Action"] == action][-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            with suppress(ConnectionError):
                writer.write(self.greeting)
                await self._converse(reader, writer)
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        block: Block = {}
        while line := (await reader.readline()).decode():
            name, _, value = line.rstrip("\r\n").partition(": ")
            if name:
                block[name] = value
                continue
            self.actions.append(block)
            answer = self.script[block["Action"]] if block["Action"] in self.script else self._answer(block)
            if answer is not None:
                writer.write(b"".join(_encode({**each, "ActionID": block["ActionID"]}) for each in answer))
            self._arrived.set()
            block = {}

    def _answer(self, action: Block) -> list[Block]:
        match action["Action"]:
            case "Challenge":
                return [ok(Challenge="4711")]
            case "Login":
                key = hashlib.md5(f"4711{self.secret}".encode(), usedforsecurity=False).hexdigest()
                self.logins += action["Key"] == key
                return [
                    ok(Message="Authentication accepted") if action["Key"] == key else error("Authentication failed")
                ]
            case "Ping":
                return [ok(Ping="Pong", Timestamp=f"{time.time():.6f}")]
            case "CoreStatus":
                start = time.gmtime(self.started)
                return [
                    ok(
                        CoreStartupDate=time.strftime("%Y-%m-%d", start),
                        CoreStartupTime=time.strftime("%H:%M:%S", start),
                    )
                ]
            case "QueueStatus":
                name = action["Queue"]
                members = [{**each, "Queue": name} for each in self.queues.get(name, [])]
                return listing(
                    [{"Event": "QueueParams", "Queue": name, "Max": "0"}, *members] if name in self.queues else []
                )
            case "QueueSummary":
                return listing([_summary(name, members) for name, members in self.queues.items()])
            case "ExtensionStateList":
                return listing(self.hints)
            case "Getvar":
                return [self._variable(action)]
            case "Status":
                channel = action["Channel"]
                if channel not in self.applications:
                    return [error("No such channel")]
                return listing([{"Event": "Status", "Channel": channel, "Application": self.applications[channel]}])
            case unknown:
                return [error(f"Invalid/unknown command: {unknown}.")]

    def _variable(self, action: Block) -> Block:
        if "Channel" not in action:
            device = action["Variable"].removeprefix("DEVICE_STATE(").removesuffix(")")
            return ok(Value=self.devices.get(device, "INVALID"))
        if action["Channel"] not in self.call_ids:
            return error("No such channel")
        return ok(Variable=action["Variable"], Value=self.call_ids[action["Channel"]])


def ok(**fields: str) -> Block:
    return {"Response": "Success", **fields}


def error(message: str) -> Block:
    return {"Response": "Error", "Message": message}


def listing(items: list[Block], *, announced: int | None = None) -> list[Block]:
    count = len(items) if announced is None else announced
    return [ok(EventList="start"), *items, {"Event": "ListComplete", "EventList": "Complete", "ListItems": str(count)}]


def member(interface: str, status: int = 1, paused: int = 0) -> Block:
    """As QueueStatus lists it."""
    return {"Event": "QueueMember", "Location": interface, "Status": str(status), "Paused": str(paused)}


def changed(name: str, interface: str, status: int = 1, paused: int = 0) -> Block:
    """A member's event of the queue sales."""
    fields = {"Queue": "sales", "Interface": interface, "Status": str(status), "Paused": str(paused)}
    return {"Event": name, **fields}


def caller(name: str, unique: str, channel: str = "PJSIP/gw-1", **fields: str) -> Block:
    """A caller's event of the queue sales."""
    return {"Event": name, "Queue": "sales", "Channel": channel, "Uniqueid": unique, "Linkedid": unique, **fields}


def rings_in(unique: str, channel: str = "PJSIP/gw-1", **fields: str) -> Block:
    """A call begins."""
    return {
        "Event": "Newchannel", "Channel": channel, "ChannelState": "4",
        "Uniqueid": unique, "Linkedid": unique, **fields,
    }  # fmt: skip


def dial(
    name: str, to: str, *, root: str = "1", unique: str = "1", channel: str = "PJSIP/gw-1", **fields: str
) -> Block:
    """A DialBegin or DialEnd; `root` is where the call began, `to` the channel that is dialled."""
    return {
        "Event": name, "Channel": channel, "Uniqueid": unique, "Linkedid": root, "DestChannel": to,
        "DestUniqueid": f"of {to}", **fields,
    }  # fmt: skip


def hint(extension: str, status: int, context: str = "phones") -> Block:
    return {"Event": "ExtensionStatus", "Exten": extension, "Context": context, "Status": str(status)}


def _summary(queue: str, members: list[Block]) -> Block:
    logged_in = [each for each in members if each["Status"] not in {"4", "5"}]
    available = [each for each in logged_in if each["Status"] in {"0", "1"} and each["Paused"] == "0"]
    counts = {"LoggedIn": str(len(logged_in)), "Available": str(len(available)), "Callers": "0"}
    return {"Event": "QueueSummary", "Queue": queue, **counts}


def _encode(block: Block) -> bytes:
    return "".join(f"{key}: {value}\r\n" for key, value in block.items()).encode() + b"\r\n"
