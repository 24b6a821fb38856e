# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers that say the right thing wrongly: whatever the protocol asks for, at the right moment, with mistakes in it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.fuzz.packets import Packets
from tests.fuzz.talks import Talks
from tests.support.notifier import HINTS, Notifier
from tests.support.peer_call import Call
from tests.support.sip_message import Message, media_of
from tests.support.wire import Datagrams, Streams

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.fuzz.mutator import Mutator
    from tests.fuzz.tally import Tally
    from tests.support.sip_message import Address
    from tests.support.wire import Wire

KEPT = 400
PATIENCE_S = 1.5
LATER_CSEQ = 1000
"""More than any that it has used in a call before."""
FRAGMENT = "message/sipfrag;version=2.0"


class Clumsy(Notifier):
    """A scripted peer whose messages pass a mutator on their way out, some of them twice, some not at all.

    `role` is what the tally calls it. As a PBX it tells the state of its extensions, and takes REFERs.
    """

    def __init__(self, host: str, role: str, mutator: Mutator, tally: Tally, wire: Wire | None = None) -> None:
        super().__init__(host)
        self.wire = wire or Datagrams()
        self.user = role
        self.side = f"{role} {self.wire.name}"
        self.mutator = mutator
        self.tally = tally
        self.packets = Packets(host, mutator, tally)
        if self.wire.name == "TLS":
            self.encryption = "optional"
        self.sent: deque[bytes] = deque(maxlen=KEPT)
        """The latest of what went out, as it went out."""
        self.heard: deque[bytes] = deque(maxlen=20)
        """The latest of what came in."""
        self.talks = Talks()
        """… and all of both, by its Call-ID."""
        self.handed: deque[str] = deque(maxlen=KEPT)
        """What the REFERs that came refer to."""
        self.refers_to = ["+31612345678", "+31612345679", "6001"]
        """Whom it transfers its calls to."""
        self.rests = False
        """Whether it makes no mistakes any more, and keeps its connections."""
        self.takes_back = False
        """Whether it takes calls that it has given up for its own again, when they are taken up."""
        self.is_running = asyncio.Event()
        """Clear while the gateway is away: some of its calls last until it is back."""
        self.is_running.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_careful = False  # for once
        self._kinds: dict[tuple[str, str], str] = {}
        """What the tally calls requests that went out, by branch and method."""

    async def __aexit__(self, *about: Any) -> None:
        """See Peer."""
        for task in self._tasks:
            task.cancel()
        self.packets.close()
        await super().__aexit__(*about)
        self.calls.clear()  # whoever still plays with one finds it gone

    def send(self, message: Message, remote: Address, *, repeated: bool = False) -> None:
        """See Peer."""
        if self.rests or self._is_careful:
            self.talks.note(f"{self.side} >", bytes(message))
            self.wire.send(bytes(message), remote)
            return
        if message.is_request:
            self.expect(message.branch, message.method, _asked(message))
        self.put(bytes(message), remote, _kind(message))

    def expect(self, branch: str, method: str, kind: str) -> None:
        """Know what is answered, when it is."""
        if len(self._kinds) > 10 * KEPT:
            self._kinds.clear()
        self._kinds[branch, method] = kind

    def put(self, data: bytes, remote: Address, kind: str) -> None:
        """A message, or what is none, with whatever mistakes; it may go out twice, or not at all."""
        made = self.mutator.message(data)
        for _ in range(self.mutator.random.choice((1, 1, 1, 1, 1, 1, 1, 1, 0, 2))):
            self.sent.append(made)
            self.talks.note(f"{self.side} >", made)
            self.tally.out(self.side, kind, broken=made != data)
            with suppress(OSError):  # a datagram of no size that is allowed
                self.wire.send(made, remote)
        if isinstance(self.wire, Streams):
            self._misuse(self.wire, remote)

    def _misuse(self, wire: Streams, remote: Address) -> None:
        if self.mutator.may(0.01):
            wire.send(self.mutator.random.randbytes(40), remote)
            self.tally.out(self.side, "garbage", broken=True)
        elif self.mutator.may(0.01):
            wire.drop(reset=self.mutator.may(0.5))
            self.tally.out(self.side, "connection dropped", broken=True)

    def rest(self) -> None:
        """From now on do what is right: whoever says goodbye gets an answer."""
        self.rests = True
        for call in list(self.calls):
            self.let_go(call)
        self.subscriptions.clear()

    def let_go(self, call: Call) -> None:
        """A conversation is over, whatever its other side thinks of it."""
        if call in self.calls:
            call.close()
            self.calls.remove(call)
            self._taken = min(self._taken, sum(one.incoming is not None for one in self.calls))
        self.trace.clear()
        for memory in (self._transactions, self._answered, self._seen):
            if len(memory) > KEPT:
                memory.clear()

    def _arrived(self, data: bytes, remote: Address) -> None:
        self.heard.append(data)
        self.talks.note(f"{self.side} <", data)
        with suppress(ValueError, KeyError, IndexError):  # what is wrong came back
            message = Message.parse(data)
            if message.is_request:
                self.tally.back(self.side, _asked(message), "asked")
            elif (kind := self._kinds.get((message.branch, message.method))) is not None:
                self.tally.back(self.side, kind, f"{message.code // 100}xx")
        super()._arrived(data, remote)

    def _take_request(self, request: Message, remote: Address) -> None:
        call = self._call_of(request)
        if request.method == "REFER" and call is not None:
            self.handed.append(request["Refer-To"].strip("<>"))
            call.answers["REFER"] = self.mutator.random.choice((202, 202, 202, 202, 403, 503, None))
            self._beside(self._tell_how_it_goes(call))
        if self.takes_back and not self.rests and call is None and request.method == "INVITE" and request.tag("To"):
            self._take_back(request, remote)
        else:
            super()._take_request(request, remote)

    def _take_back(self, request: Message, remote: Address) -> None:
        """A re-INVITE of a conversation that was let go: at best answered as it should be, else as a new one is."""
        self._answered[request.branch, request.method] = None
        call = Call(self, remote, local=request["To"], far=request["From"], call_id=request["Call-ID"])
        call.cseq = LATER_CSEQ
        call.accept_from(request)
        self.calls.append(call)
        if self.mutator.may(0.7):
            call.incoming = None  # for nobody who waits for one
            self._beside(self._talk_on(call, request))

    async def _talk_on(self, call: Call, request: Message) -> None:
        try:
            with suppress(ValueError, LookupError):
                self._answer_rightly(call, request)
                await asyncio.sleep(self.mutator.random.choice((0, 0.5, 2.0)))
                await self.play(call)
        finally:
            self.let_go(call)

    def _answer_rightly(self, call: Call, request: Message) -> None:
        self._is_careful = True
        try:
            call.respond(request, 200, body=call.answer_to(request.body))
        finally:
            self._is_careful = False

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell_how_it_goes(self, call: Call) -> None:
        """NOTIFYs about a REFER that came: the PBX moves the caller, or fails to."""
        chance = self.mutator.random
        with suppress(AssertionError, KeyError, ValueError):
            for code in (100, chance.choice((180, 183, 100)), chance.choice((200, 200, 404, 486, 503, 603))):
                await asyncio.sleep(0.05)
                state = "terminated;reason=noresource" if code >= 200 else "active;expires=60"
                headers = [("Event", "refer"), ("Subscription-State", state)]
                fragment = b"SIP/2.0 %d Whatever\r\n" % code
                self.tally.out(self.side, "NOTIFY of a hand-down", broken=True)
                await call.begin("NOTIFY", headers=headers, body=fragment, content_type=FRAGMENT).final(PATIENCE_S)

    def tell_states(self) -> None:
        """The state of an extension changes."""
        if self.subscriptions and not self.rests:
            self.set("6001", self.mutator.random.choice(tuple(HINTS)))

    async def play(self, call: Call) -> None:
        """Do things in a call that is up, or may be."""
        for _ in range(self.mutator.random.randrange(7)):
            if not self.is_running.is_set() and self.mutator.may(0.7):
                await self.is_running.wait()
            with suppress(AssertionError, KeyError, ValueError):
                await self._one_thing(call)
        with suppress(AssertionError, KeyError):
            call.media.pause()
            await call.begin("BYE").final(PATIENCE_S)

    async def _one_thing(self, call: Call) -> None:
        chance = self.mutator.random
        match chance.randrange(11):
            case 0:
                await self._offer(call, "INVITE")
            case 1:
                await self._offer(call, "UPDATE")
            case 2:
                await call.begin("INVITE").final(PATIENCE_S)  # without an offer
            case 3 | 4:
                target = f"<sip:{chance.choice(self.refers_to)}@gw.example>"
                await call.refer(target, timeout_s=PATIENCE_S)
                await asyncio.sleep(chance.choice((0, 0.5, 2.0)))  # for its target to ring, or for it to be done
            case 5:
                body, kind = chance.choice(
                    ((b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay"), (b"5", "application/dtmf"))
                )
                await call.begin("INFO", body=body, content_type=kind).final(PATIENCE_S)
            case 6:
                fragment = b"SIP/2.0 %d Whatever\r\n" % chance.choice((100, 180, 200, 486, 603))
                headers = [("Event", "refer"), ("Subscription-State", "active;expires=60")]
                await call.begin("NOTIFY", headers=headers, body=fragment, content_type=FRAGMENT).final(PATIENCE_S)
            case 7:
                await call.begin("PRACK", headers=[("RAck", "1 1 INVITE")]).final(PATIENCE_S)
            case 8 | 9:
                self._speak(call)
            case _:
                method = chance.choice(("OPTIONS", "SUBSCRIBE", "MESSAGE", "CANCEL", "X"))
                await call.begin(method).final(PATIENCE_S)

    async def _offer(self, call: Call, method: str) -> None:
        chance = self.mutator.random
        codecs = chance.choice((("PCMA",), ("PCMU", "PCMA"), ("opus",), ("opus", "PCMA")))
        call.direction = chance.choice(("sendrecv", "sendonly", "inactive", "recvonly"))
        host = chance.choice((None, None, "0.0.0.0"))
        await call.begin(method, body=call.offer(codecs, host), content_type="application/sdp").final(PATIENCE_S)

    def _speak(self, call: Call) -> None:
        """Datagrams of RTP and RTCP, or of nothing of the kind, to where the other side listens."""
        if (found := described(call)) is not None:
            self.packets.say(call.media, found[:2])


def described(call: Call) -> tuple[str, int, list[int]] | None:
    """What the other side's newest description says of its audio."""
    responses = call.invite.responses if call.invite else []
    messages = [*([call.incoming] if call.incoming else []), *responses, *call.requests]
    return next((media_of(one.body) for one in reversed(messages) if one.body), None)


def _kind(message: Message) -> str:
    """What the tally calls a message that goes out."""
    return _asked(message) if message.is_request else f"{message.code // 100}xx to {message.method}"


def _asked(message: Message) -> str:
    """What the tally calls a request."""
    if message.method == "NOTIFY" and (message.get("Event") or "").startswith(("dialog", "presence")):
        return "NOTIFY of a state"
    cancels = message.method == "CANCEL"  # which has no tag of the other side
    return f"{message.method} in a call" if cancels or message.tag("To") else message.method
