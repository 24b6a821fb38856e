# SPDX-License-Identifier: GPL-2.0-or-later
"""The body of a POST; the fields of it that nobody understands are named in the answer.

They are no mistake, as those of a command are none: a newer client may say more than we know. But who misspells one
has to be able to see it.
"""

from __future__ import annotations

import json
from functools import cache

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.web.guard import Problem
from gateway.web.json_body import NoJsonError, parsed
from gateway.web.openapi import OPERATIONS

MOST_NAMED, MOST_OF_A_NAME = 20, 64
_BODY: web.RequestKey[dict[str, object]] = web.RequestKey("body", dict)
_IN_THE_PATH = ("call", "transfer")


async def json_object(request: web.Request) -> dict[str, object]:
    """What the body says. Raises Problem."""
    try:
        body = parsed(await request.read())
    except NoJsonError:
        raise Problem(400, "bad-json", "the body must be JSON") from None
    if not isinstance(body, dict):
        raise Problem(400, "bad-request", "the body must be a JSON object")
    request[_BODY] = body
    return body


async def json_object_if_any(request: web.Request) -> dict[str, object]:
    """The same, empty where there is no body. Raises Problem."""
    return await json_object(request) if request.body_exists else {}


@web.middleware
async def naming_what_is_ignored(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add `ignored` to an answer: the names of the fields of the body that meant nothing here."""
    response = await handler(request)
    ignored = _ignored(request)
    if not ignored or not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    document = json.loads(response.body)
    document["ignored"] = ignored
    response.body = json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace")
    return response


def _ignored(request: web.Request) -> list[str]:
    body, resource = request.get(_BODY), request.match_info.route.resource
    if not body or resource is None:
        return []
    known = _fields(request.method.lower(), resource.canonical)
    unknown = [name for name in body if name not in known and not _is_in_the_path(request, name, body[name])]
    return [name[:MOST_OF_A_NAME] for name in unknown[:MOST_NAMED]]


def _is_in_the_path(request: web.Request, name: str, value: object) -> bool:
    """Whether it repeats what the address says, as the same command has it over MQTT."""
    return name in _IN_THE_PATH and value == request.match_info.get("id")


@cache
def _fields(method: str, path: str) -> frozenset[str]:
    operation = OPERATIONS.get((method, path))
    return frozenset(operation.body.model_fields) if operation and operation.body else frozenset()
