# SPDX-License-Identifier: GPL-2.0-or-later
"""Who tells the end of a transfer whose gateway was lost: one of those that want to, by the order of their claims.

A claim is retained at the broker on a topic of the transfer's own. Who claims reads that topic, has read what was
retained there, and saw no claim that holds. Of several claims at the same moment all of them see the same one first, as
a broker tells all who read a topic in one order; that one holds, and who has lost says so again for those who come
later (docs/decisions/0121-outcomes-of-the-lost.md).

What was retained before a connection says who holds it, and not who was first: of two claims at the same moment it is
the last, until who has lost says so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from pydantic import ValidationError
from ulid import ULID

from gateway.core.json_form import timestamp
from gateway.ports import Clock, time_limit
from gateway.report.peers.documents import ClaimData
from gateway.report.peers.line import ECHO_S, AwayError, Heard, PeerLine

KIND = "orphans"
_MOST = 20_000
_LONGEST = 64  # characters of an id, or of a gateway's name

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    claim: ClaimData
    since: float  # when it was first heard of, steady

    def is_same(self, claim: ClaimData) -> bool:
        return (self.claim.by, self.claim.mark) == (claim.by, claim.mark)


class Claims:
    """See the module. Of all gateways, by a gateway and a transfer of its."""

    def __init__(self, line: PeerLine, instance: str, clock: Clock) -> None:
        self._line = line
        self._instance = instance
        self._clock = clock
        self._mark = str(ULID())
        self._known: dict[tuple[str, str], _Known] = {}
        self._before: dict[tuple[str, str], _Known] = {}  # … over the connection before
        self._pending: dict[tuple[str, str], asyncio.Future[ClaimData]] = {}
        self._lost_to: dict[tuple[str, str], ClaimData] = {}  # by which claim ours came too late
        self._told: dict[tuple[str, str], None] = {}  # the last that were told here

    def anew(self) -> None:
        """All that is retained is about to be heard once more; what is not is no longer there."""
        self._before, self._known = self._known, {}

    def heard(self, message: Heard) -> None:
        """A claim was made, or taken away."""
        which = message.node, message.name
        if max(map(len, which)) > _LONGEST:
            return
        try:
            claim = ClaimData.model_validate_json(message.body)
        except ValidationError:
            self._known.pop(which, None)
            self._lost_to.pop(which, None)
            return
        if (pending := self._pending.get(which)) is not None and not pending.done() and not message.is_old:
            pending.set_result(claim)
        if claim.told:
            self._lost_to.pop(which, None)
        elif self._is_ours(claim):
            claim = self._lost_to.get(which, claim)
        self._know(which, claim)
        if which in self._told and not claim.told:
            # Who has lost says again who has won, and may not know yet that it is told.
            self._line.say(self._line.topic(KIND, message.name, message.node), self._claim(told=True), once=True)

    def _know(self, which: tuple[str, str], claim: ClaimData) -> None:
        if which not in self._known and len(self._known) >= _MOST:
            return
        before = self._known.get(which) or self._before.get(which)
        is_same = before is not None and before.is_same(claim)
        since = before.since if before is not None and is_same else self._clock.now().steady
        self._known[which] = _Known(claim, since)

    def _is_ours(self, claim: ClaimData) -> bool:
        return (claim.by, claim.mark) == (self._instance, self._mark)

    def of(self, node: str, transfer: str) -> ClaimData | None:
        """The claim that holds; None: there is none."""
        known = self._known.get((node, transfer))
        return known.claim if known is not None else None

    def age_s(self, node: str, transfer: str) -> float:
        """For how long that claim is known; 0 where there is none."""
        known = self._known.get((node, transfer))
        return self._clock.now().steady - known.since if known is not None else 0.0

    def of_node(self, node: str) -> list[str]:
        """The transfers of a gateway to whose ends there are claims."""
        return [transfer for owner, transfer in self._known if owner == node]

    def unfinished(self) -> dict[str, list[str]]:
        """By their gateway, others' transfers that this one has claimed, in this run or before, and not told."""
        found: dict[str, list[str]] = {}
        for (node, transfer), known in self._known.items():
            if known.claim.by == self._instance != node and not known.claim.told:
                found.setdefault(node, []).append(transfer)
        return found

    async def take(self, node: str, transfer: str) -> bool:
        """Claim it; whether ours is the first. Raises AwayError, and then it is not known who has it."""
        which, topic = (node, transfer), self._line.topic(KIND, transfer, node)
        self._lost_to.pop(which, None)
        first = self._pending[which] = asyncio.get_running_loop().create_future()
        try:
            await self._line.tell(topic, self._claim())
            async with time_limit(self._clock, ECHO_S):
                winner = await first
        except TimeoutError as error:
            raise AwayError("the broker does not send back what it was told") from error
        finally:
            del self._pending[which]
        if self._is_ours(winner):
            return True
        if (known := self._known.get(which)) is not None and known.claim.told and known.is_same(winner):
            winner = known.claim
        self._lost_to[which] = winner
        self._know(which, winner)
        self._line.say(topic, winner.model_dump_json().encode(), once=True)
        return False

    async def told(self, node: str, transfer: str) -> None:
        """Say that the end is told. Raises AwayError."""
        self._told[node, transfer] = None
        if len(self._told) > _MOST:
            del self._told[next(iter(self._told))]
        await self._line.tell(self._line.topic(KIND, transfer, node), self._claim(told=True))

    def forget(self, node: str, transfer: str) -> None:
        """Have the broker retain no claim to it any longer."""
        self._line.say(self._line.topic(KIND, transfer, node), b"")

    def _claim(self, *, told: bool = False) -> bytes:
        at = timestamp(self._clock.now().wall)
        return ClaimData(by=self._instance, mark=self._mark, told=told, at=at).model_dump_json().encode()
