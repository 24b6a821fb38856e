# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest authentication of those who call us (RFC 7616, RFC 8760, RFC 3261 §22). Pure: clock and secret are given.

A nonce says by itself when and by whom it was made, so challenging costs no memory. Only the nonces that somebody has
proved to know the password with are remembered, with the counts (`nc`) they were used with: a message heard on the wire
and sent again is refused. When there are too many of those, the oldest are forgotten and no longer accepted.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from gateway.core.uri import read_sip_uri
from gateway.sip.text.headers import unquoted

NONCE_LIFETIME_S = 300.0
MAX_NONCES = 4096
"""How many used nonces are remembered."""
MAX_VALUE = 2048
"""Longest Authorization value that is read, in characters."""
WINDOW = 64
"""How far behind the highest count a request may come in: UDP does not keep order."""

ALGORITHMS: Mapping[str, Callable[[bytes], str]] = {
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    # Weak, and all that many platforms can do; it comes second (RFC 8760 §2.4).
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
"""What is offered and accepted, the best first."""

_MAC_LENGTH = 16
_STAMP_LENGTH = 8
_SERIAL_LENGTH = 4
_PARAMETER = re.compile(
    r"""[ \t]*([A-Za-z0-9!%*_+`'~.-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))[ \t]*(?:,|$)"""
)
_COUNT = re.compile(r"[0-9A-Fa-f]{8}")


class Verdict(Enum):
    """What a request's credentials are worth."""

    GRANTED = auto()
    MISSING = auto()  # none for our realm, or none that can be read: challenge
    WRONG = auto()  # challenge again; a sender that has no other password gives up (RFC 3261 §22.2)
    STALE = auto()  # the password is known, but the nonce is not ours, too old or used with this count: challenge anew
    MISDIRECTED = auto()  # right for another request URI than this: 400 (RFC 7616 §3.4.6)


@dataclass(slots=True)
class _Counts:
    """The counts a nonce was used with: the highest, and a bit for each of the WINDOW below it."""

    highest: int = 0
    mask: int = 0

    def take(self, count: int) -> bool:
        """Note the use of a count; False when it was used before, or that can no longer be told."""
        if count > self.highest:
            shift = min(count - self.highest, WINDOW)
            self.mask = ((self.mask << shift) | 1) & ((1 << WINDOW) - 1)
            self.highest = count
            return True
        behind = self.highest - count
        if count < 1 or behind >= WINDOW or self.mask >> behind & 1:
            return False
        self.mask |= 1 << behind
        return True


class DigestServer:
    """Challenges and verifies for one realm; `secret` makes its nonces, `clock` is in seconds and never goes back."""

    def __init__(
        self,
        realm: str,
        secret: bytes,
        clock: Callable[[], float],
        *,
        lifetime_s: float = NONCE_LIFETIME_S,
        capacity: int = MAX_NONCES,
    ) -> None:
        self.realm = realm
        self._secret = secret
        self._clock = clock
        self._lifetime_us = int(lifetime_s * 1e6)
        self._capacity = capacity
        self._serial = 0
        self._used: OrderedDict[str, tuple[int, _Counts]] = OrderedDict()  # by nonce: when it was made, its counts
        self._forgotten_us = -1  # nonces made until then are no longer known one by one
        self._opaque = self._mac(b"opaque").hex()

    def challenges(self, *, stale: bool = False, proxy: bool = False) -> list[tuple[str, str]]:
        """The headers of a 401 (or, for a proxy, 407): one for each algorithm, with the same new nonce."""
        nonce = self._new_nonce()
        realm = self.realm.replace("\\", "\\\\").replace('"', '\\"')
        common = f'Digest realm="{realm}", nonce="{nonce}", opaque="{self._opaque}", qop="auth"'
        common += ", stale=true" if stale else ""
        header = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        return [(header, f"{common}, algorithm={algorithm}") for algorithm in ALGORITHMS]

    def verify(self, method: str, uri: str, values: Sequence[str], username: str, password: str) -> Verdict:
        """Judge the values of Authorization (or Proxy-Authorization) of a request to `uri`.

        Those for other realms and schemes, and what cannot be read, are passed over (RFC 3261 §22.3).
        """
        for value in values:
            given = parse_credentials(value)
            if given is not None and given.get("realm") == self.realm:
                return self._judge(method, uri, given, username, password)
        return Verdict.MISSING

    def _judge(self, method: str, uri: str, given: Mapping[str, str], username: str, password: str) -> Verdict:
        algorithm = given.get("algorithm", "MD5").upper()
        nonce, count, cnonce = given.get("nonce", ""), given.get("nc", ""), given.get("cnonce", "")
        if algorithm not in ALGORITHMS or given.get("qop", "").lower() != "auth" or not cnonce:
            return Verdict.MISSING
        if not _COUNT.fullmatch(count) or given.get("opaque", self._opaque) != self._opaque:
            return Verdict.MISSING
        expected = response(
            algorithm, username, self.realm, password,
            method=method, uri=given.get("uri", ""), nonce=nonce, nc=count, cnonce=cnonce,
        )  # fmt: skip
        same_user = hmac.compare_digest(_bytes(given.get("username", "")), _bytes(username))
        same_response = hmac.compare_digest(_bytes(given.get("response", "").lower()), _bytes(expected))
        if not (same_user & same_response):
            return Verdict.WRONG
        if not same_place(given.get("uri", ""), uri):
            return Verdict.MISDIRECTED
        return Verdict.GRANTED if self._use(nonce, int(count, 16)) else Verdict.STALE

    def _use(self, nonce: str, count: int) -> bool:
        made_us = self._made_at(nonce)
        now_us = self._now_us()
        if made_us is None or now_us - made_us > self._lifetime_us:
            return False
        known = self._used.get(nonce)
        if known is None:
            if made_us <= self._forgotten_us:
                return False
            self._make_room(now_us)
            known = self._used[nonce] = made_us, _Counts()
        return known[1].take(count)

    def _make_room(self, now_us: int) -> None:
        """Forget what has expired, and as many more as it takes; in the order of their first use."""
        while self._used:
            made_us, _ = next(iter(self._used.values()))
            expired = now_us - made_us > self._lifetime_us
            if not expired and len(self._used) < self._capacity:
                return
            self._used.popitem(last=False)
            self._forgotten_us = max(self._forgotten_us, made_us)

    # A nonce is when it was made, a serial number that keeps those of one moment apart, and the proof that we made it.

    def _new_nonce(self) -> str:
        self._serial = (self._serial + 1) % (1 << (8 * _SERIAL_LENGTH))
        made = self._now_us().to_bytes(_STAMP_LENGTH, "big") + self._serial.to_bytes(_SERIAL_LENGTH, "big")
        return urlsafe_b64encode(made + self._mac(b"nonce" + made)).decode().rstrip("=")

    def _made_at(self, nonce: str) -> int | None:
        """When we made this nonce, in microseconds; None when we did not."""
        try:
            raw = urlsafe_b64decode(nonce.encode("ascii") + b"==")
        except ValueError:
            return None
        made, mac = raw[:-_MAC_LENGTH], raw[-_MAC_LENGTH:]
        # Base64 has several ways to write the same bytes, of which only ours is known to have been used or not.
        written = urlsafe_b64encode(raw).decode().rstrip("=")
        if not (hmac.compare_digest(mac, self._mac(b"nonce" + made)) & (written == nonce)):
            return None
        return int.from_bytes(made[:_STAMP_LENGTH], "big")

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._secret, data + b"\0" + _bytes(self.realm), "sha256")[:_MAC_LENGTH]

    def _now_us(self) -> int:
        return int(self._clock() * 1e6)


