# SPDX-License-Identifier: GPL-2.0-or-later
"""What the engine and the adapters ask of each other. All of it is called on the loop's thread; nothing blocks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from gateway.core.model import Announcement, LegId, PbxState, Peer
from gateway.core.outcome import CallEnd, Reason
from gateway.core.record import CallRecord, Milestone, TransferRecord


class PbxListener(Protocol):
    """Who wants to know what a PBX says."""

    def pbx_changed(self, state: PbxState) -> None:
        """The snapshot of `state.pbx` was replaced by `state` (also when it became unknown)."""

    def agent_connected(self, pbx: str, sip_call_id: str, agent: str, at: datetime) -> None:
        """A human took the call that reached the PBX with this SIP Call-ID, at `at` (UTC).

        For a caller whom the PBX moved by itself it is the transfer's id, as the PBX found it in Refer-To.
        """

    def caller_lost(self, pbx: str, transfer: str, cause: int, at: datetime) -> None:
        """A caller whom the PBX moved by itself was gone before a human took the call; `cause` as in Q.850.

        `transfer` may also be the SIP Call-ID of a caller in a queue, of whom nothing needs to be done: its leg tells.
        """


class PbxSource(Protocol):
    """A source of queue and extension state for one PBX."""

    @property
    def state(self) -> PbxState:
        """The newest snapshot; never raises, never waits."""


class FollowedPbx(PbxSource, Protocol):
    """A source that is kept current."""

    @property
    def up(self) -> bool:
        """Whether the PBX tells us its state, and proved to be alive within the snapshot's `max_age`."""

    def reconfigure(self, queues: Collection[str], extensions: Collection[str]) -> None:
        """Watch these queues and extensions from now on; new ones are unknown until the PBX told of them."""

    async def run(self) -> None:
        """Keep the snapshot current, until cancelled."""


class WatchListener(Protocol):
    """Who wants to know what becomes of a watch. Never called from within a method of ExtensionWatcher."""

    def watch_told(self, watch: int, content_type: str, body: bytes) -> None:
        """The extension's state as the PBX tells it (lower case type, both empty: it tells none)."""

    def watch_confirmed(self, watch: int) -> None:
        """The PBX has accepted the subscription, or still has it."""

    def watch_ended(self, watch: int, code: int, reason: str, retry_after_s: int | None) -> None:
        """The PBX answered SUBSCRIBE with `code` (408 and 503: it did not), or, 0, ended the watch for `reason`."""


class ExtensionWatcher(Protocol):
    """Subscriptions to the state of a PBX's extensions (RFC 6665); they are refreshed until they end."""

    def watch(self, pbx: str, extension: str, package: str, listener: WatchListener) -> int:
        """Subscribe; `package` is "dialog" or "presence". Raises OSError when that cannot even be tried."""

    def confirm(self, watch: int) -> None:
        """Have the PBX say that it still has the subscription, and tell the whole state again."""

    def unwatch(self, watch: int) -> None:
        """End a subscription; its listener hears nothing more. An unknown one is no error."""


class Reporter(Protocol):
    """Where outcomes leave: the outbox and, behind it, MQTT."""

    def transfer(self, milestone: Milestone, record: TransferRecord) -> None:
        """Store the event for this milestone, durably and in order, then send it when the broker takes it."""

    def call_ended(self, record: CallRecord) -> None:
        """Store and send `call.ended.v1`."""

    def queue_snapshot(self, state: PbxState) -> None:
        """Publish the retained snapshot of each queue of a PBX; lost when the broker is away, then sent anew."""


class Observer(Protocol):
    """What is counted and measured (Prometheus)."""

    def transfer_stage(self, stage: str, delta: int) -> None:
        """A transfer entered (+1) or left (-1) a stage: dialling, ringing, switching, releasing."""

    def transfer_ended(self, record: TransferRecord) -> None:
        """Count the outcome, and observe ring time and time to human where known."""

    def gate_decision(self, destination: str | None, accepted: bool, reason: Reason) -> None:
        """Count one decision of the gate; destination None: unknown."""

    def refer_answered(self, seconds: float) -> None:
        """Observe the time from a REFER's arrival to its response."""

    def target_setup(self, seconds: float) -> None:
        """Observe the time from our INVITE to the first 18x or 2xx."""

    def request_rejected(self, reason: Reason) -> None:
        """Count a request that never became a call or a transfer."""

    def calls_in_progress(self, count: int) -> None:
        """Set the number of calls."""

    def call_ended(self, record: CallRecord) -> None:
        """Count a conversation that is over."""

    def pbx_state(self, state: PbxState) -> None:
        """Set the queue gauges and `pbx_up` of a PBX."""

    def trunk_up(self, trunk: str, up: bool) -> None:
        """Set whether a trunk answers."""


class TooLateError(Exception):
    """The transfer can no longer be cancelled."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of a test call."""

    reached: bool  # it was answered
    code: int | None  # the final response; None: there was none in the ring time
    text: str
    seconds: float  # until the answer, or the end


