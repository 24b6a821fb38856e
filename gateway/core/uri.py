# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of a SIP URI (RFC 3261 §19.1), and the one place that tells them apart.

    sip:user;parameters:password@host:port;parameters?headers

Senders do not keep to the grammar, so whatever begins with `sip:` or `sips:` is parted, and each who reads a part says
what is too much. Two rules hold for all: a user may hold `;` and `?` (§25.1), so what those begin is looked for after
the first `@`; and an `@` too many, as in `sip:anna@example.com@proxy`, belongs to the user.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_TAIL = re.compile("[;?]")


@dataclass(frozen=True, slots=True)
class SipUri:
    """A SIP or SIPS URI; every part is as written, escapes included."""

    scheme: str
    userinfo: str | None  # with parameters and password; None: there is no `@`
    hostport: str
    parameters: tuple[tuple[str, str], ...]  # names and values
    headers: str  # without the `?`
    without_headers: str  # all the rest

    @property
    def secure(self) -> bool:
        """Whether it is a SIPS URI."""
        return self.scheme.lower() == "sips"

    @property
    def user(self) -> str:
        """The user alone, without parameters and password; empty: nobody."""
        return (self.userinfo or "").partition(";")[0].partition(":")[0]

    @property
    def host(self) -> str | None:
        """An IPv6 address has its brackets; None: host and port cannot be told apart."""
        match = _HOST_PORT.fullmatch(self.hostport)
        return match["host"] if match else None

    @property
    def port(self) -> int | None:
        """None: none is given."""
        match = _HOST_PORT.fullmatch(self.hostport)
        return int(match["port"]) if match and match["port"] else None

    @property
    def place(self) -> str:
        """Host, port and parameters."""
        before = len(self.scheme) + 1 + (len(self.userinfo) + 1 if self.userinfo is not None else 0)
        return self.without_headers[before:]

    @property
    def effective_port(self) -> int:
        """The port, else the scheme's and transport's own (RFC 3261 §19.1.2)."""
        tls = self.secure or ("transport", "tls") in ((name.lower(), value.lower()) for name, value in self.parameters)
        return self.port or (5061 if tls else 5060)

    def is_same_place(self, other: SipUri) -> bool:
        """Whether both name the same user at the same host and port; parameters may be lost on the way here."""
        return self._who_and_where() == other._who_and_where()

    def _who_and_where(self) -> tuple[bool, str, str | None, int]:
        port = self.port if self.port is not None else 5061 if self.secure else 5060
        host = self.host
        return self.secure, unquote(self.userinfo or ""), host.lower() if host is not None else None, port


def is_sip(text: str) -> bool:
    """Whether a text begins as a SIP or SIPS URI does."""
    return text[:5].lower().startswith(("sip:", "sips:"))


def read_sip_uri(text: str) -> SipUri | None:
    """Part a SIP or SIPS URI; None: it is of another scheme, or no URI at all. Never raises."""
    if not is_sip(text):
        return None
    begun = text.find(":") + 1
    tail = _TAIL.search(text, max(begun, text.find("@") + 1))
    end = tail.start() if tail else len(text)
    at = text.rfind("@", begun, end)
    userinfo = text[begun:at] if at >= 0 else None
    front, _, headers = text[end:].partition("?")
    named = (each.partition("=") for each in front.split(";")[1:])
    return SipUri(
        text[: begun - 1],
        userinfo,
        text[max(begun, at + 1) : end],
        tuple((name, value) for name, _, value in named),
        headers,
        text[: end + len(front)],
    )


def addr_spec(text: str) -> str:
    """A URI that stands without angle brackets: a SIP URI ends before the header's own parameters (RFC 3261 §20)."""
    if not is_sip(text):
        return text
    end = text.find(";", text.find("@") + 1)
    return (text if end < 0 else text[:end]).rstrip()


def split_headers(text: str) -> tuple[str, str]:
    """A URI of any scheme without its headers, and those."""
    uri = read_sip_uri(text)
    if uri is not None:
        return uri.without_headers, uri.headers
    plain, _, headers = text.partition("?")
    return plain, headers
