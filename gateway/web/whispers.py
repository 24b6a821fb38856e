# SPDX-License-Identifier: GPL-2.0-or-later
"""POST /api/whispers: a sound for one transfer."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.core.json_form import timestamp
from gateway.ports import NoRoomError, Operations
from gateway.web.guard import Problem, json_response
from gateway.web.tokens import AUTHOR

MOST_BYTES = 1_000_000
PATIENCE_S = 30.0
"""So long a client may take to send it."""


async def upload_response(request: web.Request, operations: Operations) -> web.Response:
    """Keep the sound in the body. Raises Problem."""
    data = await _body(request)
    try:
        kept = operations.keep_whisper(data, request[AUTHOR])
    except ValueError as error:
        raise Problem(400, "bad-sound", f"the body is no sound that can be played: {error}") from None
    except NoRoomError as error:
        raise Problem(503, "no-room", str(error)) from None
    document = {"whisper": kept.whisper, "duration_s": kept.seconds, "expires_at": timestamp(kept.expires_at)}
    return json_response(document, status=201)


async def _body(request: web.Request) -> bytes:
    too_large = Problem(413, "too-large", f"the body may have {MOST_BYTES} bytes")
    if (request.content_length or 0) > MOST_BYTES:
        raise too_large
    data = bytearray()
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise too_large
    except TimeoutError:
        raise Problem(408, "bad-request", f"the body did not come within {PATIENCE_S:g} s") from None
    return bytes(data)
