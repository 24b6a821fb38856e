# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be right between the parts of a configuration: names lead somewhere, nothing means two things."""

import importlib.util
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping

from gateway.config.cluster import nodes_of_cluster
from gateway.config.emergency import emergencies
from gateway.config.fields import IpNetwork, addresses_meet, is_number, uri_host, uri_port
from gateway.config.mistakes import Mistake, did_you_mean
from gateway.config.platforms import offers_of_assistant, ports_of_platform, unheard_platforms
from gateway.config.profiles import PbxProfile, TrunkProfile
from gateway.config.reading import Table
from gateway.config.settings import (
    DestinationSettings,
    GatewayFile,
    HttpSettings,
    McpTokenSettings,
    NumberSettings,
    PlatformSettings,
    SipSettings,
    TokenSettings,
    WebhookSettings,
)
from gateway.core.model import WhenUnknown
from gateway.core.numbers import TargetError, lookup_keys
from gateway.core.state_sources import Ability, StateSource

MAIN = "gateway.toml"
Profiles = Mapping[str, TrunkProfile | PbxProfile]
_SIP_PORTS = ("udp_port", "tcp_port", "tls_port")
_PORTS_PER_CALL = 6  # three legs while a transfer is under way, RTP and RTCP each


def check(main: GatewayFile, profiles: Profiles, written: Table) -> Iterator[Mistake]:
    """Every mistake that no single value shows by itself.

    `main` may lack what was found wrong before; `written` is all that the file says, so that nothing is called missing
    for being wrong.
    """
    country = main.gateway.default_country if main.gateway else None
    hours = written["hours"] if isinstance(written.get("hours"), dict) else {}
    if main.sip:
        yield from _sip(main.sip, written["sip"])
        yield from check_listening(main.sip, main.http, main.platform, profiles)
    yield from _addresses(profiles)
    if "platform" not in written:
        yield from unheard_platforms(profiles)
    if main.cluster is not None and main.gateway is not None:
        yield from nodes_of_cluster(main.cluster, main.gateway.instance)
    if main.cluster is not None and main.cluster.orphan_after_s is not None and "mqtt" not in written:
        yield Mistake(MAIN, "cluster.orphan_after_s", "needs [mqtt]: gateways know of one another's transfers by it")
    yield from _shared_limits(main, written)
    yield from _webhooks(main.webhooks)
    if main.messages.disk_mb and not main.messages.max_mb:
        yield Mistake(MAIN, "messages.disk_mb", "keeps what is in memory, and max_mb is 0; give that 1 at least")
    if main.hep is not None and not main.messages.max_mb:
        yield Mistake(MAIN, "hep", "sends what [messages] keeps, and messages.max_mb is 0; give it 1 at least")
    if main.traces is not None and not _has_traces():
        yield Mistake(MAIN, "traces", "needs the extra `traces`: pip install 'transfer-gateway[traces]'")
    yield from _ready_needs(main, profiles)
    numbers = [number.id for number in main.numbers]
    of_all = {main.http.token.get_secret_value().strip(): "token_file"} if main.http.token else {}
    yield from _tokens("http.tokens", main.http.tokens, of_all, numbers)
    if main.platform is not None:
        yield from _tokens("platform.mcp_tokens", main.platform.mcp_tokens, {}, numbers)
    yield from _assigned_numbers(main.numbers)
    for number in main.numbers:
        yield from _names(number, _ids(written["numbers"], number.id), hours)
        yield from _loops(number)
        yield from _targets(number, main.numbers, country)
        yield from _states(number, profiles)
        yield from _carriers(number, profiles)
        yield from _callbacks(number, profiles)
        yield from emergencies(number, country)


def _shared_limits(main: GatewayFile, written: Table) -> Iterator[Mistake]:
    """What the gateways of a cluster tell one another goes by the broker."""
    missing = [table for table in ("cluster", "mqtt") if table not in written]
    for number in main.numbers:
        for each in number.destinations:
            if each.max_concurrent_shared and missing:
                key = f"numbers[{number.id}].destinations[{each.id}].max_concurrent_shared"
                why = f"needs [{missing[0]}]: the gateways of a cluster tell one another by its broker what they carry"
                yield Mistake(MAIN, key, why)


