# SPDX-License-Identifier: GPL-2.0-or-later
"""What the binding calls back, each handed to whose business it is; see binding/requests.hpp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.core.outcome import Reason
from gateway.sip.requests.answers import Answers
from gateway.sip.requests.challenge import Challenger
from gateway.sip.requests.received_refers import ReceivedRefers
from gateway.sip.requests.screening import Screening
from gateway.sip.stack.callbacks import guarded
from gateway.sip.stack.header_vector import sip_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.ports import Clock, SipListener
    from gateway.sip.calls.capacity import Capacity
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.leg_registry import LegRegistry
    from gateway.sip.calls.media_path import MediaPath
    from gateway.sip.calls.midcall import MidCall
    from gateway.sip.requests.challenge import Refusal
    from gateway.sip.requests.dialogs import Dialogs
    from gateway.sip.requests.invitation import Invitation
    from gateway.sip.requests.referrals import Referrals
    from gateway.sip.requests.subscriptions import Subscriptions
    from gateway.sip.stack.accounts import Accounts
    from gateway.sip.stack.front import Tally
    from gateway.sip.stack.servers import Servers
    from gateway.sip.stack.trunks import TrunkWatch

log = structlog.get_logger(__name__)


class RequestHandler(pj.RequestHandler):
    """Nothing raises out of it into PJSIP."""

    def __init__(
        self,
        accounts: Accounts,
        legs: LegRegistry,
        capacity: Capacity,
        dialogs: Dialogs,
        midcall: MidCall,
        listener: SipListener,
        clock: Clock,
        expect: Callable[[Invitation], None],
        *,
        media: MediaPath,
        referrals: Referrals,
        servers: Servers,
        subscriptions: Subscriptions,
        tally: Tally,
        trunks: TrunkWatch,
    ) -> None:
        """`expect` is told of each INVITE that PJSUA is about to make a call of."""
        super().__init__()
        self._legs = legs
        self._midcall = midcall
        self._media = media
        self._listener = listener
        self._referrals = referrals
        self._servers = servers
        self._subscriptions = subscriptions
        self._tally = tally
        self._trunks = trunks
        sip = accounts.config.sip
        challenger = Challenger(sip.public_address or sip.bind_address, listener.request_rejected, clock)
        self._answers = Answers(accounts, legs, capacity, midcall, listener)
        self._refers = ReceivedRefers(accounts, legs, dialogs, challenger, listener, clock)
        self._screening = Screening(
            accounts, legs, capacity, dialogs, challenger, self._answers, self._refers, listener, expect
        )

    @guarded(500)
    def onRequest(self, request: pj.SipRequest, extra: pj.SipHeaderVector) -> int:  # binding's name
        """A request outside of any dialog; 0 lets PJSUA have it, anything else is the response's code."""
        return _told(extra, self._screening.outside(request))

    @guarded(500)
    def onUnfit(self, request: pj.SipRequest, code: int, why: str, extra: pj.SipHeaderVector) -> int:
        """A request that is bad in itself, and the code it deserves; what it is answered with."""
        return _told(extra, self._answers.unfit(request, code, why))

    @guarded(500)
    def onRefresh(self, index: int, request: pj.SipRequest, extra: pj.SipHeaderVector) -> int:
        """A re-INVITE or UPDATE in a call; 0 lets it have its effect, anything else is the response's code."""
        leg = self._legs.at(index)
        if leg is None:
            return 0
        if unproved := self._screening.unproved(request, leg.peer):
            return _told(extra, unproved)
        self._connected(leg, request.text())
        return 0

    @guarded(None)
    def onConnected(self, index: int, text: str) -> None:
        """A peer accepted a re-INVITE or UPDATE of ours, and says who is at its end."""
        if leg := self._legs.at(index):
            self._connected(leg, text)

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
        self._tally.add(Reason(reason), source, method)

    @guarded("")
    def onMalformed(self, text: str, source: str, header: str, whole: bool) -> str:
        """A message that PJSIP cannot read; the response to it, if any."""
        return self._answers.malformed(text, source, header, whole=whole)

    @guarded(None)
    def onRefer(self, index: int, request: pj.SipRequest) -> None:
        """A REFER in one of our dialogs; whatever is not answered here is answered 500 by the binding."""
        self._refers.in_dialog(index, request)

    @guarded(None)
    def onNotifyAnswered(self, subscription: int, code: int) -> None:
        """A NOTIFY of ours was answered, or timed out."""
        self._refers.notified(subscription, code)

    @guarded(None)
    def onOptionsAnswered(self, token: int, code: int) -> None:
        """An OPTIONS of ours was answered, or timed out."""
        self._trunks.answered(token, code)

    @guarded(None)
    def onReferAnswered(self, referral: int, code: int) -> None:
        """A REFER of ours was answered, or timed out."""
        self._referrals.answered(referral, code)

    @guarded(None)
    def onReferNotified(self, referral: int, body: str, last: bool) -> None:
        """A peer tells what became of a REFER of ours."""
        self._referrals.notified(referral, body, last)

    @guarded(None)
    def onWatchNotified(self, watch: int, phase: str, content_type: str, body: str) -> None:
        """A PBX tells the state of an extension."""
        self._subscriptions.notified(watch, phase, content_type, body)

    @guarded(None)
    def onWatchRefreshed(self, watch: int) -> None:
        """A SUBSCRIBE of ours was accepted."""
        self._subscriptions.refreshed(watch)

    @guarded(None)
    def onWatchEnded(self, watch: int, code: int, reason: str, retry_after_s: int) -> None:
        """A subscription of ours was refused, or has ended."""
        self._subscriptions.ended(watch, code, reason, retry_after_s)

    @guarded(None)
    def onDescriptionRefused(self, call_id: str, where: str, code: int) -> None:
        """A peer sent a description in mid call, or as an answer, that cannot be used."""
        log.warning("description-unusable", call_id=call_id, where=where, code=code)

    @guarded("")
    def onDescription(self, index: int, ours: bool, answers: bool, text: str) -> str:
        """A description that is sent, or has come; what it becomes, and nothing where it stays as it is."""
        leg = self._legs.name_of(index)
        if leg is None:
            return ""
        take = self._media.sent if ours else self._media.received
        return take(leg, text, answers=answers)

    @guarded(None)
    def onUnsent(self, method: str, call_id: str, uri: str) -> None:
        """A request of ours in a dialog could not be sent: no route, no such transport, the network is down."""
        log.warning("request-not-sent", method=method, call_id=call_id, uri=uri)

    def onResolve(self, query: int, host: str, port: int, transport: str) -> None:
        """PJSIP needs the addresses of a host."""
        try:
            self._servers.resolve(query, host, port, transport)
        except Exception:
            log.exception("sip-callback-failed", host=host)
            pj.resolved(query, [])

    @guarded(None)
    def onRequestAnswered(self, index: int, method: str, code: int) -> None:
        """A request of ours in a call's dialog was answered, or timed out."""
        if leg := self._legs.at(index):
            self._midcall.answered(leg, method, code)

    @guarded(None)
    def onKeyMissing(self, index: int) -> None:
        """The peer of an encrypted call would go on in the clear, and may not."""
        if leg := self._legs.at(index):
            log.warning("key-missing", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)

    @guarded(None)
    def onUnsubscribed(self, subscription: int) -> None:
        """The transferor wants no more NOTIFYs."""
        self._refers.unsubscribed(subscription)

    def _connected(self, leg: Leg, message: str) -> None:
        """A peer may say with this re-INVITE, UPDATE or 2xx of such who is at its end now."""
        if said := leg.connected.told(message, leg.getInfo().remoteUri):
            log.info("party-changed", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
            self._listener.leg_connected(leg.id, said)


def _told(extra: pj.SipHeaderVector, answer: Refusal) -> int:
    """Give PJSIP the headers of an answer; its code."""
    code, made = answer
    for header in sip_headers(made):
        extra.append(header)
    return code
