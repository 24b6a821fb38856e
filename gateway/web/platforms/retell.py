# SPDX-License-Identifier: GPL-2.0-or-later
"""Retell's custom functions (docs.retellai.com: Custom function, Secure the webhook; its Python SDK 6.2.13).

`X-Retell-Signature` is `v=<milliseconds>,d=<hex>`: the HMAC-SHA256, by an API key, of the body as it is and the text of
the milliseconds. The body is `{"name", "call", "args"}`; a function that is set to send its arguments alone names
neither itself nor the call, and cannot be answered.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from gateway.ports.platform import PlatformResult
from gateway.web.platforms.events import JsonObject, PlatformEvent, PlatformProblem, Proof, Told
from gateway.web.platforms.hms import MAX_TYPE, TOLERANCE_S, unreadable
from gateway.web.platforms.tools import Tools

SIGNATURE = "X-Retell-Signature"
FUNCTION = "function"
"""What a call of a function is called here; webhooks have the name of their event."""
_SIGNED = re.compile("v=([0-9]{1,15}),d=([0-9a-f]{64})")


class Retell:
    """A `Form`."""

    def prove(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float) -> Proof:
        """See Form."""
        found = _SIGNED.fullmatch(headers.get(SIGNATURE, ""))
        if found is None:
            message = f"this needs {SIGNATURE}, as the platform signs"
            raise PlatformProblem(401, "signature-missing", message, PlatformResult.NOT_PROVED)
        text, given = found.groups()
        # Each in constant time, and all of them.
        right = [hmac.compare_digest(given, signature(secret, text, body)) for secret in secrets]
        if not any(right):
            message = "the signature is not that of any key in secret_files"
            raise PlatformProblem(401, "signature-wrong", message, PlatformResult.NOT_PROVED)
        sent_at = int(text) / 1000
        if abs(now - sent_at) > TOLERANCE_S:
            message = f"signed at {sent_at:.0f}, which is more than {TOLERANCE_S} s from {int(now)}: compare the clocks"
            raise PlatformProblem(401, "timestamp-off", message, PlatformResult.OUT_OF_TIME)
        return Proof(sent_at, bytes.fromhex(given))

    def read(self, document: JsonObject) -> Told:
        """See Form."""
        event, name, call = document.get("event"), document.get("name"), document.get("call")
        kind = event if isinstance(event, str) else FUNCTION if isinstance(name, str) else None
        if kind is None or not 0 < len(kind) <= MAX_TYPE:
            raise unreadable("name: must be that of the function; have it send more than its arguments alone")
        fields = call if isinstance(call, dict) else {}
        called = fields.get("from_number" if fields.get("direction") == "outbound" else "to_number")
        return Told(kind, document, called if isinstance(called, str) else None)


class Functions:
    """Answers a call of a function with what the tool of that name says, which Retell gives to its model as JSON."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def __call__(self, event: PlatformEvent) -> JsonObject:
        """See PlatformEvent."""
        name, arguments = event.message.get("name"), event.message.get("args")
        asked = self._tools.asked(event.trunk, event.number, event.called)
        return asked.call(name if isinstance(name, str) else "", {} if arguments is None else arguments)


def signature(secret: bytes, milliseconds: str, body: bytes) -> str:
    """The signature in 64 hexadecimal digits."""
    return hmac.new(secret, body + milliseconds.encode(), hashlib.sha256).hexdigest()
