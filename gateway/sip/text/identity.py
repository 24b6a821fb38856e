# SPDX-License-Identifier: GPL-2.0-or-later
"""Who calls: From, P-Asserted-Identity, Privacy, Diversion and History-Info. Pure: text in, text out.

All of them are made anew with our own host: what the other side's messages say of its hosts stays on that side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from gateway.core.caller import Asserted, CallerId, is_withheld
from gateway.core.uri import read_sip_uri, split_headers
from gateway.sip.text.headers import header_fields, name_addr, parse_name_addr, single_values, user_part

if TYPE_CHECKING:
    from gateway.config.profiles import Diversion, Identity
    from gateway.ports import DialOrder

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""RFC 3323 §4.1.1.3."""
MADE_HERE = frozenset({"p-asserted-identity", "privacy", "diversion", "history-info", "max-forwards"})
MAX_DIVERTED = 5
MAX_USER = 512
MAX_ASSERTED = 8  # RFC 3325 §9.1 has two
_HOPS = re.compile(r"[0-9]{1,5}")
_TEL_END = re.compile("[;?]")
_PUBLIC = frozenset({"", "none", "critical", "session", "history"})
"""Values of Privacy that withhold no number (RFC 3323 §4.2, RFC 7044 §10.1); any other does, known or not."""
_SHOWN = frozenset({"off", "none"})
_BY_HEADER = frozenset({"remote-party-id", "p-preferred-identity"})
"""Headers that name the caller, should a profile let them pass."""
_HISTORY = frozenset({"history", "header"})


@dataclass(frozen=True, slots=True)
class Presented:
    """How an INVITE presents its caller."""

    local: str | None  # From, None: ours
    headers: tuple[tuple[str, str], ...]


def present(order: DialOrder, identity: Identity, diversion: Diversion, host: str) -> Presented:
    """The From and the headers of an INVITE; `host` is ours, as it stands in a URI."""
    dropped = MADE_HERE | _BY_HEADER if order.private else MADE_HERE
    made = [(name, value) for name, value in order.headers if name.lower() not in dropped]
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


def called_uris(request_uri: str, own_user: str, called_party: Sequence[str], to: Sequence[str]) -> tuple[str, ...]:
    """What may name who is called, the most likely first: the request URI, and others where it names us or nobody.

    A registrar puts our own Contact, with the user part `own_user`, in the place of the number that was called
    (RFC 3261 §16.5). That is then in P-Called-Party-ID (RFC 7315 §4.2), else in To.
    """
    user = _sip_user(request_uri)
    others = tuple(uri for value in (*called_party[:1], *to[:1]) if (uri := parse_name_addr(value).uri))
    if user == "":
        return request_uri, *others
    return (*others, request_uri) if user == own_user.lower() else (request_uri,)


def _sip_user(uri: str) -> str | None:
    """The user part of a SIP URI, decoded and in lower case, empty where there is none; None: it is another URI."""
    read = read_sip_uri(uri)
    return unquote(read.user[:MAX_USER]).strip().lower() if read is not None else None


def caller_ids(sender: Sequence[str], asserted: Sequence[str]) -> tuple[CallerId, ...]:
    """The caller's identities by the values of From and of P-Asserted-Identity (RFC 3325 §9.1), in this order."""
    read = [parse_name_addr(value) for value in (*sender[:1], *single_values(asserted)[:MAX_ASSERTED])]
    return tuple(CallerId(each.uri, each.name) for each in read if each.uri or each.name)


def read_asserted(message: str, sender: Sequence[str] = ()) -> Asserted:
    """Who a message asserts its sender to be: as P-Asserted-Identity says, else the older Remote-Party-ID.

    `sender` is the value of From where that says it too.
    """
    return asserted_in(header_fields(message), sender)


def asserted_in(fields: Iterable[tuple[str, str]], sender: Sequence[str] = ()) -> Asserted:
    """The same of a message's header fields."""
    read: dict[str, list[str]] = {}
    for name, value in fields:
        read.setdefault(name.lower(), []).append(value)
    remote_party, privacy = read.get("remote-party-id", []), read.get("privacy", [])
    identities = caller_ids(sender, read.get("p-asserted-identity") or remote_party)
    preferred = caller_ids((), read.get("p-preferred-identity", []))
    private = is_private(privacy, (*identities, *preferred), [*remote_party, *read.get("rpid-privacy", [])])
    nobody = any(is_withheld(one) for one in caller_ids(read.get("from", read.get("f", [])), ()))
    said = _asked(privacy) == {"none"} or any(_hidden(value) is False for value in single_values(remote_party))
    return Asserted(identities, private, shown=said and not private and not nobody)


def is_private(privacy: Sequence[str], calling: Iterable[CallerId], remote_party: Sequence[str] = ()) -> bool:
    """Whether the caller withholds who they are, in doubt that they do.

    By Privacy (RFC 3323 §4.2, RFC 3325 §9.3), by any of the identities, or by the older Remote-Party-ID's `privacy`,
    which RPID-Privacy has by itself.
    """
    return (
        not _asked(privacy) <= _PUBLIC
        or any(is_withheld(identity) for identity in calling)
        or any(_hidden(value) for value in single_values(remote_party)[:MAX_ASSERTED])
    )


def _asked(privacy: Sequence[str]) -> set[str]:
    asked = {each for value in privacy for each in value.lower().replace(",", ";").split(";")}
    return {each.strip(' \t"') for each in asked}


def _hidden(value: str) -> bool | None:
    """Whether a parameter `privacy` hides an identity, as in Remote-Party-ID and Diversion (RFC 5806 §4).

    None: there is none. Some senders write it within the brackets.
    """
    within, _, behind = value.rpartition(">")
    for parameter in (*behind.split(";"), *within.rpartition("<")[2].split(";")):
        name, _, text = parameter.partition("=")
        if name.strip().lower() == "privacy":
            return text.strip(' \t"').lower() not in _SHOWN
    return None


def diverted_users(diversion: Sequence[str], history: Sequence[str], privacy: Sequence[str] = ()) -> tuple[str, ...]:
    """Whom the caller had called before, the latest first: from Diversion, else from History-Info.

    Without those that are withheld, each by itself or all by Privacy (RFC 5806 §4, RFC 7044 §10.1).
    """
    if not _HISTORY.isdisjoint(_asked(privacy)):
        return ()
    # The last entry of History-Info is where the request goes now.
    named = single_values(diversion) if diversion else single_values(history)[:-1][::-1]
    users = []
    for each in named[:MAX_DIVERTED]:
        read = parse_name_addr(each)
        user = _plain_user(read.uri)
        embedded = split_headers(read.uri)[1].lower()
        if user and not (_hidden(each) or "privacy=" in embedded or is_withheld(CallerId(read.uri))):
            users.append(user)
    return tuple(users)


def _plain_user(uri: str) -> str | None:
    """The user of a SIP URI, or the number of a tel URI, where it is one without parameters of its own."""
    if (sip := read_sip_uri(uri)) is not None:
        return sip.userinfo if _TEL_END.search(sip.userinfo or ";") is None else None
    scheme, _, rest = uri.partition(":")
    return _TEL_END.split(rest, maxsplit=1)[0] if scheme.lower() == "tel" else None


def hops_left(values: Sequence[str]) -> int:
    """Max-Forwards of a request; 70 where it says none that can be read (RFC 3261 §16.6, step 3)."""
    text = values[0].strip() if values else ""
    return min(int(text), 255) if _HOPS.fullmatch(text) else 70
