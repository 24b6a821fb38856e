# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP messages as bytes and lines (RFC 3261 §7), for tests that look at exactly what is on the wire.

Nothing is normalised or corrected: a header keeps its spelling, spaces and order, and what is written is what is sent.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Address: TypeAlias = tuple[str, int]
"""IP address and port."""

COMPACT = {
    "v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type",
    "e": "content-encoding", "k": "supported", "s": "subject", "r": "refer-to", "b": "referred-by", "o": "event",
}  # fmt: skip
"""The one-letter names of RFC 3261 §7.3.3, RFC 3515 §2.1, RFC 3892 §3 and RFC 6665 §8.2.1."""

REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 302: "Moved Temporarily",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    407: "Proxy Authentication Required", 408: "Request Timeout", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable",
    603: "Decline",
}  # fmt: skip


def long_name(name: str) -> str:
    """A header's name in lower case, compact forms written out."""
    lower = name.strip().lower()
    return COMPACT.get(lower, lower)


@dataclass
class Message:
    """A request or response; `headers` are (name, value) in the order and spelling of the wire."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Message:
        """Take a datagram apart; folded lines are joined by a space (§7.3.1). Raises ValueError."""
        head, separator, body = data.partition(b"\r\n\r\n")
        if not separator:
            raise ValueError("no empty line after the headers")
        start, *lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape")).split("\r\n")
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError(f"a header without a colon: {line!r}")
            headers.append((name, value.strip()))
        return cls(start, headers, body)

    def __bytes__(self) -> bytes:
        headers = list(self.headers)
        if not self.all("content-length"):
            headers.append(("Content-Length", str(len(self.body))))
        head = "\r\n".join([self.start, *(f"{name}: {value}" for name, value in headers), "", ""])
        return head.encode("utf-8", "surrogateescape") + self.body

    def __str__(self) -> str:
        return bytes(self).decode("utf-8", "replace")

    @property
    def is_request(self) -> bool:
        """Whether it is a request."""
        return not self.start.startswith("SIP/")

    @property
    def code(self) -> int:
        """The status code; 0 for a request."""
        return 0 if self.is_request else int(self.start.split()[1])

    @property
    def method(self) -> str:
        """The request's method, or that of the request it answers."""
        return self.start.split()[0] if self.is_request else self.cseq[1]

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self.start.split()[1]

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method of the CSeq header."""
        number, method = self["CSeq"].split()
        return int(number), method

    @property
    def branch(self) -> str:
        """The topmost Via's branch, by which transactions are told apart (§17)."""
        return parameter(self["Via"].partition(",")[0], "branch") or ""

    @property
    def sipfrag(self) -> int:
        """The status code that the body of a NOTIFY reports (RFC 3515 §2.4.5); 0 when it is none."""
        found = re.match(rb"SIP/2\.0 (\d{3}) ", self.body)
        return int(found.group(1)) if found else 0

    @property
    def label(self) -> str:
        """A word for ladders: "INVITE", "200 INVITE", "NOTIFY 180"."""
        if not self.is_request:
            return f"{self.code} {self.method}"
        return f"{self.method} {self.sipfrag}" if self.method == "NOTIFY" else self.method

    def all(self, name: str) -> list[str]:
        """Every value of a header, in either form of its name; a line is one value, whatever commas it holds."""
        wanted = long_name(name)
        return [value for key, value in self.headers if long_name(key) == wanted]

    def get(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next(iter(self.all(name)), None)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(f"no {name} in {self.start}")
        return value

    def tag(self, name: str) -> str | None:
        """The tag of From or To."""
        return parameter(self[name], "tag")


def reply(
    request: Message,
    code: int,
    reason: str | None = None,
    *,
    tag: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Message:
    """A response to a request as §8.2.6 makes it; `tag` is added to To where it has none."""
    to = request["To"] if tag is None or request.tag("To") else f"{request['To']};tag={tag}"
    copied = [("Via", via) for via in request.all("Via")]
    copied += [("Record-Route", route) for route in request.all("Record-Route")]
    copied += [("From", request["From"]), ("To", to), ("Call-ID", request["Call-ID"]), ("CSeq", request["CSeq"])]
    start = f"SIP/2.0 {code} {reason or REASONS.get(code, 'Unknown')}"
    return Message(start, [*copied, *headers], body)


def parameter(value: str, name: str) -> str | None:
    """A header parameter's value, of the part after the angle brackets where there are any."""
    found = re.search(rf";\s*{name}\s*=\s*([^;,\s]+)", value.rpartition(">")[2])
    return found.group(1) if found else None


def address(value: str) -> str:
    """The URI in a name-addr or addr-spec (§20.10), its own parameters kept inside brackets only."""
    found = re.search(r"<([^>]*)>", value)
    return found.group(1) if found else value.partition(";")[0].strip()


def token(prefix: str = "") -> str:
    """A random word for tags, branches and Call-IDs."""
    return f"{prefix}{random.getrandbits(64):016x}"


def sdp(
    host: str,
    port: int,
    codecs: tuple[str, ...] = ("PCMA", "PCMU"),
    direction: str = "sendrecv",
    events: int | None = 101,
    wide_events: int | None = None,
) -> bytes:
    """An offer or answer of one audio stream in G.711 or opus, with RFC 4733 events as type `events` (None: no).

    `wide_events` is the type of those that are clocked as opus is (RFC 7587 §4.1), 48000 times a second.
    """
    numbers = {"PCMU": 0, "PCMA": 8, "opus": 96}
    here = f"IN IP6 {host}" if ":" in host else f"IN IP4 {host}"
    lines = ["v=0", f"o=- {random.getrandbits(31)} 1 {here}", "s=-", f"c={here}", "t=0 0"]
    keys = [(number, rate) for number, rate in ((wide_events, 48000), (events, 8000)) if number is not None]
    types = [*(numbers[codec] for codec in codecs), *(number for number, _ in keys)]
    lines.append(f"m=audio {port} RTP/AVP {' '.join(map(str, types))}")
    lines += [f"a=rtpmap:{numbers[codec]} {codec}/{'48000/2' if codec == 'opus' else '8000'}" for codec in codecs]
    for number, rate in keys:
        lines += [f"a=rtpmap:{number} telephone-event/{rate}", f"a=fmtp:{number} 0-16"]
    lines += ["a=ptime:20", f"a={direction}"]
    return "\r\n".join([*lines, ""]).encode()


def events_of(body: bytes, rate: int = 8000) -> int | None:
    """The payload type that a description gives to RFC 4733 events of this clock."""
    found = re.search(rb"^a=rtpmap:(\d+) telephone-event/%d\r" % rate, body, re.M)
    return int(found.group(1)) if found else None


def answering(offered: str, own: str = "sendrecv") -> str:
    """The direction to answer an offered one with by somebody who wants `own` (RFC 3264 §6.1)."""
    sends = offered in {"sendrecv", "recvonly"} and own in {"sendrecv", "sendonly"}
    hears = offered in {"sendrecv", "sendonly"} and own in {"sendrecv", "recvonly"}
    return {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly"}.get(
        (sends, hears), "inactive"
    )


def direction_of(body: bytes) -> str:
    """The direction attribute of a description, "sendrecv" where it says none."""
    found = re.search(rb"^a=(sendrecv|sendonly|recvonly|inactive)", body, re.M)
    return found.group(1).decode() if found else "sendrecv"


def media_of(body: bytes) -> tuple[str, int, list[int]] | None:
    """Address, port and payload types of a description's first audio stream (RFC 8866); None: there is none."""
    text = body.decode(errors="replace")
    stream = re.search(r"^m=audio (\d+) \S+ ([\d ]+)", text, re.M)
    host = re.search(r"^c=IN IP[46] (\S+)", text[stream.end() :] if stream else "", re.M) or re.search(
        r"^c=IN IP[46] (\S+)", text, re.M
    )
    if not stream or not host:
        return None
    return host.group(1), int(stream.group(1)), [int(number) for number in stream.group(2).split()]
