# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted and measured, for Prometheus.

Every label value comes from the configuration or from a fixed list, and every combination that can occur is exported
at 0 from the start: a rate over a counter that springs into life at 1 misses its first event. What is not known is NaN,
which no comparison takes for a number. Which transfer was counted last is an exemplar, no label.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from gateway.core.media_way import WAYS, Decision
from gateway.core.model import PbxState, TransferId
from gateway.core.outcome import CallEnd, Outcome, Reason
from gateway.core.platform_calls import Promise
from gateway.core.record import CallRecord, PlatformCallRecord, TransferRecord
from gateway.core.transfer.state import State
from gateway.report.backlog import BacklogState
from gateway.report.exposition import written
from gateway.report.labels import (
    AGENT_STATES,
    UNKNOWN,
    Plan,
    all_destinations,
    decision_label,
    decision_labels,
    is_configured,
    milestone_labels,
    milestones,
    queue_labels,
    singles,
    transfer_labels,
    with_states,
)

STAGES = tuple(state.value for state in State if state is not State.ENDED)
SETTLED = tuple(promise.value for promise in Promise if promise is not Promise.PENDING)
LAG_EVERY_S = 0.5
RECOVERED, LOST = "recovered", "lost"

# The edges of buckets are where telephony draws a line; docs/operations.md says which.
_ANSWER_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_SETUP_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 8, 10, 20, 32)
_RING_BUCKETS = (1, 2, 5, 10, 15, 20, 25, 30, 45, 60, 90, 120, 180)
_HUMAN_BUCKETS = (1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1200)
_LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

_NAN = float("nan")


