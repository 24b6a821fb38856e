# SPDX-License-Identifier: GPL-2.0-or-later
"""What the engine and the adapters ask of each other. Everything is called on the event loop's thread; nothing blocks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from gateway.core.model import PbxState
from gateway.core.outcome import Reason
from gateway.core.record import CallRecord, Milestone, TransferRecord


class PbxListener(Protocol):
    """Who wants to know what a PBX says."""

    def pbx_changed(self, state: PbxState) -> None:
        """The snapshot of `state.pbx` was replaced by `state` (also when it became unknown)."""

    def agent_connected(self, pbx: str, sip_call_id: str, agent: str, at: datetime) -> None:
        """A human took the call that reached the PBX with this SIP Call-ID, at `at` (UTC)."""


class PbxSource(Protocol):
    """A source of queue and extension state for one PBX."""

    @property
    def state(self) -> PbxState:
        """The newest snapshot; never raises, never waits."""


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

    def pbx_state(self, state: PbxState) -> None:
        """Set the queue gauges and `pbx_up` of a PBX."""

    def trunk_up(self, trunk: str, up: bool) -> None:
        """Set whether a trunk answers."""


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
        """Where a transfer would go, and why: the contract's `explain --json`. Raises LookupError for an unknown number."""

    def transfer_call(self, call: str, destination: str, message: str | None) -> TransferRecord:
        """Transfer a running call. Raises LookupError for an unknown call; a refusal is in the record."""

    async def reload(self) -> Sequence[str]:
        """Load the configuration anew; the mistakes that kept it from being taken, empty when it was."""


