# SPDX-License-Identifier: GPL-2.0-or-later
"""What SIP header values say, read with mistrust and written with care. Pure: text in, values out.

Whatever comes in, nothing but HeaderError is raised, and no control character and nothing that is not UTF-8 gets out.

The parser is our own because senders do not keep to the grammar: a Refer-To may be a bare number, name a host alone or
carry headers within its URI. A parser of the RFC's grammar (sipmessage was tried) refuses all three, display names in
UTF-8 too, and takes a comma inside quotes for the end of a value.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import quote, unquote

from gateway.core.outcome import Reason
from gateway.core.uri import addr_spec, is_sip, split_headers

MAX_VALUE = 8192
"""Longest value that is read at all, in characters; a SIP message that PJSIP takes is shorter."""
MAX_EMBEDDED = 200
"""How many headers a URI may carry."""
MAX_TAGS = 32
"""How many option tags are named as not supported."""
MAX_NAME = 128
"""Longest display name that is passed on, in characters."""
MAX_CONTEXT_VALUE = 2048
"""Longest value of a header that is passed on, in bytes of UTF-8."""
MAX_CONTEXT = 4096
"""How much context is passed on in all, in bytes: with its SDP the INVITE must fit into one message of 8000."""

COMPACT = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition",
    "e": "Content-Encoding", "f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported",
    "l": "Content-Length", "m": "Contact", "n": "Identity-Info", "o": "Event", "r": "Refer-To", "s": "Subject",
    "t": "To", "u": "Allow-Events", "v": "Via", "x": "Session-Expires", "y": "Identity",
}  # fmt: skip
"""The one-letter names in the IANA registry of header fields."""

# Whatever an allow-list says: these make, route, authorise or describe a message, or take over another call, and are
# never taken from a Refer-To or a REFER (RFC 3261 §19.1.5). The last is our own.
NEVER_COPIED = frozenset(
    [
        "accept", "allow", "allow-events", "authorization", "call-id", "contact", "content-disposition",
        "content-encoding", "content-language", "content-length", "content-type", "cseq", "event", "expires", "from",
        "identity", "identity-info", "join", "max-forwards", "mime-version", "min-expires", "min-se", "path",
        "proxy-authenticate", "proxy-authorization", "proxy-require", "rack", "record-route", "refer-sub", "refer-to",
        "replaces", "require", "route", "rseq", "service-route", "session-expires", "subscription-state", "supported",
        "target-dialog", "to", "unsupported", "via", "www-authenticate", "x-transfer-id",
    ]
)  # fmt: skip

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_NAME_ADDR = re.compile(rf'(?P<name>\s*{_QUOTED}\s*|[^<>",]*)<(?P<uri>[^<>]*)>(?P<rest>.*)', re.DOTALL)
_PARAMETERS = re.compile(rf'\s*(?:;(?:{_QUOTED}|[^",<>])*)?', re.DOTALL)
_BARE = re.compile(r'[^<>",]*', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TOKEN = re.compile(r"[A-Za-z0-9!%*_+`'~.-]+")
_NO_TOKEN = re.compile(r"[^A-Za-z0-9!%*_+`'~.-]")
# C0 (a tab is a blank), DEL and C1, Unicode's own line ends, and what is left of bytes that are not UTF-8.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class HeaderError(ValueError):
    """A header that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class ReferTo:
    """A Refer-To: the URI to go to, and the headers embedded in it (decoded, in their order)."""

    uri: str
    embedded: tuple[tuple[str, str], ...] = ()
    malformed: bool = False  # a bare number without a scheme: accepted, and worth counting


def parse_refer_to(values: Sequence[str]) -> ReferTo:
    """Read the Refer-To header(s) of a REFER (RFC 3515 §2.1): exactly one value, in angle brackets or bare.

    Without brackets a `;` after a SIP URI begins header parameters, which mean nothing here (RFC 3261 §20); after a
    `tel:` or a bare number it can only be what RFC 3966 puts there (`;ext=`, `;phone-context=`), so it is kept.
    Raises HeaderError when there is no value, more than one, no URI in it, or a character that no header may hold.
    """
    if len(values) != 1:
        raise HeaderError("a REFER has exactly one Refer-To" if values else "the REFER has no Refer-To")
    value = values[0].strip(" \t")
    if len(value) > MAX_VALUE:
        raise HeaderError("Refer-To is too long")
    if _CONTROL.search(value):
        raise HeaderError("Refer-To holds control characters, or is not UTF-8")
    if match := _NAME_ADDR.fullmatch(value):
        uri = match["uri"].strip()
        single = _PARAMETERS.fullmatch(match["rest"])
    else:
        uri = addr_spec(value)
        single = _BARE.fullmatch(value)
    if not single:
        raise HeaderError("a REFER has exactly one Refer-To")
    uri, headers = split_headers(uri)
    if not uri:
        raise HeaderError("Refer-To is empty")
    return ReferTo(uri, tuple(_embedded(headers)), not _SCHEME.match(uri))


def _embedded(text: str) -> Iterable[tuple[str, str]]:
    if text.count("&") >= MAX_EMBEDDED:
        raise HeaderError("Refer-To holds too many headers")
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if len(value) > 3 * MAX_CONTEXT_VALUE:
            continue
        name, value = unquote(name).strip(), unquote(value).strip()
        if _TOKEN.fullmatch(name) and not _CONTROL.search(value):
            yield name, value


