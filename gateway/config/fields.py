# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of values that configuration files hold, each refusing what can't be meant."""

import base64
import binascii
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo

from gateway.core.system_error import unreadable
from gateway.core.uri import read_sip_uri

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62})")
_HOST_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*", re.IGNORECASE)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SIP_URI = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[^@;?\s<>]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<parameters>(?:;[^;?\s<>]+)*)",
    re.IGNORECASE,
)


class Section(BaseModel):
    """A table of a configuration file: unknown keys are mistakes, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False, validate_default=False)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a file stands that is being validated: what its `…_file` keys are looked up in."""

    directory: Path
    name: str = ""  # of a profile
    credentials: Path | None = None  # $CREDENTIALS_DIRECTORY (systemd.exec(5))
    secrets: bool = True  # False: whoever asks may not read them, and needs none
    found: dict[Path, Path] = field(default_factory=dict)  # each file read -> where it would lie without credentials
    secret: set[Path] = field(default_factory=set)  # those of them that are nobody else's business


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise ValueError(f'must be lower-case letters, digits and hyphens, such as "main-line"; is "{text[:80]}"')
    return text


def _named_hours(text: str) -> str:
    if not _SLUG.fullmatch(text.removeprefix("!")):
        raise ValueError(
            f'must name hours, such as "office", or "!office" for whenever they are over; is "{text[:80]}"'
        )
    return text


def is_number(text: str) -> bool:
    """Whether this is a phone number in international form (E.164)."""
    return _E164.fullmatch(text) is not None


def _number(text: str) -> str:
    if not is_number(text):
        would_be = re.sub("^00", "+", re.sub("[-.() \u00a0]", "", text))
        hint = f'; did you mean "{would_be}"?' if is_number(would_be) else ""
        raise ValueError(f'must be an international number such as "+31201234567"; is "{text[:40]}"{hint}')
    return text


def _dialled(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9*#+_.!-]{1,64}", text):
        raise ValueError(f'must be what the PBX dials, such as "6500": letters, digits and *#+_.!-; is "{text[:80]}"')
    return text


def _prefix(text: str) -> str:
    if not re.fullmatch(r"\+[1-9][0-9]{0,13}", text):
        raise ValueError(f'must be how numbers begin in international form, such as "+316"; is "{text[:80]}"')
    return text


def is_queue_name(text: str) -> bool:
    """Whether a queue can be watched that is called so on its PBX."""
    return re.fullmatch(r"[A-Za-z0-9_.@-]{1,80}", text) is not None


def _queue_name(text: str) -> str:
    if not is_queue_name(text):
        raise ValueError(f'must be the queue\'s name on the PBX: letters, digits and _.@-; is "{text[:80]}"')
    return text


def _topic(text: str) -> str:
    if not re.fullmatch(r"[^+#/\x00-\x20]+(?:/[^+#/\x00-\x20]+)*", text) or text.startswith("$"):
        raise ValueError(f'must be an MQTT topic without wildcards, such as "transfer-gateway"; is "{text[:80]}"')
    return text


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f'must be an IP address such as "127.0.0.2"; is "{text[:80]}"') from None
    return text


