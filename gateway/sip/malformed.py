# SPDX-License-Identifier: GPL-2.0-or-later
"""The answer to a request that PJSIP cannot read, made of its lines that say whom to answer.

As RFC 3261 §8.2.6 has every response made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from email.parser import HeaderParser

_START = re.compile(r"(?P<method>[A-Za-z0-9.!%*_+`'~-]{1,32}) +(?P<uri>.*?) +SIP/(?P<version>\d{1,4}\.\d{1,4})")
_ECHOED = (("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i"), ("CSeq", ""))
LONGEST = 1000
"""Characters of a line that are sent back; who writes more is not answered."""
PHRASES = {400: "Bad Request", 505: "Version Not Supported", 513: "Message Too Large"}


def method_of(text: str) -> str | None:
    """The method of a request, however broken it is; None: it is no request, or an ACK, which nobody answers."""
    found = _START.match(text)
    return None if found is None or found["method"].upper() == "ACK" else found["method"]


def verdict(text: str, *, whole: bool) -> int:
    """The status code for a request that cannot be read: 400, or 505 (another version of SIP), or 513 (cut short)."""
    found = _START.match(text)
    if found is not None and found["version"] != "2.0":
        return 505
    return 400 if whole else 513


def answer(text: str, code: int, header: str, more: Sequence[tuple[str, str]]) -> str:
    """The response to send to where such a request came from; empty where it does not say enough to be answered.

    `header` is the name of the header that is to blame, or empty; `more` are headers to add.
    """
    _, _, rest = text.partition("\n")
    fields = HeaderParser().parsestr(rest, headersonly=True)
    lines = []
    for name, compact in _ECHOED:
        values = [_one_line(str(value)) for given in (name, compact) for value in fields.get_all(given, ())]
        if not values and name != "To":
            return ""
        if len(values) > 1 and name != "Via":
            values = values[:1]
        lines += [f"{name}: {value}" for value in values]
    if any(len(line) > LONGEST for line in lines):
        return ""
    lines = [_tagged(line, text) if line.startswith("To:") else line for line in lines]
    phrase = f"Bad {header} Header" if code == 400 and re.fullmatch(r"[A-Za-z-]{1,40}", header) else PHRASES[code]
    lines += [f"{name}: {value}" for name, value in more]
    return "\r\n".join([f"SIP/2.0 {code} {phrase}", *lines, "Content-Length: 0", "", ""])


def _one_line(value: str) -> str:
    return "".join(one for one in " ".join(value.split()) if one >= " " and one != "\x7f")


def _tagged(line: str, text: str) -> str:
    if re.search(r";\s*tag\s*=", line, re.IGNORECASE):
        return line
    # The same for every repetition of the request, since nothing is remembered of it.
    return f"{line};tag={hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:16]}"
