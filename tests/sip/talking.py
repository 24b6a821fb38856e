# SPDX-License-Identifier: GPL-2.0-or-later
"""Two who talk through a gateway with pairs of peers (see bed.py), and where it takes their audio."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.sip.bed import Bed, Stage
from tests.support.end import both_hear
from tests.support.processes import eventually
from tests.support.sip_message import media_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call


@asynccontextmanager
async def talking(bed: Bed, name: str) -> AsyncIterator[tuple[Stage, Call, Call]]:
    """A caller and an assistant who hear each other, in the end as well."""
    async with Stage(bed, name) as at:
        for peer, profile in ((at.trunk, bed.pairs[name].trunk), (at.pbx, bed.pairs[name].pbx)):
            peer.encryption = "required" if "srtp" in profile else "off"
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        yield at, caller, assistant
        await both_hear(caller, assistant)
        await caller.hang_up()
        await assistant.wait_request("BYE")


async def goes(bed: Bed, path: str, why: str) -> None:
    """Wait until the one call's audio takes this way, for this reason, and the legs that have audio are counted so."""

    async def is_told() -> bool:
        (call,) = (await bed.gateway.get("/api/calls"))["calls"]
        counted = await bed.gateway.metric("transfer_gateway_media_legs", path=path, reason=why)
        return call["audio"] == {"path": path, "why": why} and counted == (1 if why == "waiting" else 2)

    await eventually(is_told, f"{path}: {why}")


def gateway_media(call: Call) -> tuple[str, int]:
    """Where the gateway takes this call's audio."""
    body = call.incoming.body if call.incoming else call.invite.responses[-1].body if call.invite else b""
    described = media_of(body)
    assert described
    return described[0], described[1]
