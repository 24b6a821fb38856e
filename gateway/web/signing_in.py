# SPDX-License-Identifier: GPL-2.0-or-later
"""`/api/session`: a token is shown once, and a cookie is as good as it from then on, for this gateway's page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from aiohttp import web

from gateway.web.bodies import json_object
from gateway.web.guard import Problem, json_response
from gateway.web.sessions import COOKIE, Sessions, check_origin
from gateway.web.tokens import Token, shown_token

MOST_OF_A_TOKEN = 4096  # characters

log = structlog.get_logger(__name__)


class SigningIn:
    """Begins sessions, says whose one is, and ends them."""

    def __init__(self, current: Callable[[], Sequence[Token]], sessions: Sessions) -> None:
        self._current = current
        self._sessions = sessions

    def routes(self) -> list[web.RouteDef]:
        """The three of them."""
        return [
            web.get("/api/session", self._get),
            web.post("/api/session", self._post),
            web.delete("/api/session", self._delete),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        held = request.cookies.get(COOKIE)
        token = self._sessions.token(held, self._current()) if held is not None else None
        return json_response(_document(token))

    async def _post(self, request: web.Request) -> web.Response:
        given = (await json_object(request)).get("token")
        if not isinstance(given, str) or not 0 < len(given) <= MOST_OF_A_TOKEN:
            raise Problem(400, "bad-request", "token: must be one of those that are configured")
        token = shown_token(request, given, self._current())
        self._end(request)
        response = json_response(_document(token))
        # Without Secure: bound to loopback, as it is unless somebody wants otherwise, there is no TLS.
        response.set_cookie(
            COOKIE, self._sessions.begin(token), path="/", httponly=True, samesite="Strict", secure=request.secure
        )
        log.info("session-begun", author=token.name, remote=request.remote)
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        check_origin(request)
        self._end(request)
        response = json_response(_document(None))
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response

    def _end(self, request: web.Request) -> None:
        if (held := request.cookies.get(COOKIE)) is not None:
            self._sessions.end(held)


def _document(token: Token | None) -> dict[str, object]:
    if token is None:
        return {"author": None, "may": [], "numbers": None}
    numbers = None if token.numbers is None else sorted(token.numbers)
    return {"author": token.name, "may": sorted(token.may), "numbers": numbers}
