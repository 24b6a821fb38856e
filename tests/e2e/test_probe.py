# SPDX-License-Identifier: GPL-2.0-or-later
"""`probe` against a PBX on which each destination fails in another way, with a running gateway and without."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command_line import transfer_gateway
from tests.support.company import settings
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk

pytestmark = pytest.mark.pbx

CLOSED = {"time_zone": "Europe/Amsterdam", "weekly": {}}


async def probe(gateway: Gateway, *arguments: str) -> tuple[int, str, str]:
    """Run the command on the gateway's configuration: exit code, output, complaints."""
    return await transfer_gateway("probe", "--config", str(gateway.directory), *arguments)


async def probed(gateway: Gateway, *arguments: str) -> tuple[int, dict[str, Any], dict[str, dict[str, Any]]]:
    """As JSON: exit code, the whole, and each finding by its target."""
    code, out, err = await probe(gateway, "--json", *arguments)
    assert out, err
    document: dict[str, Any] = json.loads(out)
    return code, document, {each["target"]: each for each in document["probes"]}


def in_trouble(pbx: Asterisk) -> Configuration:
    """A configuration whose destinations fail for different reasons."""
    files = settings(pbx.net, pbx=pbx, hours={"never": CLOSED})
    files.destination("busy")["hours"] = "never"
    files.destination("silent")["group"] = ["6009"]
    return files


EXPECTED = {
    "sales": None,
    "support": "queue-unstaffed",
    "anna": "agents-busy",
    "busy": "outside-hours",
    "silent": "queue-unstaffed",
    "declining": None,  # only its phone knows that it will decline
    "missing": "the PBX has no such extension (404)",
    "voicemail": None,
    "+31612345678": None,
    "+31699999999": "unknown-destination",
    "http://x": "bad-request",
}


@pytest.mark.parametrize("runs", [True, False], ids=["gateway runs", "no gateway runs"])
async def test_each_destination_fails_in_its_own_way(pbx: Asterisk, phones: Phones, runs: bool) -> None:
    anna = await phones("6001", hz=1000)
    bert = await phones("6002", hz=1200)
    await anna.dial("6011")
    await pbx.until_state("6001", 1)
    gateway = Gateway(in_trouble(pbx))
    if runs:
        await gateway.start()
        await gateway.queue("sales", available=1)
    try:
        channels = await pbx.channels()
        code, document, found = await probed(gateway, *EXPECTED)
        print((await probe(gateway, *EXPECTED))[1])
        assert await pbx.channels() == channels
    finally:
        if runs:
            await gateway.stop()
    assert {target: each["problem"] for target, each in found.items()} == EXPECTED
    assert (code, document["ok"], document["source"]) == (1, False, "gateway" if runs else "pbx")
    assert found["+31612345678"]["destination"] == "sales"
    assert found["sales"]["options"] == {"code": 200, "text": "has the extension (200)"}
    assert not [event for event in bert.events if event["type"].startswith("CALL_")]


async def test_what_overflows_is_no_failure(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", hz=1000)
    async with Gateway(settings(pbx.net, pbx=pbx)) as gateway:
        await gateway.queue("sales", available=1)
        code, document, found = await probed(gateway, "overflowing")
        assert (code, document["ok"]) == (0, True)
        assert (found["overflowing"]["problem"], found["overflowing"]["overflow"]) == (None, "anna")
        code, table, _ = await probe(gateway, "overflowing", "sales")
        assert code == 0
        head, overflowing, sales = table.splitlines()
        assert head.split() == ["destination", "extension", "result", "PBX", "gate"]
        assert "  ok, by overflow to anna  " in overflowing
        assert overflowing.endswith("  queue support: no agent is logged in")
        assert sales.endswith("  has the extension (200)  queue sales: 1 of 1 agents free, 0 waiting")


async def test_with_call_a_person_is_reached_for_a_moment(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=1000)
    bert = await phones("6002", hz=1200, manner="busy")
    files = settings(pbx.net, pbx=pbx)
    files.destination("sales")["min_available"] = 0
    async with Gateway(files) as gateway:
        await gateway.queue("sales", available=2)
        code, document, found = await probed(gateway, "--call", "anna", "busy", "support", "sales")
        assert (code, document["source"]) == (1, "gateway")
        assert {target: each["problem"] for target, each in found.items()} == {
            "anna": None,
            "busy": "the call failed",
            "support": "queue-unstaffed",
            "sales": None,
        }
        assert found["busy"]["call"]["text"] == "busy (486)"
        assert found["anna"]["call"]["reached"]
        assert found["support"]["call"] is None  # what the gate refuses is not called
        await anna.event("CALL_CLOSED", count=2)
        assert not [event for event in bert.events if event["type"] == "CALL_ESTABLISHED"]
        await gateway.idle()


async def test_a_pbx_that_is_away(pbx: Asterisk) -> None:
    gateway = Gateway(settings(pbx.net, pbx=pbx))
    await pbx.stop()
    assert (await probe(gateway, "--call"))[0] == 1
    code, document, found = await probed(gateway, "sales", "anna")
    assert (code, document["source"]) == (1, "configuration")
    for each in found.values():
        assert each["gate"]["decision"] == "accept"  # as when_unknown says
        assert "state unknown, not connected to the PBX" in "".join(each["gate"]["trail"])
        assert each["problem"].startswith("the PBX can't be asked: ")
