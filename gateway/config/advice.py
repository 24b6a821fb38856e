# SPDX-License-Identifier: GPL-2.0-or-later
"""What is no mistake in a configuration, and yet hardly meant: warnings of `transfer-gateway check`. Pure."""

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from gateway.config.emergency import country_of, outside_line
from gateway.config.fields import uri_host
from gateway.config.instances import MAIN_FILE
from gateway.config.loading import PROFILES, Config
from gateway.config.mistakes import Mistake
from gateway.core.model import AssignedNumber, Destination, FinalNotify, WhileWaiting
from gateway.core.numbers import has_usual_length
from gateway.core.state_sources import Ability, that_tell

_EXAMPLES = tuple(
    ipaddress.ip_network(each)
    for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)
"""Networks that documentation uses and nobody has (RFC 5737, RFC 3849, RFC 9637)."""
_EXAMPLE_NAMES = re.compile(r"(?:.*\.)?(?:example(?:\.(?:com|net|org))?|invalid)\.?", re.IGNORECASE)
"""Names that nobody has (RFC 2606)."""
_PLACEHOLDER = re.compile(r"\b(?:CHANGE[-_ ]?ME|REPLACE[-_ ]?ME)\b", re.IGNORECASE)
_OF_HOSTS = {
    "address", "addresses", "bind_address", "bind_address6", "host", "host_names", "name_servers", "outbound",
    "public_address", "public_address6", "public_url", "url",
}  # fmt: skip
"""The keys whose values name hosts."""
_FREE_TEXT = {"description", "message", "name"}


def advise(config: Config) -> Iterator[Mistake]:
    """Every warning that the configuration alone gives reason for."""
    for name, value in config.values.items():
        key = name.rpartition(".")[2].rpartition(": ")[2]
        if key in _OF_HOSTS and (example := _example(value)):
            yield _at(name, f'"{example}" is an example of the documentation, which leads nowhere; put yours there')
        if key not in _FREE_TEXT and _PLACEHOLDER.search(_text(value)):
            what = "its file holds" if isinstance(value, SecretStr) else "is"
            yield _at(name, f"{what} a placeholder (CHANGE-ME); put yours there")
    yield from _sip(config)
    yield from _http(config)
    yield from _platforms(config)
    for number in config.numbers:
        yield from _digits(number)
        yield from _ring_times(config, number)
        yield from _ways_in(config, number)
        yield from _outside_lines(config, number)
        for destination in number.destinations.values():
            where = f"numbers[{number.id}].destinations[{destination.id}]"
            yield from _agents_unknown(config, number, destination, where)
            yield from _talks_in_vain(config, number, destination, where)


def _at(name: str, problem: str) -> Mistake:
    """A warning about a key that is named as `Config.values` names it."""
    file, separator, key = name.partition(": ")
    return Mistake(file, key, problem) if separator else Mistake(MAIN_FILE, name, problem)


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return " ".join(value) if isinstance(value, tuple) and all(isinstance(each, str) for each in value) else str(value)


def _example(value: object) -> str:
    """The first example of the documentation in it; empty: there is none."""
    for each in value if isinstance(value, tuple) else (value,):
        text = str(each)
        if "://" in text:
            host = urlsplit(text).hostname or ""
        elif text.startswith(("sip:", "sips:")):
            host = uri_host(text)
        else:
            host = text
        try:
            network = ipaddress.ip_network(host)
        except ValueError:
            if _EXAMPLE_NAMES.fullmatch(host):
                return text
            continue
        if any(network.version == one.version and network.overlaps(one) for one in _EXAMPLES):
            return str(network.network_address) if network.num_addresses == 1 else str(network)
    return ""


def _sip(config: Config) -> Iterator[Mistake]:
    """Addresses that peers are told to answer to, and cannot."""
    sip = config.sip
    for key, own, told in (
        ("bind_address", sip.bind_address, sip.public_address),
        ("bind_address6", sip.bind_address6, sip.public_address6),
    ):
        if own and not told and ipaddress.ip_address(own).is_unspecified:
            problem = f"{own}: peers would be told to send audio there, which leads nowhere"
            way = f"name the address by which they reach this machine, here or as {key.replace('bind', 'public')}"
            yield Mistake(MAIN_FILE, f"sip.{key}", f"{problem}; {way}")


def _http(config: Config) -> Iterator[Mistake]:
    if config.http.port and ipaddress.ip_address(config.http.bind_address).is_unspecified:
        problem = "whoever reaches this host reads its calls and callers there, which needs no token; name one address"
        yield Mistake(MAIN_FILE, "http.bind_address", f"{config.http.bind_address}: {problem}")


def _platforms(config: Config) -> Iterator[Mistake]:
    """A listener that is open to eavesdroppers, or that nobody may ask; an assistant that nobody can ask for."""
    settings = config.platform
    asking = [name for name, trunk in config.trunks.items() if trunk.platform is not None]
    if settings is not None:
        if settings.tls_certificate is None and not ipaddress.ip_address(settings.bind_address).is_loopback:
            problem = f"{settings.bind_address} without tls_certificate: on the way everybody reads who calls whom"
            yield Mistake(MAIN_FILE, "platform.bind_address", problem)
        if not asking and not settings.mcp_tokens:
            problem = "nobody may ask there: no profile has a [platform], and there are no mcp_tokens"
            yield Mistake(MAIN_FILE, "platform.port", problem)
    for number in config.numbers:
        if number.assistant is not None and number.trunk not in asking:
            where = f"numbers[{number.id}].assistant_file"
            problem = f"nobody asks for it: {PROFILES}/{number.trunk}.toml has no [platform]"
            yield Mistake(MAIN_FILE, where, problem)


