# SPDX-License-Identifier: GPL-2.0-or-later
"""What SIP header values say, read with mistrust and written with care. Pure: text in, values out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import quote, unquote

from gateway.core.outcome import Reason

MAX_CONTEXT_VALUE = 2048
"""Longest value of a header that is passed on, in characters."""

# Whatever an allow-list says: these make or route a request, and are never taken from a Refer-To (RFC 3261 §19.1.5).
NEVER_COPIED = frozenset(
    [
        "accept",
        "authorization",
        "call-id",
        "contact",
        "content-length",
        "content-type",
        "cseq",
        "event",
        "expires",
        "from",
        "max-forwards",
        "proxy-authorization",
        "record-route",
        "refer-to",
        "replaces",
        "require",
        "route",
        "subscription-state",
        "supported",
        "to",
        "target-dialog",
        "via",
        "b",
        "c",
        "e",
        "f",
        "i",
        "k",
        "l",
        "m",
        "o",
        "r",
        "s",
        "t",
        "u",
        "v",
        "x",
    ]
)

_ANGLE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^<"])*<(?P<uri>[^<>]*)>(?P<rest>.*)', re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9!%*_+`'~.-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HeaderError(ValueError):
    """A header that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class ReferTo:
    """A Refer-To: the URI to go to, and the headers embedded in it (decoded, in their order)."""

    uri: str
    embedded: tuple[tuple[str, str], ...] = ()
    malformed: bool = False  # a bare number without a scheme: accepted, and worth counting


def parse_refer_to(values: Sequence[str]) -> ReferTo:
    """Read the Refer-To header(s) of a REFER (RFC 3515 §2.1): exactly one value, bracketed or bare.

    Raises HeaderError when there is none, more than one, or no URI in it.
    """
    if len(values) != 1:
        raise HeaderError("a REFER has exactly one Refer-To" if values else "the REFER has no Refer-To")
    value = values[0].strip()
    if _CONTROL.search(value):
        raise HeaderError("Refer-To holds control characters")
    match = _ANGLE.fullmatch(value)
    if match:
        uri, rest = match["uri"].strip(), match["rest"].strip()
        if rest and not rest.startswith(";"):
            raise HeaderError("a REFER has exactly one Refer-To")
    else:
        uri, rest = value, value
    if _has_second_value(rest):
        raise HeaderError("a REFER has exactly one Refer-To")
    if not uri:
        raise HeaderError("Refer-To is empty")
    user, at, tail = uri.partition("@")
    tail, question, headers = (tail if at else user).partition("?")
    target = f"{user}@{tail}" if at else tail
    scheme = target.partition(":")[0].lower()
    return ReferTo(target, tuple(_embedded(headers)) if question else (), scheme not in ("sip", "sips", "tel"))


def _has_second_value(text: str) -> bool:
    quoted = False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            return True
    return False


def _embedded(text: str) -> Iterable[tuple[str, str]]:
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        name, value = unquote(name).strip(), unquote(value).strip()
        if _TOKEN.fullmatch(name) and not _CONTROL.search(value) and "\n" not in value:
            yield name, value


def allowed(headers: Iterable[tuple[str, str]], patterns: Sequence[str]) -> dict[str, str]:
    """The headers that may travel on: the first of each name that an allow-list (with `*`, case ignored) holds."""
    passed: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in headers:
        folded = name.lower()
        if folded in NEVER_COPIED or folded in seen or not value or len(value) > MAX_CONTEXT_VALUE:
            continue
        if any(fnmatchcase(folded, pattern.lower()) for pattern in patterns):
            seen.add(folded)
            passed[name] = value
    return passed


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A name-addr or addr-spec (RFC 3261 §25.1) with its header parameters left off."""

    uri: str
    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_name_addr(value: str) -> NameAddr:
    """Read From, To, P-Asserted-Identity, Diversion and their like; without brackets the URI ends at the first `;`."""
    value = value.strip()
    match = _ANGLE.match(value)
    if match is None:
        return NameAddr(value.partition(";")[0].strip())
    name = value[: match.start("uri") - 1].strip()
    if name.startswith('"') and name.endswith('"') and len(name) > 1:
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return NameAddr(match["uri"].strip(), _CONTROL.sub("", name))


def name_addr(name: str, uri: str) -> str:
    """Write a name-addr; whatever the name holds, it stays inside its quotes."""
    safe = _CONTROL.sub("", name).replace("\\", "\\\\").replace('"', '\\"').strip()
    return f'"{safe}" <{uri}>' if safe else f"<{uri}>"


def user_part(text: str) -> str:
    """Escape a text so that it is one user part of a SIP URI (RFC 3261 §25.1)."""
    return quote(text, safe="-_.!~*'()&=+$,;?/")


def reason_header(code: int, reason: Reason) -> tuple[str, str]:
    """The Reason header of a refusal (RFC 3326 §2)."""
    return "Reason", f'SIP;cause={code};text="{reason}"'


def unsupported(require: Iterable[str], supported: frozenset[str]) -> list[str]:
    """The option tags of Require headers that are not supported (RFC 3261 §8.2.2.3)."""
    tags = (tag.strip() for value in require for tag in value.split(","))
    return [tag for tag in tags if tag and tag.lower() not in supported]
