# SPDX-License-Identifier: GPL-2.0-or-later
"""The key exchanges once more, with SIPp at every end: three calls at a time, and nothing but what is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, LINES, PBX_PORT, SALES, UNKNOWN
from tests.sip.sipp_steps import ACTIVE, OVER, bye, notify, played, refer, response

if TYPE_CHECKING:
    from tests.support.gateway import Gateway
    from tests.support.processes import Net

pytestmark = pytest.mark.sip


async def play(wires: Net, gateway: Gateway, *steps: str, transferred: bool = True) -> None:
    """Callers reach the platform, which does the steps; afterwards nothing is left in the gateway."""
    number = LINES["main"].number
    await played(steps, wires.trunk, (wires.pbx, PBX_PORT), gateway.sip, number, transferred=transferred)
    await gateway.idle()


@pytest.mark.keeps("2.1")
async def test_accepted(wires: Net, shared_gateway: Gateway) -> None:
    await play(
        wires, shared_gateway,
        refer(ANNA), response(202), notify(100, ACTIVE), notify(180, ACTIVE), notify(200, OVER), bye(),
    )  # fmt: skip


@pytest.mark.keeps("2.11")
async def test_refused(wires: Net, shared_gateway: Gateway) -> None:
    why = 'SIP;cause=404;text="unknown-destination"'
    await play(wires, shared_gateway, refer(UNKNOWN), response(404, reason=why), bye(), transferred=False)


@pytest.mark.keeps("2.24")
async def test_second_refer_while_one_is_pending(wires: Net, shared_gateway: Gateway) -> None:
    await play(
        wires, shared_gateway,
        refer(ANNA), response(202), notify(100, ACTIVE), notify(180, ACTIVE),
        refer(SALES, number=2), response(491, reason='SIP;cause=491;text="transfer-pending"'),
        notify(200, OVER), bye(),
    )  # fmt: skip


@pytest.mark.keeps("2.23")
async def test_repeated_refer(wires: Net, shared_gateway: Gateway) -> None:
    await play(
        wires, shared_gateway,
        refer(ANNA), response(202), notify(100, ACTIVE), notify(180, ACTIVE),
        refer(ANNA, again=True), response(202), notify(200, OVER), bye(),
    )  # fmt: skip


@pytest.mark.keeps("2.28")
async def test_required_extension(wires: Net, shared_gateway: Gateway) -> None:
    await play(
        wires, shared_gateway,
        refer(ANNA, "Require: nosub"), response(420, unsupported="nosub"), bye(),
        transferred=False,
    )  # fmt: skip


@pytest.mark.keeps("2.27")
async def test_no_subscription_wanted(wires: Net, shared_gateway: Gateway) -> None:
    await play(wires, shared_gateway, refer(ANNA, "Refer-Sub: false"), response(202, refer_sub="false"), bye())


@pytest.mark.keeps("2.18")
async def test_481_to_a_notify(wires: Net, shared_gateway: Gateway) -> None:
    await play(wires, shared_gateway, refer(ANNA), response(202), notify(100, ACTIVE, answer=481), bye())
