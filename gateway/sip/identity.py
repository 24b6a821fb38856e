# SPDX-License-Identifier: GPL-2.0-or-later
"""Who calls: From, P-Asserted-Identity, Privacy, Diversion and History-Info. Pure: text in, text out.

All of them are made anew with our own host: what the other side's messages say of its hosts stays on that side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.sip.headers import name_addr, parse_name_addr, single_values, user_part

if TYPE_CHECKING:
    from gateway.config.profiles import Diversion, Identity
    from gateway.ports import DialOrder

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""RFC 3323 §4.1.1.3."""
MADE_HERE = frozenset({"p-asserted-identity", "privacy", "diversion", "history-info", "max-forwards"})
MAX_DIVERTED = 5
_HOPS = re.compile(r"[0-9]{1,5}")
_USER = re.compile(r"(?:sips?:([^@;?]+)@|tel:([^;?]+))", re.IGNORECASE)
_PRIVATE = frozenset({"id", "user", "header"})


@dataclass(frozen=True, slots=True)
class Presented:
    """How an INVITE presents its caller."""

    local: str | None  # From, None: ours
    headers: tuple[tuple[str, str], ...]


def present(order: DialOrder, identity: Identity, diversion: Diversion, host: str) -> Presented:
    """The From and the headers of an INVITE; `host` is ours, as it stands in a URI."""
    made = [(name, value) for name, value in order.headers if name.lower() not in MADE_HERE]
    local = None
    known = name_addr(order.caller_name, f"sip:{user_part(order.caller)}@{host}") if order.caller else None
    if order.private:
        local = ANONYMOUS
        if identity == "asserted":
            made += [("P-Asserted-Identity", known)] if known else []
            made.append(("Privacy", "id"))
    elif known is not None:
        local = known
        if identity == "asserted":
            made.append(("P-Asserted-Identity", known))
    made += _history(order, diversion, host)
    made.append(("Max-Forwards", str(order.max_forwards)))
    return Presented(local, tuple(made))


def _history(order: DialOrder, diversion: Diversion, host: str) -> list[tuple[str, str]]:
    before = [f"<sip:{user_part(user)}@{host}>" for user in order.diverted]
    if not before:
        return []
    match diversion:
        case "diversion":  # the latest first (RFC 5806 §4)
            return [("Diversion", f"{each};reason=unconditional") for each in before]
        case "history-info":  # the oldest first, and at last where this call goes (RFC 7044 §5)
            way = [*reversed(before), f"<sip:{user_part(order.user)}@{host}>"]
            return [("History-Info", f"{each};index=1{'.1' * depth}") for depth, each in enumerate(way)]
        case "off":
            return []


def is_private(privacy: Sequence[str], sender: str) -> bool:
    """Whether the caller withholds who he is, by the values of Privacy or the URI of From."""
    asked = {each.strip().lower() for value in privacy for each in value.split(";")}
    return bool(asked & _PRIVATE) or sender.lower().endswith("@anonymous.invalid")


def diverted_users(diversion: Sequence[str], history: Sequence[str]) -> tuple[str, ...]:
    """Whom the caller had called before, the latest first: from Diversion, else from History-Info."""
    # The last entry of History-Info is where the request goes now.
    named = single_values(diversion) if diversion else single_values(history)[:-1][::-1]
    users = []
    for each in named[:MAX_DIVERTED]:
        match = _USER.match(parse_name_addr(each).uri)
        if match:
            users.append(match[1] or match[2])
    return tuple(users)


def hops_left(values: Sequence[str]) -> int:
    """Max-Forwards of a request; 70 where it says none that can be read (RFC 3261 §16.6, step 3)."""
    text = values[0].strip() if values else ""
    return min(int(text), 255) if _HOPS.fullmatch(text) else 70
