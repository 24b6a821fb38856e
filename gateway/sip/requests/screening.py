# SPDX-License-Identifier: GPL-2.0-or-later
"""Screening: every request outside of a dialog is looked at here before PJSUA may have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.core.model import LegId, Peer, PeerKind
from gateway.core.outcome import Reason
from gateway.sip.requests.answers import RETRY_S
from gateway.sip.requests.dialogs import parse_replaces
from gateway.sip.requests.invitation import Invitation, private_contact, read_invitation
from gateway.sip.stack.settings import own_user_of
from gateway.sip.text.headers import HeaderError, has_contact, refusal_headers
from gateway.sip.text.identity import hops_left

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.ports import SipListener
    from gateway.sip.calls.capacity import Capacity
    from gateway.sip.calls.leg_registry import LegRegistry
    from gateway.sip.requests.answers import Answers
    from gateway.sip.requests.challenge import Challenger, Refusal
    from gateway.sip.requests.dialogs import Dialogs
    from gateway.sip.requests.received_refers import ReceivedRefers
    from gateway.sip.stack.accounts import Accounts

log = structlog.get_logger(__name__)


class Screening:
    """Lets peers in and sends everybody else away, before any state is made."""

    def __init__(
        self,
        accounts: Accounts,
        legs: LegRegistry,
        capacity: Capacity,
        dialogs: Dialogs,
        challenger: Challenger,
        answers: Answers,
        refers: ReceivedRefers,
        listener: SipListener,
        expect: Callable[[Invitation], None],
    ) -> None:
        """`expect` is told of each INVITE that PJSUA is about to make a call of."""
        self._accounts = accounts
        self._legs = legs
        self._capacity = capacity
        self._dialogs = dialogs
        self._challenger = challenger
        self._answers = answers
        self._refers = refers
        self._listener = listener
        self._expect = expect
        self._behind_nat: set[Peer] = set()

    def outside(self, request: pj.SipRequest) -> Refusal:
        """What a request outside of any dialog is answered with; code 0: PJSUA may have it."""
        peer = self._accounts.config.peer_for(request.sourceHost)
        if request.method == "INVITE" and (loop := self._loop(request, peer)):
            return self._reject(request, loop.sip_code, loop)
        if peer is None:
            return self._reject(request, 403, Reason.PEER_NOT_ALLOWED)
        if request.method in ("INVITE", "REFER") and (unproved := self.unproved(request, peer)):
            return unproved
        match request.method:
            case "INVITE":
                return self._invite(request, peer)
            case "OPTIONS":
                return self._answers.options(request, peer)
            case "REFER":
                return self._refer_outside(request, peer)
            case "CANCEL" | "BYE" | "UPDATE" | "PRACK" | "INFO" | "NOTIFY":
                return 481, []
            case _:
                return 405, [("Allow", pj.allowed_methods())]

    def _loop(self, request: pj.SipRequest, peer: Peer | None) -> Reason | None:
        """Why an INVITE goes round in circles (RFC 3261 §8.2.2.2, §16.3): our own came back, or one came twice."""
        sip = self._accounts.config.sip
        ours = (sip.bind_address, sip.bind_address6, sip.public_address, sip.public_address6)
        if request.sourceHost in ours and request.sourcePort in (sip.udp_port, sip.tcp_port, sip.tls_port):
            return Reason.LOOP
        if peer is not None and self._legs.has_call(request.callId):
            return Reason.LOOP
        return Reason.TOO_MANY_HOPS if hops_left(request.values("Max-Forwards")) == 0 else None

    def _invite(self, request: pj.SipRequest, peer: Peer) -> Refusal:
        replaced: LegId | None = None
        try:
            if wanted := _single(request.values("Replaces"), "Replaces"):
                found = self._dialogs.find(parse_replaces(wanted), peer)
                if isinstance(found, Reason):
                    return self._reject(request, found.sip_code, found)
                replaced = found.id
                request.remove("Replaces")  # PJSUA would carry it out by itself
        except HeaderError:
            return self._reject(request, 400, Reason.BAD_REQUEST)
        if code := request.offerProblem(self._accounts.number(peer)):
            return self._reject(request, code, Reason.BAD_REQUEST)
        refused = None if replaced else self._listener.admit(peer)
        if refused is None and not replaced and self._capacity.is_full(peer):
            refused = Reason.TRUNK_AT_CAPACITY
        if refused is None and not self._capacity.has_room(peer, 1 if replaced else 2):
            refused = Reason.AT_CAPACITY
        if refused is not None:
            pj.has_no_place(self._accounts.number(peer), str(refused))
            return self._reject(request, refused.sip_code, refused, RETRY_S)
        self._notice_contact(request, peer)
        own_user = own_user_of(self._accounts.config.profile(peer.name))
        invitation = read_invitation(request, peer, self._pass_headers(peer), own_user, replaced)
        if invitation.expires_s == 0:
            return self._reject(request, 487, Reason.CALLER_HUNG_UP)
        self._expect(invitation)
        return 0, []

    def _notice_contact(self, request: pj.SipRequest, peer: Peer) -> None:
        """Say once of a peer that it seems to be behind NAT, where BYE and NOTIFY will not reach it."""
        profile = self._accounts.config.profile(peer.name)
        if peer in self._behind_nat or profile is None or profile.rewrite_contact:
            return
        contact = private_contact(request)
        if contact is not None and self._accounts.config.peer_for(contact) is None:
            self._behind_nat.add(peer)
            log.warning("contact-not-the-source", peer=peer.name, contact=contact, source=request.sourceHost)

    def _refer_outside(self, request: pj.SipRequest, peer: Peer) -> Refusal:
        """Outside of a dialog a REFER has to name one of its sender's own with us (RFC 4538 §3)."""
        if not has_contact(request.values("Contact", "m")):
            return self._reject(request, 400, Reason.BAD_REQUEST)  # it makes a dialog (RFC 3515 §2.2)
        try:
            wanted = _single(request.values("Target-Dialog"), "Target-Dialog")
            found = self._dialogs.target(wanted, peer) if wanted else None
        except HeaderError:
            return self._reject(request, 400, Reason.BAD_REQUEST)
        if found is None or isinstance(found, Reason):
            return self._reject(request, 403, Reason.FORBIDDEN_TARGET)
        request.keep_with(found.sip_call_id)
        self._refers.deliver(found, request, first_of_dialog=True)
        return 500, []  # unless it was answered just now

    def unproved(self, request: pj.SipRequest, peer: Peer) -> Refusal | None:
        """What a request is answered with that has yet to show its trunk's password."""
        return self._challenger.refuse(request, self._accounts.config.trunks.get(peer.name))

    def _pass_headers(self, peer: Peer) -> tuple[str, ...]:
        profile = self._accounts.config.profile(peer.name)
        if profile is None:
            return ()
        # A platform's INVITE is a transfer too; that of a PBX brings a caller, and whoever sent them is its own affair.
        return profile.transfer_headers if peer.kind is PeerKind.TRUNK else profile.pass_headers

    def _reject(
        self,
        request: pj.SipRequest,
        code: int,
        reason: Reason,
        retry_after_s: int | None = None,
    ) -> Refusal:
        log.warning("request-rejected", method=request.method, source=request.sourceHost, reason=str(reason), code=code)
        self._listener.request_rejected(reason)
        return code, refusal_headers(code, reason, retry_after_s)


def _single(values: Sequence[str], name: str) -> str | None:
    if len(values) > 1:
        raise HeaderError(f"more than one {name}")
    return values[0] if values else None
