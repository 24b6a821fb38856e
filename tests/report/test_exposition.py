# SPDX-License-Identifier: GPL-2.0-or-later
"""The two formats of metrics, which of them a client gets, and the transfers that OpenMetrics names as exemplars."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.core.model import TransferId
from gateway.report.exposition import OPENMETRICS_TYPE, TEXT_TYPE
from gateway.report.labels import Plan
from gateway.report.metrics import Metrics
from tests.report import samples

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(version="0.1.0", pjsip="2.17")
    made.configure(Plan(numbers={"main-line": ("sales",)}))
    return made


def exemplars(metrics: Metrics) -> dict[str, set[str]]:
    """Which transfers each metric names, without `transfer_gateway_`."""
    body, _ = metrics.render("application/openmetrics-text; version=1.0.0")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(body.decode()):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            if sample.exemplar:
                assert set(sample.exemplar.labels) == {"transfer"}
                found.setdefault(family.name.removeprefix("transfer_gateway_"), set()).add(
                    sample.exemplar.labels["transfer"]
                )
    return found


@pytest.mark.keeps("16.200")
def test_exemplars_name_the_transfer_behind_a_count_or_a_time(metrics: Metrics) -> None:
    metrics.transfer_ended(samples.completed())
    metrics.refer_answered(0.004, TransferId("01J8ZQ7T9K3M5N7P9R1S3T5V7Y"))
    metrics.target_setup(0.3, TransferId("01J8ZQ7T9K3M5N7P9R1S3T5V7Z"))
    assert exemplars(metrics) == {
        "transfers": {samples.ID},
        "transfer_milestones": {samples.ID},
        "target_ring_seconds": {samples.ID},
        "time_to_human_seconds": {samples.ID},
        "destination_time_to_human_seconds": {samples.ID},
        "refer_response_seconds": {"01J8ZQ7T9K3M5N7P9R1S3T5V7Y"},
        "target_setup_seconds": {"01J8ZQ7T9K3M5N7P9R1S3T5V7Z"},
    }
    # The text format has no place for them.
    assert samples.ID not in metrics.render()[0].decode()


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        # What Prometheus 3 sends, and what it sends when it wants text first.
        (PROMETHEUS_3, True),
        ("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.2", False),
        ("application/openmetrics-text; q=0", False),
        ("application/openmetrics-text; version=9.0.0", False),
        ("application/openmetrics-text; q=nan", False),
        ("application/openmetrics-text; q=x;=;;version", False),
        (",;,=", False),
    ],
)  # fmt: skip
def test_the_client_chooses_the_format(metrics: Metrics, accept: str, openmetrics: bool) -> None:
    body, kind = metrics.render(accept)
    assert kind == (OPENMETRICS_TYPE if openmetrics else TEXT_TYPE)
    assert body.endswith(b"# EOF\n") == openmetrics
