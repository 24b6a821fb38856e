# SPDX-License-Identifier: GPL-2.0-or-later
"""A sender that knows a password, and computes on its own what it has to answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import TYPE_CHECKING

from gateway.sip.text.digest import DigestServer, Verdict

if TYPE_CHECKING:
    pass


URI = "sip:+31201234567@gw.example"
USER, PASSWORD = "hms", "let me in"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Client:
    """Answers a challenge; computes on its own, straight from RFC 7616 §3.4.1."""

    server: DigestServer
    algorithm: str = "SHA-256"
    username: str = USER
    password: str = PASSWORD

    def challenge(self, *, stale: bool = False) -> dict[str, str]:
        values = [
            value for name, value in self.server.challenges(stale=stale) if f"algorithm={self.algorithm}" in value
        ]
        assert len(values) == 1
        return {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^, ]+))', values[0])}

    def answer(
        self,
        challenge: dict[str, str],
        changes: dict[str, str] | None = None,
        *,
        method: str = "INVITE",
        uri: str = URI,
        nc: int = 1,
    ) -> str:
        def hexdigest(text: str) -> str:
            return (sha256 if self.algorithm == "SHA-256" else md5)(text.encode()).hexdigest()

        user = hexdigest(f"{self.username}:{challenge['realm']}:{self.password}")
        response = hexdigest(f"{user}:{challenge['nonce']}:{nc:08x}:abc:auth:{hexdigest(f'{method}:{uri}')}")
        fields = {
            "username": f'"{self.username}"', "realm": f'"{challenge["realm"]}"', "nonce": f'"{challenge["nonce"]}"',
            "uri": f'"{uri}"', "response": f'"{response}"', "algorithm": self.algorithm, "cnonce": '"abc"',
            "opaque": f'"{challenge["opaque"]}"', "qop": "auth", "nc": f"{nc:08x}", **(changes or {}),
        }  # fmt: skip
        return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items() if value)


def judged(server: DigestServer, *values: str, method: str = "INVITE", uri: str = URI) -> Verdict:
    return server.verify(method, uri, values, USER, PASSWORD)
