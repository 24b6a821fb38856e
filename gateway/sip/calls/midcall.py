# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on between a call's answer and its end, passed on from each leg to its partner: hold, keys, silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.core.outcome import CallEnd
from gateway.sip.calls.dtmf import Keypads
from gateway.sip.calls.encryption import Encryption
from gateway.sip.calls.hold import Holds
from gateway.sip.calls.watchdog import Watchdog

if TYPE_CHECKING:
    from gateway.config import Config, PbxProfile, TrunkProfile
    from gateway.core.model import LegId
    from gateway.sip.calls.leg import Leg


log = structlog.get_logger(__name__)


class MidCall:
    """Told by the agent what happens to legs; `leg_of` finds a leg by its id while it lasts."""

    def __init__(
        self,
        leg_of: Callable[[LegId], Leg | None],
        has_media: Callable[[LegId], bool],
        lost: Callable[[Leg, CallEnd], None],
        kick: Callable[[], None],
    ) -> None:
        """`lost` is told of a leg that is as good as over, though its peer has not ended it."""
        self._leg_of = leg_of
        self._has_media = has_media
        self._lost = lost
        self._config: Config | None = None
        self._partners: dict[LegId, LegId] = {}
        self._waiting: set[LegId] = set()  # legs whose partner is a target that has not taken them yet
        self._holds = Holds(kick)
        self._keypads = Keypads(self._listener, self._wants_info, self._can_take, kick)
        self._encryption = Encryption(self._wants_encryption)
        self._watchdog = Watchdog(self._conversing, self._holds.should_be_heard, lost)

    def configure(self, config: Config) -> None:
        """Take the settings, at the start and whenever they change."""
        self._config = config
        self._watchdog.configure(config.sip.rtp_timeout_s, config.sip.max_call_s)

    def stop(self) -> None:
        """Do nothing more."""
        self._watchdog.stop()
        self._keypads.stop()
        self._holds.stop()

    # --- what happens to legs

    def established(self, leg: Leg) -> None:
        """The dialog is there."""
        self._holds.established(leg)
        self._keypads.changed(leg.id)

    def exchanged(self, leg: Leg) -> None:
        """The leg's media was settled (anew)."""
        self._holds.exchanged(leg)
        self._keypads.changed(leg.id)
        self._encryption.settled(leg)

    def pressed(self, leg: Leg, prm: pj.OnDtmfEventParam) -> None:
        """A key was pressed, or still is."""
        self._keypads.pressed(leg, prm.digit, prm.method, prm.timestamp, prm.flags)

    def told_key(self, leg: Leg, key: str) -> None:
        """An INFO tells of a key."""
        self._keypads.pressed(leg, key, pj.PJSUA_DTMF_METHOD_SIP_INFO, 0)

    def answered(self, leg: Leg, method: str, code: int) -> None:
        """A request of ours in the leg's dialog was answered; a BYE is told of when it is sent, with code 0."""
        if method == "BYE":
            self._given_up(leg)
            return
        self._holds.answered(leg, method, code)
        self._keypads.answered(leg.id, method, code)

    def joined(self, one: Leg, other: Leg) -> None:
        """Two legs are each other's partners, and talk."""
        self._pair(one, other)
        self._keypads.joined(one, other)
        self._holds.joined(one, other)

    def waiting(self, leg: Leg, target: Leg | None) -> None:
        """The leg waits for a target, which may ask it for keys already."""
        if target is not None:
            self._pair(leg, target)
            self._waiting.add(leg.id)
            self._keypads.awaits(leg, target)
        else:
            self._leave(leg.id)
        self._holds.waiting(leg)

    def parted(self, leg: Leg) -> None:
        """The leg has no partner."""
        self._leave(leg.id)
        self._holds.parted(leg)

    def ended(self, leg: Leg) -> None:
        """The leg is over."""
        self._leave(leg.id)
        self._holds.forget(leg.id)
        self._keypads.forget(leg.id)
        self._encryption.forget(leg.id)
        self._watchdog.forget(leg.id)

    # --- what the parts ask

    def _pair(self, one: Leg, other: Leg) -> None:
        self._leave(one.id)
        self._leave(other.id)
        self._partners[one.id], self._partners[other.id] = other.id, one.id

    def _leave(self, leg: LegId) -> None:
        other = self._partners.pop(leg, None)
        if other is not None:
            self._partners.pop(other, None)
        self._waiting -= {leg, other}

    def _listener(self, leg: LegId) -> Leg | None:
        """Who is given the keys of this leg: a target those of the caller who waits for it, but not the other way."""
        other = self._partners.get(leg)
        return self._leg_of(other) if other is not None and other not in self._waiting else None

    def _conversing(self) -> Iterable[Leg]:
        """Those who talk: both have answered, and neither still waits for the other."""
        pairs = [(self._leg_of(one), self._leg_of(other)) for one, other in self._partners.items()]
        return [
            leg
            for leg, other in pairs
            if leg and other and leg.established and other.established and self._waiting.isdisjoint((leg.id, other.id))
        ]

    def _wants_info(self, leg: Leg) -> bool:
        profile = self._profile(leg)
        return profile is not None and profile.dtmf == "info"

    def _wants_encryption(self, leg: Leg) -> bool:
        profile = self._profile(leg)
        return profile is not None and profile.srtp == "optional"

    def _profile(self, leg: Leg) -> TrunkProfile | PbxProfile | None:
        return self._config.profile(leg.peer.name) if self._config is not None else None

    def _can_take(self, leg: LegId) -> bool:
        return self._has_media(leg) and self._holds.hears_us(leg)

    def _given_up(self, leg: Leg) -> None:
        """PJSIP ends a leg: of no use as answered, not refreshed (RFC 4028 §10), or without any answer."""
        if leg.ending or leg.over:
            return
        slug = "peer-gone" if leg.established else "answer-unusable"
        log.warning(slug, leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
        leg.given_up()
        leg.why = CallEnd.PEER_GONE
        # Not now: PJSIP is in the middle of it.
        asyncio.get_running_loop().call_soon(self._lost, leg, CallEnd.PEER_GONE)
