# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes phone numbers and secrets out of what is logged.

What counts as a phone number, in any text: 7 to 15 digits (E.164 allows 15), or 5 to 15 after a `+` or as the user of
a SIP or tel URI; hyphens between the digits are allowed, after a `+` also blanks, dots and brackets. In a field that
holds numbers by its name, 5 digits are enough. All but the last three digits are replaced.

What does not: UUIDs, ULIDs and other words with letters in them, dates and times, IP addresses, decimal fractions,
longer rows of digits, up to five digits after a colon (a port), and fields that hold ids or ports.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache

SHOWN = 3
REDACTED = "[redacted]"

NUMBER_FIELDS = frozenset(
    {"caller", "called", "requested_target", "target", "from", "to", "uri", "request_uri", "refer_to", "diversion"}
)
ID_FIELDS = frozenset(
    {"timestamp", "level", "logger", "transfer", "call", "call_id", "call_ids", "leg", "event_id", "id", "seq", "port"}
)
_SECRET_FIELD = re.compile(r"(?:passw|secret|token|authori[sz]ation|credential)", re.IGNORECASE)
_NO_DIGIT = re.compile(r"\D")
_SECRET_TEXT = re.compile(
    r"(?i)\b(?P<name>(?:proxy-)?authorization\s*:|bearer|(?:password|passwd|secret|token)\s*=)\s*"
    r"(?P<value>(?:digest|basic|bearer)\s[^\r\n]+|[^\s,;&]+)"
)

_KEPT = r"""
    (?<![0-9A-Za-z])(?:
        [0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}             # UUID
      | \d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?          # date, date and time
      | \d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?                             # IPv4, with its port
      | \d+\.\d+                                                         # decimal fraction
    )(?![0-9A-Za-z])
"""
_PHONE = r"""
    (?P<head>(?:sips?:|tel:)(?:\+|%2B)?)(?P<user>\d(?:-?\d){4,14})(?![0-9A-Za-z])
  | (?<![0-9A-Za-z+])(?P<plus>\+|%2B)(?P<rest>\d(?:[-.\ ]?[()]{0,2}\d){4,14})(?![0-9A-Za-z])
  | (?<![0-9A-Za-z+])(?<!\d\.)(?<![0-9A-Za-z]-)(?!(?<=:)\d{1,5}(?!\d))(?P<bare>\d(?:-?\d){MIN,14})(?![0-9A-Za-z])
"""


def _pattern(shortest: int) -> re.Pattern[str]:
    phone = _PHONE.replace("{MIN,14}", f"{{{shortest - 1},14}}")
    return re.compile(f"(?P<kept>{_KEPT})|{phone}", re.VERBOSE | re.IGNORECASE)


# Five digits with so little between them are in every phone number. Most texts have none: they need no further look.
_MAY_HOLD_A_NUMBER = re.compile(r"\d(?:\D{0,3}\d){4}")
_MAY_HOLD_A_SECRET = re.compile(r"authorization|bearer|passw|secret|token", re.IGNORECASE)
_IN_TEXT = _pattern(7)
_IN_NUMBER_FIELD = _pattern(5)


def _hide(found: re.Match[str]) -> str:
    if found["kept"] is not None:
        return found["kept"]
    digits = _NO_DIGIT.sub("", found["user"] or found["rest"] or found["bare"])
    return f"{found['head'] or found['plus'] or ''}***{digits[-SHOWN:]}"


def mask_text(text: str, *, number_field: bool = False) -> str:
    """The text with every phone number in it masked: `+31612345678` becomes `+***678`."""
    if _MAY_HOLD_A_NUMBER.search(text) is None:
        return text
    return (_IN_NUMBER_FIELD if number_field else _IN_TEXT).sub(_hide, text)


def redact_text(text: str) -> str:
    """The text without passwords, tokens and credentials that stand in it as `name=value` or in a header."""
    if _MAY_HOLD_A_SECRET.search(text) is None:
        return text
    return _SECRET_TEXT.sub(lambda found: f"{found['name']} {REDACTED}", text)


def clean(fields: Mapping[str, object], *, numbers: bool) -> dict[str, object]:
    """A log line's fields without secrets and, unless `numbers`, without phone numbers, however deeply nested."""
    # What begins with '_' is structlog's own, and never printed.
    return {
        name: value if name.startswith("_") else _clean_field(name, value, numbers=numbers)
        for name, value in fields.items()
    }


def _clean_field(name: str, value: object, *, numbers: bool) -> object:
    try:
        return _cleaned(name, value, numbers=numbers)
    except Exception as error:  # noqa: BLE001 -- whoever logs goes on, whatever the value is
        return f"[not shown: {type(error).__name__}]"


def _cleaned(name: str, value: object, *, numbers: bool) -> object:
    if _is_secret(name) and not isinstance(value, bool | None):
        return REDACTED
    if numbers or name in ID_FIELDS:
        return _walk(value, redact_text, numbers=numbers)
    is_number = name in NUMBER_FIELDS or name.endswith("_number")
    if is_number and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return _walk(value, lambda text: mask_text(redact_text(text), number_field=is_number), numbers=numbers)


@lru_cache(maxsize=1024)
def _is_secret(field: str) -> bool:
    # The name of a secret's file is none.
    return not field.lower().endswith("_file") and _SECRET_FIELD.search(field) is not None


def _walk(value: object, change: Callable[[str], str], *, numbers: bool) -> object:
    if type(value) is str:  # as most are
        return change(value)
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return _walk(value.value, change, numbers=numbers)
        case str():
            return change(value)
        case bytes():
            return change(value.decode("utf-8", "replace"))
        case Mapping():
            return {str(key): _clean_inner(str(key), each, change, numbers=numbers) for key, each in value.items()}
        case Sequence() | set() | frozenset():
            return [_walk(each, change, numbers=numbers) for each in value]
        case _:
            return change(str(value))


def _clean_inner(name: str, value: object, change: Callable[[str], str], *, numbers: bool) -> object:
    # A nested field is judged by its own name where that says something, else as the field it stands in.
    names_numbers = name in NUMBER_FIELDS or name in ID_FIELDS or name.endswith("_number")
    if _is_secret(name) or (names_numbers and change is not redact_text):
        return _clean_field(name, value, numbers=numbers)
    return _walk(value, change, numbers=numbers)
