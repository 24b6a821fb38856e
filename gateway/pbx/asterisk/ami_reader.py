# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a PBX what events don't tell: all there is, once connected; at each heartbeat, whether our counts are right.

An action that the PBX refuses is told once and leaves the others: what can be asked for is. An action that the PBX does
not know belongs to a module that is still loading, for as long as that may take.
"""

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Literal

from structlog.typing import FilteringBoundLogger

from gateway.pbx.asterisk.ami_codec import Message
from gateway.pbx.asterisk.ami_connection import ActionRefusedError, Connection, Reply
from gateway.pbx.asterisk.refusals import Refusals, is_unknown
from gateway.pbx.asterisk.snapshot import Effect, Snapshot

_PLAIN_DEVICE = re.compile(r"[A-Za-z0-9]+/[A-Za-z0-9_.+@-]+")
UNHEARD = 2  # changes without an event until that is told

EventClass = Literal["agent", "call"]


def event_class_of(event: str) -> EventClass | None:
    """Which right to read an event of this name proves; None: neither of those that matter here."""
    if event.startswith(("Queue", "Agent")):
        return "agent"
    return "call" if event in ("ExtensionStatus", "DeviceStateChange") else None


class AmiReader:
    """Fills a snapshot. Each answer is taken in the order of the wire, and its effect handed to `took`."""

    def __init__(
        self,
        snapshot: Snapshot,
        within: float,
        took: Callable[[Effect], None],
        clock: Callable[[], datetime],
        log: FilteringBoundLogger,
        refusals: Refusals,
    ) -> None:
        """`within`: seconds for each answer."""
        self._snapshot = snapshot
        self._within = within
        self._took = took
        self._clock = clock
        self._log = log
        self._refusals = refusals
        self._missing: frozenset[str] = frozenset()
        self._heard: set[EventClass] = set()
        self._unheard: Counter[EventClass] = Counter()  # how often something changed without an event
        self.queues_withheld = ""  # why nothing is told of queues; empty: it is
        self.extensions_withheld = ""  # … of extensions that have no hint and device

    @property
    def withheld(self) -> dict[tuple[str, str], str]:
        """Why nothing is told of what is asked for in vain."""
        queues, extensions = self.queues_withheld, self.extensions_withheld
        return {("queue", name): queues for name in self._snapshot.queues.values() if queues} | {
            ("extension", name): extensions for name in self._snapshot.extensions if extensions
        }

    def connected(self) -> None:
        """A new connection: its user's rights may be others."""
        self._heard.clear()
        self._unheard.clear()

    def heard(self, event_class: EventClass) -> None:
        """An event of this class came: the manager's user may read them."""
        self._heard.add(event_class)

    async def read(self, connection: Connection, *, patient: bool = True) -> bool:
        """Ask for everything anew. False, if `patient`: the PBX has no queues at all, as when it loads its modules.

        Raises NoAnswerError, ConnectionLostError.
        """
        if not await self._read_queues(connection, patient=patient):
            return False
        self.extensions_withheld = ""
        if self._snapshot.extensions:
            await self._read_hints(connection)
        await self._ask_devices(connection)
        missing = self._snapshot.unknown_queues() if not self.queues_withheld else frozenset()
        if missing - self._missing:
            self._log.warning("queues-not-found", queues=sorted(missing))
        self._missing = missing
        return True

    async def _read_queues(self, connection: Connection, *, patient: bool) -> bool:
        withheld = ""
        for name in tuple(self._snapshot.queues.values()):
            take = partial(self._take_queue, name)
            try:
                await connection.action("QueueStatus", within=self._within, on_reply=take, Queue=name)
                self._refusals.granted("QueueStatus")
            except ActionRefusedError as error:
                if is_unknown(error) and patient:
                    self._log.debug("no-queues-yet", error=str(error))
                    return False
                withheld = self._refusals.refused("QueueStatus", error)
                self._took(self._snapshot.load_queue(name, (), self._clock()))
        if withheld != self.queues_withheld:
            self.queues_withheld = withheld
            self._took(Effect.CHANGED)
        self._snapshot.asks_queues = not withheld
        return True

    async def _read_hints(self, connection: Connection) -> None:
        try:
            await connection.action(
                "ExtensionStateList", within=self._within, on_reply=self._take_hints, keep=self._is_watched
            )
            self._refusals.granted("ExtensionStateList")
        except ActionRefusedError as error:
            self.extensions_withheld = self._refusals.refused("ExtensionStateList", error)
            self._took(self._snapshot.load_hints(()))

    async def heartbeat(self, connection: Connection) -> None:
        """Let the PBX prove that it is alive, and compare counts.

        Raises NoAnswerError, ConnectionLostError.
        """
        asks_queues = self._snapshot.queues and not self.queues_withheld
        action, take = ("QueueSummary", self._compare) if asks_queues else ("Ping", None)
        try:
            await connection.action(action, within=self._within, on_reply=take)
            self._refusals.granted(action)
        except ActionRefusedError as error:
            # A refusal proves that it is alive as well.
            if is_unknown(error) and asks_queues:
                self._took(Effect.DOUBTFUL)
            else:
                self._refusals.refused(action, error)
        if self._unheard["call"] >= UNHEARD and self._snapshot.extensions:
            await self._read_hints(connection)
        await self._ask_devices(connection)

    async def _ask_devices(self, connection: Connection) -> None:
        # Events tell a device's state only where the PBX has the module for it.
        for device in self._snapshot.devices_to_ask():
            if not _PLAIN_DEVICE.fullmatch(device):
                continue
            take = partial(self._take_device, device)
            variable = f"DEVICE_STATE({device})"
            try:
                await connection.action("Getvar", within=self._within, on_reply=take, Variable=variable)
            except ActionRefusedError as error:
                why = self._refusals.refused("Getvar", error)
                self.extensions_withheld = self.extensions_withheld or why
                self._took(self._snapshot.load_device(device, ""))

    def _is_watched(self, item: Message) -> bool:
        return item.get("Exten") in self._snapshot.extensions

    def _take_queue(self, name: str, reply: Reply) -> None:
        # Half a list is no list: an unknown queue is better than a wrong count.
        self._took(self._snapshot.load_queue(name, reply.items if reply.complete else (), self._clock()))

    def _take_hints(self, reply: Reply) -> None:
        before = self._snapshot.hints
        self._took(self._snapshot.load_hints(reply.items if reply.complete else ()))
        now = self._snapshot.hints
        if any(extension in now and now[extension] != known for extension, known in before.items()):
            self._changed_unheard("call")

    def _take_device(self, device: str, reply: Reply) -> None:
        self._took(self._snapshot.load_device(device, reply.response.get("Value")))

    def _compare(self, reply: Reply) -> None:
        if not self._snapshot.agrees(reply.items):
            self._log.debug("queue-counts-differ")
            self._changed_unheard("agent")
            self._took(Effect.DOUBTFUL)

    def _changed_unheard(self, event_class: EventClass) -> None:
        """Something changed, and no event of its class has come on this connection."""
        if event_class in self._heard:
            return
        self._unheard[event_class] += 1
        # Once may be a reloaded configuration, of which no event tells.
        if self._unheard[event_class] == UNHEARD:
            self._log.warning("ami-tells-no-events", missing_right=f"read = {event_class}")
