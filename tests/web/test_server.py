# SPDX-License-Identifier: GPL-2.0-or-later
"""The HTTP API, asked over a real connection."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.clock import LoopClock
from gateway.core.json_form import call_document, transfer_document
from gateway.core.outcome import Outcome, Reason
from gateway.web.server import WebServer
from tests.report import samples
from tests.support.processes import free_port
from tests.web.serving import BODY, RIGHT, Client, Gateway, metrics, serving


async def test_metrics_are_written_as_the_client_accepts_them(ask: Client) -> None:
    async with ask._session.get(f"{ask._base}/metrics") as response:
        assert (response.status, await response.read()) == (200, b"up 1\n")
        assert response.headers["Content-Type"] == "text/plain; of=*/*"
        assert response.headers["Vary"] == "Accept"


async def test_ready_tells_what_is_missing(ask: Client, gateway: Gateway) -> None:
    assert (await ask("/healthz"))[0] == 200
    status, body = await ask("/readyz")
    assert (status, body["ready"], body["missing"]) == (200, True, [])
    gateway.conditions["not-draining"] = False
    status, body = await ask("/readyz")
    assert (status, body["ready"], body["missing"]) == (503, False, ["not-draining"])
    assert (await ask("/healthz"))[0] == 200


async def test_the_lists_of_the_contract(ask: Client, gateway: Gateway) -> None:
    assert await ask("/api/status") == (200, {"state": "online"})
    leg = {
        "side": "pbx", "peer": "asterisk", "call_id": "1@pbx", "state": "up", "codec": "PCMA", "encrypted": False,
        "media_address": "192.0.2.7:4000", "rtp_age_s": 0.0,
    }  # fmt: skip
    known = {
        "audio": {"path": "relay", "why": "same-codec"}, "state": "up", "duration_s": 12.346, "legs": [leg],
    }  # fmt: skip
    under_way = [call_document(call) | known for call in gateway.calls()]
    assert await ask("/api/calls") == (200, {"calls": under_way})
    assert await ask("/api/dialogs?limit=2") == (200, {"dialogs": [{"call_id": "1@pbx"}, {"call_id": "2@pbx"}]})
    assert await ask("/api/dialogs?call_id=2@pbx") == (200, {"dialogs": [{"call_id": "2@pbx"}]})
    assert await ask("/api/dialogs") == (200, {"dialogs": list(gateway.dialogs(3))})
    transfers = [transfer_document(record) for record in await gateway.transfers()]
    assert await ask("/api/transfers") == (200, {"transfers": transfers})
    assert transfers[0]["outcome"] is None
    assert await ask("/api/transfers?limit=1") == (200, {"transfers": transfers[:1]})
    assert await ask("/api/transfers/01A") == (200, transfers[1])
    status, body = await ask("/api/queues")
    assert status == 200
    assert [(queue["pbx"], queue["queue"], queue["available"]) for queue in body["queues"]] == [
        ("asterisk", "sales", 1)
    ]
    assert [(pbx["pbx"], pbx["known"], pbx["unknown_because"]) for pbx in body["pbxs"]] == [
        ("asterisk", True, None),
        ("other", False, "no state source is configured"),
    ]


async def test_a_disk_that_does_not_tell_what_it_holds_is_said_so(ask: Client, gateway: Gateway) -> None:
    gateway.disk_fails = True
    for path in ("/api/transfers", "/api/transfers/01A"):
        status, body = await ask(path)
        assert (status, body["error"]["code"]) == (503, "unreadable")
        assert "disk I/O error" in body["error"]["message"]


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("target=sales&number=main-line", ("sales", "main-line", None)),
        ("target=%2B31612345678&number=%2B31201234567", ("+31612345678", "+31201234567", None)),
        # What people type.
        ("target=+31612345678&number=main-line", ("+31612345678", "main-line", None)),
        (
            "target=sales&number=main-line&at=2026-03-02T09:30:00+01:00",
            ("sales", "main-line", datetime(2026, 3, 2, 8, 30, tzinfo=UTC)),
        ),
        (
            "target=sip:sales@example.com&number=main-line&at=2026-03-02T08:30:00Z",
            ("sip:sales@example.com", "main-line", datetime(2026, 3, 2, 8, 30, tzinfo=UTC)),
        ),
        # The gateway knows by which clock.
        ("target=sales&number=main-line&at=2026-03-02T09:30", ("sales", "main-line", datetime(2026, 3, 2, 9, 30))),  # noqa: DTZ001
    ],
)
async def test_explain_asks_the_gate(ask: Client, gateway: Gateway, query: str, asked: tuple[object, ...]) -> None:
    assert await ask(f"/api/explain?{query}") == (200, {"decision": "accept", "destination": asked[0]})
    assert gateway.asked == [asked]


async def test_a_call_is_transferred_with_the_token(ask: Client, gateway: Gateway) -> None:
    status, body = await ask("/api/calls/c1/transfer", "POST", json=BODY, headers=RIGHT)
    assert (status, body) == (202, {"transfer": transfer_document(gateway.answer)})
    assert gateway.asked == [("c1", "sales", "one moment")]
    gateway.answer = replace(
        samples.refused(),
        trail=("queue sales: nobody is logged in",),
        outcome=Outcome.REFUSED,
        reason=Reason.QUEUE_UNSTAFFED,
    )
    status, body = await ask("/api/calls/c1/transfer", "POST", json=BODY, headers=RIGHT)
    assert (status, body["error"]["code"], body["transfer"]["reason"]) == (409, "refused", "queue-unstaffed")
    assert body["error"]["message"] == "queue-unstaffed: queue sales: nobody is logged in"


async def test_a_reload_tells_every_mistake(ask: Client, gateway: Gateway) -> None:
    assert await ask("/api/reload", "POST", headers=RIGHT) == (
        200,
        {"reloaded": True, "applied": ["history.days"], "restart_needed": ["sip.udp_port"]},
    )
    gateway.mistakes = ["gateway.toml: sip.udp_port: 70000 is no port"]
    status, body = await ask("/api/reload", "POST", headers=RIGHT)
    assert (status, body["error"]["code"], body["mistakes"]) == (422, "bad-configuration", gateway.mistakes)


async def test_a_restart_has_begun_or_says_why_not(ask: Client, gateway: Gateway) -> None:
    status, body = await ask("/api/restart", "POST", headers=RIGHT)
    assert (status, body["restarting"], body["calls"], body["transfers"]) == (202, True, 2, 1)
    status, body = await ask("/api/restart", "POST", headers=RIGHT)
    assert (status, body["error"]["code"], body["mistakes"]) == (409, "stopping", [])
    gateway.mistakes = ["gateway.toml: sip.udp_port: 70000 is no port"]
    status, body = await ask("/api/restart", "POST", headers=RIGHT)
    assert (status, body["error"]["code"], body["mistakes"]) == (422, "bad-configuration", gateway.mistakes)


async def test_a_port_that_is_taken_is_an_oserror_and_port_0_is_off(gateway: Gateway) -> None:
    port = free_port()
    first = WebServer(gateway, metrics=metrics, token=None, clock=LoopClock())
    await first.start("127.0.0.1", port)
    second = WebServer(gateway, metrics=metrics, token=None, clock=LoopClock())
    with pytest.raises(OSError, match=str(port)):
        await second.start("127.0.0.1", port)
    await first.stop()
    await second.start("127.0.0.1", 0)
    await second.stop()


async def test_a_test_call(gateway: Gateway) -> None:
    async with serving(gateway) as ask:
        body = {"number": "main-line", "destination": "sales"}
        assert (await ask("/api/probe", "POST", json=body))[0] == 401
        assert gateway.asked == []
        status, answer = await ask("/api/probe", "POST", json=body, headers=RIGHT)
        assert (status, answer) == (200, {"reached": True, "code": 200, "text": "answered", "seconds": 0.25})
        for wrong, code, expected in (
            ({"number": "main-line"}, "bad-request", 400),
            ({"number": "main-line", "destination": 6500}, "bad-request", 400),
            ({"number": "main-line", "destination": "nobody"}, "unknown-destination", 404),
        ):
            status, answer = await ask("/api/probe", "POST", json=wrong, headers=RIGHT)
            assert (status, answer["error"]["code"]) == (expected, code)


async def test_a_transfer_is_cancelled(gateway: Gateway) -> None:
    async with serving(gateway) as ask:
        assert (await ask("/api/transfers/01B/cancel", "POST"))[0] == 401
        assert gateway.asked == []
        status, answer = await ask("/api/transfers/01B/cancel", "POST", headers=RIGHT)
        assert (status, answer) == (200, {"transfer": transfer_document(samples.refused())})
        body = {"type": "cancel", "id": "crm-7"}
        assert (await ask("/api/calls/c1/cancel", "POST", json=body, headers=RIGHT))[0] == 200
        assert gateway.asked == [("01B", None), ("c1", "crm-7")]
        for path, wrong, code, expected in (
            ("/api/transfers/01X/cancel", {}, "unknown-transfer", 404),
            ("/api/transfers/late/cancel", {}, "too-late", 409),
            ("/api/transfers/01B/cancel", {"type": "transfer"}, "bad-request", 400),
            ("/api/transfers/01B/cancel", {"id": 7}, "bad-request", 400),
            ("/api/calls/c1/transfer", {**BODY, "id": "x" * 129}, "bad-request", 400),
            ("/api/calls/c1/transfer", {**BODY, "destination": "x" * 513}, "bad-request", 400),
            ("/api/calls/c1/transfer", {**BODY, "message": "x" * 2001}, "bad-request", 400),
            ("/api/calls/c1/transfer", {"destination": "sales"}, "bad-request", 400),
        ):
            status, answer = await ask(path, "POST", json=wrong, headers=RIGHT)
            assert (status, answer["error"]["code"]) == (expected, code)


async def test_a_command_takes_its_id_along(gateway: Gateway) -> None:
    async with serving(gateway) as ask:
        assert (await ask("/api/calls/c1/transfer", "POST", json={**BODY, "id": "crm-7"}, headers=RIGHT))[0] == 202
    assert gateway.asked == [("c1", "sales", "one moment", "crm-7")]


async def test_the_configuration_is_told_and_what_check_says(ask: Client, gateway: Gateway) -> None:
    status, told = await ask("/api/configuration")
    assert (status, told["keys"][0]["key"]) == (200, "gateway.instance")
    assert (await ask("/api/configuration/check"))[1]["ok"] is True
    gateway.disk_fails = True
    status, told = await ask("/api/configuration/check")
    assert (status, told["error"]["code"]) == (503, "unreadable")
