# SPDX-License-Identifier: GPL-2.0-or-later
"""What Prometheus scrapes: the contract's names and labels, there from the start, and counted truly."""

import math
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.media_way import RELAYED, Why, bridged
from gateway.core.model import Entry, PbxState, TransferId
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import TransferRecord
from gateway.core.transfer.state import State
from gateway.ports import Observer
from gateway.report.backlog import BacklogState
from gateway.report.labels import Plan
from gateway.report.metrics import Metrics
from tests.report import samples
from tests.support.fetch import programs

PLAN = Plan(
    numbers={"main-line": ("sales", "support"), "night-line": ("voicemail",)},
    queues={"asterisk": ("sales", "support")},
    trunks=("hms",),
    called_back=frozenset({("main-line", "sales")}),
)

CONTRACT = {
    "transfers_total": {"number", "entry", "destination", "outcome", "reason"},
    "transfer_milestones_total": {"number", "destination", "milestone"},
    "transfers_in_progress": {"stage"},
    "calls_in_progress": set(),
    "calls_ended_total": {"reason"},
    "refer_response_seconds": set(),
    "target_setup_seconds": set(),
    "target_ring_seconds": set(),
    "time_to_human_seconds": set(),
    "destination_time_to_human_seconds": {"destination"},
    "gate_decisions_total": {"destination", "decision", "reason"},
    "queue_agents": {"pbx", "queue", "state"},
    "queue_callers_waiting": {"pbx", "queue"},
    "queue_longest_wait_seconds": {"pbx", "queue"},
    "queue_snapshot_timestamp_seconds": {"pbx", "queue"},
    "pbx_up": {"pbx"},
    "trunk_up": {"trunk"},
    "mqtt_connected": set(),
    "outbox_events": set(),
    "outbox_oldest_timestamp_seconds": set(),
    "outbox_refused_events": set(),
    "outbox_unwritten": set(),
    "outbox_writable": set(),
    "requests_rejected_total": {"reason"},
    "media_packets_dropped_total": {"kind"},
    "media_legs": {"path", "reason"},
    "config_last_reload_successful": set(),
    "config_restart_needed": set(),
    "config_last_reload_success_timestamp_seconds": set(),
    "build_info": {"version", "pjsip"},
    "event_loop_lag_seconds": set(),
}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(version="0.1.0", pjsip="2.17")
    made.configure(PLAN)
    return made


