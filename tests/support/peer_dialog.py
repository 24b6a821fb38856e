# SPDX-License-Identifier: GPL-2.0-or-later
"""A dialog of a scripted peer (see peer.py), in either role, with its media: what is sent and what is answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.described import Described
from tests.support.processes import WAIT_S
from tests.support.sip_message import Address, Message, address, parameter, reply, token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.peer import Peer, Transaction


class Dialog(Described):
    """One call as its peer sees it. Requests in the dialog are answered from `answers` unless a test takes over."""

    def __init__(self, peer: Peer, remote: Address, *, local: str, far: str, call_id: str) -> None:
        super().__init__(peer.host, peer.encryption, wide_events=peer.wide_events)
        self.seen_at = peer.seen_at
        self.peer = peer
        self.remote = remote
        self.local = local
        """From or To of our side, with the tag."""
        self.far = far
        """To or From of the other side, with its tag once known."""
        self.call_id = call_id
        self.cseq = 0
        self.target = ""
        """The other side's Contact URI, to which requests in the dialog go."""
        self.routes: list[str] = []
        self.incoming: Message | None = None
        """The INVITE that made it, when the other side called."""
        self.invite: Transaction | None = None
        """The INVITE that made it, when our side called."""
        self.requests: list[Message] = []
        """What the other side sent in the dialog, in order, retransmissions left out."""
        self.answers: dict[str, int | None] = {
            "NOTIFY": 200, "BYE": 200, "OPTIONS": 200, "INFO": 200, "UPDATE": 200, "PRACK": 200, "CANCEL": 200,
            "INVITE": 200,
        }  # fmt: skip
        """What a request in the dialog is answered with; None: not at all; a method not named: 501."""
        self.final_sent = False
        self.keeps_ack: bool = False
        """Whether ACKs are kept back, for the test to send `ack` when it likes, if at all."""
        self.ack: Message | None = None
        self.once: dict[str, int | None] = {}
        """The same for the next one alone."""
        self._notified = 0

    @property
    def named(self) -> str:
        """The Replaces that names this dialog, as its far end (the gateway) knows it."""
        return f"{self.call_id};to-tag={parameter(self.far, 'tag')};from-tag={parameter(self.local, 'tag')}"

    # --- the side that is called ---

    async def ring(
        self, code: int = 180, *, early_media: bool = False, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Send a provisional response, with a description (and media) if asked for."""
        assert self.incoming
        body = b""
        if early_media:
            body = self.answer_to(self.incoming.body)
            await asyncio.sleep(0)  # the first packet goes before the response: however slow this end is then, it spoke
        self.respond(self.incoming, code, headers=headers, body=body)

    async def answer(
        self, *, hz: int | None = None, codec: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer with 200, speak a tone of `hz`, and wait for the ACK. `codec` overrides the offer's first."""
        assert self.incoming
        self.hz = hz if hz is not None else self.hz
        self.respond(self.incoming, 200, headers=headers, body=self.answer_to(self.incoming.body, codec))
        number = self.incoming.cseq[0]
        ack = await self.peer.until(
            lambda: next((one for one in self.requests if one.cseq == (number, "ACK")), None), "ACK"
        )
        if not self.incoming.body and ack.body:
            self.follow(ack.body)

    def reject(self, code: int = 486, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Refuse the call."""
        assert self.incoming
        self.respond(self.incoming, code, headers=headers)

    # --- the side that calls ---

    async def final(self, timeout_s: float = WAIT_S) -> Message:
        """Wait for the final response to our INVITE; it is acknowledged at once."""
        assert self.invite
        return await self.invite.final(timeout_s)

    async def answered(self, timeout_s: float = WAIT_S) -> Message:
        """As final(), and it must be 200; from then on media is sent."""
        response = await self.final(timeout_s)
        assert response.code == 200, f"refused: {response.start}"
        return response

    async def cancel(self) -> Message:
        """CANCEL our INVITE; returns the response to the CANCEL, final() then gives that to the INVITE."""
        assert self.invite
        request = self.invite.request
        kept = ("via", "from", "to", "call-id", "max-forwards", "route")
        headers = [(name, value) for name, value in request.headers if name.lower() in kept]
        cancel = Message(f"CANCEL {request.uri} SIP/2.0", [*headers, ("CSeq", f"{request.cseq[0]} CANCEL")])
        return await self.peer.transact(cancel, self.remote).final()

    # --- both ---

    async def refer(
        self, refer_to: str | None, *headers: tuple[str, str], name: str = "Refer-To", timeout_s: float = WAIT_S
    ) -> Message:
        """Ask for a transfer; `refer_to` is the header's raw value (None: leave it out). Returns the final response."""
        own = [(name, refer_to)] if refer_to is not None else []
        return await self.begin("REFER", headers=[*own, *headers]).final(timeout_s)

    async def wait_notify(self, timeout_s: float = WAIT_S) -> Message:
        """The next NOTIFY, each given once, in order."""

        def following() -> Message | None:
            arrived = [one for one in self.requests if one.method == "NOTIFY"]
            return arrived[self._notified] if len(arrived) > self._notified else None

        notify = await self.peer.until(following, "NOTIFY", timeout_s)
        self._notified += 1
        return notify

    async def notifies(self, timeout_s: float = WAIT_S) -> list[Message]:
        """All further NOTIFYs up to the one that ends the subscription."""
        collected = [await self.wait_notify(timeout_s)]
        while not collected[-1]["Subscription-State"].startswith("terminated"):
            collected.append(await self.wait_notify(timeout_s))
        return collected

    async def wait_request(self, method: str, timeout_s: float = WAIT_S) -> Message:
        """The first request of this method in the dialog, e.g. "BYE"; it has been answered already."""
        return await self.peer.until(
            lambda: next((one for one in self.requests if one.method == method), None), method, timeout_s
        )

    async def hang_up(self, *headers: tuple[str, str]) -> Message:
        """Send BYE; returns the final response."""
        self.media.pause()
        return await self.begin("BYE", headers=headers).final()

    async def reinvite(
        self,
        *,
        direction: str = "sendrecv",
        codecs: tuple[str, ...] = ("PCMA", "PCMU"),
        method: str = "INVITE",
        host: str | None = None,
        delayed: bool = False,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Message:
        """Offer our media anew, e.g. direction="sendonly" to hold; returns the final response.

        `method` may be UPDATE (RFC 3311); `host` takes the place of our address ("0.0.0.0": the hold of RFC 2543);
        `delayed` leaves the offer to the other side and answers it in the ACK.
        """
        self.direction = direction
        offer = b"" if delayed else self.offer(codecs, host)
        answer = await self.begin(method, headers=headers, body=offer, content_type="application/sdp").final()
        if method == "UPDATE" and answer.code == 200:
            self.follow(answer.body)
        return answer

    def begin(
        self,
        method: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        cseq: int | None = None,
    ) -> Transaction:
        """Send a request in the dialog and do not wait; go on with .final(). `headers` may hold a Max-Forwards."""
        self.cseq = cseq if cseq is not None else self.cseq + 1
        own = self._headers(method, self.cseq)
        if any(name == "Max-Forwards" for name, _ in headers):
            own.remove(("Max-Forwards", "70"))
        request = Message(f"{method} {self.target} SIP/2.0", own, body)
        if not any(name.lower() == "contact" for name, _ in headers):
            request.headers.append(("Contact", f"<{self.peer.contact}>"))
        request.headers += headers
        if content_type and body:
            request.headers.append(("Content-Type", content_type))
        return self.peer.transact(request, self.remote)

    def answer_now(self, request: Message, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer a re-INVITE that `answers` had left alone."""
        self.respond(request, 200, headers=headers, body=self.answer_to(request.body))

    def respond(
        self,
        request: Message,
        code: int,
        reason: str | None = None,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """Answer a request of this dialog, repeatedly if it has several answers."""
        own = [("Contact", f"<{self.peer.contact}>"), *headers]
        if body:
            own.append(("Content-Type", "application/sdp"))
        tag = None if code == 100 else self.local.rpartition("tag=")[2]
        self.peer.respond(request, self.remote, reply(request, code, reason, tag=tag, headers=own, body=body))
        if request is self.incoming and code >= 200:
            self.final_sent = True

    # --- called by the peer, on arrival ---

    def accept_from(self, request: Message) -> None:
        """Become the called side of this INVITE."""
        self.incoming = request
        self.target = address(request["Contact"])
        self.routes = request.all("Record-Route")

    def take_request(self, request: Message) -> None:
        """Note a request of the dialog and answer it as `answers` says."""
        self.requests.append(request)
        code = self.once.pop(request.method) if request.method in self.once else self.answers.get(request.method, 501)
        if request.method == "ACK" or code is None:
            return
        if request.method == "INVITE":
            self.target = address(request["Contact"])
            self.respond(request, code, body=self.answer_to(request.body) if code == 200 else b"")
            return
        self.respond(request, code)
        if request.method == "CANCEL" and self.incoming and not self.final_sent:
            self.respond(self.incoming, 487)
        if request.method == "BYE":
            self.media.pause()

    def take_invite_response(self, transaction: Transaction, response: Message) -> None:
        """Acknowledge a final response to an INVITE of ours, and follow where it sends the media."""
        if response.code < 200:
            if response.tag("To"):
                self.far = response["To"]
            if response.body:
                self.follow(response.body)
            return
        request = transaction.request
        if response.code < 300:
            self.far = response["To"]
            self.target = address(response["Contact"])
            if request.tag("To") is None:  # no request in a dialog changes its route set (§12.2)
                self.routes = response.all("Record-Route")[::-1]
            ack = Message(f"ACK {self.target} SIP/2.0", self._headers("ACK", request.cseq[0]))
            if response.body and not request.body:
                ack.headers.append(("Content-Type", "application/sdp"))
                ack.body = self.answer_to(response.body)
            elif response.body:
                self.follow(response.body)
        else:
            # §17.1.1.3: the same branch and Request-URI as the INVITE's, the To of the response.
            via = [("Via", request["Via"]), ("Max-Forwards", "70"), ("From", request["From"]), ("To", response["To"])]
            ids = [("Call-ID", self.call_id), ("CSeq", f"{request.cseq[0]} ACK")]
            ack = Message(f"ACK {request.uri} SIP/2.0", [*via, *ids])
        self.ack = ack
        if not self.keeps_ack:
            self.peer.send(ack, self.remote)

    def _headers(self, method: str, cseq: int) -> list[tuple[str, str]]:
        return [
            ("Via", f"SIP/2.0/{self.peer.wire.name} {self.peer.sent_by};branch={token('z9hG4bK')};rport"),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in self.routes),
            ("From", self.local),
            ("To", self.far),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
