# SPDX-License-Identifier: GPL-2.0-or-later
"""Who tells the end of a transfer whose gateway was lost: one of those that want to, by the order of their claims.

A claim is retained at the broker on a topic of the transfer's own. Who claims reads that topic, has read what was
retained there, and saw no claim that holds. Of several claims at the same moment all of them see the same one first, as
a broker tells all who read a topic in one order; that one holds, and who has lost says so again for those who come
later (docs/decisions/0121-outcomes-of-the-lost.md).
"""

from __future__ import annotations

import asyncio

import structlog
from pydantic import ValidationError
from ulid import ULID

from gateway.core.json_form import timestamp
from gateway.ports import Clock, time_limit
from gateway.report.peers.documents import ClaimData
from gateway.report.peers.line import ECHO_S, AwayError, Heard, PeerLine

KIND = "orphans"
_MOST = 20_000

log = structlog.get_logger(__name__)


class Claims:
    """See the module. Of all gateways, by a gateway and a transfer of its."""

    def __init__(self, line: PeerLine, instance: str, clock: Clock) -> None:
        self._line = line
        self._instance = instance
        self._clock = clock
        self._mark = str(ULID())
        self._known: dict[tuple[str, str], ClaimData] = {}
        self._pending: dict[tuple[str, str], asyncio.Future[ClaimData]] = {}
        self._told: dict[tuple[str, str], None] = {}  # the last that were told here

    def heard(self, message: Heard) -> None:
        """A claim was made, or taken away."""
        which = message.node, message.name
        try:
            claim = ClaimData.model_validate_json(message.body)
        except ValidationError:
            self._known.pop(which, None)
            return
        if (pending := self._pending.get(which)) is not None and not pending.done():
            pending.set_result(claim)
        if which in self._known or len(self._known) < _MOST:
            self._known[which] = claim
        if which in self._told and not claim.told:
            # Who has lost says again who has won, and may not know yet that it is told.
            self._line.say(self._line.topic(KIND, message.name, message.node), self._claim(told=True))

    def of(self, node: str, transfer: str) -> ClaimData | None:
        """The claim that holds; None: there is none."""
        return self._known.get((node, transfer))

    def of_node(self, node: str) -> list[str]:
        """The transfers of a gateway to whose ends there are claims."""
        return [transfer for owner, transfer in self._known if owner == node]

    async def take(self, node: str, transfer: str) -> bool:
        """Claim it; whether ours is the first. Raises AwayError, and then it is not known who has it."""
        which, topic = (node, transfer), self._line.topic(KIND, transfer, node)
        first = self._pending[which] = asyncio.get_running_loop().create_future()
        try:
            await self._line.tell(topic, self._claim())
            async with time_limit(self._clock, ECHO_S):
                winner = await first
        except TimeoutError as error:
            raise AwayError("the broker does not send back what it was told") from error
        finally:
            del self._pending[which]
        if (winner.by, winner.mark) == (self._instance, self._mark):
            return True
        await self._line.tell(topic, winner.model_dump_json().encode())
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
