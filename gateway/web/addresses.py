# SPDX-License-Identifier: GPL-2.0-or-later
"""What is at `/`: the page in a browser; where everything else is, as JSON or as text."""

from __future__ import annotations

from aiohttp import web

import gateway
from gateway.web.guard import json_response
from gateway.web.openapi import OPERATIONS
from gateway.web.page.files import INDEX, file_response


def addresses_response(request: web.Request) -> web.Response:
    """`{"name", "version", "addresses": {"GET /api/status": "How the gateway is.", …}}`, or the page, or text."""
    accepted = ",".join(request.headers.getall("Accept", []))
    if "text/html" in accepted and "json" not in accepted:
        response = file_response(request, INDEX)
        response.headers["Vary"] = "Accept"
        return response
    addresses = {f"{method.upper()} {path}": operation.words for (method, path), operation in OPERATIONS.items()}
    if "json" in accepted or "text/" not in accepted:
        return json_response({"name": "transfer-gateway", "version": gateway.__version__, "addresses": addresses})
    width = max(map(len, addresses))
    lines = [f"transfer-gateway {gateway.__version__}", ""]
    lines += [f"{address:<{width}}  {words}" for address, words in addresses.items()]
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
    return web.Response(text="\n".join([*lines, ""]), headers=headers)
