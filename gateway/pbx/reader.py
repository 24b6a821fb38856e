# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a PBX what events don't tell: all there is, once connected; at each heartbeat, whether our counts are right."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial

from structlog.typing import FilteringBoundLogger

from gateway.pbx.ami_connection import ActionRefusedError, Connection, Reply
from gateway.pbx.snapshot import Effect, Snapshot

_PLAIN_EXTENSION = re.compile(r"[A-Za-z0-9_.+-]+")


class Reader:
    """Fills a snapshot. Each answer is taken in the order of the wire, and its effect handed to `took`."""

    def __init__(
        self,
        snapshot: Snapshot,
        within: float,
        took: Callable[[Effect], None],
        clock: Callable[[], datetime],
        log: FilteringBoundLogger,
    ) -> None:
        """`within`: seconds for each answer."""
        self._snapshot = snapshot
        self._within = within
        self._took = took
        self._clock = clock
        self._log = log
        self._missing: frozenset[str] = frozenset()

    async def read(self, connection: Connection) -> bool:
        """Ask for everything anew. False: the PBX has no queues at all, as when it is still loading its modules.

        Raises NoAnswerError, ConnectionLostError.
        """
        for name in tuple(self._snapshot.queues.values()):
            take = partial(self._take_queue, name)
            try:
                await connection.action("QueueStatus", within=self._within, on_reply=take, Queue=name)
            except ActionRefusedError as error:
                self._log.debug("the PBX has no queues yet", error=str(error))
                return False
        if self._snapshot.extensions:
            try:
                await connection.action("ExtensionStateList", within=self._within, on_reply=self._take_hints)
            except ActionRefusedError as error:
                self._took(self._snapshot.load_hints(()))
                self._log.debug("the PBX does not tell its hints", error=str(error))
        await self._ask_devices(connection)
        missing = self._snapshot.unknown_queues()
        if missing - self._missing:
            self._log.warning("the PBX does not know these queues", queues=sorted(missing))
        self._missing = missing
        return True

    async def heartbeat(self, connection: Connection) -> None:
        """Let the PBX prove that it is alive, and compare counts.

        Raises NoAnswerError, ConnectionLostError.
        """
        if self._snapshot.queues:
            try:
                await connection.action("QueueSummary", within=self._within, on_reply=self._compare)
            except ActionRefusedError:
                self._took(Effect.DOUBTFUL)
        else:
            await connection.action("Ping", within=self._within)
        await self._ask_devices(connection)

    async def _ask_devices(self, connection: Connection) -> None:
        # Events tell a device's state only where the PBX has the module for it.
        for extension in self._snapshot.without_hint():
            if not _PLAIN_EXTENSION.fullmatch(extension):
                continue
            take = partial(self._take_device, extension)
            device = f"DEVICE_STATE(PJSIP/{extension})"
            try:
                await connection.action("Getvar", within=self._within, on_reply=take, Variable=device)
            except ActionRefusedError as error:
                self._log.debug("the PBX does not tell the state of a device", device=device, error=str(error))

    def _take_queue(self, name: str, reply: Reply) -> None:
        # Half a list is no list: an unknown queue is better than a wrong count.
        self._took(self._snapshot.load_queue(name, reply.items if reply.complete else (), self._clock()))

    def _take_hints(self, reply: Reply) -> None:
        self._took(self._snapshot.load_hints(reply.items if reply.complete else ()))

    def _take_device(self, extension: str, reply: Reply) -> None:
        self._took(self._snapshot.load_device(extension, reply.response.get("Value")))

    def _compare(self, reply: Reply) -> None:
        if not self._snapshot.agrees(reply.items):
            self._log.debug("the PBX counts otherwise: its queues are read anew")
            self._took(Effect.DOUBTFUL)
