# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of the page, served as they are in the package: no build step, and nothing of anybody else's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiohttp import web

from gateway.web.guard import Problem

STATIC = Path(__file__).with_name("static")
INDEX = "index.html"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
"""What a browser may load and run on the page (CSP level 3): files of this server, and no text within them."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file, with the tag by which a browser asks whether it is still the same."""

    body: bytes
    kind: str
    tag: str


@cache
def files() -> dict[str, PageFile]:
    """All of them by name, read once."""
    found = {}
    for path in sorted(STATIC.iterdir()):
        if (kind := KINDS.get(path.suffix)) is not None:
            body = path.read_bytes()
            found[path.name] = PageFile(body, kind, hashlib.sha256(body).hexdigest()[:24])
    return found


def file_response(request: web.Request, name: str) -> web.Response:
    """The file of this name; 304 where the browser has it already (RFC 9110 §13.1.2). Raises Problem."""
    file = files().get(name)
    if file is None:
        raise Problem(404, "not-found", "there is nothing at this address")
    headers = HEADERS | {"ETag": f'"{file.tag}"'}
    if any(each.value in (file.tag, "*") for each in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.kind, charset="utf-8", headers=headers)
