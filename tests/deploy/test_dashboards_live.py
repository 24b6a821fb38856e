# SPDX-License-Identifier: GPL-2.0-or-later
"""Every query of every dashboard, put to a real Prometheus that has scraped a real gateway under mixed load."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.deploy.asking import answers, dashboards, has_data, panels
from tests.e2e.mix import CROWD, callers, configured, crowd, platform
from tests.report.webhook.server import SECRET, Server
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.prometheus import Prometheus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker

pytestmark = [pytest.mark.pbx, pytest.mark.broker]

TRANSFERS = 60
COUNTED = 'count({__name__=~"transfer_gateway_.+"})'


@asynccontextmanager
async def ringing_first(pbx: Asterisk, extension: str) -> AsyncIterator[None]:
    """An extension that rings for a second before it answers, as people's phones do."""
    for line in ("1,Ringing", "2,Wait,1", "3,Answer", "4,Wait,3600"):
        await pbx.cli(f"dialplan add extension {extension},{line} into transfer-destinations")
    try:
        yield
    finally:
        await pbx.cli(f"dialplan remove extension {extension}@transfer-destinations")


@pytest.mark.keeps("16.203")
async def test_every_query_of_every_panel_has_data_after_a_mixed_load(pbx: Asterisk, broker: Broker) -> None:
    files = configured(pbx, broker)
    files.trunk("spare", pbx.net.host(41))  # asked by OPTIONS, unlike the other
    files.number("second-line", "+31201234568", "spare", "asterisk", [{"id": "machine", "extension": "6599"}])
    files.destination("machine")["extension"] = "6597"
    async with Server() as hook:
        files.main["webhooks"] = [{"id": "crm", "url": hook.url, "secret_file": "crm.secret"}]
        files.secrets["crm.secret"] = SECRET
        async with (
            crowd(pbx),
            ringing_first(pbx, "6597"),
            Gateway(files) as gateway,
            Prometheus(gateway.url.removeprefix("http://")) as prometheus,
            platform(pbx.net, TRANSFERS) as asking,
            Peer(pbx.net.host(40), user="stranger") as stranger,
        ):
            start = time.time()
            await asking.child.ready(asking.listening)
            await gateway.queue("support", available=CROWD)
            await prometheus.wait_for("transfer_gateway_build_info")
            [before] = await prometheus.query(COUNTED)
            target = ("Refer-To", "<sip:+31699999999@odd.example>")
            await stranger.request("REFER", f"sip:eve@{pbx.net.gateway}", gateway.sip, headers=[target])
            async with callers(pbx.net, gateway, TRANSFERS) as calling:
                (await calling.finished()).check()
                (await asking.finished()).check()
            await gateway.idle()
            await prometheus.wait_for(f"sum(transfer_gateway_transfers_total) == {TRANSFERS}")
            await prometheus.wait_for("sum(transfer_gateway_requests_rejected_total) >= 1")
            # The events are out, and Prometheus has seen that they are.
            await prometheus.wait_for("transfer_gateway_outbox_events == 0")
            end = time.time()
            empty = [
                f"{name}: {panel['title']}: {target['expr']}"
                for name, board in dashboards().items()
                for panel in panels(board)
                for target in panel["targets"]
                if not has_data(await answers(prometheus, target, start, end))
            ]
            assert empty == []
            # Neither strangers nor callers have made a series.
            assert (await prometheus.query(COUNTED))[0]["value"][1] == before["value"][1]

            known = {transfer["transfer"] for transfer in await gateway.transfers()}
            kept = await prometheus.exemplars("transfer_gateway_time_to_human_seconds_bucket", start, end)
            named = {exemplar["labels"]["transfer"] for series in kept for exemplar in series["exemplars"]}
            assert named
            assert named <= known
