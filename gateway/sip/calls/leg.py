# SPDX-License-Identifier: GPL-2.0-or-later
"""One leg: a SIP dialog of ours as PJSUA sees it, told about in the gateway's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pjsua2 as pj
import structlog

from gateway.core.model import LegId, Peer
from gateway.core.open_call import LegCondition, LegState
from gateway.core.outcome import CallEnd
from gateway.sip.calls.leg_control import Direction, Exchange, KeyPress, KeyWay
from gateway.sip.calls.media_way import Format
from gateway.sip.calls.stream_counts import StreamCounts
from gateway.sip.stack.callbacks import guarded
from gateway.sip.stack.header_vector import sip_headers
from gateway.sip.text.connected import Connected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.ports import Clock

log = structlog.get_logger(__name__)


TRYING, RINGING, PROGRESS = 100, 180, 183
DTMF_ENDED = 2
"""PJMEDIA_STREAM_DTMF_IS_END"""
REQUEST_TIMEOUT, NOT_ACCEPTABLE_HERE = 408, 488
ENDED_BY_PEER, NO_SUCH_DIALOG = 200, 481


class LegEvents(Protocol):
    """Who is told what a leg does."""

    def progress(self, leg: Leg, code: int) -> None:
        """A provisional response other than 100 came."""

    def taken(self, leg: Leg) -> None:
        """It was dialled and answered with 2xx, which PJSIP acknowledges next."""

    def answered(self, leg: Leg) -> None:
        """The dialog is established."""

    def media(self, leg: Leg) -> None:
        """The leg's audio started (again), or stopped: see `has_audio`."""

    def ended(self, leg: Leg, code: int, by_peer: bool) -> None:
        """The leg is over, for `leg.why` if it was established; it must not be used any more."""

    def pressed(self, leg: Leg, press: KeyPress) -> None:
        """A key was pressed at the other end, or still is."""


class Notifier(Protocol):
    """Sends the NOTIFYs about a REFER that came on a leg."""

    def when_quiet(self, then: Callable[[], None]) -> None:
        """Call `then` once no NOTIFY waits to be sent or answered."""


