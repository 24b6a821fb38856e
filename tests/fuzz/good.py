# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls and transfers without mistakes, beside all the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz import settings

if TYPE_CHECKING:
    from tests.support.gateway import Gateway
    from tests.support.peer import Peer
    from tests.support.peer_call import Call
    from tests.support.processes import Net

CALLER_HZ, ASSISTANT_HZ, TARGET_HZ = 700, 900, 1200
TRIES, BUSY = 4, 503
"""What the gateway may answer a new call with while it is late, as on a machine with other work (Retry-After)."""


async def talk(trunk: Peer, pbx: Peer, gateway: Gateway, net: Net) -> tuple[Call, Call]:
    """A caller and an assistant who hear each other. Raises AssertionError."""
    for _ in range(TRIES):
        caller = pbx.invite(f"sip:{settings.GOOD}@{net.gateway}", gateway.sip, hz=CALLER_HZ)
        try:
            assistant = await trunk.wait_call(5.0)
            break
        except AssertionError:
            if (await caller.final(5.0)).code != BUSY:
                raise
    else:
        raise AssertionError(f"a good call was refused {TRIES} times")
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    await caller.media.hears(ASSISTANT_HZ)
    return caller, assistant


async def hear_each_other(one: Call, other: Call, timeout_s: float) -> None:
    """Two who talked talk on, by nothing that was heard before. Raises AssertionError."""
    for call in (one, other):
        call.media.received.clear()
    for call, far in ((one, other), (other, one)):
        assert far.hz
        await call.media.hears(far.hz, timeout_s=timeout_s)


async def put_through(trunk: Peer, pbx: Peer, gateway: Gateway, net: Net) -> tuple[Call, Call]:
    """A caller who is transferred and hears the target; both are up. Raises AssertionError."""
    caller, assistant = await talk(trunk, pbx, gateway, net)
    accepted = await assistant.refer(f"<sip:{settings.SALES}@gw.example>")
    assert accepted.code == 202, f"a good REFER was refused: {accepted.start}"
    target = await pbx.wait_call()
    await target.answer(hz=TARGET_HZ)
    notified = [one.sipfrag for one in await assistant.notifies()]
    assert notified[-1] == 200, f"a good transfer failed: {notified}"
    await caller.media.hears(TARGET_HZ)
    forget(trunk, assistant)
    return caller, target


async def hang_up(pbx: Peer, caller: Call, target: Call) -> None:
    """One who was put through hangs up. Raises AssertionError."""
    await caller.hang_up()
    await target.wait_request("BYE")
    forget(pbx, caller, target)


def forget(peer: Peer, *calls: Call) -> None:
    """These are over, whatever still comes of them."""
    for call in calls:
        call.close()
        peer.calls.remove(call)
        peer._taken -= call.incoming is not None