class Operations(Protocol):
    """What the web server and the command ask of the running gateway."""

    def ready(self) -> tuple[bool, Mapping[str, bool]]:
        """Whether calls can be taken, and each condition by name (transports, configuration, not draining)."""

    def status(self) -> Mapping[str, Any]:
        """State, version, counts, trunks, PBXs, MQTT: JSON-able."""

    def calls(self) -> Sequence[CallRecord]:
        """Calls under way, newest first."""

    def transfers(self) -> Sequence[TransferRecord]:
        """Running and remembered transfers, newest first."""

    def pbx_states(self) -> Sequence[PbxState]:
        """The snapshot of every PBX."""

    def explain(self, target: str, number: str, at: datetime | None) -> Mapping[str, Any]:
        """Where a transfer would go, and why: as `explain --json`. Raises LookupError for an unknown number."""

    def transfer_call(
        self, call: str, destination: str, message: str | None, command_id: str | None = None
    ) -> TransferRecord:
        """Transfer a running call. Raises LookupError for an unknown call; a refusal is in the record.

        The same `command_id` again moves nobody, and gets the first answer.
        """

    def cancel_transfer(self, which: str, command_id: str | None = None) -> TransferRecord:
        """End the attempts of a transfer, named by its own id or its call's; the caller is taken care of.

        Raises LookupError when no such transfer is under way, TooLateError when somebody has answered.
        """

    async def probe_call(self, number: str, destination: str) -> ProbeResult:
        """Call a destination for a moment. Raises LookupError when there is no such number or destination."""

    async def reload(self) -> Sequence[str]:
        """Load the configuration anew; the mistakes that kept it from being taken, empty when it was."""


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A fresh INVITE from a peer of ours; nothing has been answered yet."""

    leg: LegId
    peer: Peer
    call_id: str  # SIP Call-ID
    called: str  # request URI
    calling: tuple[str, ...]  # URIs of From, P-Asserted-Identity and Diversion, in this order
    caller_name: str = ""
    context: Mapping[str, str] = field(default_factory=dict)  # headers the profile lets pass
    replaces: LegId | None = None  # the leg of ours, with the same peer, that this call takes the place of
    private: bool = False  # the caller withholds who he is (RFC 3323, RFC 3325)
    diverted: tuple[str, ...] = ()  # users whom the caller had called before, the latest first
    max_forwards: int = 70  # of the INVITE as it came


class ReferHandle(Protocol):
    """The way back to who sent a REFER."""

    def answer(self, code: int, reason: Reason, retry_after_s: int | None = None) -> None:
        """Send the REFER's own response; within the call that delivered it, and once."""

    def notify(self, code: int, reason: Reason, final: bool) -> None:
        """Queue a NOTIFY with this status; they are sent one at a time. Nothing is sent after a final one."""


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


@dataclass(frozen=True, slots=True)
class DialOrder:
    """A call to make."""

    leg: LegId  # the id the new leg will have
    peer: Peer
    user: str  # user part of the request URI: an extension or a number
    caller: str | None = None  # user part of From
    caller_name: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    private: bool = False  # the caller withholds who he is
    diverted: tuple[str, ...] = ()  # users whom the caller had called before, the latest first
    max_forwards: int = 70
    beside: LegId | None = None  # the leg that is to hear the new one: its codec is tried first


@dataclass(frozen=True, slots=True)
class HandDownOrder:
    """A transfer for the PBX to carry out: a REFER on the leg of the caller who is to be moved (RFC 3515)."""

    leg: LegId
    user: str  # user part of Refer-To: an extension of the PBX
    transfer: str  # the transfer's id, put into Refer-To where the PBX can find it again
    headers: tuple[tuple[str, str], ...] = ()


class NoRoomError(OSError):
    """No ports or descriptors are left for another leg."""


class SipPort(Protocol):
    """What the engine has done with legs."""

    def dial(self, order: DialOrder) -> None:
        """Start a call. Raises OSError when it cannot even be tried, NoRoomError among them."""

    def has_room(self) -> bool:
        """Whether there are ports and descriptors for another leg."""

    def hand_down(self, order: HandDownOrder) -> None:
        """Have the peer of a leg move its caller by itself. Raises OSError when it cannot even be asked."""

    def heard(self, leg: LegId) -> int:
        """How many packets of audio a leg has brought so far; 0 for one that is gone."""

    def respond(self, leg: LegId, code: int) -> None:
        """Send a provisional response, or 200, to an incoming INVITE; 183 opens its media. None is sent twice."""

    def hang_up(self, leg: LegId, code: int, reason: Reason, retry_after_s: int | None = None) -> None:
        """End a leg by CANCEL, a final response or BYE, after its last NOTIFY is out. An unknown leg is no error."""

    def join(self, one: LegId, other: LegId) -> bool:
        """Let two legs hear each other and nobody else; False when either is gone."""

    def wait(self, leg: LegId, target: LegId | None = None, announcement: Announcement | None = None) -> None:
        """Take a leg out of its conversation; it hears the announcement, then ringback or what `target` has to say.

        Called again for another target, it changes over without a break. An incoming leg that is not answered yet is
        told 180 when nothing else was for a second.
        """

    def part(self, leg: LegId) -> None:
        """Take a leg out of its conversation; it hears silence."""

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

    def leg_ended(self, leg: LegId, code: int, by_peer: bool, why: CallEnd = CallEnd.HUNG_UP) -> None:
        """A leg is over: `code` is the final response of its INVITE, or 200 after a BYE; `why` an established one."""

    def notify_failed(self, leg: LegId) -> None:
        """The transferor on this leg takes no more NOTIFYs."""

    def hand_down_told(self, leg: LegId, code: int, accepted: bool) -> None:
        """How a hand-down goes: 180 to 199, 200 when the peer has moved the caller, 300 and above when it failed.

        `accepted` is False when the REFER itself was refused or not answered, so that the caller is where he was.
        """

    def request_rejected(self, reason: Reason) -> None:
        """A request was answered without anything being made of it."""

    def trunk_changed(self, trunk: str, up: bool) -> None:
        """A trunk was found to answer, or not to."""

    def admit(self) -> Reason | None:
        """Whether a further call can be taken now: None, or why not."""
