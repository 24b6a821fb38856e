# SPDX-License-Identifier: GPL-2.0-or-later
"""What a transfer asks for: SIP and TEL URIs, phone numbers and aliases, made into keys for looking a destination up.

An extension is not a phone number: `500` stays `500`. Only what is written as an international number, or is a valid
number of the country it is dialled in, becomes E.164.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

import phonenumbers

from gateway.core.outcome import Reason
from gateway.core.uri import is_sip, read_sip_uri, split_headers

MAX_TEXT = 8192  # embedded headers may carry a summary of the call
MAX_PARAMETERS = 64
MAX_USER = 128
MAX_ENCODED = 12 * MAX_USER  # each character as four bytes of UTF-8, each byte as three characters

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*)", re.DOTALL)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164 §6: at most 15 digits
_NATIONAL = re.compile(r"[0-9]{7,17}")
_SEPARATORS = re.compile(r"[-.() \u00a0]")  # RFC 3966 §5.1.1, and the blanks people type
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_COUNTRY = re.compile(r"\+[1-9][0-9]{0,2}")


class TargetError(ValueError):
    """A target that no destination could ever be found for; `reason` says what the peer is told."""

    def __init__(self, problem: str, reason: Reason = Reason.BAD_REQUEST) -> None:
        super().__init__(problem)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Target:
    """A transfer's target as it was asked for, and the keys by which a destination is found for it."""

    text: str  # without embedded headers
    user: str  # decoded, without parameters: "+31612345678", "2001", "sales"
    host: str | None  # lower case; None where the text names none
    e164: str | None  # set when the user is a phone number
    keys: tuple[str, ...]  # lower case, the most exact first


def e164(text: str, country: str | None = None) -> str | None:
    """The number in E.164 form, or None when `text` is no phone number.

    `text` is international (`+31…`) or as dialled in `country` (ISO 3166 alpha-2): `0612345678`, `0031…`, `31…`.
    """
    digits = _SEPARATORS.sub("", text)
    if _INTERNATIONAL.fullmatch(digits):
        return digits
    if country is None or not _NATIONAL.fullmatch(digits):
        return None
    try:
        number = phonenumbers.parse(digits, country.upper())
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def national_digits(number: str) -> str:
    """What every way to write a number in E.164 has in common: `+31612345678` has `612345678`."""
    try:
        return phonenumbers.national_significant_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return number.removeprefix("+")


def has_usual_length(number: str) -> bool:
    """Whether a number in E.164 is in use, or at least as long as those of its country: none but a misspelt one is not.

    Numbers of no country, such as +800, pass.
    """
    try:
        read = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    if phonenumbers.region_code_for_country_code(read.country_code or 0) == "001" or phonenumbers.is_valid_number(read):
        return True
    kinds = phonenumbers.PhoneNumberType
    return any(phonenumbers.is_possible_number_for_type(read, kind) for kind in (kinds.FIXED_LINE, kinds.MOBILE))


def caller_named(text: str, country: str | None = None) -> str:
    """A caller as events name them, whichever way they are written: in E.164, or as any other user part.

    Raises ValueError where the text names nobody.
    """
    try:
        target = parse_target(text, country)
    except TargetError as error:
        raise ValueError(str(error)) from None
    return target.e164 or target.user


def parse_target(text: str, country: str | None = None) -> Target:
    """Read a target that was already taken out of its header: a SIP, SIPS or TEL URI, a bare number or an alias.

    `country` tells how numbers in national form are dialled. Angle brackets and blanks around the text are borne.
    Raises TargetError for other schemes, a method other than INVITE, control characters, and what is empty or too long.
    """
    parts = _parse(text, country)
    keys = tuple(dict.fromkeys(key for suffix in (*parts.suffixes, "") for key in parts.keys(suffix)))
    return Target(text=parts.text, user=parts.user, host=parts.host, e164=parts.e164, keys=keys)


def lookup_keys(text: str, country: str | None = None) -> tuple[str, ...]:
    """The keys under which a number or alias of the configuration is found. Raises TargetError as `parse_target` does.

    An alias with a host stands for that user at that host alone, all others for the user at any host; one with
    `;ext=` for that extension of the number alone.
    """
    parts = _parse(text, country)
    keys = parts.keys(next(iter(parts.suffixes), ""))
    return tuple(key for key in keys if key.startswith("sip:")) or keys


