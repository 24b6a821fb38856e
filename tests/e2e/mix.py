# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers of every kind at once, with a real PBX: what is asked for, and what is to become of each."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.company import NUMBER, settings
from tests.support.sipp import Sipp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker
    from tests.support.configuration import Configuration
    from tests.support.gateway import Gateway
    from tests.support.processes import Net

PER_SECOND = 20
PATIENCE_MS = 3000
CROWD = 24  # agents: twice as many as talk at once
SCENARIOS = Path(__file__).with_name("scenarios")

# Of twenty transfers so many go to this number, and become this: destination, outcome, reason, and what the platform
# is told: in the REFER's own response, or in the final NOTIFY.
MIX = (
    (4, "+31612345679", "support", "completed", "answered", "told_200"),
    (3, "+31612345690", "machine", "completed", "answered", "told_200"),
    (2, "+31699999999", "", "refused", "unknown-destination", "refused_404"),
    (2, "+31612345691", "closed", "refused", "outside-hours", "refused_480"),
    (2, "+31612345678", "sales", "refused", "queue-unstaffed", "refused_480"),
    (2, "+31612345682", "busy", "failed", "busy", "told_486"),
    (1, "+31612345683", "silent", "failed", "no-answer", "told_480"),
    (2, "+31612345684", "declining", "failed", "declined", "told_603"),
    (1, "+31612345685", "missing", "failed", "unreachable", "told_404"),
    (1, "+31612345692", "endless", "abandoned", "caller-hung-up", "told_487"),
)


@asynccontextmanager
async def lines(pbx: Asterisk, answers: str) -> AsyncIterator[None]:
    """The extensions 7000 to 7999, which do this with a call, and keep it as long as their caller."""
    for step in (f"1,{answers}", "2,Wait,3600"):
        await pbx.cli(f"dialplan add extension _7XXX,{step} into transfer-destinations")
    try:
        yield
    finally:
        await pbx.cli("dialplan remove extension _7XXX@transfer-destinations")


@asynccontextmanager
async def crowd(pbx: Asterisk) -> AsyncIterator[None]:
    """Log agents in to the queue support who answer at once and stay as long as their caller; tidying logs them out."""
    async with lines(pbx, "Answer"):
        for number in range(CROWD):
            # One after the other, for the queue rings all of the lowest penalty at once.
            await pbx.action(
                "QueueAdd",
                Queue="support",
                Interface=f"Local/{7000 + number}@transfer-destinations/n",
                MemberName=f"Agent {number}",
                Penalty=number,
            )
        yield


def configured(pbx: Asterisk, broker: Broker) -> Configuration:
    """The gateway's configuration, with every destination of the mix."""
    files = settings(pbx.net, pbx=pbx, broker=broker)
    files.profiles["hms"]["options_interval_s"] = 0  # SIPp would take it for a call
    weekday = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
    files.main["hours"] = {"later": {"time_zone": "UTC", "weekly": {weekday: ["09:00-17:00"]}}}
    files.destination("silent")["ring_timeout_s"] = 1
    files.line["destinations"] += [
        {"id": "machine", "number": "+31612345690", "extension": "6599"},
        {"id": "closed", "number": "+31612345691", "extension": "6599", "hours": "later"},
        {"id": "endless", "number": "+31612345692", "extension": "6011", "ring_timeout_s": 60},
    ]
    return files


def platform(net: Net, calls: int) -> Sipp:
    """The voice platform, which asks for the mix over and over."""
    numbers = [number for share, number, *_ in MIX for _ in range(share)]
    # Spread over the second, so that not all of a kind come at once.
    order = [numbers[place * 7 % PER_SECOND] for place in range(PER_SECOND)]
    rows = [[f"<sip:{number}@{net.gateway}>"] for number in order]
    return Sipp(str(SCENARIOS / "platform"), net.trunk, calls=calls, rows=rows, hold_ms=100, timeout_s=90)


def callers(net: Net, gateway: Gateway, calls: int) -> Sipp:
    """As many callers, each of whom hangs up if nobody hangs up on them first."""
    return Sipp(
        str(SCENARIOS / "caller"), net.provider, remote=gateway.sip, service=NUMBER, calls=calls, rate=PER_SECOND,
        timeout_s=90, values={"PATIENCE": str(PATIENCE_MS)},
    )  # fmt: skip
