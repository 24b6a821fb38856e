# SPDX-License-Identifier: GPL-2.0-or-later
"""Screening: every request outside of a dialog, and every REFER, is looked at here before PJSUA may have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.core.model import LegId, Peer, PeerKind
from gateway.core.outcome import Reason
from gateway.sip.calls.leg import Leg
from gateway.sip.requests.answers import RETRY_S, Answers
from gateway.sip.requests.challenge import Challenger
from gateway.sip.requests.dialogs import parse_replaces
from gateway.sip.requests.invitation import private_contact, read_invitation
from gateway.sip.requests.refer import PendingRefer, read_refer
from gateway.sip.stack.callbacks import guarded
from gateway.sip.stack.header_vector import sip_headers
from gateway.sip.stack.settings import own_user_of
from gateway.sip.text import malformed
from gateway.sip.text.headers import HeaderError, has_contact, refusal_headers
from gateway.sip.text.identity import hops_left

if TYPE_CHECKING:
    from gateway.sip.requests.user_agent import UserAgent

log = structlog.get_logger(__name__)

UNSENT = 503
"""As what a request counts that could not even be sent (RFC 3261 §8.1.3.1)."""


class Screening(pj.RequestHandler):
    """Lets peers in and sends everybody else away, before any state is made."""

    def __init__(self, agent: UserAgent) -> None:
        super().__init__()
        self._agent = agent
        self._refers: dict[int, tuple[PendingRefer, LegId]] = {}
        self._behind_nat: set[Peer] = set()
        sip = agent.config.sip
        self._answers = Answers(agent)
        self._challenger = Challenger(sip.public_address or sip.bind_address)

    @guarded(500)
    def onRequest(self, request: pj.SipRequest, extra: pj.SipHeaderVector) -> int:  # binding's name
        """A request outside of any dialog; 0 lets PJSUA have it, anything else is the response's code."""
        return self._outside(request, extra)

    @guarded(500)
    def onUnfit(self, request: pj.SipRequest, code: int, why: str, extra: pj.SipHeaderVector) -> int:
        """A request that is bad in itself, and the code it deserves; what it is answered with."""
        code, made = self._answers.unfit(request, code, why)
        _add(extra, made)
        return code

    @guarded(500)
    def onRefresh(self, index: int, request: pj.SipRequest, extra: pj.SipHeaderVector) -> int:
        """A re-INVITE or UPDATE in a call; 0 lets it have its effect, anything else is the response's code."""
        leg = self._agent.leg_of(index)
        if leg is None:
            return 0
        if unproved := self._unproved(request, leg.peer):
            code, made = unproved
            _add(extra, made)
            return code
        self._agent.connected(leg, request.text())
        return 0

    @guarded(None)
    def onConnected(self, index: int, text: str) -> None:
        """A peer accepted a re-INVITE or UPDATE of ours, and says who is at its end."""
        if leg := self._agent.leg_of(index):
            self._agent.connected(leg, text)

    @guarded(None)
    def onNotMade(self, call_id: str, code: int) -> None:
        """PJSUA made no call of an INVITE."""
        self._answers.not_made(call_id, code)

    @guarded(None)
    def onInfo(self, index: int, request: pj.SipRequest) -> None:
        """An INFO in one of our dialogs."""
        self._answers.info(index, request)

    @guarded(None)
    def onTurnedAway(self, source: str, method: str, reason: str) -> None:
        """The binding has refused or dropped what somebody sent, before anything was made of it."""
        self._agent.front.tally.add(Reason(reason), source, method)

    @guarded("")
    def onMalformed(self, text: str, source: str, header: str, whole: bool) -> str:
        """A message that PJSIP cannot read; the response to it, if any."""
        return self._malformed(text, source, header, whole)

    @guarded(None)
    def onRefer(self, index: int, request: pj.SipRequest) -> None:
        """A REFER in one of our dialogs; whatever is not answered here is answered 500 by the binding."""
        self._refer(index, request)

    @guarded(None)
    def onNotifyAnswered(self, subscription: int, code: int) -> None:
        """A NOTIFY of ours was answered, or timed out."""
        self._notified(subscription, code)

    @guarded(None)
    def onOptionsAnswered(self, token: int, code: int) -> None:
        """An OPTIONS of ours was answered, or timed out."""
        self._agent.trunks.answered(token, code)

    @guarded(None)
    def onReferAnswered(self, referral: int, code: int) -> None:
        """A REFER of ours was answered, or timed out."""
        self._agent.referrals.answered(referral, code)

    @guarded(None)
    def onReferNotified(self, referral: int, body: str, last: bool) -> None:
        """A peer tells what became of a REFER of ours."""
        self._agent.referrals.notified(referral, body, last)

    @guarded(None)
    def onWatchNotified(self, watch: int, phase: str, content_type: str, body: str) -> None:
        """A PBX tells the state of an extension."""
        self._agent.subscriptions.notified(watch, phase, content_type, body)

    @guarded(None)
    def onWatchRefreshed(self, watch: int) -> None:
        """A SUBSCRIBE of ours was accepted."""
        self._agent.subscriptions.refreshed(watch)

    @guarded(None)
    def onWatchEnded(self, watch: int, code: int, reason: str, retry_after_s: int) -> None:
        """A subscription of ours was refused, or has ended."""
        self._agent.subscriptions.ended(watch, code, reason, retry_after_s)

    @guarded(None)
    def onDescriptionRefused(self, call_id: str, where: str, code: int) -> None:
        """A peer sent a description in mid call, or as an answer, that cannot be used."""
        log.warning("description-unusable", call_id=call_id, where=where, code=code)

    @guarded(None)
    def onUnsent(self, method: str, call_id: str, uri: str) -> None:
        """A request of ours in a dialog could not be sent: no route, no such transport, the network is down."""
        log.warning("request-not-sent", method=method, call_id=call_id, uri=uri)

    def onResolve(self, query: int, host: str, port: int, transport: str) -> None:
        """PJSIP needs the addresses of a host."""
        try:
            self._agent.servers.resolve(query, host, port, transport)
        except Exception:
            log.exception("sip-callback-failed", host=host)
            pj.resolved(query, [])

    @guarded(None)
    def onRequestAnswered(self, index: int, method: str, code: int) -> None:
        """A request of ours in a call's dialog was answered, or timed out."""
        if leg := self._agent.leg_of(index):
            self._agent.midcall.answered(leg, method, code)

    @guarded(None)
    def onKeyMissing(self, index: int) -> None:
        """The peer of an encrypted call would go on in the clear, and may not."""
        if leg := self._agent.leg_of(index):
            log.warning("key-missing", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)

    @guarded(None)
    def onUnsubscribed(self, subscription: int) -> None:
        """The transferor wants no more NOTIFYs."""
        if found := self._refers.get(subscription):
            refer, leg = found
            refer.unsubscribe()
            self._agent.listener.notify_failed(leg)

    def _outside(self, request: pj.SipRequest, extra: pj.SipHeaderVector) -> int:
        peer = self._agent.config.peer_for(request.sourceHost)
        if request.method == "INVITE" and (loop := self._loop(request, peer)):
            return self._reject(request, extra, loop.sip_code, loop)
        if peer is None:
            return self._reject(request, extra, 403, Reason.PEER_NOT_ALLOWED)
        if request.method in ("INVITE", "REFER") and (unproved := self._unproved(request, peer)):
            code, made = unproved
            _add(extra, made)
            return code
        match request.method:
            case "INVITE":
                return self._invite(request, peer, extra)
            case "OPTIONS":
                code, made = self._answers.options(request, peer)
                _add(extra, made)
                return code
            case "REFER":
                return self._refer_outside(request, peer, extra)
            case "CANCEL" | "BYE" | "UPDATE" | "PRACK" | "INFO" | "NOTIFY":
                return 481
            case _:
                _add(extra, [("Allow", pj.allowed_methods())])
                return 405

    def _loop(self, request: pj.SipRequest, peer: Peer | None) -> Reason | None:
        """Why an INVITE goes round in circles (RFC 3261 §8.2.2.2, §16.3): our own came back, or one came twice."""
        sip = self._agent.config.sip
        ours = (sip.bind_address, sip.bind_address6, sip.public_address, sip.public_address6)
        if request.sourceHost in ours and request.sourcePort in (sip.udp_port, sip.tcp_port, sip.tls_port):
            return Reason.LOOP
        if peer is not None and self._agent.has_call(request.callId):
            return Reason.LOOP
        return Reason.TOO_MANY_HOPS if hops_left(request.values("Max-Forwards")) == 0 else None

    def _invite(self, request: pj.SipRequest, peer: Peer, extra: pj.SipHeaderVector) -> int:
        replaced: LegId | None = None
        try:
            if wanted := _single(request.values("Replaces"), "Replaces"):
                found = self._agent.dialogs.find(parse_replaces(wanted), peer)
                if isinstance(found, Reason):
                    return self._reject(request, extra, found.sip_code, found)
                replaced = found.id
                request.remove("Replaces")  # PJSUA would carry it out by itself
        except HeaderError:
            return self._reject(request, extra, 400, Reason.BAD_REQUEST)
        if code := request.offerProblem(self._agent.account_of(peer)):
            return self._reject(request, extra, code, Reason.BAD_REQUEST)
        refused = None if replaced else self._agent.listener.admit()
        if refused is None and not replaced and self._agent.is_full(peer):
            refused = Reason.TRUNK_AT_CAPACITY
        if refused is None and not self._agent.has_room_for(peer, 1 if replaced else 2):
            refused = Reason.AT_CAPACITY
        if refused is not None:
            return self._reject(request, extra, refused.sip_code, refused, RETRY_S)
        self._notice_contact(request, peer)
        own_user = own_user_of(self._agent.config.profile(peer.name))
        invitation = read_invitation(request, peer, self._pass_headers(peer, "INVITE"), own_user, replaced)
        if invitation.expires_s == 0:
            return self._reject(request, extra, 487, Reason.CALLER_HUNG_UP)
        self._agent.expect(invitation)
        return 0

    def _notice_contact(self, request: pj.SipRequest, peer: Peer) -> None:
        """Say once of a peer that it seems to be behind NAT, where BYE and NOTIFY will not reach it."""
        profile = self._agent.config.profile(peer.name)
        if peer in self._behind_nat or profile is None or profile.rewrite_contact:
            return
        contact = private_contact(request)
        if contact is not None and self._agent.config.peer_for(contact) is None:
            self._behind_nat.add(peer)
            log.warning("contact-not-the-source", peer=peer.name, contact=contact, source=request.sourceHost)

    def _refer_outside(self, request: pj.SipRequest, peer: Peer, extra: pj.SipHeaderVector) -> int:
        """Outside of a dialog a REFER has to name one of its sender's own with us (RFC 4538 §3)."""
        if not has_contact(request.values("Contact", "m")):
            return self._reject(request, extra, 400, Reason.BAD_REQUEST)  # it makes a dialog (RFC 3515 §2.2)
        try:
            wanted = _single(request.values("Target-Dialog"), "Target-Dialog")
            found = self._agent.dialogs.target(wanted, peer) if wanted else None
        except HeaderError:
            return self._reject(request, extra, 400, Reason.BAD_REQUEST)
        if not isinstance(found, Leg):
            return self._reject(request, extra, 403, Reason.FORBIDDEN_TARGET)
        self._deliver(found, request, first_of_dialog=True)
        return 500

    def _reject(
        self,
        request: pj.SipRequest,
        extra: pj.SipHeaderVector,
        code: int,
        reason: Reason,
        retry_after_s: int | None = None,
    ) -> int:
        log.warning("request-rejected", method=request.method, source=request.sourceHost, reason=str(reason), code=code)
        self._agent.listener.request_rejected(reason)
        _add(extra, refusal_headers(code, reason, retry_after_s))
        return code

    def _malformed(self, text: str, source: str, header: str, whole: bool) -> str:
        method = malformed.method_of(text)
        code = malformed.verdict(text, whole=whole)
        log.warning("message-unreadable", method=method, source=source, header=header, code=code, bytes=len(text))
        if method is None:
            return ""
        self._agent.listener.request_rejected(Reason.BAD_REQUEST)
        return malformed.answer(text, code, header, refusal_headers(code, Reason.BAD_REQUEST))

    def _refer(self, index: int, request: pj.SipRequest) -> None:
        leg = self._agent.leg_of(index)
        peer = self._agent.config.peer_for(request.sourceHost)
        if leg is None or leg.over:
            request.respond(481, "", sip_headers([]))
            return
        if peer != leg.peer:
            log.warning(
                "request-rejected", method="REFER", source=request.sourceHost, reason=str(Reason.PEER_NOT_ALLOWED)
            )
            self._agent.listener.request_rejected(Reason.PEER_NOT_ALLOWED)
            request.respond(403, "", sip_headers(refusal_headers(403, Reason.PEER_NOT_ALLOWED)))
            return
        if unproved := self._unproved(request, peer):
            code, made = unproved
            request.respond(code, "", sip_headers(made))
            return
        leg.refers += 1
        self._deliver(leg, request, first_of_dialog=leg.refers == 1)

    def _unproved(self, request: pj.SipRequest, peer: Peer) -> tuple[int, list[tuple[str, str]]] | None:
        """What a request is answered with that has yet to show its trunk's password."""
        refusal = self._challenger.refuse(request, self._agent.config.trunks.get(peer.name))
        if refusal is None:
            return None
        code, made, reason = refusal
        if reason is not None:
            self._agent.listener.request_rejected(reason)
        return code, made

    def _deliver(self, leg: Leg, request: pj.SipRequest, *, first_of_dialog: bool) -> None:
        """Read a REFER about a leg and hand it on; it is answered when this returns."""
        trunk = self._agent.config.trunks.get(leg.peer.name)
        handle = PendingRefer(
            request,
            lambda subscription, refer: self._opened(subscription, refer, leg.id),
            lambda subscription: self._notified(subscription, UNSENT),
            subscribe=not any(_is_false(value) for value in request.values("Refer-Sub")),
            with_id=not first_of_dialog or (trunk is not None and trunk.event_id == "always"),
            account=self._agent.account_of(leg.peer),
        )
        read = read_refer(request, handle, leg, self._pass_headers(leg.peer, "REFER"), self._agent.dialogs)
        self._agent.listener.refer(read)

    def _pass_headers(self, peer: Peer, method: str) -> tuple[str, ...]:
        profile = self._agent.config.profile(peer.name)
        if profile is None:
            return ()
        # A platform's INVITE is a transfer too; that of a PBX brings a caller, and whoever sent them is its own affair.
        transfers = method == "REFER" or peer.kind is PeerKind.TRUNK
        return profile.transfer_headers if transfers else profile.pass_headers

    def _opened(self, subscription: int, refer: PendingRefer, leg: LegId) -> None:
        self._refers[subscription] = (refer, leg)
        self._agent.accepted_refer(leg, refer)

    def _notified(self, subscription: int, code: int) -> None:
        found = self._refers.get(subscription)
        if found is None:
            return
        refer, leg = found
        if not refer.notify_answered(code):
            self._agent.listener.notify_failed(leg)
        if refer.closed:
            del self._refers[subscription]


def _is_false(refer_sub: str) -> bool:
    return refer_sub.partition(";")[0].strip().lower() == "false"  # RFC 4488 §4


def _single(values: Sequence[str], name: str) -> str | None:
    if len(values) > 1:
        raise HeaderError(f"more than one {name}")
    return values[0] if values else None


def _add(vector: pj.SipHeaderVector, pairs: Sequence[tuple[str, str]]) -> None:
    for header in sip_headers(pairs):
        vector.append(header)
