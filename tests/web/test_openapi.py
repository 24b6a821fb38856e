# SPDX-License-Identifier: GPL-2.0-or-later
"""The OpenAPI document has every route of the server and no other."""

from gateway.clock import LoopClock
from gateway.web.openapi import OPERATIONS
from gateway.web.server import WebServer
from tests.web.serving import TOKEN, Gateway


def test_it_has_every_route_and_no_other() -> None:
    """Where this fails, a route is to be described in gateway/web/openapi.py, and its answers in answers.py."""
    server = WebServer(Gateway(), metrics=lambda _accept: (b"", "text/plain"), token=TOKEN, clock=LoopClock())
    assert set(OPERATIONS) == {(route.method.lower(), route.path) for route in server._routes()}
