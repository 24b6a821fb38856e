# SPDX-License-Identifier: GPL-2.0-or-later
"""The funnel on the terminal: of those who asked, how many got how far, as Prometheus has it."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.prometheus import Prometheus

STEPS = {"requested": "asked", "accepted": "accepted", "ringing": "rang", "answered": "answered", "human": "person"}
"""Each milestone of `transfer_gateway_transfer_milestones_total`, and what the dashboards call it."""
QUERY = "sum by (milestone) (transfer_gateway_transfer_milestones_total)"
WIDTH = 40


def drawn(counts: Mapping[str, int]) -> list[str]:
    """A line with a bar for each milestone, the longest for those who asked."""
    asked = max(counts.get("requested", 0), 1)
    return [
        f"  {name:<9} {counts.get(milestone, 0):>4} {'#' * round(WIDTH * counts.get(milestone, 0) / asked)}".rstrip()
        for milestone, name in STEPS.items()
    ]


async def counted(prometheus: Prometheus, transfers: int) -> dict[str, int]:
    """The milestones, once Prometheus knows of so many transfers. Raises AssertionError."""
    await prometheus.wait_for(
        f'sum(transfer_gateway_transfer_milestones_total{{milestone="requested"}}) >= {transfers}'
    )
    return {one["metric"]["milestone"]: int(float(one["value"][1])) for one in await prometheus.query(QUERY)}


def address(port: int) -> str:
    """Where the same is had as JSON: the programs that are fetched for the demo have no pages for browsers."""
    return f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': QUERY})}"
