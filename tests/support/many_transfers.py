# SPDX-License-Identifier: GPL-2.0-or-later
"""Many transfers a second through a gateway, with SIPp as caller, platform and extension.

    async with ManyTransfers(gateway, net, per_second=20, seconds=10) as transfers:
        done = await transfers.played()

The gateway has to be `configured` as it is here.
"""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.support.company import NUMBER, settings
from tests.support.configuration import Configuration
from tests.support.sipp import Sipp

if TYPE_CHECKING:
    from tests.support.gateway import Gateway
    from tests.support.processes import Net
    from tests.support.sip_message import Address

ANNA = "+31612345681"
PBX_PORT = 5070
PATIENCE_S = 40


def configured(net: Net) -> Configuration:
    """A gateway with room enough, and a PBX that has no queues."""
    files = settings(net, pbx_uri=f"sip:{net.pbx}:{PBX_PORT}")
    files.main["gateway"]["log_level"] = "warning"
    files.sip["max_calls"] = 600
    files.profiles["hms"]["options_interval_s"] = 0  # SIPp would take it for a call
    files.destination("anna")["max_concurrent"] = 600
    return files


@dataclass(frozen=True)
class Done:
    """What became of them, as the ends count it."""

    asked: int
    answered: int
    """Calls to the platform that came to be."""
    refused: int
    """… and that were refused."""
    completed: int
    """Transfers of which the platform was told that they have worked."""
    failed: int
    """… that they have not."""
    gone: int
    """Callers who hung up before the platform was told of either."""
    reached: int
    """Calls that the extension had to the end."""
    waits_ms: list[float]
    """From REFER to 202, the shortest first."""
    setups_ms: list[float]
    """From a caller's INVITE to its 200, the shortest first."""
    errors: str
    """What SIPp says of those that did not go as they should."""


class ManyTransfers:
    """Callers reach the platform, which has them put through to an extension, and who hang up after a second."""

    def __init__(
        self,
        gateway: Gateway,
        net: Net,
        *,
        per_second: int,
        seconds: int,
        also: int = 0,
        remote: Address | None = None,
    ) -> None:
        """The extension takes `also` calls more, of somebody else's, who end them.

        `remote` is where the callers call, if not at the gateway itself.
        """
        self.count = per_second * seconds
        self._stack = AsyncExitStack()
        patience = seconds + PATIENCE_S
        rows = [[f"<sip:{ANNA}@{net.gateway}>"]]
        self._platform = Sipp(
            "assistant", net.trunk, calls=self.count, rows=rows, hold_ms=100, timeout_s=patience, logged=False
        )
        self._extension = Sipp(
            "extension", net.pbx, port=PBX_PORT, calls=self.count + also, timeout_s=patience, values={"RINGS_MS": "5"},
            logged=False,
        )  # fmt: skip
        self._callers = Sipp(
            "call", net.pbx, port=PBX_PORT + 1, remote=remote or gateway.sip, service=NUMBER, calls=self.count,
            rate=per_second, hold_ms=1000, timeout_s=patience, values={"CALLER_SPEAKS": ""}, logged=False,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        for listening in (self._platform, self._extension):
            await self._stack.enter_async_context(listening)
            await listening.child.ready(listening.listening)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def played(self) -> Done:
        """Have all of them begin at their rate, and wait until the last caller has gone."""
        await self._stack.enter_async_context(self._callers)
        callers = await self._callers.finished()
        for listening in (self._platform, self._extension):
            listening.child.signal(signal.SIGUSR1)  # to SIPp: no more than what is under way
        platform, extension = await self._platform.finished(), await self._extension.finished()
        return Done(
            asked=self.count,
            answered=callers.counters["answered"],
            refused=callers.counters["refused"],
            completed=platform.counters["completed"],
            failed=platform.counters["failed"],
            gone=platform.counters["gone"],
            reached=extension.successful,
            waits_ms=self._platform.response_times("response"),
            setups_ms=self._callers.response_times("setup"),
            errors="".join(one.errors for one in (callers, platform, extension)),
        )
