# SPDX-License-Identifier: GPL-2.0-or-later
"""HMS Sovereign's form (its guides Webhooks and Webhook Security, and its Node SDK 2.0): signed JSON with a `message`.

`X-Webhook-Signature` is the HMAC-SHA256 of the text of `X-Webhook-Timestamp`, a full stop, and the body as it is, with
`sha256=` before it or, in older guides, without.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from gateway.ports.platform import PlatformResult
from gateway.web.platforms.events import JsonObject, PlatformProblem, Proof, Told

TOLERANCE_S = 300
"""So much may the platform's clock differ from ours, as in its SDK."""
SIGNATURE, TIMESTAMP = "X-Webhook-Signature", "X-Webhook-Timestamp"
_SECONDS = re.compile("[0-9]{1,12}")
_HEX = re.compile("[0-9a-f]{64}")
MAX_TYPE = 64


class Hms:
    """A `Form`."""

    def prove(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float) -> Proof:
        """See Form."""
        text, given = headers.get(TIMESTAMP, ""), headers.get(SIGNATURE, "").removeprefix("sha256=")
        if not _SECONDS.fullmatch(text) or not _HEX.fullmatch(given):
            raise _not_proved("signature-missing", f"this needs {SIGNATURE} and {TIMESTAMP}, as the platform signs")
        # Each in constant time, and all of them: how long it takes must not tell how much of which one was right.
        right = [hmac.compare_digest(given, signature(secret, text, body)) for secret in secrets]
        if not any(right):
            raise _not_proved("signature-wrong", "the signature is not that of any secret in secret_files")
        if abs(now - int(text)) > TOLERANCE_S:
            message = f"signed at {text}, which is more than {TOLERANCE_S} s from {int(now)}: compare the clocks"
            raise PlatformProblem(401, "timestamp-off", message, PlatformResult.OUT_OF_TIME)
        return Proof(int(text), bytes.fromhex(given))

    def read(self, document: JsonObject) -> Told:
        """See Form."""
        return message_told(document, "phone_number")


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """The signature in 64 hexadecimal digits."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def message_told(document: JsonObject, number_field: str) -> Told:
    """What a document says that has a `message`, with a type and, in this field, the number called."""
    message = document.get("message")
    if not isinstance(message, dict):
        raise unreadable("message: must be an object")
    kind = message.get("type")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_TYPE:
        raise unreadable("message.type: must be the type of the event")
    called = message.get(number_field)
    number = called.get("number") if isinstance(called, dict) else None
    return Told(kind, message, number if isinstance(number, str) else None)


def unreadable(what: str) -> PlatformProblem:
    """A request that is not as the platform's documents say."""
    return PlatformProblem(400, "bad-request", what, PlatformResult.UNREADABLE)


def _not_proved(code: str, message: str) -> PlatformProblem:
    return PlatformProblem(401, code, message, PlatformResult.NOT_PROVED)
