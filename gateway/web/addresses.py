# SPDX-License-Identifier: GPL-2.0-or-later
"""What is at `/`: where everything else is, as JSON or, in a browser, as text."""

from __future__ import annotations

from aiohttp import web

import gateway
from gateway.web.guard import json_response
from gateway.web.openapi import OPERATIONS


def addresses_response(request: web.Request) -> web.Response:
    """`{"name", "version", "addresses": {"GET /api/status": "How the gateway is.", …}}`."""
    accepted = ",".join(request.headers.getall("Accept", []))
    addresses = {f"{method.upper()} {path}": operation.words for (method, path), operation in OPERATIONS.items()}
    if "json" in accepted or "text/" not in accepted:
        return json_response({"name": "transfer-gateway", "version": gateway.__version__, "addresses": addresses})
    width = max(map(len, addresses))
    lines = [f"transfer-gateway {gateway.__version__}", ""]
    lines += [f"{address:<{width}}  {words}" for address, words in addresses.items()]
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
    return web.Response(text="\n".join([*lines, ""]), headers=headers)
