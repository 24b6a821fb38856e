# SPDX-License-Identifier: GPL-2.0-or-later
"""Five hundred transfers, twenty a second, of every kind: each ends once, and all who count count the same."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.e2e.mix import CROWD, MIX, PER_SECOND, callers, configured, crowd, platform
from tests.support.gateway import Gateway
from tests.support.processes import eventually
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker

pytestmark = [pytest.mark.pbx, pytest.mark.broker, pytest.mark.alone, pytest.mark.timeout(120)]

TRANSFERS = 500


async def test_five_hundred_transfers_are_counted_alike_by_everybody(pbx: Asterisk, broker: Broker) -> None:
    rounds = TRANSFERS // PER_SECOND
    async with (
        crowd(pbx),
        Subscriber(broker, "transfer-gateway/test/transfers/#") as heard,
        Gateway(configured(pbx, broker)) as gateway,
        platform(pbx.net, TRANSFERS) as asking,
    ):
        await asking.child.ready(asking.listening)
        await gateway.queue("support", available=CROWD)
        await gateway.queue("sales", logged_in=0)
        began = time.monotonic()
        async with callers(pbx.net, gateway, TRANSFERS) as calling:
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
        async with platform(pbx.net, TRANSFERS) as asking:
            await asking.child.ready(asking.listening)
            await gateway.queue("support", available=CROWD)
            async with callers(pbx.net, gateway, TRANSFERS):
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
