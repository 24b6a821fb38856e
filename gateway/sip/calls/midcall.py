# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on between a call's answer and its end, passed on from each leg to its partner: hold, keys, silence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.core.outcome import CallEnd
from gateway.sip.calls.dtmf import Keypads
from gateway.sip.calls.encryption import Encryption
from gateway.sip.calls.hold import Holds
from gateway.sip.calls.watchdog import Watchdog

if TYPE_CHECKING:
    from gateway.config import Config, PbxProfile, TrunkProfile
    from gateway.core.model import LegId
    from gateway.ports import Clock
    from gateway.sip.calls.leg_control import KeyPress, LegControl
    from gateway.sip.calls.media_path import MediaPath
    from gateway.sip.calls.pairs import Pairs


log = structlog.get_logger(__name__)


class MidCall:
    """Told by the agent what happens to legs; `leg_of` finds a leg by its id while it lasts."""

    def __init__(
        self,
        leg_of: Callable[[LegId], LegControl | None],
        pairs: Pairs,
        media: MediaPath,
        clock: Clock,
        lost: Callable[[LegId, CallEnd], None],
        kick: Callable[[], None],
        chosen: Callable[[LegId, str], None] = lambda _leg, _key: None,
    ) -> None:
        """`lost` is told of a leg that is as good as over, though its peer has not ended it.

        `chosen` is told of each key of a leg that is asked for one.
        """
        self._media = media
        self._clock = clock
        self._lost = lost
        self._config: Config | None = None
        self._holds = Holds(pairs, media, clock, kick)
        self._keypads = Keypads(pairs, leg_of, self._wants_info, self._can_take, clock, kick, media.keys_follow, chosen)
        self._encryption = Encryption(self._wants_encryption)
        self._watchdog = Watchdog(pairs, leg_of, media.activity, self._should_be_heard, clock, lost)

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

    def established(self, leg: LegControl) -> None:
        """The dialog is there."""
        self._holds.established(leg)
        self._keypads.changed(leg.id)

    def exchanged(self, leg: LegControl) -> None:
        """The leg's media was negotiated (anew)."""
        self._holds.exchanged(leg)
        self._keypads.changed(leg.id)
        self._encryption.negotiated(leg)

    def pressed(self, leg: LegControl, press: KeyPress) -> None:
        """A key was pressed, or still is."""
        self._keypads.pressed(leg, press)

    def answered(self, leg: LegControl, method: str, code: int) -> None:
        """A request of ours in the leg's dialog was answered; a BYE is told of when it is sent, with code 0."""
        if method == "BYE":
            self._given_up(leg)
            return
        self._holds.answered(leg, method, code)
        self._keypads.answered(leg.id, method, code)

    def misplaced(self, leg: LegId) -> None:
        """The leg's peer is to send its audio somewhere else."""
        self._holds.misplaced(leg)

    def joined(self, one: LegControl, other: LegControl) -> None:
        """Two legs are each other's partners, and talk."""
        self._keypads.joined(one, other)
        self._holds.joined(one, other)

    def waiting(self, leg: LegControl, target: LegControl | None) -> None:
        """The leg waits for a target, which may ask it for keys already."""
        if target is not None:
            self._keypads.awaits(leg, target)
        self._holds.waiting(leg)

    def asks(self, leg: LegControl) -> None:
        """The leg's keys are for the gateway from now on, until it is joined."""
        self._keypads.asks(leg)

    def press(self, leg: LegControl, keys: str) -> None:
        """Keys are pressed for the leg that nobody at its other end has pressed."""
        self._keypads.press(leg, keys)

    def ended(self, leg: LegControl) -> None:
        """The leg is over."""
        self._holds.forget(leg.id)
        self._keypads.forget(leg.id)
        self._encryption.forget(leg.id)
        self._watchdog.forget(leg.id)

    def silent_s(self, leg: LegId) -> float | None:
        """For how many seconds nothing has come from a leg; None: nobody looks after it."""
        return self._watchdog.silent_s(leg)

    # --- what the parts ask

    def _should_be_heard(self, leg: LegId) -> bool:
        return self._holds.should_be_heard(leg) and not self._media.goes_past(leg)

    def _wants_info(self, leg: LegControl) -> bool:
        profile = self._profile(leg)
        return profile is not None and profile.dtmf == "info"

    def _wants_encryption(self, leg: LegControl) -> bool:
        profile = self._profile(leg)
        return profile is not None and profile.srtp == "optional"

    def _profile(self, leg: LegControl) -> TrunkProfile | PbxProfile | None:
        return self._config.profile(leg.peer.name) if self._config is not None else None

    def _can_take(self, leg: LegId) -> bool:
        return self._media.has_media(leg) and self._holds.hears_us(leg)

    def _given_up(self, leg: LegControl) -> None:
        """PJSIP ends a leg: of no use as answered, not refreshed (RFC 4028 §10), or without any answer."""
        if leg.ending or leg.over:
            return
        facts = {"leg": leg.id, "peer": leg.peer.name, "call_id": leg.sip_call_id}
        if leg.established:
            log.warning("peer-gone", **facts)
        else:
            log.warning("answer-unusable", **facts)
        leg.given_up()
        leg.why = CallEnd.PEER_GONE
        # Not now: PJSIP is in the middle of it.
        self._clock.after(0, partial(self._lost, leg.id, CallEnd.PEER_GONE))
