# SPDX-License-Identifier: GPL-2.0-or-later
"""One leg: a SIP dialog of ours as PJSUA sees it, told about in the gateway's own words."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import pjsua2 as pj
import structlog

from gateway.core.model import LegId, Peer
from gateway.core.outcome import CallEnd
from gateway.sip.stack.callbacks import guarded
from gateway.sip.text.connected import Connected

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)


RINGING, PROGRESS = 180, 183
REQUEST_TIMEOUT, NOT_ACCEPTABLE_HERE = 408, 488


class LegEvents(Protocol):
    """Who is told what a leg does."""

    def progress(self, leg: Leg, code: int) -> None:
        """A provisional response other than 100 came."""

    def answered(self, leg: Leg) -> None:
        """The dialog is established."""

    def media(self, leg: Leg, port: pj.AudioMedia | None) -> None:
        """The leg's audio started (again), or stopped."""

    def ended(self, leg: Leg, code: int, by_peer: bool) -> None:
        """The leg is over, for `leg.why` if it was established; it must not be used any more."""

    def pressed(self, leg: Leg, key: pj.OnDtmfEventParam) -> None:
        """A key was pressed at the other end, or still is."""


class Notifier(Protocol):
    """Sends the NOTIFYs about a REFER that came on a leg."""

    def when_quiet(self, then: Callable[[], None]) -> None:
        """Call `then` once no NOTIFY waits to be sent or answered."""


