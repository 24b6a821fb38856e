# SPDX-License-Identifier: GPL-2.0-or-later
"""The way of spans to a collector, by OpenTelemetry's own library: the extra `traces`, imported where it is wanted.

They wait in memory, 2,048 of them at most, for a thread of the library's: no call ever waits for a collector.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.core.outcome import Outcome
from gateway.core.record import TransferRecord
from gateway.report.traces.spans import attributes, parent, stretches

SENT_EVERY_MS = 2_000
MOST_WAITING = 2_048
ANSWER_WITHIN_S = 5.0

log = structlog.get_logger("app")


class Told(SpanExporter):
    """Sends spans, and tells once that they are not taken, and once that they are again."""

    def __init__(self, way: SpanExporter, endpoint: str) -> None:
        self._way = way
        self._endpoint = endpoint
        self._taken = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See SpanExporter; in the library's thread."""
        result = self._way.export(spans)
        taken = result is SpanExportResult.SUCCESS
        if taken is not self._taken:
            self._taken = taken
            if taken:
                log.info("traces-taken-again", endpoint=self._endpoint)
            else:
                log.warning("traces-not-taken", endpoint=self._endpoint, lost=len(spans))
        return result

    def shutdown(self) -> None:
        """See SpanExporter."""
        self._way.shutdown()


class Spans:
    """Makes and sends the spans of transfers."""

    def __init__(self, endpoint: str, authorization: str | None, ca_file: str | None, about: dict[str, str]) -> None:
        """`about`: the resource that the spans are of (`service.name` and the like)."""
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it tells of each try; we tell once
        headers = {"Authorization": authorization} if authorization else None
        exporter = OTLPSpanExporter(endpoint, certificate_file=ca_file, headers=headers, timeout=ANSWER_WITHIN_S)
        self._provider = TracerProvider(resource=Resource.create(dict(about)), shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                Told(exporter, endpoint), max_queue_size=MOST_WAITING, schedule_delay_millis=SENT_EVERY_MS
            )
        )
        self._tracer = self._provider.get_tracer("transfer-gateway")
        self._propagator = TraceContextTextMapPropagator()

    def add(self, record: TransferRecord) -> None:
        """Have the spans of a transfer that is over sent, by and by."""
        around = self._propagator.extract(parent(record))
        whole = self._tracer.start_span(
            "transfer",
            around,
            trace.SpanKind.SERVER,
            attributes(record),
            start_time=_nanoseconds(record.requested_at),
        )
        if record.outcome is Outcome.FAILED:
            whole.set_status(trace.StatusCode.ERROR, record.reason.value if record.reason else None)
        within = trace.set_span_in_context(whole, around)
        for each in stretches(record):
            span = self._tracer.start_span(each.name, within, start_time=_nanoseconds(each.begins))
            span.end(_nanoseconds(each.ends))
        whole.end(_nanoseconds(record.ended_at or record.requested_at))

    def close(self) -> None:
        """Send what there is, and stop; it waits for the collector, and is for another thread than the loop's."""
        self._provider.shutdown()


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000
