# SPDX-License-Identifier: GPL-2.0-or-later
"""The user agent: transports, accounts, the screening of what comes in, and the registry of legs."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.config import Config
from gateway.core.caller import Asserted
from gateway.core.model import Announcement, LegId, Peer
from gateway.core.outcome import CallEnd, Reason
from gateway.ports import Clock, DialOrder, HandDownOrder, IncomingCall, NotSent, NotSentError, SipListener
from gateway.sip.calls.bridge import Bridge
from gateway.sip.calls.dialling import Dialler
from gateway.sip.calls.leg import REQUEST_TIMEOUT, Leg, Notifier
from gateway.sip.calls.leg_registry import LegRegistry
from gateway.sip.calls.midcall import MidCall
from gateway.sip.calls.pairs import Pairs
from gateway.sip.calls.timer_c import TimerC
from gateway.sip.requests.dialogs import Dialogs
from gateway.sip.requests.expiry import Expiries
from gateway.sip.requests.invitation import Invitation
from gateway.sip.requests.referrals import Referrals
from gateway.sip.requests.screening import Screening
from gateway.sip.requests.subscriptions import Subscriptions
from gateway.sip.stack import settings, transports
from gateway.sip.stack.accounts import Accounts
from gateway.sip.stack.endpoint import Endpoint, set_log_level
from gateway.sip.stack.front import Front
from gateway.sip.stack.pump import Pump
from gateway.sip.stack.rtp_source import DroppedMedia
from gateway.sip.stack.servers import Servers
from gateway.sip.stack.transports import Transports
from gateway.sip.stack.trunks import TrunkWatch
from gateway.sip.text import headers
from gateway.sip.text.headers import refusal_headers

if TYPE_CHECKING:
    from gateway.sip.calls.leg_control import KeyPress
    from gateway.sip.calls.media_path import MediaPath

log = structlog.get_logger(__name__)


PATIENCE_S = 1.0
"""How long one who calls may wait for something other than 100."""


class SipAgent:
    """Implements ports.SipPort on PJSIP; create, `start()`, and `stop()` on the loop's thread."""

    def __init__(self, config: Config, listener: SipListener, clock: Clock) -> None:
        self._config = config
        self._listener = listener
        self._clock = clock
        self._legs = LegRegistry()
        self._pairs = Pairs()
        self._media: MediaPath = Bridge(self._pairs, self.heard, clock)
        self.midcall = MidCall(self._legs.get, self._pairs, self._media, clock, self._lost, self._kick)
        self._pump: Pump | None = None
        self.dialogs = Dialogs(self._legs.at)
        self.front = Front(listener.requests_rejected)
        self._screening = Screening(self)
        self._expiries = Expiries(self._kick)
        self._timer_c = TimerC(self._legs, clock, self._unanswered)
        self.trunks = TrunkWatch(listener.trunk_changed)
        self._accounts = Accounts(self.incoming, self.trunks.registered)
        self._dropped_media = DroppedMedia(self._accounts.peer_of, listener.media_dropped)
        self.referrals = Referrals(listener.hand_down_told)
        self.subscriptions = Subscriptions(self._extension, self._kick)
        self._invitation: Invitation | None = None
        self._most_legs = settings.legs(config.sip.max_calls)
        self._numbers = itertools.count(1)

    # --- life

    def start(self) -> None:
        """Open the transports and begin to serve. Raises SipError when an address or port cannot be had."""
        sip = self._config.sip
        self._endpoint = Endpoint.opened(sip, debug=_debug(self._config))
        self.servers = Servers(sip.name_servers, transports.versions(sip)[0])
        self._dialler = Dialler(self._config, self._accounts, self.servers, self._legs, self._media, self._clock, self)
        self._transports = Transports(self._endpoint, sip)
        self._endpoint.libStart()
        pj.watch_sessions()
        self.midcall.configure(self._config)
        self._timer_c.configure(sip.answer_timeout_s)
        pj.set_request_handler(self._screening)  # which looks names up for the accounts
        self._accounts.open(self._config, self._transports)
        self.front.configure(self._config, self._accounts.numbers)
        self._pump = Pump(self._endpoint)
        self._pump.start()
        self._dropped_media.start()
        self._watch_trunks()

    def _kick(self) -> None:
        if self._pump is not None:
            self._pump.kick()

    def _watch_trunks(self) -> None:
        self.trunks.watch(self._config.trunks, self._accounts.numbers)
        self._kick()

    def reconfigure(self, config: Config) -> None:
        """Take the peers of a new configuration; transports stay as they are until a restart.

        Raises SipError, KeyError or ValueError where PJSIP does not take them; the configuration before it can
        then be taken again.
        """
        self._accounts.open(config, self._transports, self._legs.peers)
        self._config = self._dialler.config = config
        self.midcall.configure(config)
        self._timer_c.configure(config.sip.answer_timeout_s)
        self.front.configure(config, self._accounts.numbers)
        self._watch_trunks()
        set_log_level(debug=_debug(config))

    async def stop(self, patience_s: float = 2.0) -> None:
        """End every leg, give their messages a moment to be answered, and end PJSIP."""
        for leg in self._legs:
            leg.why = leg.why or CallEnd.GATEWAY_STOPPED
            self.hang_up(leg.id, 503, Reason.GATEWAY_STOPPED)
        if not await self._legs.all_ended(patience_s):
            log.warning("legs-unanswered", legs=len(self._legs))
        await self.subscriptions.stop()
        self.trunks.stop()
        self._dropped_media.stop()
        self.midcall.stop()
        self._expiries.stop()
        self._timer_c.stop()
        self.front.stop()
        pj.set_request_handler(None)
        self.servers.stop()
        if self._pump is not None:
            self._pump.stop()
        self._media.stop()
        self._pairs.clear()
        self._legs.clear()
        self._accounts.close()
        # Everybody has been told; waiting for more would hold the loop for a second.
        self._endpoint.libDestroy(pj.PJSUA_DESTROY_NO_RX_MSG)

    # --- what the screening and the legs tell

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    @property
    def listener(self) -> SipListener:
        """Who is told."""
        return self._listener

    def expect(self, invitation: Invitation) -> None:
        """The INVITE that PJSUA is about to make a call of."""
        self._invitation = invitation
        self._endpoint.account = self.account_of(invitation.peer)

    def account_of(self, peer: Peer) -> int:
        """The number of a peer's account."""
        return self._accounts[peer.name].getId()

    def _extension(self, pbx: str, extension: str) -> tuple[int, str]:
        """The account and the URI for an extension of a PBX."""
        profile = self._config.pbxs.get(pbx)
        if profile is None:
            raise NotSentError(NotSent.NO_PEER, f"{pbx} is no longer configured")
        uri = settings.request_uri(profile.address, headers.user_part(extension), profile.transport)
        return self.account_of(profile.peer), uri

    def is_full(self, peer: Peer) -> bool:
        """Whether a trunk has as many calls as its profile lets it have."""
        trunk = self._config.trunks.get(peer.name)
        return trunk is not None and 0 < trunk.max_calls <= self._legs.with_peer(peer)

    def has_call(self, call_id: str) -> bool:
        """Whether a leg has this Call-ID."""
        return self._legs.has_call(call_id)

    def leg_of(self, index: int) -> Leg | None:
        """The leg with this PJSUA call index."""
        return self._legs.at(index)

    def incoming(self, account: pj.Account, index: int) -> None:
        """PJSUA made a call of the expected INVITE."""
        invitation, self._invitation = self._invitation, None
        pj.call_made()
        if invitation is None:
            raise RuntimeError("a call without an invitation")
        leg = Leg(account, LegId(f"in-{next(self._numbers)}"), invitation.peer, True, self, self._clock, index)
        leg.sip_call_id = leg.getInfo().callIdString
        leg.connected.begin(invitation.asserted)
        self._legs.add(leg)
        self._expiries.watch(leg, invitation.expires_s)
        self._listener.incoming_call(
            IncomingCall(
                leg=leg.id, peer=invitation.peer, call_id=leg.sip_call_id, called=invitation.called,
                calling=invitation.calling, diverting=invitation.diverting, context=invitation.context,
                replaces=invitation.replaces, private=invitation.private, diverted=invitation.diverted,
                max_forwards=invitation.max_forwards,
            )
        )  # fmt: skip

    def accepted_refer(self, leg: LegId, refer: Notifier) -> None:
        """A REFER on this leg has a subscription: its NOTIFYs come before the leg's BYE."""
        if found := self._legs.get(leg):
            found.refer = refer

    def connected(self, leg: Leg, message: str) -> None:
        """A peer may say with this re-INVITE, UPDATE or 2xx of such who is at its end now."""
        if said := leg.connected.told(message, leg.getInfo().remoteUri):
            log.info("party-changed", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
            self._listener.leg_connected(leg.id, said)

    def progress(self, leg: Leg, code: int) -> None:
        """LegEvents."""
        self._dialler.failover.forget(leg.id)
        self._listener.leg_progress(leg.id, code)

    def answered(self, leg: Leg) -> None:
        """LegEvents."""
        self._dialler.failover.forget(leg.id)
        self._expiries.forget(leg.id)
        self.midcall.established(leg)
        self._listener.leg_answered(leg.id)

    def pressed(self, leg: Leg, press: KeyPress) -> None:
        """LegEvents."""
        self.midcall.pressed(leg, press)

    def media(self, leg: Leg) -> None:
        """LegEvents."""
        if not leg.has_audio:
            self._media.stopped(leg.id)
            return
        self._media.settled(leg)
        self.midcall.exchanged(leg)
        if leg.early:
            self._listener.leg_early_media(leg.id)

    def ended(self, leg: Leg, code: int, by_peer: bool) -> None:
        """LegEvents."""
        self._legs.release(leg)
        self._expiries.forget(leg.id)
        if by_peer and self._dialler.failover.goes_on(leg, code):
            self._media.stopped(leg.id)  # its early media, if any: the next server's call has the same name
            return
        if self._legs.get(leg.id) is not leg:
            return  # another server has taken its place
        self._dialler.failover.forget(leg.id)
        self.referrals.forget(leg.id)
        self.midcall.ended(leg)
        if leg.dialog:
            self.dialogs.ended(leg.dialog)
        self._legs.remove(leg)
        self._tell_over(leg, code, by_peer)
        # Only now: whoever heard it hears something else already, and has not been left in silence meanwhile.
        self._media.changed(self._pairs.part(leg.id))
        self._media.forget(leg.id)

    # --- ports.SipPort

    def dial(self, order: DialOrder) -> None:
        """See ports.SipPort."""
        if self.is_full(order.peer):
            raise NotSentError(NotSent.NO_ROOM, f"{order.peer.name} has as many calls as its max_calls")
        self._dialler.dial(order)
        self._kick()

    def has_room(self) -> bool:
        """See ports.SipPort."""
        return self.has_room_for(next(iter(self._config.pbxs.values())).peer, 1)

    def has_room_for(self, peer: Peer, legs: int) -> bool:
        """Whether so many legs more can be had, the first of them with this peer."""
        profile = self._config.profile(peer.name)
        if profile is None or self._legs.occupied + legs > self._most_legs:
            return False
        return self._accounts.has_ports(self._config.sip, profile, legs)

    def hand_down(self, order: HandDownOrder) -> None:
        """See ports.SipPort."""
        leg = self._legs.get(order.leg)
        if leg is None or leg.over:
            raise NotSentError(NotSent.NO_LEG, "the leg is gone")
        _, uri = self._extension(leg.peer.name, order.user)
        self.referrals.send(order.leg, leg.getId(), uri, order.transfer, order.headers)
        self._kick()

    def heard(self, leg: LegId) -> int:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        return found.packets if found else 0

    def respond(self, leg: LegId, code: int) -> None:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        if found is None or found.over:
            return
        try:
            self._media.answering(found, self._partner(found))
            found.respond(code)
        except pj.Error as error:
            log.warning("answer-failed", leg=leg, call_id=found.sip_call_id, code=code, why=error.info())
            if code >= 200:
                found.end(500, refusal_headers(500, Reason.GATEWAY_ERROR))
                self._tell_unanswerable(found)
        self._kick()

    def hang_up(self, leg: LegId, code: int, reason: Reason, retry_after_s: int | None = None) -> None:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        if found is None:
            return

        def end() -> None:
            found.end(code, refusal_headers(code, reason, retry_after_s) if code >= 300 else ())
            self._kick()

        if found.refer is None:
            end()
        else:
            found.refer.when_quiet(end)

    def _lost(self, leg: LegId, why: CallEnd) -> None:
        """A leg is as good as over: its BYE may find no answer for half a minute, and nobody is to wait for that."""
        if found := self._legs.get(leg):
            found.why = why
            self.hang_up(leg, 200, Reason.ANSWERED)
            self._tell_over(found, found.lost_code, by_peer=False)

    def _unanswered(self, leg: LegId) -> None:
        """The trunk neither answers nor refuses: the caller gets 408 now, whatever becomes of the CANCEL."""
        if found := self._legs.get(leg):
            found.why = CallEnd.PEER_GONE
            self._tell_over(found, REQUEST_TIMEOUT, by_peer=False)
            self.hang_up(leg, REQUEST_TIMEOUT, Reason.NO_ANSWER)

    def _tell_unanswerable(self, leg: Leg) -> None:
        if not leg.told_over:
            leg.told_over = True
            self._listener.leg_failed(leg.id, "the caller's INVITE could not be answered")

    def _tell_over(self, leg: Leg, code: int, by_peer: bool) -> None:
        if leg.unanswerable:
            self._tell_unanswerable(leg)
        elif not leg.told_over:
            leg.told_over = True
            self._listener.leg_ended(leg.id, code, by_peer, leg.why or CallEnd.HUNG_UP)

    def join(self, one: LegId, other: LegId) -> bool:
        """See ports.SipPort."""
        first, second = self._legs.get(one), self._legs.get(other)
        if first is None or second is None:
            return False
        self._media.changed(self._pairs.join(one, other))
        self.midcall.joined(first, second)
        return True

    def wait(self, leg: LegId, target: LegId | None = None, announcement: Announcement | None = None) -> None:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        if found is None:
            return
        awaited = self._legs.get(target) if target else None
        self._media.wait(leg, announcement, self._pairs.wait(leg, awaited.id if awaited else None))
        self.midcall.waiting(found, awaited)
        if found.incoming and not found.established:
            if announcement is not None:
                self.respond(leg, 183)
            self._clock.after(PATIENCE_S, partial(self._comfort, leg))

    def _comfort(self, leg: LegId) -> None:
        """A target that says nothing for a while may be a queue: whoever waits for it should hear that it is tried."""
        if self._pairs.waits(leg):
            self.respond(leg, 180)

    def part(self, leg: LegId) -> None:
        """See ports.SipPort."""
        self._media.changed(self._pairs.part(leg))

    def _partner(self, leg: Leg) -> Leg | None:
        other = self._pairs.partner(leg.id)
        return self._legs.get(other) if other is not None else None

    def asserted(self, leg: LegId) -> Asserted:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        return found.connected.known if found else Asserted()

    def call_id(self, leg: LegId) -> str | None:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        return found.sip_call_id if found else None

    # --- what is left, for status and tests

    @property
    def counts(self) -> dict[str, int]:
        """How many legs, joined pairs and subscriptions (of either side) there are."""
        subscriptions = pj.subscription_count() + pj.referral_count()
        return {"legs": len(self._legs), "pairs": len(self._pairs), "subscriptions": subscriptions}

    @property
    def stack(self) -> dict[str, int]:
        """What PJSIP itself holds; transactions and their timers linger for up to 32 s after a call."""
        return {"dialogs": pj.dialog_count(), "transactions": pj.transaction_count(), "timers": pj.timer_count()}


def _debug(config: Config) -> bool:
    return config.gateway.log_level == "debug"
