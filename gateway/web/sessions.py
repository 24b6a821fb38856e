# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions: who has shown a token once goes on by a cookie (RFC 6265) that no script can read."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.ports import Clock
from gateway.web.guard import Problem

if TYPE_CHECKING:
    from aiohttp import web

    from gateway.web.tokens import Token

COOKIE = "transfer-gateway-session"
MOST = 50
"""Where another begins, the one that was used the longest ago ends."""
LIFE_S = 12 * 3600.0
IDLE_S = 2 * 3600.0
_READING = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class _Session:
    token: Token
    begun: float
    used: float  # both by the steady clock


class Sessions:
    """Those that are open. They end in time, by `end`, with the process, and with the token they were begun by."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # By a hash of what the cookie holds, so that how long it takes to find one tells nothing of it.
        self._open: dict[bytes, _Session] = {}

    def begin(self, token: Token) -> str:
        """Open one for who has shown this token; what its cookie holds."""
        held = secrets.token_urlsafe(32)
        now = self._clock.now().steady
        if len(self._open) >= MOST:
            del self._open[min(self._open, key=lambda name: self._open[name].used)]
        self._open[_name(held)] = _Session(token, now, now)
        return held

    def token(self, held: str, current: Sequence[Token]) -> Token | None:
        """Whose session a cookie is of; None: of none that is open. A token that is another one by now has none."""
        name, now = _name(held), self._clock.now().steady
        session = self._open.get(name)
        if session is None:
            return None
        if session.token not in current or now - session.begun > LIFE_S or now - session.used > IDLE_S:
            del self._open[name]
            return None
        self._open[name] = replace(session, used=now)
        return session.token

    def end(self, held: str) -> None:
        """It is over, if there was one."""
        self._open.pop(_name(held), None)


def _name(held: str) -> bytes:
    return hashlib.sha256(held.encode("utf-8", "surrogateescape")).digest()


def check_origin(request: web.Request) -> None:
    """Raises Problem where a page of somebody else has the browser ask: it sends our cookie with it.

    SameSite keeps it from pages of other sites, and not from one at another port of this host (RFC 6265bis §5.2).
    """
    site = request.headers.get("Sec-Fetch-Site")  # which no page can set (Fetch Metadata)
    if site is not None:
        ours = site == "same-origin" or (site == "none" and request.method in _READING)
    elif (origin := request.headers.get("Origin")) is not None:
        ours = urlsplit(origin).netloc.lower() == request.headers.get("Host", "").lower() != ""
    else:
        ours = request.method in _READING
    if not ours:
        raise Problem(403, "other-origin", "a session is good for the page of this gateway alone; show the token")