@dataclass(frozen=True, slots=True)
class _Parts:
    text: str
    user: str
    host: str | None
    e164: str | None
    suffixes: tuple[str, ...]

    def keys(self, suffix: str) -> tuple[str, ...]:
        literal = self.user.lower()
        compact = _SEPARATORS.sub("", literal)
        names = [self.e164, literal, compact if compact.lstrip("+").isdigit() else None]
        plain = [f"{name}{suffix}" for name in names if name]
        hosted = [f"sip:{name}@{self.host}" for name in plain] if self.host else []
        return tuple(dict.fromkeys(hosted + plain))


def _parse(text: str, country: str | None) -> _Parts:
    text = _without_headers(_plain(text))
    if text.count(";") > MAX_PARAMETERS:
        raise TargetError("the target has too many parameters")
    match = _SCHEME.fullmatch(text)
    if match is None:
        user, parameters = _user_and_parameters(text)
        return _parts(text, user, parameters, None, country)
    match scheme := match["scheme"].lower():
        case "sip" | "sips":
            return _sip(text, country)
        case "tel":
            user, parameters = _user_and_parameters(match["rest"])
            return _parts(text, user, parameters, None, country)
        case _:
            raise TargetError(f"{scheme[:20]}: is no scheme that can be called")


def _plain(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise TargetError("the target is too long")
    text = text.strip(" \t")
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1].strip(" \t")
    _refuse_controls(text)
    return text


def _without_headers(text: str) -> str:
    if is_sip(text):
        return split_headers(text)[0]
    # An alias may have a host, and what stands before it a question mark of its own, as in a SIP URI.
    user, at, rest = text.partition("@")
    return user + at + rest.partition("?")[0] if at else text.partition("?")[0]


def _refuse_controls(text: str) -> None:
    if _CONTROL.search(text):
        raise TargetError("the target holds control characters")


def _sip(text: str, country: str | None) -> _Parts:
    uri = read_sip_uri(text)
    if uri is not None and any(
        name.lower() == "method" and value.upper() != "INVITE" for name, value in uri.parameters
    ):
        raise TargetError("the target asks for a method other than INVITE")
    if uri is None or uri.host is None or (uri.userinfo is not None and not uri.host):
        raise TargetError("the target's host can't be read")
    if uri.userinfo is None:  # `sip:2001`: the host stands where the user should
        return _parts(text, _decoded(uri.host), {}, None, country)
    user, parameters = _user_and_parameters(uri.userinfo)
    return _parts(text, user.partition(":")[0], parameters, uri.host.lower().rstrip("."), country)


def _user_and_parameters(text: str) -> tuple[str, dict[str, str]]:
    user, *rest = text.split(";")
    parameters = {}
    for parameter in rest:
        name, _, value = parameter.partition("=")
        if (known := name.strip().lower()) in ("ext", "phone-context"):
            parameters[known] = _decoded(value.strip())
    return _decoded(user), parameters


def _decoded(text: str) -> str:
    if len(text) > MAX_ENCODED:
        raise TargetError("the target is too long")
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise TargetError("the target's percent-encoding is not UTF-8") from error
    _refuse_controls(decoded)
    return decoded


def _parts(text: str, user: str, parameters: dict[str, str], host: str | None, country: str | None) -> _Parts:
    user = user.strip()
    if not user:
        raise TargetError("the target names nobody")
    if len(user) > MAX_USER:
        raise TargetError("the target is too long")
    context = parameters.get("phone-context", "").lower()
    suffixes = [
        f";{name}={value}" for name, value in (("ext", parameters.get("ext")), ("phone-context", context)) if value
    ]
    number = e164(user, _country_of(context) or country)
    return _Parts(text=text, user=user, host=host, e164=number, suffixes=tuple(suffixes))


def _country_of(context: str) -> str | None:
    """The country of a global phone-context such as `+31` (RFC 3966 §5.1.5); None for a domain name."""
    if not _COUNTRY.fullmatch(context):
        return None
    region = phonenumbers.region_code_for_country_code(int(context))
    return None if region in ("ZZ", "001") else region
