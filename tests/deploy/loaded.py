# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway that has had transfers of every kind, and a Prometheus that has scraped it all the while."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.mix import CROWD, callers, configured, crowd, platform
from tests.report.webhook.server import SECRET, Server
from tests.support.certificates import Authority
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import eventually
from tests.support.prometheus import Prometheus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker

COUNTED = 'count({__name__=~"transfer_gateway_.+"})'
RINGING_FIRST = "6597"


@dataclass(frozen=True)
class Loaded:
    """Both, the time between whose ends (seconds since 1970) it all happened, and the series before and after."""

    gateway: Gateway
    prometheus: Prometheus
    start: float
    end: float
    series: tuple[str, str]


@asynccontextmanager
async def loaded(pbx: Asterisk, broker: Broker, transfers: int, directory: Path) -> AsyncIterator[Loaded]:
    """Play so many of them, and a stranger's request; the webhook's certificate is made in `directory`."""
    files = configured(pbx, broker)
    files.trunk("spare", pbx.net.host(41))  # asked by OPTIONS, unlike the other
    files.number("second-line", "+31201234568", "spare", "asterisk", [{"id": "machine", "extension": "6599"}])
    files.destination("machine")["extension"] = RINGING_FIRST
    identity = Authority(directory).identity("127.0.0.1")
    async with Server(tls=identity.server()) as hook:
        crm = {"id": "crm", "url": hook.url, "secret_file": "crm.secret", "ca_file": str(identity.authority)}
        files.main["webhooks"] = [crm]
        files.secrets["crm.secret"] = SECRET
        async with (
            crowd(pbx),
            _rings_first(pbx),
            Gateway(files) as gateway,
            Prometheus(gateway.url.removeprefix("http://")) as prometheus,
            platform(pbx.net, transfers) as asking,
            Peer(pbx.net.host(40), user="stranger") as stranger,
        ):
            start = time.time()
            await asking.child.ready(asking.listening)
            await gateway.queue("support", available=CROWD)
            await prometheus.wait_for("transfer_gateway_build_info")
            before = await prometheus.query(COUNTED)
            target = ("Refer-To", "<sip:+31699999999@odd.example>")
            await stranger.request("REFER", f"sip:eve@{pbx.net.gateway}", gateway.sip, headers=[target])
            async with callers(pbx.net, gateway, transfers) as calling:
                # On a machine that is busy SIPp may miss a moment of a call; who counts truly is asked in test_load.
                await calling.finished()
                await asking.finished()
            await gateway.idle()

            async def seen() -> bool:
                # Where SIPp missed a moment, one more may end after all the others.
                counted = await gateway.metric("transfer_gateway_transfers_total")
                assert counted >= 0.9 * transfers
                return bool(await prometheus.query(f"sum(transfer_gateway_transfers_total) == {counted}"))

            # Prometheus has seen the last of them, and that its event is out.
            await eventually(seen, "Prometheus has counted all transfers", timeout_s=30, every_s=0.1)
            await prometheus.wait_for("sum(transfer_gateway_requests_rejected_total) >= 1")
            await prometheus.wait_for("transfer_gateway_outbox_events == 0")
            after = await prometheus.query(COUNTED)
            counts = (str(before[0]["value"][1]), str(after[0]["value"][1]))
            yield Loaded(gateway, prometheus, start, time.time(), counts)


@asynccontextmanager
async def _rings_first(pbx: Asterisk) -> AsyncIterator[None]:
    # An extension that rings for a second before it answers, as people's phones do.
    for line in ("1,Ringing", "2,Wait,1", "3,Answer", "4,Wait,3600"):
        await pbx.cli(f"dialplan add extension {RINGING_FIRST},{line} into transfer-destinations")
    try:
        yield
    finally:
        await pbx.cli(f"dialplan remove extension {RINGING_FIRST}@transfer-destinations")
