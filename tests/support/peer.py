# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted SIP user agent: the far end in tests of exactly what goes over the wire.

It says what the test tells it to say, right or wrong, keeps every message with its time, and shares no code with the
gateway. Nothing is retransmitted unless asked for (`retransmits`); retransmissions that arrive are answered as before.

    async with Peer("127.0.0.3") as assistant:
        call = await assistant.wait_call()
        await call.answer(hz=600)
        accepted = await call.refer("<sip:+31612345678@example.com>")
        assert accepted.code == 202
        assert [notify.sipfrag for notify in await call.notifies()] == [100, 180, 200]
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeVar

from tests.support.peer_call import Call
from tests.support.processes import WAIT_S
from tests.support.sip_message import Address, Message, reply, token
from tests.support.wire import Datagrams, Wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.support.srtp import Encryption

T = TypeVar("T")
T1_S, T2_S = 0.5, 4.0
"""RFC 3261 §17.1.1.1."""


@dataclass(frozen=True)
class Entry:
    """A message that was sent or received; `at` is time.monotonic(), `repeated` marks a retransmission."""

    at: float
    sent: bool
    message: Message
    remote: Address
    repeated: bool = False

    def __str__(self) -> str:
        return f"{self.at:.3f} {'->' if self.sent else '<-'} {self.message.label}{' (again)' if self.repeated else ''}"


@dataclass
class Transaction:
    """A request that was sent, with all the responses that came, repeated ones included."""

    peer: Peer
    request: Message
    remote: Address
    responses: list[Message] = field(default_factory=list)

    async def final(self, timeout_s: float = WAIT_S) -> Message:
        """Wait for the final response."""
        return await self.peer.until(
            lambda: next((response for response in self.responses if response.code >= 200), None),
            f"final response to {self.request.method}",
            timeout_s,
        )

    async def provisional(self, code: int, timeout_s: float = WAIT_S) -> Message:
        """Wait for a provisional response with this code."""
        return await self.peer.until(
            lambda: next((response for response in self.responses if response.code == code), None),
            f"{code} to {self.request.method}",
            timeout_s,
        )

    def resend(self) -> None:
        """Send the very same bytes again, as if the answer had been lost."""
        self.peer.send(self.request, self.remote, repeated=True)


