# SPDX-License-Identifier: GPL-2.0-or-later
"""What a body says that means nothing here is named, and what is at `/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import gateway
from gateway.web.openapi import OPERATIONS
from tests.web.serving import BODY, RIGHT, Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.mark.keeps("20.85")
@pytest.mark.parametrize(
    ("path", "body", "ignored"),
    [
        ("/api/calls/c1/transfer", {**BODY, "mesage": "one moment"}, ["mesage"]),
        ("/api/calls/c1/transfer", {**BODY, "id": "crm-7", "call": "c1"}, None),
        ("/api/calls/c1/transfer", {**BODY, "call": "c2"}, ["call"]),
        ("/api/calls/c1/hangup", {"type": "hangup", "reason": "stuck"}, ["reason"]),
        ("/api/calls/c1/cancel", {"why": "", "and": {"so": "on"}}, ["why", "and"]),
        ("/api/transfers/c1/cancel", {"transfer": "c1"}, None),
        ("/api/probe", {"number": "main-line", "destination": "sales", "target": "x"}, ["target"]),
        ("/api/forget", {"caller": "+31612345678", "dry_run": True}, ["dry_run"]),
        ("/api/reload", {"dry_run": True}, ["dry_run"]),
    ],
)
async def test_fields_that_mean_nothing_are_named(
    ask: Client, path: str, body: dict[str, Any], ignored: list[str] | None
) -> None:
    status, answer = await ask(path, "POST", headers=RIGHT, json=body)
    assert status < 300
    assert answer.get("ignored") == ignored


@pytest.mark.keeps("20.85")
async def test_they_are_named_beside_a_mistake_and_never_to_strangers(ask: Client) -> None:
    status, answer = await ask("/api/probe", "POST", headers=RIGHT, json={"number": "main-line", "destinaton": "sales"})
    assert (status, answer["error"]["code"], answer["ignored"]) == (400, "bad-request", ["destinaton"])
    status, answer = await ask("/api/probe", "POST", json={"destinaton": "sales"})
    assert (status, "ignored" in answer) == (401, False)
    body = {"caller": "+31612345678", **{f"{n}" * 100: n for n in range(1, 30)}}
    _, answer = await ask("/api/forget", "POST", headers=RIGHT, json=body)
    assert (len(answer["ignored"]), {len(name) for name in answer["ignored"]}) == (20, {64})


@pytest.mark.keeps("20.86")
async def test_at_the_root_is_where_everything_is(ask: Client) -> None:
    status, answer = await ask("/")
    assert (status, answer["name"], answer["version"]) == (200, "transfer-gateway", gateway.__version__)
    assert len(answer["addresses"]) == len(OPERATIONS)
    assert answer["addresses"]["GET /api/status"] == "How the gateway is."
    async with ask._session.get(f"{ask._base}/", headers={"Accept": "text/plain"}) as response:
        text = await response.text()
        assert (response.status, response.content_type) == (200, "text/plain")
    [line] = [line for line in text.splitlines() if line.startswith("GET /api/status ")]
    assert line.endswith("  How the gateway is.")
    assert isinstance((await ask("/", headers={"Accept": "text/html, application/json"}))[1], dict)


@pytest.mark.keeps("20.86")
async def test_so_many_calls_as_are_asked_for(ask: Client) -> None:
    assert len((await ask("/api/calls"))[1]["calls"]) == 1
    assert (await ask("/api/calls?limit=0"))[1]["calls"] == []


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"RIFF...", 201, None),
        (b"ID3", 400, "bad-sound"),
        (b"full", 503, "no-room"),
        (bytes(1_000_001), 413, "too-large"),
    ],
)
async def test_a_sound_is_taken_as_it_is(ask: Client, data: bytes, status: int, code: str | None) -> None:
    answered, answer = await ask("/api/whispers", "POST", headers=RIGHT, data=data)
    assert answered == status
    if code is None:
        assert (answer["whisper"], answer["duration_s"]) == ("4QzYp0", 1.5)
    else:
        assert answer["error"]["code"] == code


async def test_a_sound_without_a_length_ends_where_it_is_too_large(ask: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(32 * 1024)

    status, answer = await ask("/api/whispers", "POST", headers=RIGHT, data=pieces())
    assert (status, answer["error"]["code"]) == (413, "too-large")
