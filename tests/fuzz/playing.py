# SPDX-License-Identifier: GPL-2.0-or-later
"""What clumsy peers do for so long: take calls, call, tell of extensions, and send what belongs to nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.fuzz.peers import PATIENCE_S, Clumsy, described
from tests.support.sip_message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.peer_call import Call
    from tests.support.sip_message import Address

PAUSE_S = 0.1
"""It is mistakes that are looked at, not floods."""
AT_ONCE = 6
"""Calls that one peer plays with at a time; the others ring."""
METHODS = ("OPTIONS", "REGISTER", "INVITE", "REFER", "BYE", "CANCEL", "SUBSCRIBE", "NOTIFY", "MESSAGE", "ACK")


async def calls_in(peer: Clumsy, seconds: float) -> None:
    """Take what calls come; each is answered somehow, and played with."""
    playing: set[asyncio.Task[None]] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if len(playing) >= AT_ONCE:
            await asyncio.wait(playing, return_when=asyncio.FIRST_COMPLETED)
        with suppress(AssertionError):
            task = asyncio.create_task(_take(peer, await peer.wait_call(timeout_s=1.0)))
            playing.add(task)
            task.add_done_callback(playing.discard)
    if playing:
        await asyncio.wait(playing)


async def _take(peer: Clumsy, call: Call) -> None:
    chance = peer.mutator.random
    assert call.incoming
    try:
        with suppress(AssertionError, KeyError, ValueError):
            if peer.mutator.may(0.6):
                reliable = [("Require", "100rel"), ("RSeq", "1")] if peer.mutator.may(0.4) else []
                code = chance.choice((180, 183, 100, 199))
                await call.ring(code, early_media=peer.mutator.may(0.5), headers=reliable)
                await asyncio.sleep(chance.choice((0, 0.05)))
            if peer.mutator.may(0.2):
                call.reject(chance.choice((302, 401, 407, 404, 422, 480, 486, 488, 491, 503, 603, 699)))
                return
            call.respond(call.incoming, 200, body=call.answer_to(call.incoming.body))
            await asyncio.sleep(chance.choice((0.05, 0.05, 0.3)))
            if any(one.method == "ACK" for one in call.requests):
                peer.tally.back(peer.side, "call", "in")
            await peer.play(call)
    finally:
        peer.let_go(call)


async def calls_out(peer: Clumsy, uris: Sequence[str], gateway: Address, seconds: float) -> None:
    """Call, one call after the other."""
    end = time.monotonic() + seconds
    chance = peer.mutator.random
    while time.monotonic() < end:
        body = chance.choice((None, None, None, b""))
        codecs = chance.choice((("PCMA",), ("PCMU", "opus")))
        more = [("Supported", "100rel, timer, replaces")] if peer.mutator.may(0.5) else []
        call = peer.invite(chance.choice(uris), gateway, body=body, codecs=codecs, headers=more)
        try:
            with suppress(AssertionError, KeyError, ValueError):
                if peer.mutator.may(0.15):
                    await asyncio.sleep(chance.choice((0, 0.05, 0.2)))
                    cancel(peer, call)
                answer = await call.final(PATIENCE_S)
                if answer.code < 300:
                    peer.tally.back(peer.side, "call", "out")
                    await peer.play(call)
        finally:
            peer.let_go(call)
        await asyncio.sleep(PAUSE_S)


def cancel(peer: Clumsy, call: Call) -> None:
    """CANCEL an INVITE of ours, and wait for nothing."""
    assert call.invite
    request = call.invite.request
    kept = ("via", "from", "to", "call-id", "max-forwards", "route")
    headers = [(name, value) for name, value in request.headers if name.lower() in kept]
    again = Message(f"CANCEL {request.uri} SIP/2.0", [*headers, ("CSeq", f"{request.cseq[0]} CANCEL")])
    peer.transact(again, call.remote)


async def states(peer: Clumsy, seconds: float) -> None:
    """Tell whoever has subscribed that an extension's state changes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        peer.tell_states()
        await asyncio.sleep(0.25)


async def stray(peer: Clumsy, uris: Sequence[str], gateway: Address, seconds: float, pause_s: float) -> None:
    """Send what belongs to no dialog, and what is no SIP at all."""
    end = time.monotonic() + seconds
    chance = peer.mutator.random
    while time.monotonic() < end:
        method = chance.choice(METHODS)
        call = peer.invite(chance.choice(uris), gateway)
        request = call.invite.request if call.invite else None
        assert request is not None
        peer.expect(request.branch, method, method)
        peer.put(bytes(request).replace(b"INVITE", method.encode()), gateway, method)
        peer.put(chance.randbytes(chance.choice((0, 4, 60, 1500))), gateway, "no SIP")
        peer.let_go(call)
        await asyncio.sleep(pause_s)


async def shouting(stranger: Clumsy, peers: Sequence[Clumsy], seconds: float) -> None:
    """Have a stranger send audio into the calls of others."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for call in [call for peer in peers for call in peer.calls]:
            if (found := described(call)) is not None:
                stranger.packets.shout(found[:2])
        await asyncio.sleep(0.5)
