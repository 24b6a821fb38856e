# SPDX-License-Identifier: GPL-2.0-or-later
"""What Prometheus is told of the history."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.report.history.state import HistoryState


class HistoryMetrics:
    """Takes each state of the history, and exports it in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"transfer_gateway_history_{name}", help_text, labels, registry=registry)

        self._rows = gauge("rows", "Transfers, calls and calls of platforms that can be asked for.", "kind")
        self._bytes = gauge("bytes", "What the history takes up on disk.")
        self._writable = gauge("writable", "Whether the history can be written.")
        self._gone = Counter(
            "transfer_gateway_history_deleted_total", "Rows that the history's limits have deleted.", ["why"],
            registry=registry,
        )  # fmt: skip
        self._deleted: Mapping[str, int] | None = None  # in the history, when it was last looked at
        self._writable.set(1)
        for kind in ("transfer", "call", "platform-call"):
            self._rows.labels(kind)
        for why in ("age", "size"):
            self._gone.labels(why)

    def __call__(self, state: HistoryState) -> None:
        """The history was looked at; what had been deleted when the gateway began is not counted."""
        self._writable.set(state.writable)
        if (size := state.size) is None:
            return
        self._rows.labels("transfer").set(size.transfers)
        self._rows.labels("call").set(size.calls)
        self._rows.labels("platform-call").set(size.platform_calls)
        self._bytes.set(size.bytes)
        for why, count in size.deleted.items():
            before = count if self._deleted is None else self._deleted.get(why, 0)
            self._gone.labels(why).inc(max(0, count - before))  # a new file begins at 0
        self._deleted = size.deleted
