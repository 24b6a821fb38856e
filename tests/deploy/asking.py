# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a Prometheus what a dashboard asks, as Grafana would."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.prometheus import Prometheus

DASHBOARDS = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
RATE_INTERVAL_S = 10  # Grafana takes four scrapes or more

Document = dict[str, Any]
Series = dict[str, Any]


def dashboards() -> dict[str, Document]:
    """The dashboards that are shipped, by file name without its end."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(dashboard: Document) -> Iterator[Document]:
    """Its panels, without the titles of rows."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def filled(expression: str, range_s: int, step_s: int = 1) -> str:
    """The expression with its variables as Grafana fills them when all is chosen, for a point every `step_s`."""
    values = {"$__rate_interval": f"{max(RATE_INTERVAL_S, step_s + 1)}s", "$__range": f"{range_s}s"}
    values |= {"$instance": ".*", "$number": ".*", "$pbx": ".*"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, f"a variable that nobody fills: {expression}"
    return expression


async def answers(prometheus: Prometheus, target: Document, start: float, end: float, step_s: int = 1) -> list[Series]:
    """The series that a panel's target yields, each with `metric` and `values`."""
    expression = filled(target["expr"], math.ceil(end - start), step_s)
    if target.get("instant"):
        found = await prometheus.query(expression)
        return [{"metric": one["metric"], "values": [one["value"]]} for one in found]
    return await prometheus.query_range(expression, start, end, step_s)


def has_data(series: list[Series]) -> bool:
    """Whether there is a value that is a number."""
    return any(math.isfinite(float(value)) for one in series for _, value in one["values"])