def _name_server(text: str) -> str:
    match = re.fullmatch(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?", text)
    try:
        ipaddress.ip_address((match["six"] or match["four"]) if match else text)
    except ValueError:
        raise ValueError(f'must be an address such as "192.0.2.53" or "[2001:db8::53]:53"; is "{text[:80]}"') from None
    return text


def _host_port(text: str) -> str:
    match = re.fullmatch(r"(?:\[(?P<six>[^\]]{2,60})\]|(?P<name>[^:\[\]]{1,253})):(?P<port>[1-9][0-9]{0,4})", text)
    if (
        match
        and int(match["port"]) <= 65535
        and (_is_ipv6(match["six"] or "") or _HOST_NAME.fullmatch(match["name"] or ""))
    ):
        return text.lower()
    raise ValueError(f'must be a host and a port, such as "192.0.2.20:9060" or "[2001:db8::20]:9060"; is "{text[:80]}"')


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _host_name(text: str) -> str:
    if not _HOST_NAME.fullmatch(text) or len(text) > 253:
        raise ValueError(f'must be a host\'s name such as "pbx.example.com", without a port; is "{text[:80]}"')
    return text.lower()


def _context(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,79}", text):
        raise ValueError(f'must be the name of a dialplan context, such as "from-internal"; is "{text[:80]}"')
    return text


def _interface(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]+/[A-Za-z0-9_.+@-]{1,79}", text):
        raise ValueError(f'must be a technology and a name, such as "PJSIP/provider"; is "{text[:80]}"')
    return text


def _keys(text: str) -> str:
    if not re.fullmatch(r"[0-9A-D*#w]{1,32}", text):
        raise ValueError(f'must be keys, and w for half a second between them, such as "ww12#"; is "{text[:80]}"')
    return text


def _key(text: str) -> str:
    if not re.fullmatch(r"[0-9A-D*#]", text):
        raise ValueError(f'must be one key of a telephone, such as "1"; is "{text[:80]}"')
    return text


def _or_nothing(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda text: check(text) if text else text)


def _network(text: object) -> IpNetwork:
    if not isinstance(text, str):
        raise ValueError(f'must be an address or network in quotes, such as "203.0.113.10"; is {text}')  # noqa: TRY004 - pydantic takes ValueError alone
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            would_be = f'; did you mean "{ipaddress.ip_network(text, strict=False)}"?'
        except ValueError:
            would_be = ""
        raise ValueError(
            f'must be an address or network such as "203.0.113.10" or "198.51.100.0/24"; is "{text[:80]}"{would_be}'
        ) from None
    if network.prefixlen == 0:
        raise ValueError(f'"{text}" would let everybody in; name the networks that requests come from')
    return network


def _http_path(text: str) -> str:
    if not re.fullmatch(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._~-]*){1,8}", text) or len(text) > 200:
        raise ValueError(f'must be a path such as "/platform", without a slash at its end; is "{text[:80]}"')
    return text


def _sip_uri(text: str) -> str:
    match = _SIP_URI.fullmatch(text)
    if not match or int(match["port"] or 1) not in range(1, 65536):
        raise ValueError(f'must be a SIP URI such as "sip:sip.example.net:5060"; is "{text[:80]}"')
    return text


def _http_url(text: str) -> str:
    """An address that events may be sent to: it holds no user and password, which belong into no file that is shown."""
    try:
        url = urlsplit(text)
        is_good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_good = False
    if not is_good or not re.fullmatch(r"[!-~]{1,2000}", text) or url.fragment or "\\" in text:
        raise ValueError('must be an address such as "https://crm.example.com/hooks/transfers"')
    if url.username is not None or url.password is not None:
        raise ValueError("must not hold a user or a password: the receiver knows us by the signature")
    return text


def addresses_meet(one: str, other: str) -> bool:
    """Whether two IP addresses to listen at have one in common."""
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return first == second or first.is_unspecified or second.is_unspecified


@lru_cache(maxsize=1024)
def uri_host(uri: str) -> str:
    """The host of a valid SIP URI, lower case, an IPv6 address without its brackets; "" for an empty one."""
    read = read_sip_uri(uri)
    return (read.host or "").lower().strip("[]") if read is not None else ""


def uri_port(uri: str) -> int:
    """The port of a valid SIP URI; where it names none, the scheme's and transport's own (RFC 3261 §19.1.2)."""
    read = read_sip_uri(uri)
    return read.effective_port if read is not None else 5060


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f'must be an absolute path such as "/var/lib/transfer-gateway"; is "{path}"')
    return path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a directory that may not be looked into; opening the file tells why
        return True


def found_file(name: object, info: ValidationInfo) -> Path:
    """The file a `…_file` key names: in the credentials' directory first, then beside the file that names it."""
    if not isinstance(name, str) or not name:
        raise ValueError("must be the name of a file, in quotes")
    around = info.context
    if not isinstance(around, Surroundings):
        return Path(name)
    places = [around.directory / name]
    if not around.secrets:
        return places[0]
    if around.credentials is not None and not Path(name).is_absolute():
        places.insert(0, around.credentials / name)
    path = next((place for place in places if _is_there(place)), None)
    if path is None:
        raise ValueError(f"there is no file {' or '.join(str(place) for place in places)}")
    try:
        # A pipe would keep everybody waiting who opens it.
        if not (path.is_file() or path.is_dir()):
            raise ValueError(f"{path} is no regular file")
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ValueError(f"{path} {unreadable(error, os.geteuid())}") from None
    around.found[path] = places[-1]
    return path