def scrape(metrics: Metrics, name: str = "") -> Series:
    """All series, or those whose names begin with this: to parse all of them takes a while."""
    lines = metrics.render()[0].decode().splitlines(keepends=True)
    if name:
        lines = [line for line in lines if line.startswith(f"transfer_gateway_{name}")]
    return {
        (sample.name.removeprefix("transfer_gateway_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families("".join(lines))
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(f"transfer_gateway_{name}", labels)
    assert found is not None, f"{name} has no series with {labels}"
    return found


def changed(before: Series, after: Series) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {key: found - before.get(key, 0) for key, found in after.items() if found != before.get(key, 0)}


def test_every_metric_of_the_contract_is_there_at_0_with_its_labels(metrics: Metrics) -> None:
    series = scrape(metrics)
    for name, labels in CONTRACT.items():
        found = [(key, number) for key, number in series.items() if key[0] in (name, f"{name}_count")]
        assert found, name
        for (_, pairs), number in found:
            assert {label for label, _ in pairs} == labels
            assert number == (name in {"build_info", "outbox_writable"}), name


def test_whatever_a_transfer_comes_to_its_series_was_there_before(metrics: Metrics) -> None:
    observer: Observer = metrics
    before = scrape(metrics)
    ends: list[tuple[str | None, Reason]] = [
        (destination, reason)
        for destination in ("sales", "support")
        for reason in (Reason.ANSWERED, Reason.BUSY, Reason.QUEUE_UNSTAFFED, Reason.CALLER_HUNG_UP)
    ]
    ends += [(None, Reason.UNKNOWN_DESTINATION), (None, Reason.BAD_REQUEST), (None, Reason.GATEWAY_STOPPED)]
    ends += [(None, Reason.GATEWAY_ERROR)]
    # Attended transfers: of dialogs that cannot be joined, or that have no destination, and of those that have one.
    attended: list[tuple[str | None, Reason]] = [
        *((None, reason) for reason in (Reason.NO_SUCH_DIALOG, Reason.DIALOG_ENDED, Reason.DIALOG_NOT_EARLY)),
        *((None, reason) for reason in (Reason.ANSWERED, Reason.PBX_ERROR)),
        *(("sales", reason) for reason in (Reason.NOT_BRIDGED, Reason.BAD_REQUEST)),
    ]
    called_back: list[tuple[str | None, Reason]] = [
        *(("sales", reason) for reason in (Reason.ANSWERED, Reason.CALLER_UNREACHABLE, Reason.EXPIRED, Reason.CLOSED)),
        *(("sales", reason) for reason in (Reason.CALLER_WITHHELD, Reason.FORBIDDEN_TARGET, Reason.AT_CAPACITY)),
        (None, Reason.UNKNOWN_DESTINATION),
    ]
    of_entry = {Entry.REFER: [*ends, *attended], Entry.CALLBACK: called_back}
    for entry in Entry:
        for destination, reason in of_entry.get(entry, ends):
            ended = replace(
                samples.completed(), entry=entry, destination=destination, reason=reason, outcome=reason.outcome
            )
            observer.transfer_ended(ended)
    observer.transfer_ended(replace(samples.refused(), number=None, destination=None, reason=Reason.NOT_ASSIGNED))
    for stage in State:
        if stage is not State.ENDED:
            observer.transfer_stage(stage.value, 1)
    observer.gate_decision("sales", True, Reason.ACCEPTED)
    observer.gate_decision("sales", False, Reason.AGENTS_BUSY)
    observer.gate_decision(None, False, Reason.UNKNOWN_DESTINATION)
    observer.request_rejected(Reason.PEER_NOT_ALLOWED)
    after = scrape(metrics)
    assert after.keys() == before.keys()
    counted = {key: by for key, by in changed(before, after).items() if key[0] == "transfers_total"}
    assert len(counted) == 3 * len(ends) + len(attended) + len(called_back) + 1
    assert set(counted.values()) == {1}


def test_no_label_comes_from_the_wire(metrics: Metrics) -> None:
    before = scrape(metrics)
    odd = replace(samples.refused(), number="+31201234567", destination="+31612345678", reason=Reason.NOT_ASSIGNED)
    metrics.transfer_ended(odd)
    metrics.gate_decision("+31612345678", False, Reason.UNKNOWN_DESTINATION)
    metrics.trunk_up("eve", True)
    metrics.pbx_state(PbxState("eve"))
    after = scrape(metrics)
    assert after.keys() == before.keys()
    labels = {"number": "unknown", "destination": "unknown", "entry": "refer"}
    assert value(metrics, "transfers_total", outcome="refused", reason="not-assigned", **labels) == 1


def test_times_of_a_completed_transfer_are_measured(metrics: Metrics) -> None:
    metrics.transfer_ended(samples.completed())
    metrics.transfer_ended(samples.refused())
    assert value(metrics, "target_ring_seconds_count") == 1
    assert value(metrics, "target_ring_seconds_sum") == pytest.approx(4.0)
    assert value(metrics, "time_to_human_seconds_sum") == pytest.approx(6.0)
    assert value(metrics, "destination_time_to_human_seconds_sum", destination="sales") == pytest.approx(6.0)
    assert value(metrics, "destination_time_to_human_seconds_count", destination="support") == 0
    metrics.refer_answered(0.004, TransferId(samples.ID))
    metrics.target_setup(0.3, TransferId(samples.ID))
    assert value(metrics, "refer_response_seconds_bucket", le="0.005") == 1
    assert value(metrics, "refer_response_seconds_bucket", le="0.002") == 0
    assert value(metrics, "target_setup_seconds_bucket", le="0.5") == 1


MILESTONES = ("requested", "accepted", "ringing", "answered", "human")


def ended(reason: Reason, **times: Any) -> TransferRecord:
    return replace(samples.completed(), reason=reason, outcome=reason.outcome, **times)


@pytest.mark.parametrize(
    ("record", "reached"),
    [
        (samples.completed(), 5),
        (ended(Reason.ANSWERED, human_at=None), 4),
        # A PBX that answers without having said that it rings has rung all the same.
        (ended(Reason.ANSWERED, ringing_at=None, answered_at=None), 5),
        (ended(Reason.NO_ANSWER, answered_at=None, human_at=None), 3),
        (ended(Reason.BUSY, ringing_at=None, answered_at=None, human_at=None), 2),
        (samples.refused(), 1),
    ],
    ids=["person", "answered", "no 180", "rang", "dialled", "refused"],
)
def test_a_transfer_counts_for_each_milestone_it_came_to(
    metrics: Metrics, record: TransferRecord, reached: int
) -> None:
    metrics.transfer_ended(record)
    labels = {"number": "main-line", "destination": "sales"}
    counted = {name: value(metrics, "transfer_milestones_total", milestone=name, **labels) for name in MILESTONES}
    assert counted == {name: float(place < reached) for place, name in enumerate(MILESTONES)}


def test_what_is_asked_for_is_counted_alike_by_milestones_and_outcomes(metrics: Metrics) -> None:
    for record in (samples.completed(), samples.refused(), replace(samples.refused(), number=None, destination=None)):
        metrics.transfer_ended(record)
    series = scrape(metrics)
    requested = {key: number for key, number in series.items() if ("milestone", "requested") in key[1]}
    outcomes = [number for (name, _), number in series.items() if name == "transfers_total"]
    assert sum(requested.values()) == sum(outcomes) == 3


def test_what_nothing_tells_of_is_not_down() -> None:
    metrics = Metrics(version="0", pjsip="0")
    metrics.configure(Plan(trunks=("asked", "inbound"), unasked=frozenset({"inbound"})))
    metrics.no_broker()
    assert value(metrics, "trunk_up", trunk="asked") == 0
    assert math.isnan(value(metrics, "trunk_up", trunk="inbound"))
    assert math.isnan(value(metrics, "mqtt_connected"))
    # A reload has the other one asked from now on, and this one no more.
    metrics.trunk_up("asked", True)
    metrics.configure(Plan(trunks=("asked", "inbound"), unasked=frozenset({"asked"})))
    assert math.isnan(value(metrics, "trunk_up", trunk="asked"))
    assert value(metrics, "trunk_up", trunk="inbound") == 0


def test_nobody_who_is_named_on_the_wire_or_by_the_pbx_is_named_here(metrics: Metrics) -> None:
    metrics.pbx_state(samples.pbx_state())
    metrics.transfer_ended(samples.completed())
    metrics.transfer_ended(replace(samples.completed(), transfer=TransferId("01J8ZQ7T9K3M5N7P9R1S3T5V7Y")))
    labels = {label for _, pairs in scrape(metrics) for label, _ in pairs}
    assert labels.isdisjoint({"agent", "caller", "call", "transfer", "source", "requested_target"})
    written = metrics.render("application/openmetrics-text")[0].decode()
    assert "+31" not in written


@pytest.mark.keeps("16.41")
def test_packets_from_elsewhere_are_counted_by_kind(metrics: Metrics) -> None:
    metrics.media_dropped("rtp", 500)
    metrics.media_dropped("rtp", 50)
    metrics.media_dropped("rtcp", 3)
    assert value(metrics, "media_packets_dropped_total", kind="rtp") == 550
    assert value(metrics, "media_packets_dropped_total", kind="rtcp") == 3


@pytest.mark.keeps("17.16")
def test_legs_are_counted_by_the_way_of_their_audio(metrics: Metrics) -> None:
    waiting = bridged(Why.WAITING)
    for before, now in ((None, waiting), (None, waiting), (waiting, RELAYED), (waiting, None)):
        metrics.media_way(before, now)
    assert value(metrics, "media_legs", path="bridge", reason="waiting") == 0
    assert value(metrics, "media_legs", path="relay", reason="same-codec") == 1


def test_a_queue_that_is_not_known_is_no_queue_without_agents(metrics: Metrics) -> None:
    metrics.pbx_state(samples.pbx_state())
    sales = {"pbx": "asterisk", "queue": "sales"}
    assert value(metrics, "pbx_up", pbx="asterisk") == 1
    assert value(metrics, "queue_agents", state="available", **sales) == 1
    assert value(metrics, "queue_callers_waiting", **sales) == 1
    assert value(metrics, "queue_longest_wait_seconds", **sales) == 12.5
    assert value(metrics, "queue_snapshot_timestamp_seconds", **sales) == pytest.approx(samples.START.timestamp())
    metrics.pbx_state(samples.pbx_state(proven_at=None))
    assert value(metrics, "pbx_up", pbx="asterisk") == 0
    assert math.isnan(value(metrics, "queue_agents", state="available", **sales))
    assert math.isnan(value(metrics, "queue_callers_waiting", **sales))
    assert value(metrics, "queue_snapshot_timestamp_seconds", **sales) == 0


def test_gauges_follow_what_is_told(metrics: Metrics) -> None:
    metrics.transfer_stage("dialling", 1)
    metrics.transfer_stage("dialling", 1)
    metrics.transfer_stage("dialling", -1)
    metrics.calls_in_progress(7)
    metrics.mqtt_connected(True)
    metrics.trunk_up("hms", True)
    metrics.outbox_state(BacklogState(events=3, oldest_at=1700000000.5, writable=False, unwritten=1, refused=2))
    at = datetime(2026, 3, 2, tzinfo=UTC)
    metrics.reload_done(taken=True, at=at)
    assert value(metrics, "transfers_in_progress", stage="dialling") == 1
    assert value(metrics, "calls_in_progress") == 7
    assert value(metrics, "mqtt_connected") == 1
    assert value(metrics, "trunk_up", trunk="hms") == 1
    assert value(metrics, "outbox_events") == 3
    assert value(metrics, "outbox_refused_events") == 2
    assert value(metrics, "outbox_unwritten") == 1
    assert value(metrics, "outbox_writable") == 0
    assert value(metrics, "outbox_oldest_timestamp_seconds") == 1700000000.5
    assert value(metrics, "config_last_reload_successful") == 1
    metrics.reload_done(taken=False, at=datetime(2026, 3, 3, tzinfo=UTC))
    assert value(metrics, "config_last_reload_successful") == 0
    assert value(metrics, "config_last_reload_success_timestamp_seconds") == at.timestamp()
    assert value(metrics, "build_info", version="0.1.0", pjsip="2.17") == 1


@pytest.mark.keeps("16.97")
def test_a_reload_adds_what_is_new_drops_what_is_gone_and_counts_on(metrics: Metrics) -> None:
    metrics.transfer_ended(samples.completed())
    metrics.trunk_up("hms", True)
    metrics.configure(
        Plan(numbers={"main-line": ("sales", "billing")}, queues={"asterisk": ("sales",)}, trunks=("hms", "other"))
    )
    series = scrape(metrics)
    present = {(name, label) for name, pairs in series for label in pairs}
    assert ("transfers_total", ("destination", "billing")) in present
    assert ("trunk_up", ("trunk", "other")) in present
    assert ("queue_agents", ("queue", "sales")) in present
    assert ("queue_agents", ("queue", "support")) not in present
    assert value(metrics, "trunk_up", trunk="hms") == 1
    labels = {"number": "main-line", "entry": "refer", "destination": "sales"}
    assert value(metrics, "transfers_total", outcome=Outcome.COMPLETED, reason="answered", **labels) == 1
    metrics.transfer_ended(replace(samples.completed(), destination="unheard of"))
    metrics.configure(Plan())
    # Nothing of what was is left, whatever it had counted.
    fresh = Metrics(version="0.1.0", pjsip="2.17")
    fresh.configure(Plan())
    assert scrape(metrics).keys() == scrape(fresh).keys()
    assert not {name for name, pairs in scrape(metrics) if dict(pairs).keys() & {"queue", "pbx", "trunk"}}


@pytest.mark.thorough
@pytest.mark.keeps("16.97")
def test_a_thousand_reloads_leave_no_more_series_than_one(metrics: Metrics) -> None:
    before = len(scrape(metrics))
    for reload in range(1_000):
        name = f"d{reload}"
        metrics.configure(Plan(numbers={f"n{reload}": (name,)}, queues={f"p{reload}": (name,)}, trunks=(name,)))
        metrics.gate_decision(name, True, Reason.ACCEPTED)
        metrics.transfer_ended(replace(samples.completed(), number=f"n{reload}", destination=name))
    metrics.configure(PLAN)
    assert len(scrape(metrics)) == before


@pytest.mark.thorough
def test_ten_numbers_with_ten_destinations_each_stay_affordable() -> None:
    metrics = Metrics(version="0", pjsip="0")
    metrics.configure(Plan(numbers={f"n{n}": tuple(f"d{d}" for d in range(10)) for n in range(10)}))
    assert len(scrape(metrics)) < 10_000


@pytest.mark.broker  # the program comes with Prometheus
def test_prometheus_own_linter_has_nothing_to_say(metrics: Metrics) -> None:
    installed = programs()
    command = [*installed.command("usr/bin/promtool"), "check", "metrics"]
    done = subprocess.run(command, check=False, input=metrics.render()[0], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
