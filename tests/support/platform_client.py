# SPDX-License-Identifier: GPL-2.0-or-later
"""HMS Sovereign as a server meets it: the requests of its webhooks and tools, signed as its guide says.

Written from what is published of the platform alone; but for where it asks nothing here is the gateway's.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from tests.support.processes import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from tests.support.configuration import Configuration

Json = dict[str, Any]


SECRET = "the platform's own secret"


def asking(files: Configuration, trunk: str, **platform: Any) -> PlatformClient:
    """Have the platform of a trunk ask a gateway with these files; `platform` is more of its table."""
    port = next(port for port in iter(free_port, 0) if port != files.main["http"]["port"])
    files.main["platform"] = {"port": port, **platform}
    files.profiles[trunk]["platform"] = {"form": "hms", "secret_files": ["platform.secret"]}
    files.secrets["sip_profiles/platform.secret"] = SECRET
    scheme = "https" if "tls_key" in platform else "http"
    return PlatformClient(f"{scheme}://127.0.0.1:{port}/platform/{trunk}", SECRET)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of the timestamp, a full stop and the body, in lower-case hexadecimal."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.text)


@dataclass
class PlatformClient:
    """The platform, which knows a URL of ours and the secret that signs what it sends there."""

    url: str
    secret: str
    number: str | None = "+31201234567"
    caller: str | None = "+31612340000"
    tls: ssl.SSLContext | bool = True
    _count: Any = field(default_factory=lambda: itertools.count(1))

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=40, ssl=self.tls))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def event(self, kind: str, **more: Any) -> Json:
        """A request's body: what all events have in common, and `more` in its message."""
        call_type = "web_call" if self.number is None else "inbound_phone_call"
        status = "ringing" if kind == "assistant-request" else "in-progress"
        return {
            "message": {
                "type": kind,
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
                "call": {"id": str(uuid.uuid4()), "type": call_type, "status": status},
                "phone_number": {"id": "5f0c", "number": self.number, "name": "Main line"},
                "customer": {"number": self.caller},
                "assistant": {"metadata": {"ticket": "T-1"}},
                **more,
            }
        }

    async def post(
        self,
        body: Json | bytes,
        *,
        at: float | str | None = None,
        secret: str | None = None,
        prefix: str = "sha256=",
        headers: Mapping[str, str | None] | None = None,
        url: str | None = None,
    ) -> Answer:
        """Send a body, signed; `headers` are set besides, or left out where they are None."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        timestamp = at if isinstance(at, str) else str(int(time.time() if at is None else at))
        kind = body.get("message", {}).get("type", "") if isinstance(body, dict) else ""
        sent: dict[str, str | None] = {
            "Content-Type": "application/json",
            "User-Agent": "HMS-Sovereign/1.0",
            "X-Webhook-Event": kind,
            "X-Webhook-Timestamp": timestamp,
            "X-Webhook-Signature": prefix + signature(secret or self.secret, timestamp, raw),
            **(headers or {}),
        }
        began = time.monotonic()
        wire = {name: value for name, value in sent.items() if value is not None}
        async with self._session.post(url or self.url, data=raw, headers=wire) as response:
            text = await response.text()
            return Answer(response.status, response.headers, text, time.monotonic() - began)

    async def call_tools(self, *calls: tuple[str, Any]) -> list[Json]:
        """Call tools, all in one request; the result of each, in their order."""
        listed = [
            {"id": f"tool_{next(self._count)}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in calls
        ]
        answer = await self.post(self.event("tool-calls", tool_call_list=listed))
        assert answer.status == 200, answer.text
        results = {one["tool_call_id"]: one["result"] for one in answer.json["results"]}
        return [results[one["id"]] for one in listed]

    async def ask_assistant(self) -> Json:
        """Ask, before a call is answered, for the assistant that is to answer it."""
        answer = await self.post(self.event("assistant-request"))
        assert answer.status == 200, answer.text
        told: Json = answer.json
        return told
