# SPDX-License-Identifier: GPL-2.0-or-later
"""A parameter that an address does not have is refused: who misspells a filter would take all there is for some."""

from __future__ import annotations

from functools import cache

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.config.mistakes import did_you_mean
from gateway.web.guard import Problem
from gateway.web.openapi import OPERATIONS

_SHOWN = 40  # characters of a name that somebody made up


@web.middleware
async def known_parameters_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 400 where the query has a name that the OpenAPI document does not have there, or one name twice."""
    if request.query_string:
        _check(request)
    return await handler(request)


def _check(request: web.Request) -> None:
    resource = request.match_info.route.resource
    if resource is None:
        return  # there is nothing at this address, which is told
    method = "get" if request.method == "HEAD" else request.method.lower()
    known = _parameters(method, resource.canonical)
    for name in request.query:
        if name not in known:
            hint = did_you_mean(name, known, what="it takes") if known else "it takes none"
            raise Problem(400, "bad-request", f"{name[:_SHOWN]}: is no parameter of {resource.canonical}; {hint}")
        if len(request.query.getall(name)) > 1:
            raise Problem(400, "bad-request", f"{name}: is given more than once")


@cache
def _parameters(method: str, path: str) -> tuple[str, ...]:
    operation = OPERATIONS.get((method, path))
    return tuple(each["name"] for each in operation.parameters if each["in"] == "query") if operation else ()
