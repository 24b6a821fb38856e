# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole gateway whose broker, or disk, will not have what it has to tell."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.core.json_form import timestamp, transfer_document
from gateway.report.journal import Journal
from gateway.report.store import Put, TransferChange
from tests.report import samples
from tests.report.listener import Listener
from tests.support.broker import Broker
from tests.support.company import settings
from tests.support.configuration import TOKEN
from tests.support.gateway import Gateway
from tests.support.processes import Net, eventually

pytestmark = [pytest.mark.sip, pytest.mark.broker]

BASE = "transfer-gateway/test"


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with Broker(rights=[f"topic readwrite {BASE}/status"]) as running:
        yield running


@pytest.fixture
def gateway(own_net: Net, broker: Broker) -> Gateway:
    """One that is not started yet."""
    return Gateway(settings(own_net, broker=broker, pbx_uri=f"sip:{own_net.pbx}:5060"))


async def left_under_way(directory: Path) -> None:
    """Leave a transfer behind as a gateway does that was killed: the next one has to tell its end."""
    record = samples.requested()
    payload = json.dumps({"data": transfer_document(record)})
    journal = Journal(directory / "state", {"mqtt": lambda _state: None})
    await journal.open()
    change = TransferChange(samples.ID, timestamp(record.requested_at), ended=False)
    journal.put(Put("first", "transfers/main-line", payload, 0.0, change))
    await journal.close()


@pytest.mark.keeps("16.90")
async def test_what_the_broker_refuses_is_told_everywhere_and_arrives_after_a_reload(
    gateway: Gateway, broker: Broker
) -> None:
    await left_under_way(gateway.directory)
    async with gateway:

        async def set_aside() -> bool:
            return bool((await gateway.get("/api/status"))["outbox"]["refused"] == 2)

        await eventually(set_aside, "both events are set aside")
        outbox = (await gateway.get("/api/status"))["outbox"]
        assert outbox["events"] == 0
        assert "Not authorized" in outbox["refused_because"]
        assert outbox["writable"] is True
        assert await gateway.metric("transfer_gateway_outbox_refused_events") == 2
        assert await gateway.metric("transfer_gateway_mqtt_connected") == 1
        assert (await gateway.http("GET", "/readyz"))[0] == 200
        assert gateway.log.count("event-refused") == 1
        assert "may this user write to" in gateway.log
        broker.grant("topic readwrite #")
        broker.reload()
        async with Listener(broker) as listener:
            status, _ = await gateway.http("POST", "/api/reload", token=TOKEN)
            assert status == 200
            await listener.until(lambda received: any(f"{BASE}/transfers/" in one.topic for one in received))
            await eventually(nothing_refused(gateway), "nothing is set aside any more")
            told = [one for one in listener.on("/transfers/main-line") if one.get("subject") == samples.ID]
            assert [one["data"]["outcome"] for one in told] == ["interrupted"]


def nothing_refused(gateway: Gateway) -> Callable[[], Awaitable[bool]]:
    async def none() -> bool:
        outbox = (await gateway.get("/api/status"))["outbox"]
        return bool(outbox["refused"] == 0 and outbox["events"] == 0)

    return none


@pytest.mark.keeps("16.94")
async def test_a_state_directory_that_vanishes_makes_it_unready_until_it_is_back(gateway: Gateway) -> None:
    async with gateway:
        assert (await gateway.http("GET", "/readyz"))[0] == 200
        state = gateway.directory / "state"
        replace_by_a_file(state)

        async def unready() -> bool:
            return (await gateway.http("GET", "/readyz"))[0] == 503

        await eventually(unready, "it cannot store and says so", timeout_s=20)
        body = json.loads((await gateway.http("GET", "/readyz"))[1])
        assert body["missing"] == ["outbox"]
        assert await gateway.metric("transfer_gateway_outbox_writable") == 0
        state.unlink()

        async def ready() -> bool:
            return (await gateway.http("GET", "/readyz"))[0] == 200

        await eventually(ready, "it can store again", timeout_s=20)
        assert await gateway.metric("transfer_gateway_outbox_writable") == 1
        assert has_database(state)
        assert gateway.log.count("outbox-file-restored") == 1
        assert "Traceback" not in gateway.log


def replace_by_a_file(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.write_text("")


def has_database(directory: Path) -> bool:
    return (directory / "outbox.db").exists()
