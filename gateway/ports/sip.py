# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs: what is asked of them, and what they tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gateway.core.call.commands import DialOrder, HandDownOrder
from gateway.core.caller import Asserted, CallerId
from gateway.core.kept_call import KeptDialog, RecoveryOrder
from gateway.core.media_way import Decision
from gateway.core.model import Announcement, LegId, Peer
from gateway.core.open_call import LegCondition
from gateway.core.outcome import CallEnd, Reason
from gateway.core.record import LegMedia


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A fresh INVITE from a peer of ours; nothing has been answered yet."""

    leg: LegId
    peer: Peer
    call_id: str  # SIP Call-ID
    called: tuple[str, ...]  # URIs that may name who is called, the most likely first; one of them is the request URI
    calling: tuple[CallerId, ...]  # From and P-Asserted-Identity, in this order
    diverting: tuple[str, ...] = ()  # URIs of Diversion
    context: Mapping[str, str] = field(default_factory=dict)  # headers the profile lets pass
    replaces: LegId | None = None  # the leg of ours, with the same peer, that this call takes the place of
    private: bool = False  # the caller withholds who they are (RFC 3323, RFC 3325)
    diverted: tuple[str, ...] = ()  # users whom the caller had called before, the latest first
    max_forwards: int = 70  # of the INVITE as it came


class ReferHandle(Protocol):
    """The way back to who sent a REFER."""

    def answer(self, code: int, reason: Reason, retry_after_s: int | None = None, sentence: str | None = None) -> bool:
        """Send the REFER's own response; within the call that delivered it, and once. False: it could not be sent.

        `sentence` is the refusal in words for the caller, for a peer that reads it in the status line.
        """

    def notify(
        self, code: int, reason: Reason, final: bool, sentence: str | None = None, retry_after_s: int | None = None
    ) -> None:
        """Queue a NOTIFY with this status; they are sent one at a time. Nothing is sent after a final one.

        `retry_after_s` is when the peer may ask again.
        """

    def end(self) -> None:
        """The transfer is over. A subscription that got no final NOTIFY is ended by one that says 500."""


@dataclass(frozen=True, slots=True)
class ReferRequest:
    """A REFER inside the dialog of one of our legs, read but not judged."""

    handle: ReferHandle
    leg: LegId  # the transferor's
    peer: Peer
    target: str  # the URI or number of Refer-To, without embedded headers
    context: Mapping[str, str] = field(default_factory=dict)  # headers, embedded or plain, the profile lets pass
    subscribe: bool = True  # False: Refer-Sub: false (RFC 4488)
    consultation: LegId | None = None  # the leg of ours that a Replaces in Refer-To names: an attended transfer
    problem: Reason | None = None  # why it cannot be served, whatever the gate says
    problem_text: str = ""


class SipError(Exception):
    """SIP cannot be served as it is wanted; the text says what was refused, and why."""


class NotSent(StrEnum):
    """Why a request of ours could not be sent at all."""

    NO_ROOM = "no-room"  # no ports or descriptors are left for another leg, or the peer has as many as it may
    NO_PEER = "no-peer"  # it is no longer configured
    NO_LEG = "no-leg"  # the leg that it is about is over
    REFUSED = "refused"  # the SIP stack would not: no route, no such transport, no memory
    STOPPING = "stopping"  # the gateway ends
    FAILED = "failed"  # a fault of our own


class NotSentError(SipError):
    """A request of ours could not be sent at all, and nobody but us knows of it."""

    def __init__(self, reason: NotSent, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Stranger:
    """Who was turned away because no profile has the address that the requests came from."""

    source: str
    requests: int  # of the last hour, or more where they never stopped for one
    last_at: datetime


class SipPort(Protocol):
    """What the engine has done with legs."""

    def dial(self, order: DialOrder) -> None:
        """Start a call. Raises NotSentError when it cannot even be tried."""

    def recover(self, order: RecoveryOrder) -> None:
        """Take up a leg of an earlier process; it is told of as one that was dialled. Raises NotSentError."""

    def dialog(self, leg: LegId) -> KeptDialog | None:
        """What a later process has to know to take up a leg that is up; None: it is gone, or cannot be taken up."""

    def has_room(self) -> bool:
        """Whether there are ports and descriptors for another leg."""

    def hand_down(self, order: HandDownOrder) -> None:
        """Have the peer of a leg move its caller by itself. Raises NotSentError when it cannot even be asked."""

    def heard(self, leg: LegId) -> int:
        """How many packets of audio a leg has brought so far; 0 for one that is gone."""

    def media(self, leg: LegId) -> LegMedia | None:
        """What was counted of a leg's audio, also for a while after its end; None: it had none, or is long gone.

        Whose leg it is, is not told.
        """

    def media_way(self, leg: LegId) -> Decision | None:
        """Which way the audio of a leg and its partner takes, and why; None where it has no partner."""

    def condition(self, leg: LegId) -> LegCondition:
        """How a leg is."""

    def respond(self, leg: LegId, code: int, beside: LegId | None = None) -> None:
        """Send a provisional response, or 200, to an incoming INVITE; 183 opens its media. None is sent twice.

        `beside` is who it will hear, where it does not wait for that one already.
        """

    def hang_up(
        self, leg: LegId, code: int, reason: Reason, retry_after_s: int | None = None, sentence: str | None = None
    ) -> None:
        """End a leg by CANCEL, a final response or BYE, after its last NOTIFY is out. An unknown leg is no error.

        `sentence` is as in `ReferHandle.answer`, for the final response.
        """

    def join(self, one: LegId, other: LegId) -> bool:
        """Let two legs hear each other and nobody else; False when either is gone."""

    def wait(self, leg: LegId, target: LegId | None = None, announcement: Announcement | None = None) -> None:
        """Take a leg out of its conversation; it hears the announcement, then ringback or what `target` has to say.

        Called again for another target, it changes over without a break. An incoming leg that is not answered yet is
        told 180 when nothing else was for a second.
        """

    def whisper(self, leg: LegId, sounds: Sequence[Announcement], *, tones: str) -> None:
        """Let a leg, and nobody else, hear sounds one after the other, once, with `whisper.GAP_S` between two.

        Its keys are told by `leg_pressed`, until it is joined; those of `tones` are understood in its audio too.
        """

    def press(self, leg: LegId, keys: str) -> None:
        """Press keys for a leg's peer, after what it is being given already; `w` is half a second of nothing."""

    def silence(self, leg: LegId) -> None:
        """Take a leg out of its conversation; it hears silence."""

    def asserted(self, leg: LegId) -> Asserted:
        """Who is at the end of a dialled leg; nobody is named where its peer asserts nothing, or the leg is gone."""

    def call_id(self, leg: LegId) -> str | None:
        """The SIP Call-ID of a leg."""


