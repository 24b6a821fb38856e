# SPDX-License-Identifier: GPL-2.0-or-later
"""Where outcomes and measurements leave."""

from typing import Protocol

from gateway.core.kept_call import KeptCall
from gateway.core.media_way import Decision
from gateway.core.model import PbxState, TransferId
from gateway.core.outcome import Reason
from gateway.core.record import CallRecord, Milestone, TransferRecord


class Reporter(Protocol):
    """Where outcomes leave: the outbox and, behind it, MQTT."""

    def transfer(self, milestone: Milestone, record: TransferRecord) -> None:
        """Store the event for this milestone, durably and in order, then send it when the broker takes it."""

    def call_ended(self, record: CallRecord) -> None:
        """Store and send `call.ended.v1`."""

    def queue_snapshot(self, state: PbxState) -> None:
        """Publish the retained snapshot of each queue of a PBX; lost when the broker is away, then sent anew."""


class CallStore(Protocol):
    """Where calls are written down that are to outlive the process; what that fails at concerns no call."""

    def keep_call(self, kept: KeptCall) -> None:
        """Write this down, in the place of what there is of the call; a process that is killed soon may lose it."""

    def strike_out_call(self, call: str) -> None:
        """Nothing of this call is to be taken up any more."""


class Observer(Protocol):
    """What is counted and measured (Prometheus)."""

    def transfer_stage(self, stage: str, delta: int) -> None:
        """A transfer entered (+1) or left (-1) a stage: dialling, ringing, switching, releasing."""

    def transfer_ended(self, record: TransferRecord) -> None:
        """Count the outcome, and observe ring time and time to human where known."""

    def gate_decision(self, destination: str | None, accepted: bool, reason: Reason) -> None:
        """Count one decision of the gate; destination None: unknown."""

    def refer_answered(self, seconds: float, transfer: TransferId) -> None:
        """Observe the time from a REFER's arrival to its response."""

    def target_setup(self, seconds: float, transfer: TransferId) -> None:
        """Observe the time from our INVITE to the first 18x or 2xx."""

    def request_rejected(self, reason: Reason, count: int = 1) -> None:
        """Count requests that never became a call or a transfer."""

    def media_dropped(self, kind: str, packets: int) -> None:
        """Count packets of a kind, "rtp" or "rtcp", that came from elsewhere than a call's peer."""

    def media_way(self, before: Decision | None, now: Decision | None) -> None:
        """Count a leg whose audio goes one way now, and no longer another; None: none."""

    def calls_in_progress(self, count: int) -> None:
        """Set the number of calls."""

    def call_ended(self, record: CallRecord) -> None:
        """Count a conversation that is over."""

    def call_recovered(self, *, taken_up: bool) -> None:
        """Count a call of an earlier process that was taken up again, or could not be."""

    def pbx_state(self, state: PbxState) -> None:
        """Set the queue gauges and `pbx_up` of a PBX."""

    def trunk_up(self, trunk: str, up: bool) -> None:
        """Set whether a trunk answers."""