class Peer:
    """One user agent at one address: `async with Peer(host, port) as peer`; over UDP unless another wire is given."""

    def __init__(self, host: str, port: int = 5060, *, user: str = "assistant", wire: Wire | None = None) -> None:
        self.host = host
        self.port = port
        self.user = user
        self.wire = wire or Datagrams()
        self.encryption: Encryption = "off"
        """What its calls begin with: in the clear, with keys, or with nothing but keys."""
        self.seen_at: str | None = None
        """See Described."""
        self.wide_events = True
        """See Described."""
        self.elsewhere: str | None = None
        """A URI that its Contacts name in place of its own."""
        self.trace: list[Entry] = []
        """Every message in order, retransmissions included."""
        self.calls: list[Call] = []
        self.answers: dict[str, int | None] = {"OPTIONS": 200}
        """What a request outside a dialog is answered with; None: not at all; a method not named: 501."""
        self.retransmits = False
        """Whether a request over UDP is sent again until it is answered, as by any agent (RFC 3261 §17.1)."""
        self.is_wanted: Callable[[str], Awaitable[bool]] | None = None
        """Says of a call that came in, by its Call-ID, whether anybody still makes it; None: each is."""
        self.earlier: frozenset[str] = frozenset()
        """Call-IDs of scenarios before: what is still sent for their calls is answered, and kept in `strays` alone."""
        self.strays: list[Message] = []
        self._closed = False
        self._taken = 0
        self._transactions: dict[tuple[str, str], Transaction] = {}
        self._answered: dict[tuple[str, str], Message | None] = {}
        self._seen: set[bytes] = set()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def contact(self) -> str:
        """Its own URI, as it says it."""
        if self.elsewhere:
            return self.elsewhere
        transport = "" if self.wire.name == "UDP" else f";transport={self.wire.name.lower()}"
        return f"sip:{self.user}@{self.sent_by}{transport}"

    @property
    def sent_by(self) -> str:
        """Its address as URIs and Via have it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.wire.open(self.host, self.port, self._arrived)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        for call in self.calls:
            call.close()
        await self.wire.close()

    async def wait_call(self, timeout_s: float = WAIT_S) -> Call:
        """The next call that comes in, in order of arrival; it is not answered yet, not even with 100.

        Who hangs up before anything has come back goes on sending the INVITE for 32 s, and can take it back only then
        (RFC 3261 §9.1, §17.1.1.2): it may come before the one that is meant, and is not taken for a call.
        """

        def next_call() -> Call | None:
            incoming = [call for call in self.calls if call.incoming]
            return incoming[self._taken] if len(incoming) > self._taken else None

        while True:
            call = await self.until(next_call, "incoming INVITE", timeout_s)
            self._taken += 1  # before anything is awaited: several may wait for a call
            if self.is_wanted is None or await self.is_wanted(call.call_id):
                return call
            call.reject(487)
            call.close()
            self.calls.remove(call)
            self._taken -= 1

    def invite(
        self,
        uri: str,
        remote: Address,
        *,
        to: str | None = None,
        from_: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        hz: int | None = None,
        codecs: tuple[str, ...] = ("PCMA", "PCMU"),
        body: bytes | None = None,
        content_type: str = "application/sdp",
    ) -> Call:
        """Send an INVITE to `uri` at `remote` and return at once; go on with call.answered() or call.final().

        `to` and `from_` are header values without tag, e.g. '"Eve" <sip:+31201112222@example.com>'. `hz` is the tone
        that is sent once the call is answered; `body` replaces the offer made from `codecs`, b"" sends none; what it is
        `content_type` says.
        """
        local = from_ or f"<{self.contact}>"
        call = Call(self, remote, local=f"{local};tag={token()}", far=to or f"<{uri}>", call_id=token())
        call.target, call.hz = uri, hz
        self.calls.append(call)
        offer = call.offer(codecs) if body is None else body
        call.invite = call.begin("INVITE", headers=headers, body=offer, content_type=content_type)
        return call

    async def request(
        self, method: str, uri: str, remote: Address, *, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Message:
        """Send a request outside any dialog; returns the final response."""
        call = Call(self, remote, local=f"<{self.contact}>;tag={token()}", far=f"<{uri}>", call_id=token())
        call.target = uri
        try:
            return await call.begin(method, headers=headers, body=body).final()
        finally:
            call.close()

    def send(self, message: Message, remote: Address, *, repeated: bool = False) -> None:
        """Put a message on the wire as it is."""
        self.trace.append(Entry(time.monotonic(), True, message, remote, repeated))
        self.wire.send(bytes(message), remote)

    def send_raw(self, data: bytes, remote: Address) -> None:
        """Put bytes on the wire that need not be SIP; they leave no trace entry."""
        self.wire.send(data, remote)

    def transact(self, request: Message, remote: Address) -> Transaction:
        """Send a request and collect its responses."""
        transaction = Transaction(self, request, remote)
        self._transactions[request.branch, request.method] = transaction
        self.send(request, remote)
        if self.retransmits and self.wire.name == "UDP" and request.method != "ACK":
            self._later(transaction, T1_S, 64 * T1_S)
        return transaction

    def _later(self, transaction: Transaction, after_s: float, left_s: float) -> None:
        """Send it again after timer A or E, until it is answered or timer B or F ends that."""
        is_invite = transaction.request.method == "INVITE"

        def again() -> None:
            if self._closed or any(one.code >= (100 if is_invite else 200) for one in transaction.responses):
                return
            transaction.resend()
            following = 2 * after_s if is_invite else min(2 * after_s, T2_S)
            if left_s > following:
                self._later(transaction, following, left_s - following)

        asyncio.get_running_loop().call_later(after_s, again)

    def respond(self, request: Message, remote: Address, response: Message) -> None:
        """Send a response, and again whenever that request is repeated."""
        self._answered[request.branch, request.method] = response
        self.send(response, remote)

    def settle(self) -> None:
        """Refuse what has called and was never answered: over UDP it is sent for 32 s, to whoever is here then."""
        for call in self.calls if self.wire.name == "UDP" else ():
            if call.incoming is not None and not call.final_sent:
                call.reject(487)

    def ladder(self) -> list[str]:
        """What went over the wire without retransmissions, e.g. ["<- INVITE", "-> 200 INVITE", "<- ACK"]."""
        return [f"{'->' if one.sent else '<-'} {one.message.label}" for one in self.trace if not one.repeated]

    def received(self, method: str) -> list[Message]:
        """The requests of a method that came in, retransmissions left out."""
        entries = [one for one in self.trace if not one.sent and not one.repeated]
        return [one.message for one in entries if one.message.is_request and one.message.method == method]

    async def until(self, find: Callable[[], T | None], what: str, timeout_s: float = WAIT_S) -> T:
        """Wait until `find`, asked after every message, returns something; raises AssertionError with the trace."""
        deadline = time.monotonic() + timeout_s
        while True:
            if (found := find()) is not None:
                return found
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(arrived)
            try:
                await asyncio.wait_for(arrived, deadline - time.monotonic())
            except TimeoutError:
                raise AssertionError(f"no {what} within {timeout_s} s\n" + "\n".join(map(str, self.trace))) from None
            finally:
                self._waiting.discard(arrived)

    def wake(self) -> None:
        """Let everybody who waits look again."""
        for arrived in self._waiting:
            if not arrived.done():
                arrived.set_result(None)

    def _arrived(self, data: bytes, remote: Address) -> None:
        if not data.strip(b"\r\n\0"):  # a keep-alive
            return
        message = Message.parse(data)
        key = (message.branch, message.method)
        if message["Call-ID"] in self.earlier:
            self._turn_away(message, remote)
        elif not message.is_request:
            self._note(message, remote, repeated=data in self._seen)
            self._seen.add(data)
            if (transaction := self._transactions.get(key)) is not None:
                transaction.responses.append(message)
                call = self._call_of(message)
                if call is not None and transaction.request.method == "INVITE":
                    call.take_invite_response(transaction, message)
        elif key in self._answered:
            self._note(message, remote, repeated=True)
            if (response := self._answered[key]) is not None:
                self.send(response, remote, repeated=True)
        else:
            self._note(message, remote)
            self._take_request(message, remote)
        self.wake()

    def _turn_away(self, stray: Message, remote: Address) -> None:
        """Have nothing more sent for a call of a scenario that is over."""
        self.strays.append(stray)
        if stray.is_request and stray.method != "ACK":
            code = 487 if stray.method == "INVITE" else 481
            self.wire.send(bytes(reply(stray, code, tag=token())), remote)

    def _note(self, message: Message, remote: Address, *, repeated: bool = False) -> None:
        self.trace.append(Entry(time.monotonic(), False, message, remote, repeated))

    def _take_request(self, request: Message, remote: Address) -> None:
        self._answered[request.branch, request.method] = None
        if (call := self._call_of(request)) is not None:
            call.remote = remote
            call.take_request(request)
        elif request.method == "INVITE" and request.tag("To") is None:
            local = f"{request['To']};tag={token()}"
            call = Call(self, remote, local=local, far=request["From"], call_id=request["Call-ID"])
            call.accept_from(request)
            self.calls.append(call)
        elif request.method != "ACK":
            code = 481 if request.tag("To") else self.answers.get(request.method, 501)
            if code is not None:
                self.respond(request, remote, reply(request, code, tag=token()))

    def _call_of(self, message: Message) -> Call | None:
        call_id = message["Call-ID"]
        return next((call for call in reversed(self.calls) if call.call_id == call_id), None)
