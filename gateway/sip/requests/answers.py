# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway's own answers to requests that are no call and no transfer, and to those that are bad in themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.core.outcome import Reason
from gateway.core.uri import read_sip_uri
from gateway.sip.calls.leg_control import KeyPress, KeyWay
from gateway.sip.requests.invitation import read_invitation
from gateway.sip.stack.header_vector import sip_headers
from gateway.sip.stack.settings import own_user_of
from gateway.sip.text import info_keys, malformed
from gateway.sip.text.headers import reason_header, refusal_headers

if TYPE_CHECKING:
    from gateway.core.model import Peer
    from gateway.ports import SipListener
    from gateway.sip.calls.capacity import Capacity
    from gateway.sip.calls.leg_registry import LegRegistry
    from gateway.sip.calls.midcall import MidCall
    from gateway.sip.stack.accounts import Accounts

log = structlog.get_logger(__name__)

RETRY_S = 5
"""When to come again, in seconds, while there is no room or too much to do."""
_REASONS = {420: Reason.UNSUPPORTED_EXTENSION, 503: Reason.AT_CAPACITY}

Headers = list[tuple[str, str]]


def abilities() -> Headers:
    """What OPTIONS is told, in a dialog and outside of one (RFC 3261 §11.2)."""
    return [("Allow", pj.allowed_methods()), ("Accept", pj.accepted_types()), ("Supported", pj.supported_extensions())]


class Answers:
    """To OPTIONS, to INFO, and to what is bad in itself."""

    def __init__(
        self, accounts: Accounts, legs: LegRegistry, capacity: Capacity, midcall: MidCall, listener: SipListener
    ) -> None:
        self._accounts = accounts
        self._legs = legs
        self._capacity = capacity
        self._midcall = midcall
        self._listener = listener

    def unfit(self, request: pj.SipRequest, code: int, why: str) -> tuple[int, Headers]:
        """Code and headers for a request that is bad in itself: as it deserves, or 403 to a stranger."""
        known = self._accounts.config.peer_for(request.sourceHost) is not None
        reason = _REASONS.get(code, Reason.BAD_REQUEST) if known else Reason.PEER_NOT_ALLOWED
        code = code if known else reason.sip_code
        log.warning(
            "request-rejected", method=request.method, source=request.sourceHost, reason=str(reason), code=code, why=why
        )
        self._listener.request_rejected(reason)
        return code, [reason_header(code, reason)]

    def not_made(self, call_id: str, code: int) -> None:
        """PJSUA has refused an INVITE that was let in."""
        reason = _REASONS.get(code, Reason.BAD_REQUEST)
        log.warning("request-rejected", method="INVITE", call_id=call_id, reason=str(reason), code=code)
        self._listener.request_rejected(reason)

    def malformed(self, text: str, source: str, header: str, *, whole: bool) -> str:
        """The response to a message that PJSIP cannot read; empty: none."""
        method = malformed.method_of(text)
        code = malformed.verdict(text, whole=whole)
        log.warning("message-unreadable", method=method, source=source, header=header, code=code, bytes=len(text))
        if method is None:
            return ""
        self._listener.request_rejected(Reason.BAD_REQUEST)
        return malformed.answer(text, code, header, refusal_headers(code, Reason.BAD_REQUEST))

    def options(self, request: pj.SipRequest, peer: Peer) -> tuple[int, Headers]:
        """Whether an INVITE to this URI would be let in now; one that names nobody asks whether we are there.

        In a cluster that is a proxy which has to choose: it asks whether calls are taken.
        """
        own_user = own_user_of(self._accounts.config.profile(peer.name))
        named = _user(request.requestUri) not in ("", own_user)
        if named:
            reason = self._refusal(request, peer, own_user)
        else:
            reason = self._no_place(peer) if self._accounts.config.cluster is not None else None
        if reason is None:
            return 200, abilities()
        return reason.sip_code, [*abilities(), reason_header(reason.sip_code, reason)]

    def _no_place(self, peer: Peer) -> Reason | None:
        if refused := self._listener.admit(peer):
            return refused
        if self._capacity.is_full(peer):
            return Reason.TRUNK_AT_CAPACITY
        return None if self._capacity.has_room(peer, 2) else Reason.AT_CAPACITY

    def _refusal(self, request: pj.SipRequest, peer: Peer, own_user: str) -> Reason | None:
        if refused := self._no_place(peer):
            return refused
        invitation = read_invitation(request, peer, (), own_user)
        calling = (*(identity.uri for identity in invitation.calling), *invitation.diverting)
        return self._listener.inquire(peer, invitation.called, calling)

    def info(self, index: int, request: pj.SipRequest) -> None:
        """An INFO in a dialog: a key (see info_keys), a question whether the call is there, or nothing we know."""
        leg = self._legs.at(index)
        if leg is None or leg.over:
            request.respond(481, "", sip_headers([]))
        elif request.values("Info-Package"):
            request.respond(469, "Bad Info Package", sip_headers([]))  # RFC 6086 §4.2.2
        elif not request.bodyType():
            request.respond(200, "", sip_headers([]))
        elif request.bodyType().lower() not in info_keys.TYPES:
            request.respond(415, "", sip_headers([("Accept", ", ".join(info_keys.TYPES))]))
        else:
            try:
                key = info_keys.read_key(request.body())
            except info_keys.UnknownKeyError as error:
                log.warning("dtmf-unknown", leg=leg.id, peer=leg.peer.name, why=str(error))
                request.respond(400, "Unknown Key", sip_headers([reason_header(400, Reason.BAD_REQUEST)]))
                return
            request.respond(200, "", sip_headers([]))
            self._midcall.pressed(leg, KeyPress(key, KeyWay.INFO))


def _user(uri: str) -> str:
    """The user part of a SIP URI; a tel: URI is all of it."""
    if (read := read_sip_uri(uri)) is not None:
        return read.userinfo or ""
    scheme, _, rest = uri.partition(":")
    return rest if scheme.lower() == "tel" else rest.rpartition("@")[0]
