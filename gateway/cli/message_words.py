# SPDX-License-Identifier: GPL-2.0-or-later
"""What a SIP message is, in a few words, for a person who looks at many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.output import shown

_LONGEST = 120  # characters of any of its words
_USER = re.compile(r"(?i)(?:sips?:|tel:)([^@;>?\s]{1,64})")
_END = re.compile(r"\r\n|\r|\n")


def lines_of(text: str) -> Iterator[str]:
    """The lines of a message, each as a terminal may have it."""
    yield from (shown(line) for line in _END.split(text.rstrip("\r\n")))


def words_of(message: Mapping[str, Any]) -> str:
    """`INVITE, SDP`, `200 OK of INVITE, SDP`, `REFER to 700`, `NOTIFY: SIP/2.0 200 OK`."""
    text = _words(message["text"])
    return f"{text}, again" if message["again"] else text


def _words(text: str) -> str:
    first, *lines = _END.split(text)
    head: dict[str, str] = {}
    body: list[str] = []
    for place, line in enumerate(lines):
        if not line:
            body = lines[place + 1 :]
            break
        name, _, value = line.partition(":")
        head.setdefault(name.strip().lower(), value.strip()[:_LONGEST])
    sdp = ", SDP" if head.get("content-type", head.get("c", "")).lower().startswith("application/sdp") else ""
    if first.upper().startswith("SIP/2.0 "):
        method = head.get("cseq", "").rpartition(" ")[2]
        return shown(f"{first[8 : 8 + _LONGEST]}{f' of {method}' if method else ''}{sdp}")
    return shown(f"{_request(first.partition(' ')[0][:_LONGEST], head, body)}{sdp}")


def _request(method: str, head: Mapping[str, str], body: list[str]) -> str:
    in_dialog = ";tag=" in head.get("to", head.get("t", "")).replace(" ", "").lower()
    match method:
        case "INVITE" if in_dialog:
            return "re-INVITE"
        case "REFER" if found := _USER.search(head.get("refer-to", head.get("r", ""))):
            return f"REFER to {found[1]}"
        case "NOTIFY" if body and body[0]:
            return f"NOTIFY: {body[0][:_LONGEST]}"
        case "INFO" if kind := head.get("content-type", head.get("c", "")):
            return f"INFO, {kind}"
    return method