def _ready_needs(main: GatewayFile, profiles: Profiles) -> Iterator[Mistake]:
    """What can never be there would keep every call away."""
    trunks = [profiles.get(number.trunk) for number in main.numbers]
    pbxs = [profiles.get(name) for number in main.numbers for name in (number.pbx, *_other_pbxs(number))]
    told = {
        "pbx": any(isinstance(one, PbxProfile) and one.queues.source is not StateSource.NONE for one in pbxs),
        "trunk": any(isinstance(one, TrunkProfile) and one.is_asked for one in trunks),
        "broker": main.mqtt is not None,
    }
    why = {
        "pbx": "no PBX tells its state: source in [queues] of its profile",
        "trunk": "no trunk is asked whether it is there: options_interval_s in its profile",
        "broker": "there is no [mqtt]",
    }
    for need in main.http.ready_needs:
        if not told[need] and (need == "broker" or main.numbers):
            yield Mistake(MAIN, "http.ready_needs", f'"{need}" would never be there, as {why[need]}')


def check_listening(
    sip: SipSettings, http: HttpSettings, platform: PlatformSettings | None, profiles: Profiles
) -> Iterator[Mistake]:
    """Every mistake between where we listen and where the peers are."""
    yield from _ports(sip, http)
    if platform is not None:
        yield from ports_of_platform(platform, sip, http)
    yield from _transports(sip, profiles)


def _sip(sip: SipSettings, written: Table) -> Iterator[Mistake]:
    if not any(getattr(sip, key) or written.get(key) for key in _SIP_PORTS):  # a wrong one is told by itself
        yield Mistake(MAIN, "sip", "no transport is on; set udp_port, tcp_port or tls_port")
    if sip.bind_address6:
        if _version(sip.bind_address) == 6:
            yield Mistake(MAIN, "sip.bind_address", "must be an IPv4 address where there is bind_address6 too")
        if _version(sip.bind_address6) == 4:
            yield Mistake(MAIN, "sip.bind_address6", f'must be an IPv6 address; is "{sip.bind_address6}"')
    if sip.tls_verify_client and not sip.tls_ca:
        yield Mistake(MAIN, "sip.tls_verify_client", "needs tls_ca, the authority whose certificates are let in")
    for key in ("tls_certificate", "tls_key"):
        if sip.tls_port and key not in written:
            yield Mistake(MAIN, f"sip.{key}", "is missing; tls_port needs it")
    low, high = sip.rtp_port_min, sip.rtp_port_max
    ports, needed = high - low + 1, sip.max_calls * _PORTS_PER_CALL
    if low > high:
        yield Mistake(MAIN, "sip.rtp_port_min", f"{low} is above rtp_port_max, {high}")
    elif ports < needed:
        problem = f"{low}-{high} are {ports} ports; {needed} are needed, {_PORTS_PER_CALL} for each of max_calls"
        yield Mistake(MAIN, "sip.rtp_port_max", problem)


def _ports(sip: SipSettings, http: HttpSettings) -> Iterator[Mistake]:
    if sip.tcp_port and sip.tcp_port == sip.tls_port:
        yield Mistake(MAIN, "sip.tls_port", f"{sip.tls_port} is tcp_port already; give it one of its own")
    if sip.rtp_port_min <= sip.udp_port <= sip.rtp_port_max:
        problem = f"{sip.udp_port} lies among the RTP ports {sip.rtp_port_min}-{sip.rtp_port_max}; move one of them"
        yield Mistake(MAIN, "sip.udp_port", problem)
    if http.port and addresses_meet(sip.bind_address, http.bind_address):
        for key, port in (("tcp_port", sip.tcp_port), ("tls_port", sip.tls_port)):
            if port == http.port:
                yield Mistake(MAIN, "http.port", f"{port} is sip.{key} on the same address; give it one of its own")


