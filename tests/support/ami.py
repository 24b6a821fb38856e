# SPDX-License-Identifier: GPL-2.0-or-later
"""The test bed's own line to the PBX's manager interface: it plays the administrator and watches events.

Written apart from the gateway's client, so that the one does not hide the other's mistakes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self, TypeAlias

from tests.support.processes import WAIT_S

GATEWAY_AMI = ("transfer-gateway", "5e3r3t-of-the-test-bed")
"""User and secret with which the gateway logs in to the manager interface."""
ADMINISTRATOR = ("testbed", "testbed")
"""User and secret with every right, of asterisk_etc/manager.conf."""

Block: TypeAlias = dict[str, str]
"""One message: header names as sent; of a header that comes more than once, the values joined by newlines."""


class AmiError(RuntimeError):
    """The PBX answered an action with an error; the message is the PBX's own."""


class Ami:
    """A logged-in manager connection: `async with Ami(port) as ami`."""

    def __init__(self, port: int, login: tuple[str, str] = ADMINISTRATOR, *, host: str = "127.0.0.1") -> None:
        self._where = (host, port)
        self._login = login
        self._count = 0
        self.events: list[Block] = []
        """Every event since the login, oldest first, those that answer an action left out."""

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._where)
        try:
            await self._reader.readline()
            self._arrived = asyncio.Condition()
            self._answers: dict[str, asyncio.Queue[Block]] = {}
            self._task = asyncio.create_task(self._read())
            username, secret = self._login
            await self.action("Login", Username=username, Secret=secret)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        # The PBX may have been killed: that is what some tests do.
        with suppress(OSError):
            await self._writer.wait_closed()
        if hasattr(self, "_task"):
            self._task.cancel()
            await asyncio.wait([self._task])

    async def action(self, name: str, /, **fields: str | int) -> list[Block]:
        """Carry out an action; returns the response, followed by the events of its list. Raises AmiError."""
        self._count += 1
        action_id = str(self._count)
        answers: asyncio.Queue[Block] = asyncio.Queue()
        self._answers[action_id] = answers
        lines = [f"Action: {name}", f"ActionID: {action_id}", *(f"{key}: {value}" for key, value in fields.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            async with asyncio.timeout(WAIT_S):
                blocks = [await answers.get()]
                if blocks[0]["Response"] == "Error":
                    raise AmiError(f"{name}: {blocks[0].get('Message', '')}")
                if blocks[0].get("EventList") == "start":
                    while blocks[-1].get("EventList") != "Complete":
                        blocks.append(await answers.get())
                    blocks.pop()
        finally:
            del self._answers[action_id]
        return blocks

    async def event(self, name: str, /, *, after: int = 0, timeout_s: float = WAIT_S, **fields: str) -> Block:
        """The first event with this name and these fields, past ones included from `events[after]` on."""

        def found() -> Block | None:
            wanted = {"Event": name, **fields}
            return next((event for event in self.events[after:] if wanted.items() <= event.items()), None)

        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(found)
        event = found()
        assert event is not None
        return event

    async def _read(self) -> None:
        block: Block = {}
        while line := (await self._reader.readline()).decode(errors="replace"):
            name, _, value = line.rstrip("\r\n").partition(":")
            if name:
                value = value.strip()
                block[name] = f"{block[name]}\n{value}" if name in block else value
                continue
            answers = self._answers.get(block.get("ActionID", ""))
            if answers is not None:
                answers.put_nowait(block)
            elif "Event" in block:
                async with self._arrived:
                    self.events.append(block)
                    self._arrived.notify_all()
            block = {}
