# SPDX-License-Identifier: GPL-2.0-or-later
"""The answer to a request that PJSIP cannot read, made of its lines that say whom to answer.

As RFC 3261 §8.2.6 has every response made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from gateway.sip.text.headers import COMPACT, header_fields, parameters
from gateway.sip.text.reason_phrases import REASON_PHRASES

_METHOD = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,32}")
_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")
_HEADER = re.compile(r"[A-Za-z-]{1,40}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}")
_SCHEMES = frozenset({"sip", "sips", "tel"})
_ECHOED = ("Via", "From", "To", "Call-ID", "CSeq")
LONGEST = 1000
"""Characters of a line that are sent back; who writes more is not answered."""


def method_of(text: str) -> str | None:
    """The method of a request, however broken it is; None: it is no request, or an ACK, which nobody answers."""
    method, version = _start(text)
    return None if version is None or method.upper() == "ACK" else method


def verdict(text: str, *, whole: bool) -> int:
    """The status code for a request that cannot be read.

    505 (another version of SIP), 513 (cut short), 416 (its URI is of a scheme that is not ours), else 400.
    """
    _, version = _start(text)
    if version and version != "2.0":
        return 505
    if not whole:
        return 513
    return 416 if _is_of_other_scheme(text) else 400


def answer(text: str, code: int, header: str, more: Sequence[tuple[str, str]]) -> str:
    """The response to send to where such a request came from; empty where it does not say enough to be answered.

    What it lacks of the lines that a response has is lacking there too (RFC 4475 §3.3.1).
    `header` is the name of the header that is to blame, or empty; `more` are headers to add.
    """
    fields = [(COMPACT.get(name.lower(), name).lower(), value) for name, value in header_fields(text)]
    lines = []
    for name in _ECHOED:
        values = [_one_line(value) for given, value in fields if given == name.lower()]
        if not values and name == "Via":
            return ""  # RFC 3261 §18.2.2: it says where the response goes
        if len(values) > 1 and name != "Via":
            values = values[:1]
        lines += [f"{name}: {value}" for value in values]
    if any(len(line) > LONGEST for line in lines):
        return ""
    lines = [_tagged(line, text) if line.startswith("To:") else line for line in lines]
    phrase = f"Bad {header} Header" if code == 400 and _HEADER.fullmatch(header) else REASON_PHRASES[code]
    lines += [f"{name}: {value}" for name, value in more]
    return "\r\n".join([f"SIP/2.0 {code} {phrase}", *lines, "Content-Length: 0", "", ""])


def _start(text: str) -> tuple[str, str | None]:
    """Method and version of a request line; no version where it is none, an empty one where it cannot be read."""
    method, _, rest = text.partition("\n")[0].partition(" ")
    protocol = next((word for word in reversed(rest.split()[1:]) if word.upper().startswith("SIP/")), None)
    if protocol is None or not _METHOD.fullmatch(method):
        return "", None
    version = protocol.partition("/")[2]
    return method, version if _VERSION.fullmatch(version) else ""


def _is_of_other_scheme(text: str) -> bool:
    """Whether the request line names a URI of another scheme than ours (RFC 3261 §8.2.2.1)."""
    scheme, colon, _ = text.partition("\n")[0].partition(" ")[2].lstrip().partition(":")
    return bool(colon and _SCHEME.fullmatch(scheme)) and scheme.lower() not in _SCHEMES


def _one_line(value: str) -> str:
    return "".join(one for one in " ".join(value.split()) if one >= " " and one != "\x7f")


def _tagged(line: str, text: str) -> str:
    if any(each.partition("=")[0].strip().lower() == "tag" for each in parameters(line)[1:]):
        return line
    # The same for every repetition of the request, since nothing is remembered of it.
    return f"{line};tag={hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:16]}"
