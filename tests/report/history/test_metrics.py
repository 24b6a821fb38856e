# SPDX-License-Identifier: GPL-2.0-or-later
"""What Prometheus is told of the history."""

from prometheus_client import CollectorRegistry

from gateway.report.history.metrics import HistoryMetrics
from gateway.report.history.state import HistorySize, HistoryState


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"transfer_gateway_history_{name}", labels)


def test_all_of_it_is_there_from_the_start() -> None:
    registry = CollectorRegistry()
    HistoryMetrics(registry)
    assert value(registry, "writable") == 1
    assert value(registry, "bytes") == 0
    assert [value(registry, "rows", kind=kind) for kind in ("transfer", "call")] == [0, 0]
    assert [value(registry, "deleted_total", why=why) for why in ("age", "size")] == [0, 0]


def test_what_the_history_holds_and_what_its_limits_have_deleted_since_the_start() -> None:
    registry = CollectorRegistry()
    tell = HistoryMetrics(registry)
    tell(HistoryState())
    for state, deleted in (
        (HistoryState(size=HistorySize(9, 2, 4096, None, {"age": 7, "size": 1})), [0, 0]),
        (HistoryState(size=HistorySize(9, 2, 4096, None, {"age": 10, "size": 1})), [3, 0]),
        (HistoryState(writable=False, size=HistorySize(0, 0, 512, None, {"age": 0, "size": 0})), [3, 0]),
        (HistoryState(size=HistorySize(0, 0, 512, None, {"age": 1, "size": 4})), [4, 4]),
    ):
        tell(state)
        assert [value(registry, "deleted_total", why=why) for why in ("age", "size")] == deleted
        assert state.size
        assert value(registry, "rows", kind="transfer") == state.size.transfers
        assert value(registry, "rows", kind="call") == state.size.calls
        assert value(registry, "bytes") == state.size.bytes
        assert value(registry, "writable") == state.writable
