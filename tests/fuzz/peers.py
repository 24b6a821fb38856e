# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers that say the right thing wrongly: whatever the protocol asks for, at the right moment, with mistakes in it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.support.peer import Peer
from tests.support.sip_message import Message, media_of
from tests.support.wire import Streams

if TYPE_CHECKING:
    from tests.fuzz.mutator import Mutator
    from tests.support.peer_call import Call
    from tests.support.sip_message import Address
    from tests.support.wire import Wire

KEPT = 400
PATIENCE_S = 1.5
PAUSE_S = 0.1
"""It is mistakes that are looked at, not floods."""
REPORTS = (
    bytes.fromhex("80c8000600000001e0000000000000000000000000000001000000a0"),  # a sender report
    bytes.fromhex("81c9000700000001000000020000000000000000000000000000000000000000"),  # a receiver report
    bytes.fromhex("81ca000300000001010474657374"),  # a source description
    bytes.fromhex("81cb000100000001"),  # a farewell
    bytes.fromhex("80cf000400000001040000020000000000000000"),  # an extended report (RFC 3611)
    bytes.fromhex("83cd000300000001000000020001ffff"),  # feedback (RFC 4585)
)


class Clumsy(Peer):
    """A scripted peer whose messages pass a mutator on their way out, some of them twice, some not at all."""

    def __init__(self, host: str, mutator: Mutator, *, user: str = "clumsy", wire: Wire | None = None) -> None:
        super().__init__(host, user=user, wire=wire)
        self.mutator = mutator
        if isinstance(wire, Streams) and wire.name == "TLS":
            self.encryption = "optional"
        self.sent: deque[bytes] = deque(maxlen=KEPT)
        """The latest of what went out, as it went out."""

    def send(self, message: Message, remote: Address, *, repeated: bool = False) -> None:
        """See Peer."""
        self.put(self.mutator.message(bytes(message)), remote)

    def put(self, data: bytes, remote: Address) -> None:
        """Bytes as they are."""
        times = self.mutator.random.choice((1, 1, 1, 1, 1, 1, 1, 1, 0, 2))
        for _ in range(times):
            self.sent.append(data)
            with suppress(OSError):  # a datagram of no size that is allowed
                self.wire.send(data, remote)
        if isinstance(self.wire, Streams):
            self._misuse(self.wire, remote)

    def _misuse(self, wire: Streams, remote: Address) -> None:
        if self.mutator.may(0.02):
            wire.send(self.mutator.random.randbytes(40), remote)
        elif self.mutator.may(0.02):
            wire.drop(reset=self.mutator.may(0.5))

    def forget(self, call: Call) -> None:
        """A conversation is over, whatever its other side thinks of it."""
        call.close()
        if call in self.calls:
            self.calls.remove(call)
            self._taken = min(self._taken, sum(one.incoming is not None for one in self.calls))
        self.trace.clear()
        for memory in (self._transactions, self._answered, self._seen):
            if len(memory) > KEPT:
                memory.clear()

    async def play(self, call: Call) -> None:
        """Do things in a call that is up, or may be."""
        for _ in range(self.mutator.random.randrange(6)):
            await self._one_thing(call)
        with suppress(AssertionError, KeyError):
            call.media.pause()
            await call.begin("BYE").final(PATIENCE_S)

    async def _one_thing(self, call: Call) -> None:
        target = "<sip:+31612345678@gw.example>"
        with suppress(AssertionError, KeyError, ValueError):
            match self.mutator.random.randrange(9):
                case 0:
                    await self._offer(call, "INVITE")
                case 1:
                    await self._offer(call, "UPDATE")
                case 2:
                    transaction = call.begin("INVITE")  # without an offer
                    await transaction.final(PATIENCE_S)
                case 3:
                    await call.refer(target, timeout_s=PATIENCE_S)
                case 4:
                    body, kind = self.mutator.random.choice(
                        ((b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay"), (b"5", "application/dtmf"))
                    )
                    await call.begin("INFO", body=body, content_type=kind).final(PATIENCE_S)
                case 5:
                    fragment = b"SIP/2.0 %d Whatever\r\n" % self.mutator.random.choice((100, 180, 200, 486, 603))
                    headers = [("Event", "refer"), ("Subscription-State", "active;expires=60")]
                    await call.begin(
                        "NOTIFY", headers=headers, body=fragment, content_type="message/sipfrag;version=2.0"
                    ).final(PATIENCE_S)
                case 6:
                    await call.begin("PRACK", headers=[("RAck", "1 1 INVITE")]).final(PATIENCE_S)
                case 7:
                    self.packets(call)
                case _:
                    method = self.mutator.random.choice(("OPTIONS", "SUBSCRIBE", "MESSAGE", "CANCEL", "X"))
                    await call.begin(method).final(PATIENCE_S)

    async def _offer(self, call: Call, method: str) -> None:
        codecs = self.mutator.random.choice((("PCMA",), ("PCMU", "PCMA"), ("opus",), ("opus", "PCMA")))
        direction = self.mutator.random.choice(("sendrecv", "sendonly", "inactive", "recvonly"))
        call.direction = direction
        host = self.mutator.random.choice((None, None, "0.0.0.0"))
        await call.begin(method, body=call.offer(codecs, host), content_type="application/sdp").final(PATIENCE_S)

    def packets(self, call: Call) -> None:
        """Datagrams of RTP and RTCP, or of nothing of the kind, to where the other side listens."""
        described = next((media_of(one.body) for one in reversed(_bodies(call)) if one.body), None)
        if described is None:
            return
        host, port, _ = described
        with suppress(OSError):
            for _ in range(20):
                length = self.mutator.random.choice((0, 10, 170, 1400))
                packet = bytes.fromhex("8008") + self.mutator.random.randbytes(length)
                call.media.transmit(self.mutator.raw(packet), (host, port))
                call.media.transmit(self.mutator.raw(self.mutator.random.choice(REPORTS)), (host, port + 1))


def _bodies(call: Call) -> list[Message]:
    responses = call.invite.responses if call.invite else []
    return [*([call.incoming] if call.incoming else []), *responses, *call.requests]


async def calls_in(peer: Clumsy, seconds: float) -> None:
    """Take what calls come, for so long; each is answered somehow, and played with."""
    playing: set[asyncio.Task[None]] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(AssertionError):
            task = asyncio.create_task(_take(peer, await peer.wait_call(timeout_s=1.0)))
            playing.add(task)
            task.add_done_callback(playing.discard)
    if playing:
        await asyncio.wait(playing)


async def _take(peer: Clumsy, call: Call) -> None:
    chance = peer.mutator.random
    try:
        with suppress(AssertionError, KeyError, ValueError):
            if peer.mutator.may(0.6):
                await call.ring(chance.choice((180, 183, 100, 199)), early_media=peer.mutator.may(0.5))
            if peer.mutator.may(0.2):
                call.reject(chance.choice((302, 401, 407, 404, 422, 480, 486, 488, 491, 503, 603, 699)))
                return
            call.respond(call.incoming, 200, body=call.answer_to(call.incoming.body) if call.incoming else b"")  # type: ignore[arg-type]
            await asyncio.sleep(chance.choice((0, 0.05, 0.3)))
            await peer.play(call)
    finally:
        peer.forget(call)


async def calls_out(peer: Clumsy, uris: tuple[str, ...], gateway: Address, seconds: float) -> None:
    """Call, one call after the other, for so long."""
    end = time.monotonic() + seconds
    chance = peer.mutator.random
    while time.monotonic() < end:
        body = chance.choice((None, None, None, b""))
        codecs = chance.choice((("PCMA",), ("PCMU", "opus")))
        call = peer.invite(chance.choice(uris), gateway, body=body, codecs=codecs)
        try:
            with suppress(AssertionError, KeyError, ValueError):
                if peer.mutator.may(0.1):
                    await call.cancel()
                answer = await call.final(PATIENCE_S)
                if answer.code < 300:
                    await peer.play(call)
        finally:
            peer.forget(call)
        await asyncio.sleep(PAUSE_S)


async def stray(peer: Clumsy, uris: tuple[str, ...], gateway: Address, seconds: float, pause_s: float) -> None:
    """Send what belongs to no dialog, and what is no SIP at all, for so long."""
    methods = ("OPTIONS", "REGISTER", "INVITE", "REFER", "BYE", "CANCEL", "SUBSCRIBE", "NOTIFY", "MESSAGE", "ACK")
    end = time.monotonic() + seconds
    chance = peer.mutator.random
    while time.monotonic() < end:
        call = peer.invite(chance.choice(uris), gateway)
        request = call.invite.request if call.invite else None
        assert request is not None
        text = bytes(request).replace(b"INVITE", chance.choice(methods).encode())
        peer.put(peer.mutator.message(text), gateway)
        peer.put(chance.randbytes(chance.choice((0, 4, 60, 1500))), gateway)
        peer.forget(call)
        await asyncio.sleep(pause_s)
