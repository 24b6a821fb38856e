# SPDX-License-Identifier: GPL-2.0-or-later
"""A token that is shown once: what the cookie is good for, for whom, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
import pytest

from gateway.clock import LoopClock
from gateway.core.moment import Moment
from gateway.ports import Author
from gateway.web import sessions
from gateway.web.server import WebServer
from gateway.web.sessions import COOKIE, Sessions
from gateway.web.tokens import Permission
from tests.support.processes import free_port
from tests.web.serving import BODY, TOKEN, Client, Gateway, metrics
from tests.web.test_tokens import CRM, SHOP

OURS = {"Sec-Fetch-Site": "same-origin"}
COMMAND = "/api/calls/c1/transfer"


class Later(LoopClock):
    """Is ahead by so much."""

    ahead_s = 0.0

    def now(self) -> Moment:
        now = super().now()
        return replace(now, steady=now.steady + self.ahead_s)


@asynccontextmanager
async def served(gateway: Gateway, clock: LoopClock) -> AsyncIterator[tuple[WebServer, Client]]:
    server = WebServer(gateway, metrics=metrics, token=TOKEN, clock=clock, tokens=[CRM, SHOP])
    port = free_port()
    await server.start("127.0.0.1", port)
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield server, Client(session, port)
    finally:
        await server.stop()


@pytest.fixture
async def clock() -> Later:
    return Later()


@pytest.fixture
async def site(gateway: Gateway, clock: Later) -> AsyncIterator[tuple[WebServer, Client]]:
    async with served(gateway, clock) as both:
        yield both


async def signed_in(ask: Client, secret: str) -> dict[str, str]:
    """What a browser sends from then on."""
    status, answer = await ask("/api/session", "POST", json={"token": secret}, headers=OURS)
    assert (status, answer["author"] is None) == (200, False)
    cookie = SimpleCookie(ask.headers["Set-Cookie"])[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert secret not in cookie.value
    return {"Cookie": f"{COOKIE}={cookie.value}", **OURS}


async def transferred(ask: Client, headers: Mapping[str, str]) -> tuple[int, Any]:
    status, answer = await ask(COMMAND, "POST", json=BODY, headers=headers)
    return status, answer.get("error", {}).get("code")


@pytest.mark.keeps("23.7")
async def test_a_session_is_as_good_as_its_token_and_its_owner_is_the_author(
    site: tuple[WebServer, Client], gateway: Gateway
) -> None:
    _, ask = site
    headers = await signed_in(ask, CRM.secret)
    answer = {"author": "crm", "may": ["transfer"], "numbers": None}
    assert await ask("/api/session", headers=headers) == (200, answer)
    assert await transferred(ask, headers) == (202, None)
    assert gateway.authors == [Author("crm")]
    assert (await ask("/api/audit", headers=headers))[0] == 403
    assert await transferred(ask, await signed_in(ask, SHOP.secret)) == (403, "not-allowed")


@pytest.mark.keeps("23.7")
async def test_it_ends_when_it_is_ended_and_nothing_ends_that_is_anothers(site: tuple[WebServer, Client]) -> None:
    _, ask = site
    headers, other = await signed_in(ask, TOKEN), await signed_in(ask, TOKEN)
    nobody: dict[str, Any] = {"author": None, "may": [], "numbers": None}
    assert await ask("/api/session", "DELETE", headers=headers) == (200, nobody)
    assert SimpleCookie(ask.headers["Set-Cookie"])[COOKIE].value == ""
    assert await ask("/api/session", headers=headers) == (200, nobody)
    assert await transferred(ask, headers) == (401, "wrong-token")
    assert await transferred(ask, other) == (202, None)


@pytest.mark.keeps("23.7")
async def test_it_ends_with_its_token_and_in_time(site: tuple[WebServer, Client], clock: Later) -> None:
    server, ask = site
    crm, whole = await signed_in(ask, CRM.secret), await signed_in(ask, TOKEN)
    server.configure(TOKEN, (), [replace(CRM, may=frozenset({Permission.READ})), SHOP])
    assert await transferred(ask, crm) == (401, "wrong-token")
    assert await transferred(ask, whole) == (202, None)
    clock.ahead_s += sessions.IDLE_S - 60
    assert await transferred(ask, whole) == (202, None)
    clock.ahead_s += sessions.IDLE_S + 60
    assert await transferred(ask, whole) == (401, "wrong-token")
    server.configure(None, ())
    assert await transferred(ask, whole) == (403, "no-token")


async def test_it_ends_after_a_day_however_often_it_is_used() -> None:
    clock = Later()
    held_open = Sessions(clock)
    held = held_open.begin(CRM)
    for _ in range(int(sessions.LIFE_S / sessions.IDLE_S)):
        assert held_open.token(held, [CRM]) is CRM
        clock.ahead_s += sessions.IDLE_S - 1
    clock.ahead_s += 10
    assert held_open.token(held, [CRM]) is None


async def test_there_are_so_many_and_the_one_used_the_longest_ago_goes_first() -> None:
    clock = Later()
    held_open = Sessions(clock)
    first = held_open.begin(CRM)
    others = []
    for _ in range(sessions.MOST - 1):
        clock.ahead_s += 1
        others.append(held_open.begin(CRM))
    clock.ahead_s += 1
    assert held_open.token(first, [CRM])
    held_open.begin(CRM)
    assert held_open.token(first, [CRM])
    assert held_open.token(others[0], [CRM]) is None
    assert held_open.token(others[1], [CRM])


@pytest.mark.keeps("23.8")
@pytest.mark.parametrize(
    ("more", "taken"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),  # a page at another port of this host
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://127.0.0.1:{port}"}, True),
        ({"Origin": "http://127.0.0.1:3000"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"}, False),
        ({}, False),
    ],
)
async def test_a_cookie_is_no_proof_where_the_page_of_somebody_else_asks(
    site: tuple[WebServer, Client], gateway: Gateway, more: dict[str, str], taken: bool
) -> None:
    _, ask = site
    cookie = {"Cookie": (await signed_in(ask, TOKEN))["Cookie"]}
    headers = cookie | {name: value.format(port=ask.port) for name, value in more.items()}
    assert await transferred(ask, headers) == ((202, None) if taken else (403, "other-origin"))
    assert (await ask("/api/session", "DELETE", headers=headers))[0] == (200 if taken else 403)
    assert len(gateway.asked) == taken


@pytest.mark.keeps("23.8")
@pytest.mark.parametrize("given", [None, "", 7, "x" * 5000, {"token": TOKEN}, "crm's", TOKEN + "x"])
async def test_what_is_no_token_begins_no_session(site: tuple[WebServer, Client], given: object) -> None:
    _, ask = site
    status, answer = await ask("/api/session", "POST", json={"token": given}, headers=OURS)
    assert (status, answer["error"]["code"]) in {(400, "bad-request"), (401, "wrong-token")}
    assert "Set-Cookie" not in ask.headers
    for held in ("", "x", "x" * 4000, "ä"):
        assert await transferred(ask, {"Cookie": f"{COOKIE}={held}", **OURS}) == (401, "wrong-token")