def _digits(number: AssignedNumber) -> Iterator[Mistake]:
    """An assigned number with a digit too many, or one that is missing."""
    if not has_usual_length(number.number):
        problem = f'"{number.number}" is as long as no number of its country: has it a digit too few, or too many?'
        yield Mistake(MAIN_FILE, f"numbers[{number.id}].number", problem)


def _ring_times(config: Config, number: AssignedNumber) -> Iterator[Mistake]:
    """Phones that are not let ring for as long as it says."""
    trunk, total = config.trunks[number.trunk], config.values.get(f"numbers[{number.id}].total_ring_s")
    for destination in number.destinations:
        where = f"numbers[{number.id}].destinations[{destination}].ring_timeout_s"
        rings = config.values.get(where)
        if not isinstance(rings, int | float):
            continue
        if isinstance(total, int | float) and total < rings:
            problem = f"{rings:g} s are never reached: total_ring_s of {number.id} is {total:g}"
            yield Mistake(MAIN_FILE, where, problem)
        if trunk.deadline_s < rings and trunk.final_notify is not FinalNotify.ON_RING:
            then = "the dialling ends" if trunk.at_deadline == "cancel" else "the platform is told that nobody answered"
            problem = f"{rings:g} s are more than {trunk.name} waits for the outcome (deadline_s, {trunk.deadline_s:g})"
            yield Mistake(MAIN_FILE, where, f"{problem}: {then} before")


def _ways_in(config: Config, number: AssignedNumber) -> Iterator[Mistake]:
    """A number that the PBX sends callers to, whose assistant cannot be called."""
    if config.trunks[number.trunk].outbound:
        return
    hands_down = config.pbxs[number.pbx].transfer_mode == "hand-down"
    if number.answer is None or hands_down:
        why = "hands down callers of its own" if hands_down else "alone can send callers to it, as it has no answer"
        problem = f'"" lets nobody call the assistant of {number.id}: {number.pbx} {why}'
        yield Mistake(f"{PROFILES}/{number.trunk}.toml", "outbound", problem)


def _outside_lines(config: Config, number: AssignedNumber) -> Iterator[Mistake]:
    """What may be an emergency number behind the digit for an outside line, and no extension in use looks like it."""
    countries = tuple(sorted(filter(None, {config.gateway.default_country, country_of(number.number)})))
    dialled = {(each.pbx_of(one), one.extension) for each in config.numbers for one in each.destinations.values()}
    in_use = {
        (pbx, one[0], len(one)) for pbx, one in dialled if one.isdecimal() and outside_line(one, *countries) is None
    }
    for destination in number.destinations.values():
        where, extension = f"numbers[{number.id}].destinations[{destination.id}]", destination.extension
        behind = outside_line(extension, *countries)
        if behind is None or behind.is_certain or (number.pbx_of(destination), extension[0], len(extension)) in in_use:
            continue
        if config.values.get(f"{where}.emergency") == extension:
            continue
        problem = (
            f'"{extension}" calls the emergency number {behind.number}{behind.whose} where {behind.digit} leads '
            f'outside; where it does not, or that is meant, say so: emergency = "{extension}"'
        )
        yield Mistake(MAIN_FILE, f"{where}.extension", problem)


def _agents_unknown(config: Config, number: AssignedNumber, destination: Destination, where: str) -> Iterator[Mistake]:
    """What waits for an agent of a queue whose PBX does not tell when one takes a caller."""
    pbx = number.pbx_of(destination)
    if destination.queue is None or config.pbxs[pbx].queues.source.tells(Ability.WHO_ANSWERED):
        return
    fitting = " or ".join(f'"{each}"' for each in that_tell(Ability.WHO_ANSWERED))
    unknown = f"{pbx} does not tell which agent takes a caller ([queues] source = {fitting} would)"
    then = f"a queue that answers before an agent does ({destination.queue}?)"
    if destination.accept:
        yield Mistake(MAIN_FILE, f"{where}.accept", f"{unknown}: {then} hears the whisper, and presses no key")
    elif destination.whisper:
        yield Mistake(MAIN_FILE, f"{where}.whisper", f"{unknown}: {then} hears it, and no agent")
    if destination.while_waiting is WhileWaiting.ASSISTANT:
        yield Mistake(MAIN_FILE, f"{where}.while_waiting", f"{unknown}: {then} takes the caller from the assistant")


def _talks_in_vain(config: Config, number: AssignedNumber, destination: Destination, where: str) -> Iterator[Mistake]:
    """Callers who are to talk on with an assistant that leaves them when the phone rings."""
    trunk = config.trunks[number.trunk]
    if destination.while_waiting is WhileWaiting.ASSISTANT and trunk.final_notify is FinalNotify.ON_RING:
        problem = f'"assistant" ends when the phone rings: {trunk.name} is told of success then, and leaves'
        yield Mistake(MAIN_FILE, f"{where}.while_waiting", f'{problem} (final_notify = "on-ring")')
