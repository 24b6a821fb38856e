# SPDX-License-Identifier: GPL-2.0-or-later
"""SRTP (RFC 3711) with keys in SDP (RFC 4568), as a scripted peer offers, answers and speaks it."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pylibsrtp

Encryption: TypeAlias = Literal["off", "optional", "required"]
"""RTP/AVP without keys, RTP/AVP with keys (as who may do without them offers it), RTP/SAVP."""

SUITES = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
DEFAULT = "AES_CM_128_HMAC_SHA1_80"
KEY_LENGTH = 30
"""Master key and master salt together, in bytes (RFC 4568 §6.2)."""
_LINE = re.compile(rb"^a=crypto:(\d+) (\w+) inline:([\w+/=]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Key:
    """What a side encrypts with, as its description says it. One key it is whatever its tag."""

    tag: int = field(compare=False)
    suite: str
    secret: bytes

    @classmethod
    def new(cls, suite: str = DEFAULT, tag: int = 1) -> Key:
        """A key of one's own."""
        return cls(tag, suite, secrets.token_bytes(KEY_LENGTH))

    @property
    def line(self) -> bytes:
        """The attribute, with the end of its line."""
        return f"a=crypto:{self.tag} {self.suite} inline:{base64.b64encode(self.secret).decode()}\r\n".encode()


def keys_of(body: bytes) -> list[Key]:
    """The keys that a description offers, those of unknown suites left out."""
    found = ((int(tag), suite.decode(), base64.b64decode(secret)) for tag, suite, secret in _LINE.findall(body))
    return [Key(*one) for one in found if one[1] in SUITES]


def profile_of(body: bytes) -> str:
    """The transport protocol of a description's audio: RTP/AVP, RTP/SAVP."""
    found = re.search(rb"^m=audio \d+ (\S+)", body, re.MULTILINE)
    return found.group(1).decode() if found else ""


def encrypted(body: bytes, key: Key, profile: str = "RTP/SAVP") -> bytes:
    """A description of one stream in the clear, made one of a stream encrypted with this key."""
    return body.replace(b" RTP/AVP ", f" {profile} ".encode(), 1) + key.line


class Cipher:
    """Both directions of a stream. A far side that has changed its key is understood with the old one as well."""

    def __init__(self, own: Key, far: Key, former: Cipher | None = None) -> None:
        self.keys = (own, far)
        out = pylibsrtp.Policy(own.secret, pylibsrtp.Policy.SSRC_ANY_OUTBOUND, srtp_profile=SUITES[own.suite])
        into = pylibsrtp.Policy(far.secret, pylibsrtp.Policy.SSRC_ANY_INBOUND, srtp_profile=SUITES[far.suite])
        # The state of a key that stays in use goes on: its rollover counter and what was received.
        self._out: pylibsrtp.Session = former._out if former and former.keys[0] == own else pylibsrtp.Session(out)
        self._in: pylibsrtp.Session = former._in if former and former.keys[1] == far else pylibsrtp.Session(into)
        self._before: pylibsrtp.Session | None = former._in if former and former.keys[1] != far else None

    def seal(self, packet: bytes) -> bytes:
        """Encrypt and authenticate an RTP packet."""
        return self._out.protect(packet)

    def open(self, packet: bytes) -> bytes | None:
        """The RTP packet; None for one that the far side has not sealed."""
        for session in (self._in, self._before):
            if session is not None:
                try:
                    return session.unprotect(packet)
                except pylibsrtp.Error:
                    continue
        return None
