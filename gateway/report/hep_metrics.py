# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted of the packets to a capture server, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge

KINDS = ("sip", "rtcp")
REASONS = ("full", "unreachable", "unfit")


class HepMetrics:
    """A `sender.SenderObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge(
            "transfer_gateway_hep_up", "Whether there is a way to the capture server; NaN: none is configured.",
            registry=registry,
        )  # fmt: skip
        self._sent = Counter(
            "transfer_gateway_hep_packets_total", "Packets sent to the capture server.", ("kind",), registry=registry
        )
        self._dropped = Counter(
            "transfer_gateway_hep_dropped_total", "What the capture server was not sent.", ("reason",),
            registry=registry,
        )  # fmt: skip
        for kind in KINDS:
            self._sent.labels(kind)
        for reason in REASONS:
            self._dropped.labels(reason)
        self.stands(up=None)

    def sent(self, kind: str) -> None:
        """See SenderObserver."""
        self._sent.labels(kind).inc()

    def dropped(self, reason: str, count: int = 1) -> None:
        """See SenderObserver."""
        self._dropped.labels(reason).inc(count)

    def stands(self, *, up: bool | None) -> None:
        """See SenderObserver."""
        self._up.set(float("nan") if up is None else up)
