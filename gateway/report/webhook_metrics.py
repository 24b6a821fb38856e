# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted and measured of webhooks, for Prometheus; the only label besides `result` is a webhook's id."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.report.backlog import BacklogState
from gateway.report.sinks.webhook.post import Said
from gateway.report.sinks.webhook.sink import Condition

RESULTS = ("taken", "failed")


class WebhookMetrics:
    """A `webhooks.WebhookObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_text: str) -> Gauge:
            return Gauge(f"transfer_gateway_webhook_{name}", help_text, ("webhook",), registry=registry)

        self._up = gauge("up", "Whether a webhook took the last event; 1 before the first.")
        self._events = gauge("events", "Events that wait for a webhook.")
        self._oldest = gauge("oldest_timestamp_seconds", "When the oldest waiting event was stored; 0: none waits.")
        self._refused = gauge("refused_events", "Events that a webhook refused, set aside.")
        self._requests = Counter(
            "transfer_gateway_webhook_requests_total", "Requests to a webhook.", ("webhook", "result"),
            registry=registry,
        )  # fmt: skip
        self._known: set[str] = set()

    def configured(self, webhooks: Collection[str]) -> None:
        """See WebhookObserver."""
        gauges = (self._up, self._events, self._oldest, self._refused)
        for gone in self._known.difference(webhooks):
            for gauge in gauges:
                gauge.remove(gone)
            for result in RESULTS:
                self._requests.remove(gone, result)
        for new in set(webhooks) - self._known:
            for gauge in gauges:
                gauge.labels(new)
            self._up.labels(new).set(1)
            for result in RESULTS:
                self._requests.labels(new, result)
        self._known = set(webhooks)

    def backlog(self, webhook: str, state: BacklogState) -> None:
        """See WebhookObserver."""
        self._events.labels(webhook).set(state.events)
        self._oldest.labels(webhook).set(state.oldest_at or 0)
        self._refused.labels(webhook).set(state.refused)

    def stands(self, webhook: str, condition: Condition) -> None:
        """See WebhookObserver."""
        self._up.labels(webhook).set(condition.up)

    def answered(self, webhook: str, said: Said) -> None:
        """See WebhookObserver."""
        self._requests.labels(webhook, "taken" if said is Said.TAKEN else "failed").inc()