def _version(host: str) -> int:
    """4 or 6; 0 for a name."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return 0


def _transports(sip: SipSettings, profiles: Profiles) -> Iterator[Mistake]:
    ports = {"udp": sip.udp_port, "tcp": sip.tcp_port, "tls": sip.tls_port}
    families = {_version(address) for address in (sip.bind_address, sip.bind_address6)}
    for name, profile in profiles.items():
        if any(ports.values()) and not ports[profile.transport]:
            problem = f'"{profile.transport}" is off; set {profile.transport}_port under [sip] in {MAIN}'
            yield Mistake(f"sip_profiles/{name}.toml", "transport", problem)
        key, uri = ("outbound", profile.outbound) if isinstance(profile, TrunkProfile) else ("address", profile.address)
        if (version := _version(uri_host(uri))) and version not in families:
            problem = f'"{uri}" is at an IPv{version} address, and [sip] in {MAIN} binds none of that family'
            yield Mistake(f"sip_profiles/{name}.toml", key, problem)
        if uri and uri_host(uri) in (sip.bind_address, sip.bind_address6) and uri_port(uri) == ports[profile.transport]:
            problem = f'"{uri}" is the gateway itself; calls would come back to it'
            yield Mistake(f"sip_profiles/{name}.toml", key, problem)


def _addresses(profiles: Profiles) -> Iterator[Mistake]:
    owners: dict[IpNetwork, str] = {}
    for name, profile in profiles.items():
        for network in dict.fromkeys(profile.networks()):
            owner = owners.setdefault(network, name)
            if owner != name:
                problem = f"{_written(network)} is an address of {owner} as well; it must mean one of them"
                yield Mistake(f"sip_profiles/{name}.toml", "addresses", problem)


def _webhooks(webhooks: Iterable[WebhookSettings]) -> Iterator[Mistake]:
    ids: set[str] = set()
    for webhook in webhooks:
        if webhook.id in ids:
            yield Mistake(MAIN, f"webhooks[{webhook.id}].id", f'"{webhook.id}" is taken by another webhook')
        if webhook.ca_file and not webhook.url.startswith("https:"):
            yield Mistake(MAIN, f"webhooks[{webhook.id}].ca_file", "needs a url that begins with https:")
        ids.add(webhook.id)


def _tokens(
    table: str,
    tokens: Iterable[TokenSettings | McpTokenSettings],
    owners: dict[str, str],
    numbers: Collection[str],
) -> Iterator[Mistake]:
    """`owners`: whose secrets are known already."""
    names: set[str] = set()
    for token in tokens:
        where = f"{table}[{token.name}]"
        if token.name in names:
            yield Mistake(MAIN, f"{where}.name", f'"{token.name}" is taken by another token')
        owner = owners.setdefault(token.secret.get_secret_value().strip(), token.name)
        if owner != token.name and token.secret.get_secret_value():  # secrets are not read by each command
            yield Mistake(MAIN, f"{where}.secret_file", f"holds the secret of {owner}: nobody could tell the two apart")
        for number in token.numbers or ():
            if number not in numbers:
                yield Mistake(
                    MAIN, f"{where}.numbers", f'"{number}" is no assigned number; {did_you_mean(number, numbers)}'
                )
        names.add(token.name)


def _written(network: IpNetwork) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _assigned_numbers(numbers: Iterable[NumberSettings]) -> Iterator[Mistake]:
    ids: set[str] = set()
    owners: dict[str, str] = {}
    for number in numbers:
        if number.id in ids:
            yield Mistake(MAIN, f"numbers[{number.id}].id", f'"{number.id}" is taken by another number')
        elif number.number in owners:
            problem = f'"{number.number}" is {owners[number.number]} already; a number can be assigned once'
            yield Mistake(MAIN, f"numbers[{number.id}].number", problem)
        ids.add(number.id)
        owners.setdefault(number.number, number.id)


def _ids(numbers: Iterable[object], number_id: str) -> list[str]:
    """The ids of all destinations of a number, those included in which something is wrong."""
    tables = [
        table
        for number in numbers
        if isinstance(number, dict) and number.get("id") == number_id
        for table in _list(number.get("destinations"))
    ]
    return [table["id"] for table in tables if isinstance(table, dict) and isinstance(table.get("id"), str)]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _names(number: NumberSettings, ids: Collection[str], hours: Collection[str]) -> Iterator[Mistake]:
    for key, name in (("answer", number.answer), ("fallback", number.fallback)):
        if name is not None and name not in ids:
            yield Mistake(MAIN, f"numbers[{number.id}].{key}", _no_destination(name, ids))
    seen: set[str] = set()
    for destination in number.destinations:
        where = _where(number, destination)
        if destination.id in seen:
            yield Mistake(MAIN, f"{where}.id", f'"{destination.id}" is taken by another destination of {number.id}')
        seen.add(destination.id)
        if destination.hours is not None and (named := destination.hours.removeprefix("!")) not in hours:
            hint = did_you_mean(named, hours)
            yield Mistake(MAIN, f"{where}.hours", f"there is no [hours.{named}]; {hint}")
        for name in destination.overflow:
            if name not in ids:
                yield Mistake(MAIN, f"{where}.overflow", _no_destination(name, ids))


def _no_destination(name: str, ids: Iterable[str]) -> str:
    return f'"{name}" is no destination of this number; {did_you_mean(name, ids)}'


def _where(number: NumberSettings, destination: DestinationSettings) -> str:
    return f"numbers[{number.id}].destinations[{destination.id}]"


def _loops(number: NumberSettings) -> Iterator[Mistake]:
    """Overflow that comes back to where it began; each loop is told once, at the destination that closes it."""
    overflow = {destination.id: destination.overflow for destination in number.destinations}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> Iterator[Mistake]:
        if name in path:
            loop = " -> ".join((*path[path.index(name) :], name))
            where = f"numbers[{number.id}].destinations[{path[-1]}].overflow"
            yield Mistake(MAIN, where, f"{loop} is a loop; the last destination must overflow to none of the others")
        elif name in overflow and name not in done:
            for following in overflow[name]:
                yield from walk(following, (*path, name))
            done.add(name)

    for name in overflow:
        yield from walk(name, ())


def _targets(number: NumberSettings, numbers: tuple[NumberSettings, ...], country: str | None) -> Iterator[Mistake]:
    """Numbers, aliases and ids by which two destinations could be meant, or one of our own numbers."""
    assigned = {key: other.id for other in numbers for key in lookup_keys(other.number, country)}
    owners: dict[str, str] = {}
    for destination in number.destinations:
        names = [("number", destination.number)] if destination.number else []
        names += [*(("aliases", alias) for alias in destination.aliases), ("id", destination.id)]
        for key, name in names:
            where = f"{_where(number, destination)}.{key}"
            try:
                found_by = lookup_keys(name, country)
            except TargetError as error:
                yield Mistake(MAIN, where, f'"{name}" can never be asked for: {error}')
                continue
            owner = next(
                (owners[each] for each in found_by if owners.get(each, destination.id) != destination.id), None
            )
            if owner is not None:
                yield Mistake(MAIN, where, f'"{name}" means {owner} as well; it must mean one destination')
            elif mine := next((assigned[each] for each in found_by if each in assigned), None):
                yield Mistake(MAIN, where, f'"{name}" is the assigned number of {mine}, where the assistant answers')
            for each in found_by:
                owners.setdefault(each, destination.id)
    yield from offers_of_assistant(number, owners, country)


def _has_traces() -> bool:
    """Whether what traces are sent with is installed."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter") is not None
    except ModuleNotFoundError:
        return False