class SipListener(Protocol):
    """Who is told what happens to legs."""

    def incoming_call(self, call: IncomingCall) -> None:
        """A peer calls."""

    def refer(self, request: ReferRequest) -> None:
        """A peer asks for a transfer; its handle is to be answered before this returns."""

    def leg_progress(self, leg: LegId, code: int) -> None:
        """A dialled leg got a provisional response, 180 to 199."""

    def leg_early_media(self, leg: LegId) -> None:
        """A dialled leg has media before its answer."""

    def leg_answered(self, leg: LegId) -> None:
        """A leg is established."""

    def leg_pressed(self, leg: LegId, key: str) -> None:
        """A key, one of `0123456789*#ABCD`, was pressed on a leg that is whispered to."""

    def leg_connected(self, leg: LegId, asserted: Asserted) -> None:
        """A peer says in mid call who is at the end of its leg now (RFC 3325, RFC 4916)."""

    def leg_renewed(self, leg: LegId) -> None:
        """The media of a leg that is up was negotiated anew: its dialog may lead elsewhere."""

    def leg_ended(self, leg: LegId, code: int, by_peer: bool, why: CallEnd = CallEnd.HUNG_UP) -> None:
        """A leg is over: `code` is the final response of its INVITE, or 200 after a BYE; `why` an established one."""

    def leg_failed(self, leg: LegId, text: str) -> None:
        """A leg whose INVITE was to be answered is over because that could not be done; `text` says what happened."""

    def notify_failed(self, handle: ReferHandle) -> None:
        """Who sent this REFER takes no more NOTIFYs of it."""

    def hand_down_told(self, leg: LegId, code: int, accepted: bool) -> None:
        """How a hand-down goes: 180 to 199, 200 when the peer has moved the caller, 300 and above when it failed.

        `accepted` is False when the REFER itself was refused or not answered, so that the caller is where they were.
        """

    def request_rejected(self, reason: Reason) -> None:
        """A request was answered without anything being made of it."""

    def media_dropped(self, kind: str, packets: int) -> None:
        """So many packets of a kind, "rtp" or "rtcp", came from elsewhere than a call's peer, and were dropped."""

    def media_way_changed(self, leg: LegId, before: Decision | None, now: Decision | None) -> None:
        """A leg's audio goes another way than before; None: none."""

    def requests_rejected(self, reason: Reason, count: int) -> None:
        """The same for many."""

    def trunk_changed(self, trunk: str, up: bool) -> None:
        """A trunk was found to answer, or not to."""

    def admit(self, peer: Peer) -> Reason | None:
        """Whether a further call of this peer can be taken now: None, or why not."""

    def inquire(self, peer: Peer, called: tuple[str, ...], calling: tuple[str, ...]) -> Reason | None:
        """Why an INVITE from `peer` would be refused now; None: it would not. Changes nothing.

        `called` is as in IncomingCall, `calling` are the URIs of From, P-Asserted-Identity and Diversion.
        """