class Leg(pj.Call):
    """A pj.Call with a name; whoever owns the registry keeps it alive until it has ended."""

    def __init__(
        self,
        account: pj.Account,
        leg: LegId,
        peer: Peer,
        incoming: bool,
        events: LegEvents,
        index: int = pj.PJSUA_INVALID_ID,
    ) -> None:
        super().__init__(account, index)
        self.id = leg
        self.peer = peer
        self.incoming = incoming
        self.sip_call_id = ""
        self.dialog: tuple[str, ...] = ()  # Call-ID, our tag and the peer's, once established
        self.refer: Notifier | None = None  # the newest one
        self.refers = 0
        self.established = False
        self.connected = Connected()
        self.early = False  # dialled, and provisionally answered
        self.established_at = 0.0  # loop time
        self.progressed_at = asyncio.get_running_loop().time()  # dialled: when it was, or rang last
        self.over = False
        self.why: CallEnd | None = None  # it is no ordinary end
        self._events = events
        self._hung_up = False
        self._expired = False
        self.told_over = False  # whoever it concerns knows that it is over, or as good as that
        self._given_up = False
        self._taken = False  # dialled, and answered with 2xx
        self._answering = False
        self.unanswerable = False  # it ended because it could not be answered
        self._told = 100  # the last response to the INVITE
        self._has_media = False

    @guarded(None)
    def onCallState(self, prm: pj.OnCallStateParam) -> None:  # pjsua2's name
        """PJSUA: the INVITE session changed its state."""
        self._state_changed(prm.e)

    @guarded(None)
    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        """PJSUA: media was started, changed or stopped."""
        self._media_changed()

    @guarded(None)
    def onDtmfEvent(self, prm: pj.OnDtmfEventParam) -> None:
        """PJSUA: a packet or an INFO tells of a key."""
        self._events.pressed(self, prm)

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
        if code == PROGRESS and not self.getInfo().remOfferer:
            code = RINGING  # without an offer there is no media before the answer
        if self.established or code <= self._told:
            return
        self._told = code
        prm = pj.CallOpParam()
        prm.statusCode = code
        self._answering = True
        try:
            self.answer(prm)
        finally:
            self._answering = False

    def end(self, code: int, extra: pj.SipHeaderVector) -> None:
        """CANCEL, refuse with `code` or BYE, as the state asks for; once."""
        if self._hung_up or self.over:
            return
        self._hung_up = True
        prm = pj.CallOpParam()
        prm.statusCode = code if self.incoming and not self.established else 0
        prm.txOption.headers = extra
        try:
            self.hangup(prm)
        except pj.Error as error:
            log.warning("hang-up-failed", leg=self.id, call_id=self.sip_call_id, why=error.info())

    def expire(self) -> None:
        """The INVITE's own time is over: 487, as if its sender had cancelled it, unless it was answered before."""
        if self._told >= 200:
            return
        self._expired = not self._hung_up
        self.end(487, pj.SipHeaderVector())

    def given_up(self) -> None:
        """PJSIP ends it by itself, and sends the BYE: no other one is wanted."""
        self._given_up = self._hung_up = True

    @property
    def lost_code(self) -> int:
        """What the end of a leg means that its peer has not ended: no use in its answer, or no life in it."""
        return REQUEST_TIMEOUT if self.established else NOT_ACCEPTABLE_HERE

    @property
    def ending(self) -> bool:
        """Whether we have asked for its end."""
        return self._hung_up

    @property
    def packets(self) -> int:
        """How many packets of audio have come in."""
        if self.over or not self._has_media:
            return 0
        info = self.getInfo()  # named, as is what follows: a part does not keep alive what it is a part of
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status in _HEARD:
                statistics = self.getStreamStat(index)
                control = statistics.rtcp
                return control.rxStat.pkt
        return 0

    def _state_changed(self, event: pj.SipEvent) -> None:
        info = self.getInfo()
        if not self.sip_call_id:
            self.sip_call_id = info.callIdString
        self.early = info.state == pj.PJSIP_INV_STATE_EARLY and not self.incoming
        if self.early:
            self.progressed_at = asyncio.get_running_loop().time()
            self._events.progress(self, info.lastStatusCode)
        elif info.state == pj.PJSIP_INV_STATE_CONNECTING and not self.incoming:
            self._taken = True
            if event.type == pj.PJSIP_EVENT_TSX_STATE and event.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG:
                self.connected.answered(event.body.tsxState.src.rdata.wholeMsg)
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED and not self.established:
            if not self.incoming and (self._given_up or self._cannot_talk(info)):
                return  # PJSUA is on its way to end it
            self.established = True
            self.established_at = asyncio.get_running_loop().time()
            self.dialog = pj.dialog_of(self.getId())
            self._events.answered(self)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED and not self.over:
            self.over = True
            self.unanswerable = self._answering
            code = self.lost_code if self._given_up or self._useless else info.lastStatusCode
            try:
                self._events.ended(self, code, self._expired or (not self._hung_up and self.why is None))
            finally:
                pj.release_call(self)

    @property
    def _useless(self) -> bool:
        """Whether it was answered, and that has established nothing (RFC 3261 §13.2.2.4)."""
        return self._taken and not self.established and not self._hung_up

    @staticmethod
    def _cannot_talk(info: pj.CallInfo) -> bool:
        """Whether an answer left no audio: in the clear where encryption is required, or with no codec of ours."""
        audio = [media for media in info.media if media.type == pj.PJMEDIA_TYPE_AUDIO]
        return all(media.status in (pj.PJSUA_CALL_MEDIA_NONE, pj.PJSUA_CALL_MEDIA_ERROR) for media in audio)

    def _media_changed(self) -> None:
        if self.over:
            return
        info = self.getInfo()  # owns what it lists: without a name it would be freed under the loop
        for index, media in enumerate(info.media):
            if media.type != pj.PJMEDIA_TYPE_AUDIO or media.status not in _HEARD:
                continue
            if media.audioConfSlot != pj.PJSUA_INVALID_ID:  # or its stream could not be made
                self._has_media = True
                self._events.media(self, self.getAudioMedia(index))
                return
        if self._has_media:
            self._has_media = False
            self._events.media(self, None)


_HEARD = (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD, pj.PJSUA_CALL_MEDIA_LOCAL_HOLD)
