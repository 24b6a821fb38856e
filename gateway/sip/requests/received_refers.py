# SPDX-License-Identifier: GPL-2.0-or-later
"""REFERs that we receive: read and handed on as requests for a transfer, and what becomes of their subscriptions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.core.outcome import Reason
from gateway.sip.requests.refer import PendingRefer, read_refer
from gateway.sip.stack.header_vector import sip_headers
from gateway.sip.text.headers import refusal_headers
from gateway.sip.text.reason_phrases import phrase_for

if TYPE_CHECKING:
    import pjsua2 as pj

    from gateway.core.model import LegId
    from gateway.ports import Clock, SipListener
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.leg_registry import LegRegistry
    from gateway.sip.requests.challenge import Challenger
    from gateway.sip.requests.dialogs import Dialogs
    from gateway.sip.stack.accounts import Accounts

log = structlog.get_logger(__name__)

UNSENT = 503
"""As what a request counts that could not even be sent (RFC 3261 §8.1.3.1)."""


class ReceivedRefers:
    """By the numbers of their subscriptions, while they last."""

    def __init__(
        self,
        accounts: Accounts,
        legs: LegRegistry,
        dialogs: Dialogs,
        challenger: Challenger,
        listener: SipListener,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._legs = legs
        self._dialogs = dialogs
        self._challenger = challenger
        self._listener = listener
        self._clock = clock
        self._refers: dict[int, PendingRefer] = {}

    def in_dialog(self, index: int, request: pj.SipRequest) -> None:
        """A REFER in a dialog: it is answered when this returns."""
        leg = self._legs.at(index)
        peer = self._accounts.config.peer_for(request.sourceHost)
        if leg is None or leg.over:
            request.respond(481, "", sip_headers([]))
            return
        if peer != leg.peer:
            log.warning(
                "request-rejected", method="REFER", source=request.sourceHost, reason=str(Reason.PEER_NOT_ALLOWED)
            )
            self._listener.request_rejected(Reason.PEER_NOT_ALLOWED)
            request.respond(403, "", sip_headers(refusal_headers(403, Reason.PEER_NOT_ALLOWED)))
            return
        if unproved := self._challenger.refuse(request, self._accounts.config.trunks.get(peer.name)):
            code, made = unproved
            request.respond(code, "", sip_headers(made))
            return
        leg.refers += 1
        self.deliver(leg, request, first_of_dialog=leg.refers == 1)

    def deliver(self, leg: Leg, request: pj.SipRequest, *, first_of_dialog: bool) -> None:
        """Read a REFER about a leg and hand it on; it is answered when this returns."""
        config = self._accounts.config
        profile, trunk = config.profile(leg.peer.name), config.trunks.get(leg.peer.name)
        transfer_headers = profile.transfer_headers if profile is not None else ()
        handle = PendingRefer(
            request,
            self._clock,
            lambda subscription, refer: self._opened(subscription, refer, leg.id),
            lambda subscription: self.notified(subscription, UNSENT),
            subscribe=not any(_is_false(value) for value in request.values("Refer-Sub")),
            with_id=not first_of_dialog or (trunk is not None and trunk.event_id == "always"),
            account=self._accounts.number(leg.peer),
            phrase=partial(phrase_for, trunk),
        )
        read = read_refer(request, handle, leg, transfer_headers, self._dialogs)
        self._listener.refer(read)

    def _opened(self, subscription: int, refer: PendingRefer, leg: LegId) -> None:
        self._refers[subscription] = refer
        if found := self._legs.get(leg):
            found.refer = refer  # its NOTIFYs come before the leg's BYE

    def notified(self, subscription: int, code: int) -> None:
        """A NOTIFY of ours was answered, or timed out."""
        refer = self._refers.get(subscription)
        if refer is None:
            return
        if not refer.notify_answered(code):
            self._listener.notify_failed(refer)
        if refer.closed:
            del self._refers[subscription]

    def unsubscribed(self, subscription: int) -> None:
        """The transferor wants no more NOTIFYs."""
        if refer := self._refers.get(subscription):
            refer.unsubscribe()
            self._listener.notify_failed(refer)


def _is_false(refer_sub: str) -> bool:
    return refer_sub.partition(";")[0].strip().lower() == "false"  # RFC 4488 §4
