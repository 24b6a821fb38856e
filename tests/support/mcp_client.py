# SPDX-License-Identifier: GPL-2.0-or-later
"""The official MCP client (PyPI: mcp), over streamable HTTP with a bearer token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client


@asynccontextmanager
async def mcp_client(url: str, token: str, mode: Literal["auto", "legacy"] = "auto") -> AsyncIterator[Client]:
    """Connected: in mode "auto" as a client of the newest protocol, in "legacy" by `initialize`."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def called(client: Client, tool: str, **arguments: str) -> tuple[bool, dict[str, Any]]:
    """Whether a tool's result is an error, and the result."""
    result = await client.call_tool(tool, arguments)
    found: Any = result.structured_content
    return bool(result.is_error), found
