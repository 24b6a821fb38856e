# SPDX-License-Identifier: GPL-2.0-or-later
"""Five hundred transfers, twenty a second, of every kind: each ends once, and all who count count the same."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.company import NUMBER, settings
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway
from tests.support.processes import eventually
from tests.support.sipp import Sipp
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker
    from tests.support.processes import Net

pytestmark = [pytest.mark.pbx, pytest.mark.broker, pytest.mark.alone, pytest.mark.timeout(120)]

TRANSFERS, PER_SECOND = 500, 20
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
async def crowd(pbx: Asterisk) -> AsyncIterator[None]:
    """Log agents in to the queue support who answer at once and stay as long as their caller; tidying logs them out."""
    for line in ("1,Answer", "2,Wait,3600"):
        await pbx.cli(f"dialplan add extension _7XXX,{line} into transfer-destinations")
    for number in range(CROWD):
        # One after the other, for the queue rings all of the lowest penalty at once.
        await pbx.action(
            "QueueAdd",
            Queue="support",
            Interface=f"Local/{7000 + number}@transfer-destinations/n",
            MemberName=f"Agent {number}",
            Penalty=number,
        )
    try:
        yield
    finally:
        await pbx.cli("dialplan remove extension _7XXX@transfer-destinations")


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


def platform(net: Net) -> Sipp:
    """The voice platform, which asks for the mix over and over."""
    numbers = [number for share, number, *_ in MIX for _ in range(share)]
    # Spread over the second, so that not all of a kind come at once.
    order = [numbers[place * 7 % PER_SECOND] for place in range(PER_SECOND)]
    rows = [[f"<sip:{number}@{net.gateway}>"] for number in order]
    return Sipp(str(SCENARIOS / "platform"), net.trunk, calls=TRANSFERS, rows=rows, hold_ms=100, timeout_s=90)


def callers(net: Net, gateway: Gateway) -> Sipp:
    """As many callers, each of whom hangs up if nobody hangs up on them first."""
    return Sipp(
        str(SCENARIOS / "caller"), net.provider, remote=gateway.sip, service=NUMBER, calls=TRANSFERS, rate=PER_SECOND,
        timeout_s=90, values={"PATIENCE": str(PATIENCE_MS)},
    )  # fmt: skip


async def test_five_hundred_transfers_are_counted_alike_by_everybody(pbx: Asterisk, broker: Broker) -> None:
    rounds = TRANSFERS // PER_SECOND
    async with (
        crowd(pbx),
        Subscriber(broker, "transfer-gateway/test/transfers/#") as heard,
        Gateway(configured(pbx, broker)) as gateway,
        platform(pbx.net) as asking,
    ):
        await asking.child.ready(asking.listening)
        await gateway.queue("support", available=CROWD)
        await gateway.queue("sales", logged_in=0)
        began = time.monotonic()
        async with callers(pbx.net, gateway) as calling:
            called = (await calling.finished()).check().counters
            told = (await asking.finished()).check().counters
        await gateway.idle()
        assert time.monotonic() - began < 60

        async def ended() -> bool:
            return len(heard.events("transfer.ended.v1")) >= TRANSFERS

        await eventually(ended, "the broker has heard of every end", timeout_s=20, every_s=0.2)
        expected = Counter({(to, outcome, reason): share * rounds for share, _, to, outcome, reason, _ in MIX})
        by_subject = Counter(event["subject"] for event in heard.events("transfer.ended.v1"))
        assert (len(by_subject), set(by_subject.values())) == (TRANSFERS, {1})
        events = Counter(
            (event["data"]["destination"] or "", event["data"]["outcome"], event["data"]["reason"])
            for event in heard.events("transfer.ended.v1")
        )
        assert events == expected
        assert {event["subject"] for event in heard.events("transfer.requested.v1")} == set(by_subject)
        queued = [one["data"] for one in heard.events("transfer.ended.v1") if one["data"]["destination"] == "support"]
        assert all(data["human_at"] for data in queued)

        codes: Counter[str] = Counter()
        for share, *_, code in MIX:
            codes[code] += share * rounds
        assert Counter({name: count for name, count in told.items() if name[:4] in {"told", "refu"} and count}) == codes
        assert (told["called"], told["referred"]) == (TRANSFERS, TRANSFERS)
        stayed = sum(count for (_, outcome, _), count in expected.items() if outcome in {"completed", "abandoned"})
        assert called == {"called": TRANSFERS, "answered": TRANSFERS, "left": stayed, "let_go": TRANSFERS - stayed}

        for (to, outcome, reason), count in expected.items():
            labels = {"outcome": outcome, "reason": reason, "entry": "refer", "destination": to or "unknown"}
            counted = await gateway.metric("transfer_gateway_transfers_total", **labels)
            assert counted == count, labels
        assert await gateway.metric("transfer_gateway_transfers_total") == TRANSFERS
        assert await gateway.metric("transfer_gateway_refer_response_seconds_count") == TRANSFERS
        completed = sum(count for (_, outcome, _), count in expected.items() if outcome == "completed")
        assert len(heard.events("call.ended.v1")) == completed
        assert await gateway.metric("transfer_gateway_calls_in_progress") == 0
        answered = await gateway.metric("transfer_gateway_refer_response_seconds_sum") / TRANSFERS
        print(f"{TRANSFERS} transfers in {time.monotonic() - began:.1f} s, a REFER decided in {answered * 1000:.2f} ms")
    await eventually(lambda: quiet(pbx), "every channel of the PBX is gone")


async def test_a_crash_in_the_midst_of_it_leaves_no_transfer_without_its_end(pbx: Asterisk, broker: Broker) -> None:
    async with (
        crowd(pbx),
        Subscriber(broker, "transfer-gateway/test/transfers/#") as heard,
        Gateway(configured(pbx, broker)) as gateway,
    ):
        async with platform(pbx.net) as asking:
            await asking.child.ready(asking.listening)
            await gateway.queue("support", available=CROWD)
            async with callers(pbx.net, gateway):
                await heard.until(lambda messages: len(messages) >= 10 * PER_SECOND, timeout_s=20)
                await gateway.kill()
        await pbx.tidy()
        await gateway.start()

        async def all_ended() -> bool:
            ends = {event["subject"] for event in heard.events("transfer.ended.v1")}
            return ends >= {event["subject"] for event in heard.events("transfer.requested.v1")}

        await eventually(all_ended, "every transfer has its end", every_s=0.2)

        async def all_sent() -> bool:
            return await gateway.metric("transfer_gateway_outbox_events") == 0

        await eventually(all_sent, "the outbox is empty")
        ends = {event["id"]: event for event in heard.events("transfer.ended.v1")}
        assert set(Counter(event["subject"] for event in ends.values()).values()) == {1}
        interrupted = [event for event in ends.values() if event["data"]["outcome"] == "interrupted"]
        print(f"{len(interrupted)} of {len(ends)} transfers were interrupted")
        assert interrupted
        assert all(event["data"]["reason"] == "gateway-stopped" for event in interrupted)
        counted = await gateway.metric("transfer_gateway_transfers_total", outcome="interrupted")
        assert counted == len(interrupted)
        await gateway.idle()
    await eventually(lambda: quiet(pbx), "every channel of the PBX is gone")


async def quiet(pbx: Asterisk) -> bool:
    return await pbx.channels() == 0
