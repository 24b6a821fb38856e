# SPDX-License-Identifier: GPL-2.0-or-later
"""The user agent: transports, accounts, the screening of what comes in, and the registry of legs."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pjsua2 as pj
import structlog

from gateway.config import Config
from gateway.core.caller import Asserted
from gateway.core.media_way import Decision
from gateway.core.model import Announcement, LegId
from gateway.core.open_call import LegCondition, LegState
from gateway.core.outcome import CallEnd, Reason
from gateway.core.record import LegMedia
from gateway.ports import Clock, DialOrder, HandDownOrder, NotSent, NotSentError, SipListener, Stranger
from gateway.sip.calls.bridge import Bridge
from gateway.sip.calls.capacity import Capacity
from gateway.sip.calls.dialling import Dialler
from gateway.sip.calls.leg import Leg
from gateway.sip.calls.leg_control import KeyPress, KeyWay
from gateway.sip.calls.leg_registry import LegRegistry
from gateway.sip.calls.pairs import Pairs
from gateway.sip.calls.recovering import Recoverer, dialog_of
from gateway.sip.requests.dialogs import Dialogs
from gateway.sip.requests.handler import RequestHandler
from gateway.sip.requests.invitation import Invitation
from gateway.sip.requests.referrals import Referrals
from gateway.sip.requests.subscriptions import Subscriptions
from gateway.sip.stack import kept_messages, transports
from gateway.sip.stack.accounts import Accounts, release_ports
from gateway.sip.stack.endpoint import Endpoint, set_log_level
from gateway.sip.stack.front import Front
from gateway.sip.stack.held_dialogs import held_dialogs
from gateway.sip.stack.pump import Pump
from gateway.sip.stack.rtp_source import DroppedMedia
from gateway.sip.stack.servers import Servers
from gateway.sip.stack.transports import Transports
from gateway.sip.stack.trunks import TrunkWatch
from gateway.sip.supervision import Supervision
from gateway.sip.text.headers import refusal_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gateway.core.kept_call import KeptDialog, RecoveryOrder
    from gateway.core.sip_message import Captured, KeptMessages
    from gateway.sip.calls.media_path import MediaPath

log = structlog.get_logger(__name__)

PATIENCE_S = 1.0
"""How long one who calls may wait for something other than 100."""
_left_behind: list[object] = []
"""What belongs to calls that the next process takes up."""


class SipAgent:
    """Implements ports.SipPort on PJSIP; create, `start()`, and `stop()` on the loop's thread."""

    def __init__(
        self, config: Config, listener: SipListener, clock: Clock, media: Callable[..., MediaPath] = Bridge
    ) -> None:
        """`media` makes the path that audio takes, from what Bridge is made of."""
        self._listener = listener
        self._clock = clock
        self._begun = False
        self._pump: Pump | None = None
        self._invitation: Invitation | None = None
        self._numbers = itertools.count(1)
        self.trunks = TrunkWatch(listener.trunk_changed, clock)
        self._front = Front(listener.requests_rejected, clock)
        self._accounts = Accounts(config, self._incoming, self.trunks.registered)
        self.trunks.register = self._accounts.register
        self._dropped_media = DroppedMedia(self._accounts.peer_of, listener.media_dropped, clock)
        self._legs = LegRegistry(release_ports)
        self._capacity = Capacity(self._accounts, self._legs)
        self._pairs = Pairs()
        self.bridge_hz = config.bridge_hz
        self._media = media(self._pairs, self._legs.get, clock, self.bridge_hz)
        self._media.tell(listener.media_way_changed)
        self._dialogs = Dialogs(self._legs.at, clock)
        self._referrals = Referrals(listener.hand_down_told)
        self._supervision = Supervision(
            self._legs, self._pairs, self._media, self._dialogs, self._referrals, listener, clock, self._kick
        )
        self._midcall = self._supervision.midcall
        self._media.tell_misplaced(self._midcall.misplaced)
        self._media.tell_tones(self._toned)
        self.subscriptions = Subscriptions(self._accounts.extension, self._kick, clock)

    # --- life

    def start(self) -> None:
        """Open the transports and begin to serve. Raises SipError when an address or port cannot be had."""
        config = self._accounts.config
        sip = config.sip
        self._endpoint = Endpoint.opened(sip, debug=config.gateway.log_level == "debug", bridge_hz=self.bridge_hz)
        self._begun = True
        pj.begin_names(config.token)
        self._servers = Servers(sip.name_servers, transports.versions(sip)[0], self._clock)
        self._dialler = Dialler(self._accounts, self._servers, self._legs, self._media, self._clock, self._supervision)
        self._supervision.failover = self._dialler.failover
        self._recoverer = Recoverer(
            self._accounts, self._legs, self._clock, self._supervision, self._supervision.not_recovered
        )
        self._transports = Transports(self._endpoint, sip)
        self._endpoint.libStart()
        pj.watch_sessions()
        self._supervision.configure(config)
        self._media.configure(config)
        self._handler = RequestHandler(
            self._accounts, self._legs, self._capacity, self._dialogs, self._midcall, self._listener, self._clock,
            self._expect,
            media=self._media, referrals=self._referrals, servers=self._servers, subscriptions=self.subscriptions,
            tally=self._front.tally, trunks=self.trunks,
        )  # fmt: skip
        pj.set_request_handler(self._handler)  # which looks names up for the accounts
        pj.show_descriptions(self._media.reads_descriptions)
        self._accounts.open(config, self._transports)
        self._front.configure(config, self._accounts.numbers)
        self._watch_trunks()  # before the pump: the first registrars may have answered by now
        self._pump = Pump(self._endpoint)
        self._pump.start()
        self._dropped_media.start()

    def has_more(self) -> bool:
        """See user_agent.UserAgent."""
        return self._pump is not None and self._pump.has_more

    def _kick(self) -> None:
        if self._pump is not None:
            self._pump.kick()

    def _watch_trunks(self) -> None:
        self.trunks.watch(self._accounts.config.trunks, self._accounts.numbers)
        self._kick()

    def reconfigure(self, config: Config) -> None:
        """Take the peers of a new configuration; transports stay as they are until a restart.

        Raises SipError, KeyError or ValueError where PJSIP does not take them; the configuration before it can
        then be taken again.
        """
        self._accounts.open(config, self._transports, self._legs.peers)
        self._supervision.configure(config)
        self._media.configure(config)
        pj.show_descriptions(self._media.reads_descriptions)
        self._front.configure(config, self._accounts.numbers)
        self._watch_trunks()
        set_log_level(debug=config.gateway.log_level == "debug")

    async def part(self, left: Collection[LegId], patience_s: float = 2.0) -> None:
        """See user_agent.UserAgent."""
        for leg in self._legs:
            if leg.id not in left:
                leg.why = leg.why or CallEnd.GATEWAY_STOPPED
                self.hang_up(leg.id, 503, Reason.GATEWAY_STOPPED)
        if not await self._legs.all_ended(patience_s, but=left):
            log.warning("legs-unanswered", legs=sum(leg.id not in left for leg in self._legs))
        await self.subscriptions.stop()

    def leave(self) -> None:
        """See user_agent.UserAgent."""
        self._begun = False
        # A call hangs up when its object goes, and PJSIP would unregister: both live until the process does not.
        _left_behind.append((*self._legs, self._accounts, self._endpoint, self._media))
        self._fall_silent()
        self._pairs.clear()
        self._legs.clear()

    async def stop(self, patience_s: float = 2.0) -> None:
        """End every leg, give their messages a moment to be answered, and end PJSIP, as far as it has begun."""
        if not self._begun:
            return
        await self.part((), patience_s)
        self._fall_silent()
        self._media.stop()
        self._pairs.clear()
        self._legs.clear()
        self._accounts.close()
        self._begun = False  # whoever still asks what it holds, over HTTP, is not to reach for what is gone
        # Everybody has been told; waiting for more would hold the loop for a second.
        self._endpoint.libDestroy(pj.PJSUA_DESTROY_NO_RX_MSG)

    def _fall_silent(self) -> None:
        """Do nothing more by itself, and have PJSIP do nothing."""
        self.trunks.stop()
        self._dropped_media.stop()
        self._supervision.stop()
        self._front.stop()
        pj.set_request_handler(None)
        self._servers.stop()
        if self._pump is not None:
            self._pump.stop()

    # --- what PJSIP and the legs tell

    def _expect(self, invitation: Invitation) -> None:
        """The INVITE that PJSUA is about to make a call of."""
        if self._legs.making is not None:  # PJSUA has refused the one before
            self._media.forget(self._legs.making)
        self._invitation = invitation
        self._legs.making = LegId(f"in-{next(self._numbers)}")
        self._endpoint.account = self._accounts.number(invitation.peer)
        config = self._accounts.config
        if profile := config.profile(invitation.peer.name):
            self._accounts.take_ports(config.sip, profile)

    def _incoming(self, account: pj.Account, index: int) -> None:
        """PJSUA made a call of the expected INVITE."""
        invitation, self._invitation = self._invitation, None
        pj.call_made()
        if invitation is None or self._legs.making is None:
            raise RuntimeError("a call without an invitation")
        leg = Leg(account, self._legs.making, invitation.peer, True, self._supervision, self._clock, index)
        leg.sip_call_id = pj.sip_call_id_of(index)
        leg.connected.begin(invitation.asserted)
        self._legs.add(leg)
        self._supervision.expiries.watch(leg, invitation.expires_s)
        self._listener.incoming_call(invitation.call(leg.id, leg.sip_call_id))

    # --- ports.SipPort

    def hang_up(
        self, leg: LegId, code: int, reason: Reason, retry_after_s: int | None = None, sentence: str | None = None
    ) -> None:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        self._supervision.hang_up(leg, code, reason, retry_after_s, sentence)
        if found is not None and reason is Reason.NOT_ASSIGNED:
            # It was nobody's call: whoever tries numbers takes no room of those that were.
            kept_messages.forget_legs([found.sip_call_id])

    def dial(self, order: DialOrder) -> None:
        """See ports.SipPort."""
        if self._capacity.is_full(order.peer):
            raise NotSentError(NotSent.NO_ROOM, f"{order.peer.name} has as many calls as its max_calls")
        self._dialler.dial(order)
        self._kick()

    def recover(self, order: RecoveryOrder) -> None:
        """See ports.SipPort."""
        self._recoverer.recover(order)
        self._kick()

    def dialog(self, leg: LegId) -> KeptDialog | None:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        return dialog_of(found) if found is not None else None

    def has_room(self) -> bool:
        """See ports.SipPort."""
        return self._capacity.has_room(next(iter(self._accounts.config.pbxs.values())).peer, 1)

    def hand_down(self, order: HandDownOrder) -> None:
        """See ports.SipPort."""
        leg = self._legs.get(order.leg)
        if leg is None or leg.over:
            raise NotSentError(NotSent.NO_LEG, "the leg is gone")
        _, uri = self._accounts.extension(leg.peer.name, order.user)
        self._referrals.send(order.leg, leg.number, uri, order.transfer, order.headers)
        self._kick()

    def heard(self, leg: LegId) -> int:
        """See ports.SipPort."""
        return self._media.packets(leg)

    def media(self, leg: LegId) -> LegMedia | None:
        """See ports.SipPort."""
        return self._supervision.counted(leg)

    def media_way(self, leg: LegId) -> Decision | None:
        """See ports.SipPort."""
        return self._media.decided(leg)

    def condition(self, leg: LegId) -> LegCondition:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        if found is None:
            return LegCondition(LegState.GONE)
        return replace(found.condition, rtp_age_s=self._midcall.silent_s(leg))

    def respond(self, leg: LegId, code: int, beside: LegId | None = None) -> None:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        if found is None or found.over:
            return
        try:
            self._media.answering(found, self._legs.get(self._pairs.partner(leg) or beside))
            found.respond(code)
        except pj.Error as error:
            log.warning("answer-failed", leg=leg, call_id=found.sip_call_id, code=code, why=error.info())
            if code >= 200:
                found.end(500, refusal_headers(500, Reason.GATEWAY_ERROR))
                self._supervision.tell_over(found, code, by_peer=False, unanswerable=True)
        self._kick()

    def join(self, one: LegId, other: LegId) -> bool:
        """See ports.SipPort."""
        first, second = self._legs.get(one), self._legs.get(other)
        if first is None or second is None:
            return False
        self._media.changed(self._pairs.join(one, other))
        self._midcall.joined(first, second)
        return True

    def wait(self, leg: LegId, target: LegId | None = None, announcement: Announcement | None = None) -> None:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        if found is None:
            return
        awaited = self._legs.get(target)
        self._media.wait(leg, announcement, self._pairs.wait(leg, awaited.id if awaited else None))
        self._midcall.waiting(found, awaited)
        if found.incoming and not found.established:
            if announcement is not None:
                self.respond(leg, 183)
            self._clock.after(PATIENCE_S, partial(self._comfort, leg))

    def _comfort(self, leg: LegId) -> None:
        """A target that says nothing for a while may be a queue: whoever waits for it should hear that it is tried."""
        if self._pairs.waits(leg):
            self.respond(leg, 180)

    def whisper(self, leg: LegId, sounds: Sequence[Announcement], *, tones: str) -> None:
        """See ports.SipPort."""
        found = self._legs.get(leg)
        if found is not None:
            self._media.whisper(leg, sounds, self._pairs.unpair(leg))
            if tones:
                self._media.listen_for_tones(leg, tones)
            self._midcall.asks(found)

    def _toned(self, leg: LegId, key: str) -> None:
        if (found := self._legs.get(leg)) is not None:
            self._midcall.pressed(found, KeyPress(key, KeyWay.TONE, ended=True))

    def press(self, leg: LegId, keys: str) -> None:
        """See ports.SipPort."""
        if (found := self._legs.get(leg)) is not None:
            self._midcall.press(found, keys)

    def silence(self, leg: LegId) -> None:
        """See ports.SipPort."""
        self._media.changed(self._pairs.unpair(leg))

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
        """What PJSIP itself holds, nothing once it has ended; what transactions hold lingers for 32 s after a call."""
        if not self._begun:
            return {"dialogs": 0, "transactions": 0, "timers": 0}
        return {"dialogs": pj.dialog_count(), "transactions": pj.transaction_count(), "timers": pj.timer_count()}

    @property
    def strangers(self) -> Sequence[Stranger]:
        """See user_agent.UserAgent."""
        return self._front.tally.strangers

    # --- what is kept of the last calls: see user_agent.UserAgent

    def keep_messages(self, max_mb: int, calls: int) -> None:
        """See user_agent.UserAgent."""
        kept_messages.keep(max_mb, calls)

    def messages(self, call_id: str) -> KeptMessages | None:
        """See user_agent.UserAgent."""
        return kept_messages.kept_messages(call_id)

    def forget_messages(self, texts: Sequence[str]) -> frozenset[str]:
        """See user_agent.UserAgent."""
        return kept_messages.forget(texts)

    def forget_legs(self, call_ids: Collection[str]) -> None:
        """See user_agent.UserAgent."""
        kept_messages.forget_legs(call_ids)

    def capture(self, most_bytes: int) -> None:
        """See user_agent.UserAgent."""
        kept_messages.capture(most_bytes)

    def captured(self, most: int) -> Sequence[Captured]:
        """See user_agent.UserAgent."""
        return kept_messages.captured(most)

    @property
    def capture_lost(self) -> int:
        """See user_agent.UserAgent."""
        return kept_messages.capture_lost()

    @property
    def kept(self) -> dict[str, int]:
        """See user_agent.UserAgent."""
        return kept_messages.counts()

    def dialogs(self, most: int, call_id: str = "") -> Sequence[dict[str, Any]]:
        """See user_agent.UserAgent."""
        return held_dialogs(most, call_id) if self._begun else []
