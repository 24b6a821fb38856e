# SPDX-License-Identifier: GPL-2.0-or-later
"""Twenty transfers a second, and five thousand requests a second of somebody whom nobody knows: none of them fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.company import NUMBER
from tests.support.flood import Flood, invite, request
from tests.support.gateway import Gateway
from tests.support.many_transfers import ANNA, ManyTransfers, configured

if TYPE_CHECKING:
    from tests.support.processes import Net
    from tests.support.sip_message import Address

pytestmark = [pytest.mark.sip, pytest.mark.alone, pytest.mark.timeout(120)]

TRANSFERS, STRANGERS = 20, 5000
"""A second."""
SECONDS = 10
FLOOD_S = SECONDS + 4
"""It begins before the first of them, and ends after the last."""


def dropped_by_the_kernel(where: Address) -> int:
    """How many datagrams to this socket have not even reached its process (see proc(5), /proc/net/udp)."""
    address = b"".join(int(part).to_bytes() for part in where[0].split("."))
    local = f"{int.from_bytes(address, 'little'):08X}:{where[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[-1]) for row in rows if row[1] == local)


@pytest.mark.keeps("16.16")
async def test_no_transfer_fails_beside_a_flood_of_strangers(own_net: Net, tmp_path: Path) -> None:
    source, anna = own_net.host(199), f"sip:{ANNA}@{own_net.gateway}"
    requests = [
        request("OPTIONS", f"sip:{own_net.gateway}", source),
        invite(anna, source),
        invite(f"sip:{NUMBER}@{own_net.gateway}", source),
        request("REFER", f"sip:{NUMBER}@{own_net.gateway}", source, more=f"Refer-To: <{anna}>\r\n"),
    ]
    async with (
        Gateway(configured(own_net)) as gateway,
        ManyTransfers(gateway, own_net, per_second=TRANSFERS, seconds=SECONDS) as transfers,
        Flood(tmp_path, source, gateway.sip, per_second=STRANGERS, seconds=FLOOD_S, request=requests) as flood,
    ):
        done = await transfers.played()
        told = await flood.told()
        assert (done.answered, done.refused, done.completed, done.reached) == (done.asked, 0, done.asked, done.asked), (
            done
        )
        # Nobody had to ask twice: a request over UDP is sent again after half a second (RFC 3261 §17.1.1.2).
        print(f"REFER to 202 within {done.waits_ms[-1]:.0f} ms, INVITE to 200 within {done.setups_ms[-1]:.0f} ms")
        assert done.waits_ms[-1] < 500
        assert told.sent > 0.9 * STRANGERS * FLOOD_S
        # What they cost is a filter's few instructions each: all but a few end in the kernel.
        dropped = dropped_by_the_kernel(gateway.sip)
        print(f"{dropped} of {told.sent} strangers' requests have ended in the kernel; {told.codes} were answered")
        assert dropped > 0.95 * told.sent
        assert set(told.codes) <= {"403"}
        assert sum(told.codes.values()) < 0.01 * told.sent
        await gateway.idle()
