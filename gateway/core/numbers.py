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

MAX_TEXT = 8192  # embedded headers may carry a summary of the call
MAX_USER = 128

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*)", re.DOTALL)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164 §6: at most 15 digits
_NATIONAL = re.compile(r"[0-9]{7,17}")
_SEPARATORS = re.compile(r"[-.() \u00a0]")  # RFC 3966 §5.1.1, and the blanks people type
_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")


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


def parse_target(text: str, country: str | None = None) -> Target:
    """Read a target that was already taken out of its header: a SIP, SIPS or TEL URI, a bare number or an alias.

    `country` tells how numbers in national form are dialled. Angle brackets and blanks around the text are borne.
    Raises TargetError for other schemes, a method other than INVITE, control characters, and what is empty or too long.
    """
    text = _plain(text)
    text = text.partition("?")[0]
    match = _SCHEME.fullmatch(text)
    scheme = match["scheme"].lower() if match else ""
    if match is None:
        return _target(text, *_user_and_parameters(text), host=None, country=country)
    match scheme:
        case "sip" | "sips":
            return _sip(text, match["rest"], country)
        case "tel":
            return _target(text, *_user_and_parameters(match["rest"]), host=None, country=country)
        case _:
            raise TargetError(f"the scheme {scheme[:20]}: is none that can be called")


def lookup_keys(text: str, country: str | None = None) -> tuple[str, ...]:
    """The keys under which a number or alias of the configuration is found. Raises TargetError as `parse_target` does.

    An alias that names a host stands for that user at that host alone; all others for the user at any host.
    """
    target = parse_target(text, country)
    if target.host is not None:
        return target.keys[:1]
    return target.keys


def _plain(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise TargetError("the target is too long")
    text = text.strip(" \t")
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1].strip(" \t")
    _refuse_controls(text)
    if not text:
        raise TargetError("the target is empty")
    return text


def _refuse_controls(text: str) -> None:
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or char in "\u2028\u2029" for char in text):
        raise TargetError("the target holds control characters")


def _sip(text: str, rest: str, country: str | None) -> Target:
    # The user part may hold ; and ? (RFC 3261 §25.1), the host part may not hold @: the last @ parts them.
    userinfo, at, hostpart = rest.rpartition("@")
    hostpart, *uri_parameters = hostpart.split(";")
    for parameter in uri_parameters:
        name, _, value = parameter.partition("=")
        if name.lower() == "method" and value.upper() != "INVITE":
            raise TargetError("the target asks for a method other than INVITE")
    hostport = _HOST_PORT.fullmatch(hostpart)
    if hostport is None or (at and not hostport["host"]):
        raise TargetError("the target's host can't be read")
    host = hostport["host"].lower().rstrip(".")
    if not at:
        return _target(text, *_user_and_parameters(host), host=None, country=country)
    user, parameters = _user_and_parameters(userinfo)
    return _target(text, user.partition(":")[0], parameters, host=host, country=country)


def _user_and_parameters(text: str) -> tuple[str, dict[str, str]]:
    user, *rest = text.split(";")
    parameters = {}
    for parameter in rest:
        name, _, value = parameter.partition("=")
        parameters[name.strip().lower()] = _decoded(value.strip())
    return _decoded(user), parameters


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise TargetError("the target's percent-encoding is not UTF-8") from error
    _refuse_controls(decoded)
    return decoded


def _target(text: str, user: str, parameters: dict[str, str], *, host: str | None, country: str | None) -> Target:
    user = user.strip()
    if not user:
        raise TargetError("the target names nobody")
    if len(user) > MAX_USER:
        raise TargetError("the target is too long")
    context = parameters.get("phone-context", "")
    number = e164(user, _country_of(context) or country)
    extension = parameters.get("ext", "")
    names = [name for name in (number, user.lower(), _SEPARATORS.sub("", user.lower())) if name]
    keys = [f"sip:{name}@{host}" for name in names if host]
    keys += [f"{name};ext={extension}" for name in names if extension]
    keys += [f"{name};phone-context={context.lower()}" for name in names if context]
    keys += names
    return Target(text=text, user=user, host=host, e164=number, keys=tuple(dict.fromkeys(keys)))


def _country_of(context: str) -> str | None:
    """The country of a global phone-context such as `+31` (RFC 3966 §5.1.5); None for a domain name."""
    if not re.fullmatch(r"\+[1-9][0-9]{0,2}", context):
        return None
    region = phonenumbers.region_code_for_country_code(int(context))
    return None if region in ("ZZ", "001") else region
