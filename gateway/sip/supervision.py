# SPDX-License-Identifier: GPL-2.0-or-later
"""What legs tell, made known to whom it concerns, and legs that are as good as over, ended."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.core.outcome import CallEnd, Reason
from gateway.sip.calls.leg import REQUEST_TIMEOUT
from gateway.sip.calls.midcall import MidCall
from gateway.sip.calls.timer_c import TimerC
from gateway.sip.requests.expiry import Expiries
from gateway.sip.text.headers import refusal_headers
from gateway.sip.text.reason_phrases import phrase_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.config import Config
    from gateway.config.profiles import TrunkProfile
    from gateway.core.model import LegId
    from gateway.core.record import LegMedia
    from gateway.ports import Clock, SipListener
    from gateway.sip.calls.failover import Failover
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.leg_control import KeyPress
    from gateway.sip.calls.leg_registry import LegRegistry
    from gateway.sip.calls.media_path import MediaPath
    from gateway.sip.calls.pairs import Pairs
    from gateway.sip.requests.dialogs import Dialogs
    from gateway.sip.requests.referrals import Referrals

COUNTED_OF = 1000
"""So many ended legs can still be asked for: whoever reports a call does so within the same turn, as a rule."""

log = structlog.get_logger(__name__)


class Supervision:
    """Implements leg.LegEvents; `failover` comes before the first leg that is dialled."""

    failover: Failover

    def __init__(
        self,
        legs: LegRegistry,
        pairs: Pairs,
        media: MediaPath,
        dialogs: Dialogs,
        referrals: Referrals,
        listener: SipListener,
        clock: Clock,
        kick: Callable[[], None],
    ) -> None:
        """`kick` has PJSIP look at what was asked of it."""
        self._legs = legs
        self._pairs = pairs
        self._media = media
        self._dialogs = dialogs
        self._referrals = referrals
        self._listener = listener
        self._clock = clock
        self._kick = kick
        self.midcall = MidCall(legs.get, pairs, media, clock, self._lost, kick, listener.leg_pressed)
        self.expiries = Expiries(clock, kick)
        self._timer_c = TimerC(legs, clock, self._unanswered)
        self._trunks: Mapping[str, TrunkProfile] = {}
        self._counted: dict[LegId, LegMedia | None] = {}  # of the legs that ended last

    def configure(self, config: Config) -> None:
        """Take the limits, at the start and whenever they change."""
        self._trunks = config.trunks
        self.midcall.configure(config)
        self._timer_c.configure(config.sip.answer_timeout_s)

    def stop(self) -> None:
        """Do nothing more."""
        self.midcall.stop()
        self.expiries.stop()
        self._timer_c.stop()

    # --- leg.LegEvents

    def progress(self, leg: Leg, code: int) -> None:
        """See LegEvents."""
        self.failover.forget(leg.id)
        self._listener.leg_progress(leg.id, code)

    def taken(self, leg: Leg) -> None:
        """See LegEvents."""
        self._clock.after(0, partial(self._has_to_be_acknowledged, leg))

    def answered(self, leg: Leg) -> None:
        """See LegEvents."""
        self.failover.forget(leg.id)
        self.expiries.forget(leg.id)
        self.midcall.established(leg)
        self._listener.leg_answered(leg.id)

    def pressed(self, leg: Leg, press: KeyPress) -> None:
        """See LegEvents."""
        self.midcall.pressed(leg, press)

    def media(self, leg: Leg) -> None:
        """See LegEvents."""
        if not leg.has_audio:
            self._media.stopped(leg.id)
            return
        self._media.negotiated(leg)
        self.midcall.exchanged(leg)
        if leg.early:
            self._listener.leg_early_media(leg.id)
        elif leg.established:
            self._listener.leg_renewed(leg.id)

    def ended(self, leg: Leg, code: int, by_peer: bool) -> None:
        """See LegEvents."""
        self._legs.release(leg)
        self.expiries.forget(leg.id)
        if by_peer and self.failover.goes_on(leg, code):
            self._media.stopped(leg.id)  # its early media, if any: the next server's call has the same name
            return
        if self._legs.get(leg.id) is not leg:
            return  # another server has taken its place
        self.failover.forget(leg.id)
        self._referrals.forget(leg.id)
        self.midcall.ended(leg)
        if leg.dialog:
            self._dialogs.ended(leg.dialog)
        self._legs.remove(leg)
        self._counted[leg.id] = self._media.counted(leg)
        if len(self._counted) > COUNTED_OF:
            del self._counted[next(iter(self._counted))]
        self.tell_over(leg, code, by_peer=by_peer)
        # Only now: whoever heard it hears something else already, and has not been left in silence meanwhile.
        self._media.changed(self._pairs.unpair(leg.id))
        self._media.forget(leg.id)

    def counted(self, leg: LegId) -> LegMedia | None:
        """What was counted of the audio of a leg, or of one that ended a while ago."""
        found = self._legs.get(leg)
        return self._media.counted(found) if found is not None else self._counted.get(leg)

    # --- their end

    def hang_up(
        self, leg: LegId, code: int, reason: Reason, retry_after_s: int | None = None, sentence: str | None = None
    ) -> None:
        """End a leg, after its last NOTIFY is out. An unknown one is no error."""
        found = self._legs.get(leg)
        if found is None:
            return

        def end() -> None:
            phrase = phrase_for(self._trunks.get(found.peer.name), sentence)
            found.end(code, refusal_headers(code, reason, retry_after_s) if code >= 300 else (), phrase)
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
            self.tell_over(found, found.lost_code, by_peer=False)

    def _has_to_be_acknowledged(self, leg: Leg) -> None:
        """An answer whose Contact is out of reach is of no use (RFC 3261 §13.2.2.4). PJSIP would wait for ever."""
        if leg.is_unacknowledged:
            log.warning("answer-unusable", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
            leg.why = CallEnd.PEER_GONE
            self.tell_over(leg, leg.lost_code, by_peer=False)
            self.hang_up(leg.id, leg.lost_code, Reason.PBX_ERROR)

    def _unanswered(self, leg: LegId) -> None:
        """The trunk neither answers nor refuses: the caller gets 408 now, whatever becomes of the CANCEL."""
        if found := self._legs.get(leg):
            found.why = CallEnd.PEER_GONE
            self.tell_over(found, REQUEST_TIMEOUT, by_peer=False)
            self.hang_up(leg, REQUEST_TIMEOUT, Reason.NO_ANSWER)

    def not_recovered(self, leg: Leg) -> None:
        """The peer of a leg that was to be taken up again says nothing."""
        leg.why = CallEnd.PEER_GONE
        self.tell_over(leg, REQUEST_TIMEOUT, by_peer=False)
        self.hang_up(leg.id, REQUEST_TIMEOUT, Reason.ANSWERED)

    def tell_over(self, leg: Leg, code: int, *, by_peer: bool, unanswerable: bool = False) -> None:
        """Have whoever it concerns know that a leg is over, once."""
        if leg.reported_over:
            return
        leg.reported_over = True
        if unanswerable or leg.unanswerable:
            self._listener.leg_failed(leg.id, "the caller's INVITE could not be answered")
        else:
            self._listener.leg_ended(leg.id, code, by_peer, leg.why or CallEnd.HUNG_UP)