class Metrics:
    """A `ports.Observer`, with a registry of its own."""

    def __init__(self, *, version: str, pjsip: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"transfer_gateway_{name}", help_text, labels, registry=registry)

        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"transfer_gateway_{name}", help_text, labels, registry=registry)

        def histogram(name: str, help_text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"transfer_gateway_{name}", help_text, labels, buckets=buckets, registry=registry)

        self._transfers = counter(
            "transfers_total", "Transfers that ended.", "number", "entry", "destination", "outcome", "reason"
        )
        self._milestones = counter(
            "transfer_milestones_total", "Transfers that ended, by how far they had come: each counts for all before.",
            "number", "destination", "milestone",
        )  # fmt: skip
        self._stages = gauge("transfers_in_progress", "Transfers under way.", "stage")
        self._calls = gauge("calls_in_progress", "Calls under way.")
        self._calls_ended = counter("calls_ended_total", "Conversations that ended.", "reason")
        self._recovered = counter(
            "calls_recovered_total",
            "Calls of a process that was killed, by whether they were taken up again.",
            "result",
        )
        self._refer = histogram("refer_response_seconds", "From a REFER to its response.", _ANSWER_BUCKETS)
        self._setup = histogram("target_setup_seconds", "From our INVITE to the first 18x or 2xx.", _SETUP_BUCKETS)
        self._ring = histogram("target_ring_seconds", "From ringing to the PBX's answer.", _RING_BUCKETS)
        self._human = histogram("time_to_human_seconds", "From the request to a human's answer.", _HUMAN_BUCKETS)
        self._human_by_destination = histogram(
            "destination_time_to_human_seconds", "The same, by who was reached.", _HUMAN_BUCKETS, "destination"
        )
        self._decisions = counter("gate_decisions_total", "The gate's answers.", "destination", "decision", "reason")
        self._agents = gauge("queue_agents", "Agents of a queue; NaN: unknown.", "pbx", "queue", "state")
        self._waiting = gauge("queue_callers_waiting", "Callers that wait in a queue; NaN: unknown.", "pbx", "queue")
        self._longest = gauge(
            "queue_longest_wait_seconds", "How long the first caller of a queue waits; NaN: unknown.", "pbx", "queue"
        )
        self._proven = gauge(
            "queue_snapshot_timestamp_seconds",
            "When the PBX last proved that it is alive; 0: its state is unknown.", "pbx", "queue",
        )  # fmt: skip
        self._pbx_up = gauge("pbx_up", "Whether the state of a PBX is known.", "pbx")
        self._trunk_up = gauge("trunk_up", "Whether a trunk answers; NaN: unknown.", "trunk")
        self._mqtt = gauge("mqtt_connected", "Whether the broker is there; NaN: none is configured.")
        self._outbox = gauge("outbox_events", "Events that wait for the broker.")
        self._outbox_oldest = gauge(
            "outbox_oldest_timestamp_seconds", "When the oldest waiting event was stored; 0: none waits."
        )
        self._outbox_refused = gauge("outbox_refused_events", "Events that the broker refused, set aside.")
        self._outbox_unwritten = gauge("outbox_unwritten", "Events that are in memory alone: the disk refuses them.")
        self._outbox_writable = gauge("outbox_writable", "Whether the outbox can be written.")
        self._rejected = counter(
            "requests_rejected_total", "Requests that became neither a call nor a transfer.", "reason"
        )
        self._media_dropped = counter(
            "media_packets_dropped_total", "Packets that came from elsewhere than a call's peer.", "kind"
        )
        self._platform_calls = counter(
            "platform_calls_total",
            "Calls that a voice platform has reported the end of, by what came of a promised transfer.",
            "number", "promise",
        )  # fmt: skip
        self._ways = gauge("media_legs", "Legs with a partner, by the way that their audio takes.", "path", "reason")
        self._reload_ok = gauge("config_last_reload_successful", "Whether the last (re)load was taken.")
        self._reload_at = gauge("config_last_reload_success_timestamp_seconds", "When the running one was loaded.")
        self._restart = gauge("config_restart_needed", "How many keys and secret files a restart would change.")
        self._certificates = gauge(
            "certificate_expires_timestamp_seconds", "When a certificate that the configuration names ends.", "key"
        )
        gauge("build_info", "Constant 1.", "version", "pjsip").labels(version, pjsip).set(1)
        self._lag = histogram("event_loop_lag_seconds", "How late the event loop runs what is due.", _LAG_BUCKETS)
        self._outbox_writable.set(1)
        self._plan = Plan()
        for stage in STAGES:
            self._stages.labels(stage)
        for end in CallEnd:
            self._calls_ended.labels(end)
        for result in RECOVERED, LOST:
            self._recovered.labels(result)
        for kind in ("rtp", "rtcp"):
            self._media_dropped.labels(kind)
        for way in WAYS:
            self._ways.labels(way.path, way.why)
        for reason in Reason:
            if reason.outcome is Outcome.REFUSED:
                self._rejected.labels(reason)

    def configure(self, plan: Plan) -> None:
        """Export all that `plan` makes possible, and nothing of what is no longer configured."""
        for labels in transfer_labels(plan):
            self._transfers.labels(*labels)
        for reached in milestone_labels(plan):
            self._milestones.labels(*reached)
        for destination in (*all_destinations(plan), UNKNOWN):
            for decision, reason in decision_labels(destination):
                self._decisions.labels(destination, decision, reason)
        _exchange(self._trunk_up, singles(self._plan.trunks), singles(plan.trunks))
        for trunk in plan.unasked:
            self._trunk_up.labels(trunk).set(_NAN)
        for trunk in self._plan.unasked.intersection(plan.trunks) - plan.unasked:
            self._trunk_up.labels(trunk).set(0)
        _exchange(self._human_by_destination, singles(all_destinations(self._plan)), singles(all_destinations(plan)))
        _exchange(self._pbx_up, singles(self._plan.queues), singles(plan.queues))
        before, now = set(queue_labels(self._plan)), set(queue_labels(plan))
        for gauge in (self._waiting, self._longest, self._proven):
            _exchange(gauge, before, now)
        _exchange(self._agents, with_states(before), with_states(now))
        for number in plan.numbers:
            for promise in SETTLED:
                self._platform_calls.labels(number, promise)
        _drop(self._platform_calls, lambda labels: labels["number"] not in plan.numbers)
        for counter in (self._transfers, self._milestones):
            _drop(counter, lambda labels: not is_configured(plan, labels["number"], labels["destination"]))
        destinations = {*all_destinations(plan), UNKNOWN}
        _drop(self._decisions, lambda labels: labels["destination"] not in destinations)
        self._plan = plan

    def certificates_end(self, ends: Mapping[str, datetime]) -> None:
        """When each certificate ends, by its key in the configuration."""
        self._certificates.clear()
        for key, end in ends.items():
            self._certificates.labels(key).set(end.timestamp())

    def reload_done(self, *, taken: bool, at: datetime, restart_needed: int = 0) -> None:
        """A configuration was loaded (at the start, too) or refused; `at`: when the one in force was loaded."""
        self._reload_ok.set(taken)
        self._restart.set(restart_needed)
        if taken:
            self._reload_at.set(at.timestamp())

    def transfer_stage(self, stage: str, delta: int) -> None:
        """See ports.Observer."""
        self._stages.labels(stage).inc(delta)

    def transfer_ended(self, record: TransferRecord) -> None:
        """See ports.Observer."""
        reason, outcome = record.reason, record.outcome
        destinations = self._plan.numbers.get(record.number or "")
        number = record.number if record.number and destinations is not None else UNKNOWN
        destination = record.destination if record.destination in (destinations or ()) else None
        exemplar = _exemplar(record.transfer)
        self._transfers.labels(
            number,
            record.entry.value,
            destination or UNKNOWN,
            outcome.value if outcome else UNKNOWN,
            reason.value if reason else UNKNOWN,
        ).inc(exemplar=exemplar)
        for milestone in milestones(record):
            self._milestones.labels(number, destination or UNKNOWN, milestone).inc(exemplar=exemplar)
        if record.ringing_at and record.answered_at:
            self._ring.observe(max(0.0, (record.answered_at - record.ringing_at).total_seconds()), exemplar)
        if record.human_at:
            seconds = max(0.0, (record.human_at - record.requested_at).total_seconds())
            self._human.observe(seconds, exemplar)
            if destination:
                self._human_by_destination.labels(destination).observe(seconds, exemplar)

    def gate_decision(self, destination: str | None, accepted: bool, reason: Reason) -> None:
        """See ports.Observer."""
        known = destination is not None and destination in all_destinations(self._plan)
        self._decisions.labels(destination if known else UNKNOWN, decision_label(accepted), reason.value).inc()

    def refer_answered(self, seconds: float, transfer: TransferId) -> None:
        """See ports.Observer."""
        self._refer.observe(seconds, _exemplar(transfer))

    def target_setup(self, seconds: float, transfer: TransferId) -> None:
        """See ports.Observer."""
        self._setup.observe(seconds, _exemplar(transfer))

    def platform_call(self, record: PlatformCallRecord) -> None:
        """A call that a platform has reported is settled."""
        if record.number in self._plan.numbers:
            self._platform_calls.labels(record.number, record.promise.value).inc()

    def request_rejected(self, reason: Reason, count: int = 1) -> None:
        """See ports.Observer."""
        self._rejected.labels(reason.value).inc(count)

    def media_dropped(self, kind: str, packets: int) -> None:
        """See ports.Observer."""
        self._media_dropped.labels(kind).inc(packets)

    def media_way(self, before: Decision | None, now: Decision | None) -> None:
        """See ports.Observer."""
        if before is not None:
            self._ways.labels(before.path, before.why).dec()
        if now is not None:
            self._ways.labels(now.path, now.why).inc()

    def calls_in_progress(self, count: int) -> None:
        """See ports.Observer."""
        self._calls.set(count)

    def call_recovered(self, *, taken_up: bool) -> None:
        """See ports.Observer."""
        self._recovered.labels(RECOVERED if taken_up else LOST).inc()

    def call_ended(self, record: CallRecord) -> None:
        """See ports.Observer."""
        self._calls_ended.labels(record.reason or CallEnd.HUNG_UP).inc()

    def pbx_state(self, state: PbxState) -> None:
        """See ports.Observer."""
        if state.pbx not in self._plan.queues:
            return
        self._pbx_up.labels(state.pbx).set(state.proven_at is not None)
        for queue in self._plan.queues[state.pbx]:
            self._set_queue(state.pbx, queue, state)

    def trunk_up(self, trunk: str, up: bool) -> None:
        """See ports.Observer."""
        if trunk in self._plan.trunks:
            self._trunk_up.labels(trunk).set(up)

    def no_broker(self) -> None:
        """None is configured: whether it is there has no answer."""
        self._mqtt.set(_NAN)

    def mqtt_connected(self, up: bool) -> None:
        """The connection to the broker was made or lost."""
        self._mqtt.set(up)

    def outbox_state(self, state: BacklogState) -> None:
        """What waits in the outbox has changed."""
        self._outbox.set(state.events)
        self._outbox_oldest.set(state.oldest_at or 0)
        self._outbox_refused.set(state.refused)
        self._outbox_unwritten.set(state.unwritten)
        self._outbox_writable.set(state.writable)

    async def observe_lag(self) -> None:
        """Measure, until cancelled, how late the event loop wakes this up."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._lag.observe(max(0.0, loop.time() - due))

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All of it in the format that Accept asks for, and its Content-Type. Safe in any thread; takes some ms."""
        return written(self.registry, accept)

    def _set_queue(self, pbx: str, queue: str, state: PbxState) -> None:
        found = state.queues.get(queue) if state.proven_at else None
        # Unknown is no number: neither 0 nor the last one.
        counts = (found.logged_in, found.available, found.busy, found.paused) if found else (_NAN,) * 4
        for name, count in zip(AGENT_STATES, counts, strict=True):
            self._agents.labels(pbx, queue, name).set(count)
        self._waiting.labels(pbx, queue).set(found.callers if found else _NAN)
        self._longest.labels(pbx, queue).set(found.longest_wait_s if found else _NAN)
        self._proven.labels(pbx, queue).set(state.proven_at.timestamp() if found and state.proven_at else 0)


def _exemplar(transfer: TransferId) -> dict[str, str]:
    return {"transfer": transfer}


def _exchange(metric: Gauge | Histogram, before: set[tuple[str, ...]], now: set[tuple[str, ...]]) -> None:
    for labels in before - now:
        metric.remove(*labels)
    for labels in now - before:
        metric.labels(*labels)


def _drop(counter: Counter, gone: Callable[[Mapping[str, str]], bool]) -> None:
    for family in counter.collect():
        for sample in family.samples:
            if gone(sample.labels):
                counter.remove(*sample.labels.values())
