# SPDX-License-Identifier: GPL-2.0-or-later
"""Bearer tokens (RFC 6750): whose they are, and what may be done with them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.commands import CommandError
from gateway.ports import Author, GivenCommand, Operations
from gateway.web.guard import Problem, Sometimes
from gateway.web.sessions import COOKIE, Sessions, check_origin


class Permission(StrEnum):
    """What a token may be good for."""

    READ = "read"  # the audit trail; all else that is read needs no token
    TRANSFER = "transfer"  # and cancel
    CALLBACK = "callback"
    PROBE = "probe"
    FORGET = "forget"
    RELOAD = "reload"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Token:
    """One token, by the name of whoever has it."""

    name: str
    secret: str
    may: frozenset[Permission] = frozenset(Permission)
    numbers: frozenset[str] | None = None  # ids of the numbers to which it is good; None: to all

    @property
    def author(self) -> Author:
        """Who has it."""
        return Author(self.name, self.numbers)


ONE_FOR_ALL = "token_file"
"""What the holder of the token without a name is called."""
ABOUT: web.RequestKey[dict[str, str | None]] = web.RequestKey("about", dict)
"""What a command is about, as far as it is known: `call`, `transfer`, `number` and `destination` of GivenCommand."""
AUTHOR: web.RequestKey[Author] = web.RequestKey("author", Author)
"""Who asks, once that is proved."""

log = structlog.get_logger("gateway.web.guard")
_wrong_token = Sometimes()


def needs(
    current: Callable[[], Sequence[Token]], operations: Operations, sessions: Sessions
) -> Callable[[Permission, Handler, str], Handler]:
    """Let only those in who have one of the `current` tokens that is good for it, or a session that was begun by one.

    Without a token configured that is nobody.

    What they ask for is noted as the command `action`, with what came of it, before they are answered; an empty one is
    none.
    """

    def guard(permission: Permission, handler: Handler, action: str = "") -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            token = _proved(request, current(), sessions)
            request[AUTHOR], request[ABOUT] = token.author, {}
            result = "internal-error"
            try:
                _check(token, permission)
                response = await handler(request)
                result = "accepted" if response.status == 202 else "done"
            except (Problem, CommandError) as error:
                result = error.code
                raise
            else:
                return response
            finally:
                if action:
                    given = GivenCommand(token.name, "http", action, result, **request[ABOUT], remote=request.remote)
                    operations.note_command(given)
                    await operations.commands_kept()

        return guarded

    return guard


def _check(token: Token, permission: Permission) -> None:
    """Raises Problem where the token is not good for it."""
    if permission not in token.may:
        raise Problem(403, "not-allowed", f"the token of {token.name} is not good for this: {permission}")


def _proved(request: web.Request, tokens: Sequence[Token], sessions: Sessions) -> Token:
    """The token that the request shows, or whose session it is of. Raises Problem."""
    if (held := request.cookies.get(COOKIE)) is not None and "Authorization" not in request.headers:
        check_origin(request)
        if (token := sessions.token(held, tokens)) is not None:
            return token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return shown_token(request, given if scheme.lower() == "bearer" else None, tokens)


def shown_token(request: web.Request, given: str | None, tokens: Sequence[Token]) -> Token:
    """The token that somebody shows; None: they show none. Raises Problem."""
    if not tokens:
        message = "no token is configured, so nothing can be changed over HTTP: set token_file in [http]"
        raise Problem(403, "no-token", message)
    shown = (given or "").strip().encode("utf-8", "surrogateescape")
    # Each in constant time, and all of them: how long it takes must not tell how much of which one was right.
    fitting = [token for token in tokens if hmac.compare_digest(shown, token.secret.strip().encode())]
    if given is None or not fitting:
        if (others := _wrong_token.others()) is not None:
            asked = {"method": request.method, "path": request.path, "remote": request.remote}
            log.warning("http-token-wrong", **asked, others_since=others)
        raise Problem(
            401, "wrong-token", "this needs the header 'Authorization: Bearer <token>' with the right token",
            headers={"WWW-Authenticate": 'Bearer realm="transfer-gateway"'},
        )  # fmt: skip
    return fitting[0]
