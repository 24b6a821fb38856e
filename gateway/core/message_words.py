# SPDX-License-Identifier: GPL-2.0-or-later
"""What a SIP message is, and whose leg it came on, in a few words, for a person who looks at many.

They are as they came: whoever shows them on a terminal takes out what would steer it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST = 120  # characters of any of its words
_USER = re.compile(r"(?i)(?:sips?:|tel:)([^@;>?\s]{1,64})")
_END = re.compile(r"\r\n|\r|\n")
_ROLES = {"transferor": "transferor", "transferee": "caller", "target": "target"}


def named(leg: Mapping[str, Any], legs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Who is at its end (`name`), and as what (`part`): two legs of the same name are told apart by a number.

    A leg is `peer`, `side`, `role` and `call_id`, as the API tells it.
    """
    part = _ROLES.get(leg["role"] or "", "leg")
    same = [each["call_id"] for each in legs if (each["peer"], each["role"]) == (leg["peer"], leg["role"])]
    numbered = part if len(same) == 1 else f"{part} {same.index(leg['call_id']) + 1}"
    return {"name": leg["peer"] or leg["side"] or "peer", "part": numbered}


def words_of(text: str, *, again: bool = False) -> str:
    """`INVITE, SDP`, `200 OK of INVITE, SDP`, `REFER to 700`, `NOTIFY: SIP/2.0 200 OK`; `again`: a retransmission."""
    return f"{_words(text)}, again" if again else _words(text)


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
        return f"{first[8 : 8 + _LONGEST]}{f' of {method}' if method else ''}{sdp}"
    return f"{_request(first.partition(' ')[0][:_LONGEST], head, body)}{sdp}"


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