class Leg(pj.LegCall):
    """A pj.LegCall with a name; whoever owns the registry keeps it alive until it has ended.

    Implements leg_control.LegControl.
    """

    def __init__(
        self,
        account: pj.Account,
        leg: LegId,
        peer: Peer,
        incoming: bool,
        events: LegEvents,
        clock: Clock,
        index: int = pj.PJSUA_INVALID_ID,
    ) -> None:
        super().__init__(account, index)
        self.number = index
        """PJSUA's of the call, as long as it lasts."""
        self.id = leg
        self.peer = peer
        self.incoming = incoming
        self.sip_call_id = ""
        self.dialog: tuple[str, ...] = ()  # Call-ID, our tag and the peer's, once established
        self.refer: Notifier | None = None  # the newest one
        self.refers = 0
        self.established = False
        self.connected = Connected()
        self.recovering = False  # its INVITE is a re-INVITE to its peer, and was not answered yet
        self.early = False  # dialled, and provisionally answered
        self.established_at = 0.0
        self.progressed_at = clock.now().steady
        self.over = False
        self.why: CallEnd | None = None  # it is no ordinary end
        self._events = events
        self._clock = clock
        self._hung_up = False
        self._expired = False
        self.reported_over = False  # whoever it concerns knows that it is over, or as good as that
        self._given_up = False
        self._taken = False  # dialled, and answered with 2xx
        self._answering = False
        self.unanswerable = False  # it ended because it could not be answered
        self._last_response = TRYING  # the last response to the INVITE
        self._audio: int | None = None  # which of its streams
        self._format: Format | None = None
        self._format_is_known = False
        self._counted: list[StreamCounts] = []  # of streams that are gone

    @guarded(None)
    def onState(self, call: int, state: int, code: int, accepted: str) -> None:  # the binding's name
        """PJSUA: the INVITE session changed its state."""
        self.number = call
        self._state_changed(state, code, accepted)

    @guarded(None)
    def onMedia(self, call: int, stream: int) -> None:
        """PJSUA: media was started, changed or stopped."""
        self.number = call
        self._format_is_known = False
        self._media_changed(stream)

    @guarded(None)
    def onCounted(self, counts: Sequence[int]) -> None:
        """PJSUA: a stream is about to go, and what it has counted with it."""
        self._format_is_known = False
        if not self.over:
            self._counted.append(StreamCounts.read(counts))

    @guarded(None)
    def onDtmfEvent(self, prm: pj.OnDtmfEventParam) -> None:
        """PJSUA: a packet or an INFO tells of a key."""
        way = KeyWay.EVENT if prm.method == pj.PJSUA_DTMF_METHOD_RFC2833 else KeyWay.INFO
        ended, relayed = bool(prm.flags & DTMF_ENDED), bool(prm.flags & pj.DTMF_RELAYED)
        self._events.pressed(self, KeyPress(prm.digit, way, prm.timestamp, ended, relayed))

    def onCallRedirected(self, prm: pj.OnCallRedirectedParam) -> int:
        """PJSUA would dial where a 3xx says: never. The call has failed, with that code."""
        return pj.PJSIP_REDIRECT_REJECT

    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:
        """PJSUA would dial a REFER's target itself: never."""
        prm.statusCode = pj.PJSIP_SC_DECLINE

    def onCallReplaceRequest(self, prm: pj.OnCallReplaceRequestParam) -> None:
        """PJSUA would let any INVITE with Replaces take this leg over: never."""
        prm.statusCode = pj.PJSIP_SC_DECLINE

    def respond(self, code: int) -> None:
        """Answer an incoming INVITE: 200, or a provisional response that says more than the one before it did.

        Raises pj.Error when that cannot be done; PJSUA may have refused the INVITE and ended the leg by then.
        """
        if code == PROGRESS and not pj.was_offered(self.number):
            code = RINGING  # without an offer there is no media before the answer
        if self.established or code <= self._last_response:
            return
        self._last_response = code
        prm = pj.CallOpParam()
        prm.statusCode = code
        self._answering = True
        try:
            self.answer(prm)
        finally:
            self._answering = False

    def offer(self, direction: Direction) -> bool:
        """See leg_control.LegControl."""
        prm = pj.CallOpParam()
        prm.opt.audioCount, prm.opt.videoCount, prm.opt.textCount = 1, 0, 0
        prm.opt.flag = pj.PJSUA_CALL_SET_MEDIA_DIR
        directions = pj.IntVector()
        directions.append(int(direction))
        prm.opt.mediaDir = directions
        try:
            self.reinvite(prm)
        except pj.Error:
            return False
        return True

    def press(self, key: str, way: KeyWay, duration_ms: int) -> bool:
        """See leg_control.LegControl."""
        prm = pj.CallSendDtmfParam()
        prm.method, prm.duration, prm.digits = _METHODS[way], duration_ms, key
        try:
            self.sendDtmf(prm)
        except pj.Error:
            return False
        return True

    def end(self, code: int, headers: Sequence[tuple[str, str]] = (), phrase: str = "") -> None:
        """See leg_control.LegControl."""
        if self._hung_up or self.over:
            return
        self._hung_up = True
        if self.recovering:
            pj.give_up_recovery(self.number)
            return
        prm = pj.CallOpParam()
        prm.statusCode = code if self.incoming and not self.established else 0
        prm.reason = phrase
        prm.txOption.headers = sip_headers(headers)
        try:
            self.hangup(prm)
        except pj.Error as error:
            log.warning("hang-up-failed", leg=self.id, call_id=self.sip_call_id, why=error.info())

    def expire(self) -> None:
        """The INVITE's own time is over: 487, as if its sender had cancelled it, unless it was answered before."""
        if self._last_response >= 200:
            return
        self._expired = not self._hung_up
        self.end(487)

    def given_up(self) -> None:
        """See leg_control.LegControl."""
        self._given_up = self._hung_up = True

    @property
    def lost_code(self) -> int:
        """What the end of a leg means that its peer has not ended: no use in its answer, or no life in it."""
        return REQUEST_TIMEOUT if self.established else NOT_ACCEPTABLE_HERE

    @property
    def is_unacknowledged(self) -> bool:
        """Whether its 2xx waits for an ACK of ours: once PJSIP is through with it, for one that cannot be sent."""
        return not self.over and not self._hung_up and pj.state_of(self.number) == pj.PJSIP_INV_STATE_CONNECTING

    @property
    def ending(self) -> bool:
        """See leg_control.LegControl."""
        return self._hung_up

    @property
    def is_encrypted(self) -> bool:
        """See leg_control.LegControl."""
        return pj.is_encrypted(self.number)

    @property
    def was_answered_by_anything(self) -> bool:
        """See leg_control.LegControl."""
        return pj.is_answered_by_anything(self.number)

    @property
    def exchange(self) -> Exchange | None:
        """See leg_control.LegControl."""
        found = pj.exchange_of(self.number)
        return Exchange(bool(found[0]), Direction(found[1]), Direction(found[2])) if found else None

    @property
    def counted(self) -> list[StreamCounts]:
        """What its streams have counted, those included that a new description has put an end to."""
        now = self.counting
        return [*self._counted, now] if now is not None else self._counted

    @property
    def counting(self) -> StreamCounts | None:
        """What the stream has counted that brings its audio now; None: there is none."""
        if self.over or self._audio is None:
            return None
        counts = pj.counts_of(self.number)
        return StreamCounts.read(counts) if counts else None

    @property
    def format(self) -> Format | None:
        """What its stream is, as negotiated; None: there is none."""
        if self.over:
            return None
        if not self._format_is_known:
            self._format = Format.read(pj.media_format(self.number))
            self._format_is_known = self._format is not None
        return self._format

    @property
    def condition(self) -> LegCondition:
        """How it is, but for how long nothing was heard of it."""
        codec = address = None
        if self._audio is not None and not self.over:
            try:
                info = self.getStreamInfo(self._audio)
                codec, address = info.codecName or None, info.remoteRtpAddress or None
            except pj.Error:
                pass  # its stream is being made anew
        return LegCondition(self._state, codec, codec is not None and self.is_encrypted, address)

    @property
    def _state(self) -> LegState:
        if self.over or self._hung_up:
            return LegState.GONE if self.over else LegState.ENDING
        if self.established:
            return LegState.UP
        rings = self._last_response > TRYING if self.incoming else self.early
        return LegState.RINGING if rings else LegState.CALLING

    @property
    def has_audio(self) -> bool:
        """Whether it has any."""
        return self._audio is not None

    @property
    def audio(self) -> pj.AudioMedia | None:
        """The leg's port of PJMEDIA's bridge; a codec that changes makes another one."""
        # -1: the one there is. PJSUA2 numbers only media of kinds that it knows, PJSIP all lines of the description.
        return self.getAudioMedia(-1) if self._audio is not None else None

    def _state_changed(self, state: int, code: int, accepted: str) -> None:
        if not self.sip_call_id:
            self.sip_call_id = pj.sip_call_id_of(self.number)
        if self.recovering:
            self._recovery_changed(state, code)
        self.early = state == pj.PJSIP_INV_STATE_EARLY and not self.incoming and not self.recovering
        if self.early:
            self.progressed_at = self._clock.now().steady
            self._events.progress(self, code)
        elif state == pj.PJSIP_INV_STATE_CONNECTING and not self.incoming:
            self._taken = True
            if accepted:
                self.connected.answered(accepted)
            self._events.taken(self)
        elif state == pj.PJSIP_INV_STATE_CONFIRMED and not self.established:
            if not self.incoming and (self._given_up or pj.has_no_audio(self.number)):
                return  # PJSUA is on its way to end it
            self.established = True
            self.established_at = self._clock.now().steady
            self.dialog = pj.dialog_of(self.number)
            pj.watch_call(self.number)
            self._events.answered(self)
        elif state == pj.PJSIP_INV_STATE_DISCONNECTED and not self.over:
            self._counted, self.over = self.counted, True
            self.unanswerable = self._answering
            if self._given_up or self._useless:
                code = self.lost_code
            try:
                self._events.ended(self, code, self._expired or (not self._hung_up and self.why is None))
            finally:
                pj.release_call(self)
                self.number = pj.PJSUA_INVALID_ID

    def _recovery_changed(self, state: int, code: int) -> None:
        if state == pj.PJSIP_INV_STATE_CONFIRMED:
            self.recovering = False
        elif state == pj.PJSIP_INV_STATE_DISCONNECTED and code != ENDED_BY_PEER and not self._hung_up:
            self.why = self.why or CallEnd.PEER_GONE
            if code != NO_SUCH_DIALOG:
                pj.end_recovered(self.number)

    @property
    def _useless(self) -> bool:
        """Whether it was answered, and that has established nothing (RFC 3261 §13.2.2.4)."""
        return self._taken and not self.established and not self._hung_up

    def _media_changed(self, stream: int) -> None:
        if self.over or (stream < 0 and self._audio is None):
            return
        self._audio = stream if stream >= 0 else None
        self._events.media(self)


_METHODS = {KeyWay.EVENT: pj.PJSUA_DTMF_METHOD_RFC2833, KeyWay.INFO: pj.PJSUA_DTMF_METHOD_SIP_INFO}
