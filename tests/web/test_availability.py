# SPDX-License-Identifier: GPL-2.0-or-later
"""`/api/availability` over HTTP: the document, and the tag by which who asks again learns that it says the same."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from tests.web.serving import Client, Gateway

PATH = "/api/availability?number=main-line"


async def asked_again(ask: Client, tags: str) -> tuple[int, str, str]:
    """Status, tag and body of the answer to who has these tags already."""
    async with (
        aiohttp.ClientSession(headers={"If-None-Match": tags}) as session,
        session.get(f"http://127.0.0.1:{ask.port}{PATH}") as response,
    ):
        return response.status, response.headers["ETag"], await response.text()


async def test_all_destinations_or_one(ask: Client, gateway: Gateway) -> None:
    status, document = await ask(PATH)
    assert status == 200
    assert (document["number"], document["called"], document["pbx"]["known"]) == ("main-line", "+31201234567", True)
    assert [each["destination"] for each in document["destinations"]] == ["sales", "reception"]
    _, document = await ask(f"{PATH}&destination=+31612345678")
    assert [each["destination"] for each in document["destinations"]] == ["sales"]
    assert gateway.asked == [("main-line", None), ("main-line", "+31612345678")]


async def test_who_asks_again_is_told_that_nothing_has_changed(ask: Client, gateway: Gateway) -> None:
    await ask(PATH)
    tag = ask.headers["ETag"]
    assert tag.startswith('W/"')
    assert ask.headers["Cache-Control"] == "no-cache"
    gateway.at += timedelta(seconds=3)  # it is another moment, and the PBX has spoken since
    assert await asked_again(ask, tag) == (304, tag, "")
    assert await asked_again(ask, f'"other", {tag}') == (304, tag, "")
    assert await asked_again(ask, "*") == (304, tag, "")
    gateway.free = 0
    status, changed, body = await asked_again(ask, tag)
    assert (status, changed != tag) == (200, True)
    assert "agents-busy" in body


@pytest.mark.parametrize("tags", ['"', "W/", '"x', "x,,,", "\u00ff" * 300])
async def test_tags_that_are_none_are_no_tags(ask: Client, tags: str) -> None:
    status, _, _ = await asked_again(ask, tags)
    assert status == 200
