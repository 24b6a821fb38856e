# SPDX-License-Identifier: GPL-2.0-or-later
"""Who receives events over HTTP, and the signature by which they know that an event is ours.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Receiver:
    """One webhook of the configuration."""

    id: str
    url: str = field(repr=False)  # whoever knows it may often write there
    keys: tuple[bytes, ...] = field(repr=False)  # each of them signs: the new one and the old, while one is exchanged
    events: frozenset[str]  # their types
    ca_file: Path | None = None  # instead of the system's authorities

    @property
    def host(self) -> str:
        """Where it is, as the log may say it."""
        return urlsplit(self.url).netloc


def signed(receiver: Receiver, event_id: str, at: int, body: bytes) -> dict[str, str]:
    """The header fields of a request; `at` is now, in seconds since 1970."""
    content = f"{event_id}.{at}.".encode() + body
    made = (base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in receiver.keys)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in made),
    }
