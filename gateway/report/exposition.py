# SPDX-License-Identifier: GPL-2.0-or-later
"""The formats in which metrics are written: OpenMetrics where the client prefers it, Prometheus' text format else.

OpenMetrics alone has exemplars. What Accept says (RFC 9110 §12.5.1) chooses between the two and goes nowhere else: no
part of it comes back in the answer.
"""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = openmetrics.CONTENT_TYPE_LATEST

_OPENMETRICS, _TEXT = "application/openmetrics-text", "text/plain"
_VERSIONS = {None, "0.0.1", "1.0.0"}  # of OpenMetrics, that differ in nothing we write


def written(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """All metrics, for a client with this Accept header (empty: none was sent), and the Content-Type of it."""
    if prefers_openmetrics(accept):
        return openmetrics.generate_latest(registry), OPENMETRICS_TYPE  # type: ignore[no-untyped-call]
    return generate_latest(registry), TEXT_TYPE


def prefers_openmetrics(accept: str) -> bool:
    """Whether the client names OpenMetrics in a version that we write, and wants it no less than plain text."""
    wishes = [_read(part) for part in accept.split(",")]
    wanted = max((q for kind, version, q in wishes if kind == _OPENMETRICS and version in _VERSIONS), default=0.0)
    plain = max((q for kind, _, q in wishes if kind == _TEXT), default=0.0)
    return wanted > 0 and wanted >= plain


def _read(part: str) -> tuple[str, str | None, float]:
    """The media type, its version and its weight; a weight that is none counts as 0."""
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    given = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
    try:
        weight = float(given.get("q", "1"))
    except ValueError:
        weight = 0.0
    return kind, given.get("version"), weight if 0 <= weight <= 1 else 0.0
