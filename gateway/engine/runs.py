# SPDX-License-Identifier: GPL-2.0-or-later
"""The transfers under way: each one's machine, and who takes part in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.core.model import AssignedNumber, Destination, LegId, Peer, TransferId
from gateway.core.record import TransferRecord
from gateway.core.transfer import State, Transfer
from gateway.core.transfer import commands as cmd
from gateway.core.transfer import events as ev
from gateway.engine.calls import Call
from gateway.ports import ReferHandle


@dataclass(eq=False, slots=True)
class Run:
    """One machine at work."""

    machine: Transfer
    call: Call | None
    asked: Destination | None
    handle: ReferHandle | None
    now: Callable[[], datetime]  # of this transfer's record, which began with the request
    events: deque[ev.Event] = field(default_factory=deque)
    busy: bool = False
    timers: dict[cmd.Timer, asyncio.TimerHandle] = field(default_factory=dict)
    dialled_at: float | None = None  # loop time of the attempt that has not progressed yet
    stage: State | None = None
    legs: dict[LegId, Peer | None] = field(default_factory=dict)  # every leg that ever took part
    sip_call_ids: dict[str, str] = field(default_factory=dict)  # by role
    handed: LegId | None = None  # the target the PBX was asked to bring the caller to by itself
    heard: int = 0  # packets of the transferee's audio, when listening began
    number: AssignedNumber | None = None  # as configured when the transfer began

    @property
    def record(self) -> TransferRecord:
        """What is known of the transfer."""
        return self.machine.record

    @property
    def holds_transferee(self) -> bool:
        """Whether the machine still decides what becomes of the caller."""
        return self.machine.state not in (State.RELEASING, State.ENDED)


class Runs:
    """The registry of running transfers: by id, by leg, and by what the PBX calls their targets."""

    def __init__(self) -> None:
        self._by_id: dict[TransferId, Run] = {}
        self._by_leg: dict[LegId, Run] = {}
        self._by_target: dict[str, tuple[Run, LegId]] = {}  # by SIP Call-ID, or by transfer once handed down

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Run]:
        return iter(list(self._by_id.values()))

    def get(self, transfer: TransferId | None) -> Run | None:
        """The running transfer with this id."""
        return self._by_id.get(transfer) if transfer else None

    def of(self, leg: LegId) -> Run | None:
        """The transfer that this leg takes part in."""
        return self._by_leg.get(leg)

    def target(self, name: str) -> tuple[Run, LegId] | None:
        """The transfer whose target the PBX names by this SIP Call-ID or transfer id, and that target."""
        return self._by_target.get(name)

    def add(self, run: Run) -> None:
        """Begin to know a transfer."""
        self._by_id[run.record.transfer] = run

    def take_part(self, run: Run, role: str, leg: LegId, peer: Peer | None, sip_call_id: str | None) -> None:
        """The leg takes part in the transfer, in the role that events name."""
        self._by_leg[leg] = run
        run.legs[leg] = peer
        if sip_call_id is None:
            return
        if role == "target":
            self._by_target.pop(run.sip_call_ids.get(role, ""), None)
            self._by_target[sip_call_id] = run, leg
        run.sip_call_ids[role] = sip_call_id
        run.machine = replace(run.machine, record=replace(run.record, call_ids=dict(run.sip_call_ids)))

    def hand_down(self, run: Run, target: LegId) -> None:
        """The PBX brings the caller to the target by itself, and will name the transfer by its id."""
        run.handed = target
        self._by_target[run.record.transfer] = run, target

    def part(self, leg: LegId) -> Run | None:
        """The leg is over, or its end is no news any more; the transfer it took part in."""
        return self._by_leg.pop(leg, None)

    def remove(self, run: Run) -> None:
        """The transfer has ended."""
        self._by_id.pop(run.record.transfer, None)
        for leg in run.legs:
            if self._by_leg.get(leg) is run:
                del self._by_leg[leg]
        self._by_target.pop(run.sip_call_ids.get("target", ""), None)
        self._by_target.pop(run.record.transfer, None)