def _carriers(number: NumberSettings, profiles: Profiles) -> Iterator[Mistake]:
    """Destinations at a carrier that it may not call, or of which it could tell nothing."""
    for destination in number.destinations:
        profile = profiles.get(destination.pbx or "")
        if not isinstance(profile, PbxProfile) or not profile.is_carrier:
            continue
        where, dialled = _where(number, destination), destination.extension
        if not is_number(dialled):
            yield Mistake(MAIN, f"{where}.extension", f'a carrier calls numbers such as "+31612345678"; is "{dialled}"')
        elif not dialled.startswith(profile.prefixes):
            allowed = ", ".join(profile.prefixes)
            yield Mistake(
                MAIN, f"{where}.extension", f"{destination.pbx} may call numbers that begin with {allowed} alone"
            )
        if given := [key for key in ("queue", "group") if getattr(destination, key)]:
            yield Mistake(MAIN, f"{where}.{given[0]}", f"{destination.pbx} is a carrier, which has none")


def _callbacks(number: NumberSettings, profiles: Profiles) -> Iterator[Mistake]:
    """Callers who are to be called back by a carrier that may not call them."""
    for destination in number.destinations:
        name = destination.callback_pbx or destination.pbx or number.pbx
        profile = profiles.get(name)
        if not isinstance(profile, PbxProfile) or not profile.is_carrier:
            continue
        for prefix in destination.callback_prefixes:
            if not prefix.startswith(profile.prefixes):
                allowed = ", ".join(profile.prefixes)
                problem = f'"{prefix}": {name} may call numbers that begin with {allowed} alone'
                yield Mistake(MAIN, f"{_where(number, destination)}.callback_prefixes", problem)


def _other_pbxs(number: NumberSettings) -> Iterator[str]:
    """Where destinations are that are not on the number's own PBX."""
    return (each.pbx for each in number.destinations if each.pbx is not None)


def _states(number: NumberSettings, profiles: Profiles) -> Iterator[Mistake]:
    """Destinations whose state is never known, and that are then refused."""
    for destination in number.destinations:
        pbx = destination.pbx or number.pbx
        profile = profiles.get(pbx)
        if destination.when_unknown is not WhenUnknown.REFUSE or not isinstance(profile, PbxProfile):
            continue
        tells = profile.queues.source.traits.tells
        source = f'the [queues] source of {pbx} is "{profile.queues.source}"'
        where = f"{_where(number, destination)}.when_unknown"
        needed = Ability.EXTENSIONS if destination.queue is None else Ability.QUEUES
        if needed not in tells:
            nothing = f", which tells nothing of {needed}" if tells else ""
            yield Mistake(MAIN, where, f'"refuse" refuses every call: {source}{nothing}')