def response(
    algorithm: str, username: str, realm: str, password: str, *, method: str, uri: str, nonce: str, nc: str, cnonce: str
) -> str:
    """The response for qop=auth, in lower-case hex (RFC 7616 §3.4.1); `nc` as eight hex digits."""
    digest = ALGORITHMS[algorithm]
    user = digest(_bytes(f"{username}:{realm}:{password}"))
    request = digest(_bytes(f"{method}:{uri}"))
    return digest(_bytes(f"{user}:{nonce}:{nc}:{cnonce}:auth:{request}"))


def parse_credentials(value: str) -> dict[str, str] | None:
    """The parameters of a Digest Authorization value, by lower-case name; None when it is none or cannot be read."""
    scheme, _, text = value.strip(" \t").partition(" ")
    if scheme.lower() != "digest" or len(value) > MAX_VALUE:
        return None
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            return None
        name, quoted, plain = match.groups()
        if name.lower() in found:
            return None
        found[name.lower()] = plain if quoted is None else unquoted(quoted)
        at = match.end()
    return found or None


def same_place(one: str, other: str) -> bool:
    """Whether two URIs name the same user at the same host and port; parameters may be lost on the way here."""
    if max(len(one), len(other)) > MAX_VALUE:
        return one == other
    first, second = read_sip_uri(one), read_sip_uri(other)
    if first is None or second is None or not first.host or not second.host:
        return one == other
    return first.is_same_place(second)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