def allowed(headers: Iterable[tuple[str, str]], patterns: Sequence[str]) -> dict[str, str]:
    """The headers that may travel on: the first of each name that an allow-list (with `*`, case ignored) holds.

    A compact name counts as, and becomes, the long one; a name that the list spells out is spelled as there. Left out,
    without a word, are values that are empty, too long or hold control characters, and what exceeds MAX_CONTEXT.
    """
    passed: dict[str, str] = {}
    seen: set[str] = set()
    room = MAX_CONTEXT
    for given, value in headers:
        name = COMPACT.get(given.lower(), given)
        folded = name.lower()
        if folded in NEVER_COPIED or folded in seen or not _TOKEN.fullmatch(name):
            continue
        found = next((pattern for pattern in patterns if fnmatchcase(folded, pattern.lower())), None)
        if found is None or not value.strip() or _CONTROL.search(value):
            continue
        size = len(value.encode())
        if size > MAX_CONTEXT_VALUE or len(name) + size > room:
            continue
        room -= len(name) + size
        seen.add(folded)
        passed[found if found.lower() == folded else name] = value
    return passed


def header_fields(message: str) -> list[tuple[str, str]]:
    """The header fields of a message as it was received, unfolded (RFC 3261 §7.3.1), as (name, value)."""
    fields: list[tuple[str, str]] = []
    folded: list[str] = []

    def end() -> None:
        name, colon, value = " ".join(folded).partition(":")
        if colon:
            fields.append((name.strip(), value.strip()))
        folded.clear()

    for line in message.split("\n")[1:]:
        if line in ("", "\r"):
            break
        if line[0] not in " \t":
            end()
        folded.append(line.strip(" \t\r"))
    end()
    return fields


def single_values(values: Iterable[str]) -> list[str]:
    """The values of headers that may hold several each (RFC 3261 §7.3.1), without empty ones.

    A comma in quotes or in angle brackets parts nothing; what they do not close belongs to the value they begin in.
    """
    return [value for each in values for part in _parts(each, ",") if (value := part.strip())]


def parameters(text: str) -> list[str]:
    """What stands between a header value's semicolons; one in quotes or in angle brackets parts nothing."""
    return list(_parts(text, ";"))


def _parts(text: str, separator: str) -> Iterable[str]:
    begun, closing, escaped = 0, "", False
    for at, char in enumerate(text):
        if closing:
            if char == closing and not escaped:
                closing = ""
            escaped = char == "\\" and closing == '"' and not escaped
        elif char in '<"':
            closing = ">" if char == "<" else '"'
        elif char == separator:
            yield text[begun:at]
            begun = at + 1
    yield text[begun:]


def unquoted(text: str) -> str:
    """What stands between the quotes of a quoted-string, without its escapes (RFC 3261 §25.1)."""
    return _ESCAPED.sub(r"\1", text)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A name-addr or addr-spec (RFC 3261 §25.1) with its header parameters left off."""

    uri: str
    name: str = ""


def parse_name_addr(value: str) -> NameAddr:
    """Read the first value of From, To, P-Asserted-Identity, Diversion and their like; a poor one gives a poor result.

    Without brackets a SIP URI ends at the first `;` after its host. What must not get out is left out.
    """
    value = _CONTROL.sub("", value[:MAX_VALUE])
    match = _NAME_ADDR.match(value)
    if match is None:
        return NameAddr(addr_spec(value.partition(",")[0].strip()))
    name = match["name"].strip()
    if name.startswith('"'):
        name = unquoted(name[1:-1].strip()[: 2 * MAX_NAME])
    return NameAddr(match["uri"].strip(), name.strip()[:MAX_NAME])


def has_contact(values: Sequence[str]) -> bool:
    """Whether a request that makes a dialog says where its sender is to be reached: one SIP URI (RFC 3261 §8.1.1.8)."""
    return len(values) == 1 and is_sip(parse_name_addr(values[0]).uri)


def name_addr(name: str, uri: str) -> str:
    """Write a name-addr; whatever the name holds, it stays inside its quotes. Raises HeaderError for an unfit URI."""
    if not uri or _CONTROL.search(uri) or any(char in uri for char in '<>" \t'):
        raise HeaderError("the URI cannot stand between angle brackets")
    safe = _CONTROL.sub("", name).strip()[:MAX_NAME].replace("\\", "\\\\").replace('"', '\\"')
    return f'"{safe}" <{uri}>' if safe else f"<{uri}>"


def user_part(text: str) -> str:
    """Escape a text so that it is one user part of a SIP URI (RFC 3261 §25.1)."""
    return quote(text, safe="-_.!~*'()&=+$,;?/", errors="replace")


def reason_header(code: int, reason: Reason) -> tuple[str, str]:
    """The Reason header of a refusal (RFC 3326 §2)."""
    return "Reason", f'SIP;cause={code};text="{reason}"'


def refusal_headers(code: int, reason: Reason, retry_after_s: int | None = None) -> list[tuple[str, str]]:
    """What a refusal carries besides its code: the reason's slug, and when to come again."""
    made = [reason_header(code, reason)]
    if retry_after_s is not None:
        made.append(("Retry-After", str(retry_after_s)))
    return made


def unsupported(require: Iterable[str], supported: frozenset[str]) -> list[str]:
    """The option tags of Require headers that are not supported (RFC 3261 §8.2.2.3), fit for an Unsupported header."""
    tags = dict.fromkeys(tag.strip() for value in require for tag in value.split(","))
    missing = [tag for tag in tags if tag and tag.lower() not in supported][:MAX_TAGS]
    return list(dict.fromkeys(_NO_TOKEN.sub("", tag[:MAX_NAME]) or "unreadable" for tag in missing))
