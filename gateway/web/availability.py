# SPDX-License-Identifier: GPL-2.0-or-later
"""`/api/availability`: what the gate would say now, with a tag by which who asks again learns that it says the same."""

from __future__ import annotations

import hashlib
import json

from aiohttp import web

from gateway.core.availability import what_changes
from gateway.ports import Operations, UnknownDestinationError
from gateway.web.guard import Problem, json_response


def availability_response(
    request: web.Request, operations: Operations, number: str, destination: str | None
) -> web.Response:
    """The document of a number's destinations, or of one; 304 where it says what the one with this tag said.

    The tag is a weak one (RFC 9110 §8.8.3): when it was asked, and when the PBX spoke last, make no other document.
    """
    try:
        document = operations.availability(number, destination)
    except UnknownDestinationError as error:
        raise Problem(404, "unknown-destination", str(error)) from None
    except LookupError:
        raise Problem(404, "unknown-number", f"{number} is no assigned number, nor the id of one") from None
    tag = tag_of(document)
    headers = {"ETag": f'W/"{tag}"', "Cache-Control": "no-cache"}
    if any(each.value in (tag, "*") for each in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return json_response(document, headers=headers)


def tag_of(document: dict[str, object]) -> str:
    """The same for two documents that say the same."""
    said = json.dumps(what_changes(document), ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=12).hexdigest()
