# SPDX-License-Identifier: GPL-2.0-or-later
"""Named tokens: who may do what, and who did."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.ports import Author
from gateway.web.tokens import Permission, Token
from tests.web.serving import BODY, RIGHT, TOKEN, Client, Gateway, serving

CRM = Token("crm", "crm's own", frozenset({Permission.TRANSFER}))
SHOP = Token("shop", "shop's own", frozenset({Permission.TRANSFER, Permission.PROBE}), frozenset({"shop-line"}))
AUDITOR = Token("auditor", "auditor's own", frozenset({Permission.READ}))

POSTS = {
    "/api/calls/c1/transfer": (Permission.TRANSFER, BODY),
    "/api/callbacks": (Permission.CALLBACK, {"call": "c1", "destination": "sales"}),
    "/api/calls/c1/hangup": (Permission.TRANSFER, {}),
    "/api/calls/c1/cancel": (Permission.TRANSFER, {}),
    "/api/transfers/01B/cancel": (Permission.TRANSFER, {}),
    "/api/probe": (Permission.PROBE, {"number": "main-line", "destination": "sales"}),
    "/api/forget": (Permission.FORGET, {"caller": "+31201112222"}),
    "/api/reload": (Permission.RELOAD, {}),
    "/api/restart": (Permission.RESTART, {}),
}


def by(token: Token) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token.secret}"}


@pytest.fixture
async def ask(gateway: Gateway) -> AsyncIterator[Client]:
    """A server with the token that is good for all, and three that are not."""
    async with serving(gateway, TOKEN, tokens=[CRM, SHOP, AUDITOR]) as client:
        yield client


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("permission", Permission)
async def test_a_token_is_good_for_what_it_may_and_nothing_else(
    gateway: Gateway, path: str, permission: Permission
) -> None:
    needed, body = POSTS[path]
    async with serving(gateway, None, tokens=[Token("one", "one's own", frozenset({permission}))]) as ask:
        status, answer = await ask(path, "POST", json=body, headers={"Authorization": "Bearer one's own"})
    if permission is needed:
        assert status < 300
    else:
        assert (status, answer["error"]["code"]) == (403, "not-allowed")
        assert gateway.asked == []  # nothing was done


async def test_the_author_is_known_to_whoever_carries_it_out(ask: Client, gateway: Gateway) -> None:
    assert (await ask("/api/calls/c1/transfer", "POST", json=BODY, headers=by(CRM)))[0] == 202
    assert (await ask("/api/calls/c1/transfer", "POST", json=BODY, headers=RIGHT))[0] == 202
    assert (await ask("/api/transfers/01B/cancel", "POST", headers=by(CRM)))[0] == 200
    assert gateway.authors == [Author("crm"), Author("token_file"), Author("crm")]


async def test_some_numbers_only(ask: Client, gateway: Gateway) -> None:
    status, answer = await ask("/api/calls/c1/transfer", "POST", json=BODY, headers=by(SHOP))
    assert (status, answer["error"]["code"]) == (403, "not-allowed")
    body = {"number": "main-line", "destination": "sales"}
    status, answer = await ask("/api/probe", "POST", json=body, headers=by(SHOP))
    assert (status, answer["error"]["code"]) == (403, "not-allowed")
    assert (await ask("/api/probe", "POST", json={**body, "number": "shop-line"}, headers=by(SHOP)))[0] == 200
    assert gateway.asked == [("shop-line", "sales")]


async def test_a_secret_that_is_nobodys(ask: Client, gateway: Gateway) -> None:
    for wrong in ("crm", "crm's own ", "", "shop's ownx", "\u00e9"):
        shown = {"Authorization": f"Bearer {wrong}x"}
        assert (await ask("/api/reload", "POST", headers=shown))[0] == 401
    assert (await ask("/api/audit"))[0] == 401
    assert gateway.given == []  # who is not known has given no command


async def test_the_audit_trail_says_who_did_what_and_what_came_of_it(ask: Client, gateway: Gateway) -> None:
    await ask("/api/calls/c1/transfer", "POST", json=BODY, headers=by(CRM))
    await ask("/api/calls/gone/transfer", "POST", json=BODY, headers=by(CRM))
    await ask("/api/forget", "POST", json={"caller": "+31201112222"}, headers=RIGHT)
    await ask("/api/reload", "POST", headers=by(SHOP))
    status, answer = await ask("/api/audit", headers=by(AUDITOR))
    assert status == 200
    told = [(one["author"], one["action"], one["result"], one["call"]) for one in answer["commands"]]
    assert told == [
        ("shop", "reload", "not-allowed", None),
        ("token_file", "forget", "done", None),
        ("crm", "transfer", "unknown-call", "gone"),
        ("crm", "transfer", "accepted", "c1"),
    ]
    assert "+31201112222" not in str(answer)
    assert {(one["via"], one["remote"]) for one in answer["commands"]} == {("http", "127.0.0.1")}
    assert len((await ask("/api/audit?limit=1", headers=by(AUDITOR)))[1]["commands"]) == 1
    assert (await ask("/api/audit", headers=by(CRM)))[0] == 403
    assert len(gateway.given) == gateway.kept == 4  # reading is no command
