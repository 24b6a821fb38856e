# SPDX-License-Identifier: GPL-2.0-or-later
"""Every query of every dashboard, put to a real Prometheus that has scraped a real gateway under mixed load."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.deploy.asking import answers, dashboards, has_data, panels
from tests.deploy.loaded import loaded
from tests.support.fetch import programs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker

pytestmark = [pytest.mark.pbx, pytest.mark.broker]


@pytest.mark.keeps("16.203", "16.205")
async def test_every_query_of_every_panel_has_data_after_a_mixed_load(
    pbx: Asterisk, broker: Broker, tmp_path: Path
) -> None:
    async with loaded(pbx, broker, 60, tmp_path) as load:
        empty = [
            f"{name}: {panel['title']}: {target['expr']}"
            for name, board in dashboards().items()
            for panel in panels(board)
            for target in panel["targets"]
            if not has_data(await answers(load.prometheus, target, load.start, load.end))
        ]
        assert empty == []
        # A bar of *Why not* is as long as what the gateway has counted: a whole number, and with so few looks one more
        # or less, for `increase` reckons with what came before the first and after the last (docs/dashboards.md).
        [why_not] = [panel for panel in panels(dashboards()["transfers"]) if panel["title"] == "Why not"]
        bars = await answers(load.prometheus, why_not["targets"][0], load.start, load.end)
        counted = await load.gateway.counts("transfer_gateway_transfers_total", "reason")
        del counted["answered"]
        shown = {bar["metric"]["reason"]: int(bar["values"][0][1]) for bar in bars}
        assert shown.keys() == {reason for reason, count in counted.items() if count}
        assert all(abs(length - counted[reason]) <= 1 for reason, length in shown.items()), (shown, counted)
        # Neither strangers nor callers have made a series.
        before, after = load.series
        assert after == before

        # What it exports is as Prometheus' own linter wants it.
        assert await asyncio.to_thread(lint, (await load.gateway.http("GET", "/metrics"))[1]) == ""

        known = {transfer["transfer"] for transfer in await load.gateway.transfers()}
        buckets = "transfer_gateway_time_to_human_seconds_bucket"
        kept = await load.prometheus.exemplars(buckets, load.start, load.end)
        named = {exemplar["labels"]["transfer"] for series in kept for exemplar in series["exemplars"]}
        assert named
        assert named <= known


def lint(metrics: str) -> str:
    """What `promtool check metrics` finds wrong."""
    command = [*programs().command("usr/bin/promtool"), "check", "metrics"]
    done = subprocess.run(command, check=False, input=metrics, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr
