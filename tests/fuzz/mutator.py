# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages made wrong, a little or a lot: by bytes, by lines, and by what SIP and SDP mean.

The same seed makes the same mistakes in the same order.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 7900
"""Bytes; the gateway reads 8000 of a datagram."""
NUMBERS = (b"0", b"-1", b"1", b"65535", b"65536", b"2147483648", b"4294967295", b"4294967296", b"9" * 30, b"", b"x")
PIECES = (
    b"\x00", b"\r\n", b"\n", b" ", b"\t", b'"', b"<", b">", b";", b",", b":", b"@", b"%00", b"%", b"\xff", b"\xc3(",
    b"sip:", b"tel:", b"[::1]", b"[", b"0.0.0.0", b"255.255.255.255", b"127.0.0.1", b"a" * 300, b" " * 900, b"();=",
)  # fmt: skip
SIP_LINES = (
    b"Content-Type: multipart/mixed;boundary=x", b"Content-Type: application/sdp;;", b"Content-Type: a/b", b"c:",
    b"Content-Length: 0", b"Content-Length: 99999999", b"l: -5", b"Via: SIP/2.0/UDP 127.0.0.1", b"Via:", b"v: x",
    b"Contact: *", b"Contact: <sip:x@10.99.0.5>", b"Contact: <sips:x@[2001:db8::5];maddr=255.255.255.255>",
    b"m: <sip:x@127.0.0.1:1;transport=tls>", b"Record-Route: <sip:127.0.0.1:9;lr>,<sip:>", b"Route: <sip:x>",
    b"Require: 100rel", b"Require: timer,nonsense", b"Supported: 100rel,timer,replaces", b"RSeq: 1",
    b"RSeq: 9999999999",
    b"RAck: 1 1 INVITE", b"RAck: 0", b"Session-Expires: 90;refresher=uac", b"Session-Expires: 0", b"Min-SE: 4294967296",
    b"Replaces: a;to-tag=b;from-tag=c", b"Target-Dialog: a;local-tag=b;remote-tag=c", b"Refer-To: <sip:+31612345678@x>",
    b"Refer-To: sip:x?Replaces=a%3Bto-tag%3Db", b"Event: refer;id=1", b"Event: dialog", b"Expires: 0", b"Expires: -1",
    b"Subscription-State: active;expires=60", b"Subscription-State: terminated", b"Authorization: Digest a=b,",
    b'WWW-Authenticate: Digest realm="x",nonce="y",algorithm=MD5', b"Proxy-Authenticate: Digest", b"Privacy: id",
    b"Max-Forwards: 0", b"CSeq: 1 INVITE", b"CSeq: 4294967295 BYE", b"From: <sip:a>;tag=", b"To: x", b"Reason: Q.850",
    b"P-Asserted-Identity: <tel:+31201112222>,<sip:x", b"Call-ID:", b"Warning: x", b"Retry-After: x", b"Allow:",
    b"Accept: text/plain", b"Content-Encoding: gzip", b"Content-Disposition: session;handling=required",
)  # fmt: skip
KEY = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk"
"""30 bytes, as SRTP's key and salt are (RFC 4568 section 6.1)."""
SDP_LINES = (
    b"m=audio 0 RTP/AVP 8", b"m=video 0 RTP/AVP 96", b"m=audio 40000 RTP/AVP", b"m=text 0 RTP/AVP 98",
    b"m=image 9 udptl t38",
    b"m=audio 40000 RTP/SAVP 0 8 101", b"m=application 1 TCP/BFCP *", b"m=audio 65536 RTP/AVP 4294967296", b"m=audio",
    b"c=IN IP4 0.0.0.0", b"c=IN IP4 10.99.0.5", b"c=IN IP6 ::1", b"c=IN IP4 example.invalid",
    b"c=IN IP4 224.0.0.1/127/9",
    b"c=", b"a=rtpmap:8", b"a=rtpmap:8 PCMA/0", b"a=rtpmap:101 telephone-event/8000", b"a=rtpmap:96 opus/48000/2/9",
    b"a=rtpmap:255 x/8000", b"a=fmtp:101 0-16", b"a=fmtp:101", b"a=fmtp:96 a=b;c;;=d", b"a=ptime:0", b"a=ptime:9999999",
    b"a=maxptime:x", b"a=rtcp:0", b"a=rtcp:1 IN IP4 127.0.0.1", b"a=rtcp-mux", b"a=sendonly", b"a=inactive", b"a=x",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA", b"a=crypto:", b"a=crypto:1 NULL inline:" + KEY,
    b"a=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:" + KEY, b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" + KEY * 30,
    b"a=crypto:9999999999 AES_CM_128_HMAC_SHA1_80 inline:" + KEY + b"|2^99|1:4", b"a=crypto:1 AEAD_AES_256_GCM inline:",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY + b";inline:" + KEY, b"a=crypto:1 x y",
    b"a=ice-ufrag:x", b"a=candidate:1 1 UDP 1",
    b"a=mid:1",
    b"a=group:BUNDLE 1 2", b"a=setup:active", b"a=fingerprint:x", b"b=AS:0", b"b=TIAS:-1", b"o=", b"v=1", b"t=", b"z=",
    b"a=ssrc:1", b"a=rtcp-fb:* nack", b"a=extmap:1 x", b"s=",
)  # fmt: skip


class Mutator:
    """Makes mistakes; `share` of what it is given stays as it is."""

    def __init__(self, seed: int, share: float = 0.4) -> None:
        self.random = random.Random(seed)
        self._share = share
        self._line_kinds: tuple[Callable[[list[bytes]], None], ...] = (
            self._drop, self._double, self._swap, self._cut, self._stretch, self._renumber, self._insert_sip,
            self._insert_sdp, self._insert_sdp, self._replace_sdp, self._piece, self._piece,
        )  # fmt: skip

    def may(self, share: float) -> bool:
        """Whether to do something that is done in this share of cases."""
        return self.random.random() < share

    def message(self, data: bytes) -> bytes:
        """A SIP message, or a block of another protocol of lines."""
        if self.may(self._share):
            return data
        lines = data.split(b"\r\n")
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 8))):
            self.random.choice(self._line_kinds)(lines)
        made = b"\r\n".join(lines)
        if self.may(0.7):
            made = _right_length(made)
        return (self.raw(made) if self.may(0.1) else made)[:LONGEST]

    def description(self, body: bytes) -> bytes:
        """A session description, and always one with mistakes."""
        lines = body.split(b"\r\n")
        kinds = (*self._line_kinds[:6], self._replace_sdp, self._replace_sdp, self._add_sdp, self._add_sdp, self._piece)
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 8))):
            self.random.choice(kinds)(lines)
        return b"\r\n".join(lines)[:LONGEST]

    def raw(self, data: bytes) -> bytes:
        """Bytes of any kind: a datagram of RTP, a DNS answer."""
        made = bytearray(data)
        for _ in range(self.random.choice((1, 1, 2, 4, 16))):
            kind = self.random.randrange(4)
            at = self.random.randrange(len(made) + 1)
            if kind == 0 and made:
                made[at % len(made)] = self.random.choice((0, 255, 128, self.random.randrange(256)))
            elif kind == 1:
                made[at:at] = self.random.choice(PIECES)
            elif kind == 2:
                del made[at : at + self.random.choice((1, 2, 4, 50))]
            else:
                made = made[:at] if self.may(0.2) else made + made[at : at + 40]
        return bytes(made)

    # --- by lines

    def _at(self, lines: list[bytes]) -> int:
        return self.random.randrange(len(lines))

    def _drop(self, lines: list[bytes]) -> None:
        if len(lines) > 1:
            del lines[self._at(lines)]

    def _double(self, lines: list[bytes]) -> None:
        line = lines[self._at(lines)]
        lines[self._at(lines) : 0] = [line] * self.random.choice((1, 1, 1, 40))

    def _swap(self, lines: list[bytes]) -> None:
        one, other = self._at(lines), self._at(lines)
        lines[one], lines[other] = lines[other], lines[one]

    def _cut(self, lines: list[bytes]) -> None:
        at = self._at(lines)
        lines[at] = lines[at][: self.random.randrange(len(lines[at]) + 1)]

    def _stretch(self, lines: list[bytes]) -> None:
        at = self._at(lines)
        lines[at] += self.random.choice(PIECES) * self.random.choice((1, 2, 30))

    def _renumber(self, lines: list[bytes]) -> None:
        at = self._at(lines)
        words = lines[at].split(b" ")
        which = self.random.randrange(len(words))
        words[which] = self.random.choice(NUMBERS)
        lines[at] = b" ".join(words)

    def _piece(self, lines: list[bytes]) -> None:
        at = self._at(lines)
        where = self.random.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:where] + self.random.choice(PIECES) + lines[at][where + self.random.choice((0, 1, 5)) :]

    # --- by what they mean

    def _insert_sip(self, lines: list[bytes]) -> None:
        head = lines.index(b"") if b"" in lines else len(lines)
        lines.insert(self.random.randrange(1, max(head, 1) + 1), self.random.choice(SIP_LINES))

    def _insert_sdp(self, lines: list[bytes]) -> None:
        head = lines.index(b"") + 1 if b"" in lines else len(lines)
        for _ in range(self.random.choice((1, 1, 2, 40))):
            lines.insert(self.random.randrange(min(head, len(lines)), len(lines) + 1), self.random.choice(SDP_LINES))

    def _add_sdp(self, lines: list[bytes]) -> None:
        for _ in range(self.random.choice((1, 1, 2, 40))):
            lines.insert(self.random.randrange(len(lines) + 1), self.random.choice(SDP_LINES))

    def _replace_sdp(self, lines: list[bytes]) -> None:
        described = [at for at, line in enumerate(lines) if line[1:2] == b"="]
        if described:
            lines[self.random.choice(described)] = self.random.choice(SDP_LINES)


def _right_length(data: bytes) -> bytes:
    """Say the length that the body has, so that what is wrong in it is read at all."""
    head, blank, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"content-length", b"l:"))]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + blank + body