UNREAD = SecretStr("(not read)")
"""Stands for a secret in a configuration that was loaded without."""


def _secret(name: object, info: ValidationInfo) -> SecretStr:
    if isinstance(name, SecretStr):
        return name
    path = found_file(name, info)
    if isinstance(info.context, Surroundings):
        if not info.context.secrets:
            return UNREAD
        info.context.secret.add(path)
    try:
        # Some editors begin a file with a byte order mark, which would be part of the password, and not be seen.
        text = path.read_text(encoding="utf-8-sig").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path} does not hold text") from None
    if not text.strip():
        raise ValueError(f"{path} is empty; it should hold the secret")
    if not text.isprintable():
        raise ValueError(f"{path} holds more than one line, or a control character; it should hold the secret alone")
    return SecretStr(text)


def signing_keys(secret: str) -> tuple[bytes, ...]:
    """The keys in a webhook's secret, `whsec_…` or several of them with blanks between.

    Raises ValueError that says what is wrong and nothing of what it holds.
    """
    keys = []
    for text in secret.split():
        try:
            key = base64.b64decode(text.removeprefix("whsec_"), validate=True) if text.startswith("whsec_") else b""
        except binascii.Error:
            key = b""
        if not 24 <= len(key) <= 64:
            raise ValueError('its file must hold "whsec_" and a key of 24 to 64 bytes in base64')
        keys.append(key)
    return tuple(keys)


def _signing_secret(secret: SecretStr) -> SecretStr:
    if secret is not UNREAD:
        signing_keys(secret.get_secret_value())
    return secret


Slug = Annotated[str, AfterValidator(_slug)]
NamedHours = Annotated[str, AfterValidator(_named_hours)]
E164 = Annotated[str, AfterValidator(_number)]
Dialled = Annotated[str, AfterValidator(_dialled)]
Prefix = Annotated[str, AfterValidator(_prefix)]
QueueName = Annotated[str, AfterValidator(_queue_name)]
Topic = Annotated[str, AfterValidator(_topic)]
HostPort = Annotated[str, AfterValidator(_host_port)]
HostName = Annotated[str, AfterValidator(_host_name)]
ContextOrNothing = Annotated[str, _or_nothing(_context)]
KeysOrNothing = Annotated[str, _or_nothing(_keys)]
KeyOrNothing = Annotated[str, _or_nothing(_key)]
Interface = Annotated[str, AfterValidator(_interface)]
Address = Annotated[str, AfterValidator(_address)]
Network = Annotated[IpNetwork, BeforeValidator(_network, json_schema_input_type=str)]
NameServer = Annotated[str, AfterValidator(_name_server)]
AddressOrNothing = Annotated[str, _or_nothing(_address)]
HttpPath = Annotated[str, AfterValidator(_http_path)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
SipUri = Annotated[str, AfterValidator(_sip_uri)]
SipUriOrNothing = Annotated[str, _or_nothing(_sip_uri)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


def _key_file(name: object, info: ValidationInfo) -> Path:
    path = found_file(name, info)
    if isinstance(info.context, Surroundings):
        info.context.secret.add(path)
    return path


ReadableFile = Annotated[Path, BeforeValidator(found_file, json_schema_input_type=str)]
KeyFile = Annotated[Path, BeforeValidator(_key_file, json_schema_input_type=str)]
"""A readable file that holds a private key."""
SecretFile = Annotated[SecretStr, BeforeValidator(_secret, json_schema_input_type=str)]
"""In the file the name of the file that holds the secret, in the model the secret itself."""
SigningSecretFile = Annotated[SecretFile, AfterValidator(_signing_secret)]
Text = Annotated[str, Field(max_length=2000)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=0)]
Port = Annotated[int, Field(strict=True, ge=0, le=65535)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=86400)]
