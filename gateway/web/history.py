# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of the history over HTTP: filters, and pages that follow one another."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from aiohttp import web

from gateway.core.outcome import CallEnd, Outcome, Reason
from gateway.core.platform_calls import Promise
from gateway.ports import Operations, UnreadableError
from gateway.ports.history import FiguresQuery, HistoryPage, HistoryQuery
from gateway.web.guard import Problem, json_response

PAGE = 50
LONGEST_PAGE = 1000
MAX_TEXT = 200
FIGURES_DAYS = timedelta(days=7)
MOST_DAYS = timedelta(days=400)

TRANSFER, CALL, PLATFORM_CALL = "transfer", "call", "platform_call"
_FILTERS: Mapping[str, tuple[str, ...]] = {
    TRANSFER: ("number", "destination", "outcome", "reason", "caller", "text"),
    CALL: ("number", "destination", "reason", "caller"),
    PLATFORM_CALL: ("number", "promise", "caller"),
}
_WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    (TRANSFER, "outcome"): tuple(Outcome),
    (TRANSFER, "reason"): tuple(Reason),
    (CALL, "reason"): tuple(CallEnd),
    (PLATFORM_CALL, "promise"): tuple(Promise),
}
_PARAMETERS = ("cursor", "since", "until", "number", "destination", "outcome", "reason", "caller", "text", "promise")


def asks_history(request: web.Request) -> bool:
    """Whether a request says more than how many it wants."""
    return any(name in request.query for name in _PARAMETERS)


async def page_response(request: web.Request, operations: Operations, what: str, limit: int | None) -> web.Response:
    """`{"transfers": […], "next": …}`, or another list: `next` is the `cursor` of the next page, null at the end."""
    query = _query(request, what, limit)
    try:
        page = await operations.history(what, query)
    except ValueError as error:
        raise Problem(400, "bad-request", f"caller: {error}") from None
    except UnreadableError as error:
        raise Problem(503, "unreadable", f"the history cannot be read: {error}") from None
    return json_response(_document(what, page))


async def figures_response(request: web.Request, operations: Operations, now: datetime) -> web.Response:
    """Figures of a span; without `since` or `until`, of the FIGURES_DAYS that end now. Raises Problem."""
    given = {name: request.query[name] for name in ("number", "destination") if request.query.get(name)}
    until = _moment("until", request.query["until"]) if request.query.get("until") else now
    since = _moment("since", request.query["since"]) if request.query.get("since") else until - FIGURES_DAYS
    if not timedelta(0) < until - since <= MOST_DAYS:
        raise Problem(400, "bad-request", f"since, until: must be a span of {MOST_DAYS.days} days at most")
    filters = {name: _value(TRANSFER, name, text) for name, text in given.items()}
    try:
        found = await operations.figures(FiguresQuery(since, until, filters.get("number"), filters.get("destination")))
    except UnreadableError as error:
        raise Problem(503, "unreadable", f"the figures cannot be made: {error}") from None
    return json_response(dict(found))


def _document(what: str, page: HistoryPage) -> dict[str, object]:
    return {f"{what}s": list(page.documents), "next": None if page.next is None else _cursor(page.next)}


def _query(request: web.Request, what: str, limit: int | None) -> HistoryQuery:
    given = {name: request.query[name] for name in _PARAMETERS if name in request.query}
    filters = {name: _value(what, name, text) for name, text in given.items() if name in _FILTERS[what]}
    return HistoryQuery(
        limit=PAGE if limit is None else min(limit, LONGEST_PAGE),
        before=_key(given["cursor"]) if given.get("cursor") else None,
        since=_moment("since", given["since"]) if "since" in given else None,
        until=_moment("until", given["until"]) if "until" in given else None,
        number=filters.get("number"),
        destination=filters.get("destination"),
        outcome=filters.get("outcome") or filters.get("promise"),
        reason=filters.get("reason"),
        caller=filters.get("caller"),
        text=filters.get("text"),
    )


def _value(what: str, name: str, text: str) -> str:
    known = _WORDS.get((what, name))
    if known is not None and text not in known:
        raise Problem(400, "bad-request", f"{name}: must be one of {', '.join(known)}")
    if len(text) > MAX_TEXT:
        raise Problem(400, "bad-request", f"{name}: may be {MAX_TEXT} characters long")
    if name == "text" and not any(char.isalnum() for char in text):
        raise Problem(400, "bad-request", "text: must hold a word")
    # A person who writes ?caller=+3161… by hand means the plus, which a query string turns into a blank.
    return f"+{text[1:]}" if name in ("caller", "number") and text.startswith(" ") else text


def _moment(name: str, text: str) -> datetime:
    try:
        # The plus of a time zone, as above.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        moment = None
    if moment is None or not 1970 < moment.year < 2200:
        raise Problem(400, "bad-request", f"{name}: must be a time such as 2026-03-02 or 2026-03-02T09:30:00+01:00")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cursor(key: int) -> str:
    return base64.urlsafe_b64encode(key.to_bytes(8, "big")).decode().rstrip("=")


def _key(cursor: str) -> int:
    try:
        key = base64.b64decode(f"{cursor}=", altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != 8 or key[0] & 0x80:
        raise Problem(400, "bad-request", "cursor: must be the next of a page before")
    return int.from_bytes(key, "big")
