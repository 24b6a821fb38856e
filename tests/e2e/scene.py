# SPDX-License-Identifier: GPL-2.0-or-later
"""The cast of a test: a caller, the assistant at the end of the trunk, the gateway, and the PBX behind it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support import tones
from tests.support.asterisk import SIP_PORT
from tests.support.company import NUMBER, settings
from tests.support.configuration import Configuration
from tests.support.end import both_hear
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker
    from tests.support.peer_call import Call

CALLER = "+31201112222"
# Far enough apart to be told from one another, and none near the ringback's 425 or the voicemail's 850.
CALLER_HZ, ASSISTANT_HZ, ANNA_HZ, BERT_HZ, CARLA_HZ = 950, 1200, 560, 700, 1450
RINGBACK_HZ = 425


@dataclass(frozen=True)
class Scene:
    """Made by `scene()`. Once its block is left without an error, nothing may be left of any call."""

    pbx: Asterisk
    gateway: Gateway
    assistant: Peer
    line: Peer
    """Where the outside caller is."""

    async def talk(self, *, past_pbx: bool = False) -> tuple[Call, Call]:
        """A caller and the assistant, who hear each other: both ends of the call.

        `past_pbx`: the caller does not come through the PBX itself, but from another address of its profile.
        """
        where = self.gateway.sip if past_pbx else (self.pbx.host, SIP_PORT)
        caller = self.line.invite(f"sip:{NUMBER}@{where[0]}", where, from_=f"<sip:{CALLER}@{where[0]}>", hz=CALLER_HZ)
        assistant = await self.assistant.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        await both_hear(caller, assistant)
        return caller, assistant

    async def refer(self, assistant: Call, number: str) -> int:
        """Have the assistant ask for a transfer; the REFER's own response."""
        return (await assistant.refer(f"<sip:{number}@{self.gateway.sip[0]}>")).code

    async def quiet(self, timeout_s: float = WAIT_S) -> None:
        """Nothing is left: no leg, call, transfer or subscription here, no channel at the PBX."""
        await self.gateway.idle(timeout_s)
        if self.pbx.running:
            await eventually(self._no_channels, "every channel of the PBX is gone", timeout_s=timeout_s)

    async def _no_channels(self) -> bool:
        return await self.pbx.channels() == 0


@asynccontextmanager
async def scene(
    pbx: Asterisk,
    *,
    files: Configuration | None = None,
    broker: Broker | None = None,
    sounds: dict[str, int] | None = None,
) -> AsyncIterator[Scene]:
    """Start the gateway (with `files`, else as `settings` has it) and open the curtain.

    `sounds`: files in its directory with a second of a tone in each.
    """
    net = pbx.net
    async with AsyncExitStack() as stack:
        assistant = await stack.enter_async_context(Peer(net.trunk))
        line = await stack.enter_async_context(Peer(net.provider, user="caller"))
        gateway = Gateway(files or settings(net, pbx=pbx, broker=broker))
        for name, hz in (sounds or {}).items():
            tones.write_wav(gateway.directory / name, tones.tone(hz, 1))
        await stack.enter_async_context(gateway)
        played = Scene(pbx, gateway, assistant, line)
        yield played
        if gateway.child.exit_code is None:
            await played.quiet()
            code = await gateway.stop()
            assert code == 0, f"the gateway ended with {code}"


async def hears_nobody(call: Call, *tones: int) -> None:
    """This end hears none of the tones any more, though packets keep coming."""

    async def silent() -> bool:
        return not call.media.detect(*tones)

    await eventually(silent, f"{call.peer.host} hears none of {tones}")


async def hang_up(*calls: Call) -> None:
    """End calls from their own end."""
    for call in calls:
        assert (await call.hang_up()).code == 200
