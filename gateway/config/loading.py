# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration's directory, read and checked as a whole and turned into what the core decides with."""

import ipaddress
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from gateway.config.certificates import check_certificates
from gateway.config.checks import check
from gateway.config.cluster import ClusterSettings
from gateway.config.conversion import announcement, assigned_number, schedule
from gateway.config.credentials import ReadFile, digest, file_name, files_read, outdated
from gateway.config.differences import Values, values_of
from gateway.config.fields import IpNetwork, Surroundings
from gateway.config.instances import MAIN_FILE, read_main
from gateway.config.mistakes import ConfigError, Mistake, did_you_mean, shown
from gateway.config.profiles import WIDE, PbxProfile, TrunkProfile
from gateway.config.reading import credentials_directory, read_model, read_table
from gateway.config.settings import (
    GatewayFile,
    GatewaySettings,
    HepSettings,
    HistorySettings,
    HttpSettings,
    MessagesSettings,
    MqttSettings,
    NumberSettings,
    PlatformSettings,
    SipSettings,
    TracesSettings,
    WebhookSettings,
)
from gateway.config.validity import ends_of_certificates
from gateway.core.hours import Schedule
from gateway.core.model import Announcement, AssignedNumber, Peer
from gateway.core.routing import Routes

PROFILES = "sip_profiles"
NARROW_HZ, WIDE_HZ = 8000, 16000
READ_ONCE = ("tls_certificate", "tls_key", "tls_ca")
"""Keys of `[sip]` whose files PJSIP reads when it begins to listen, and never again."""
BROKERS_AUTHORITY = "mqtt.ca_file"
Profile = TrunkProfile | PbxProfile


@lru_cache(maxsize=1024)
def _read_source(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a request came from; None: it is none."""
    try:
        source = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(source, ipaddress.IPv6Address) and source.ipv4_mapped:
        return source.ipv4_mapped
    return source


@dataclass(frozen=True)
class Config:
    """A configuration in which no mistake was found. It never changes; a reload makes a new one."""

    directory: Path
    home: Path  # where its profiles and secrets lie: `directory`, or its base
    gateway: GatewaySettings
    sip: SipSettings
    mqtt: MqttSettings | None
    http: HttpSettings
    webhooks: tuple[WebhookSettings, ...]
    schedules: Mapping[str, Schedule]
    numbers: tuple[AssignedNumber, ...]
    trunks: Mapping[str, TrunkProfile]  # by name; those that a number names
    pbxs: Mapping[str, PbxProfile]
    # SHA-256 of what the files held that PJSIP reads once, and of the broker's authority, by key. They stay in this
    # process.
    digests: Mapping[str, str] = field(default_factory=dict)
    # Files of which $CREDENTIALS_DIRECTORY holds an older copy; relative to the directory where they are in it.
    outdated: tuple[str, ...] = ()
    history: HistorySettings = field(default_factory=HistorySettings)
    messages: MessagesSettings = field(default_factory=MessagesSettings)
    files: Mapping[str, ReadFile] = field(default_factory=dict)  # what was read of secrets, keys and sounds
    secret_files: frozenset[str] = frozenset()  # those of them that are nobody else's business
    certificates: Mapping[str, datetime] = field(default_factory=dict)  # until when each is good, by key
    # What every key means, to be compared with another configuration; it stays in this process.
    values: Values = field(default_factory=dict, repr=False)
    platform: PlatformSettings | None = None  # None: platforms can ask nothing over HTTP
    hep: HepSettings | None = None  # None: there is no capture server
    traces: TracesSettings | None = None  # None: nobody collects traces
    cluster: ClusterSettings | None = None  # None: it is alone

    @cached_property
    def routes(self) -> Routes:
        """The index of the numbers and their destinations."""
        return Routes(self.numbers)

    @property
    def token(self) -> str:
        """What our Call-IDs and tags begin with; empty outside of a cluster."""
        return self.cluster.token(self.gateway.instance) if self.cluster is not None else ""

    @cached_property
    def wide(self) -> tuple[str, ...]:
        """The profiles with a codec of more than 8000 samples a second."""
        profiles = {**self.trunks, **self.pbxs}
        return tuple(name for name, profile in profiles.items() if not WIDE.isdisjoint(profile.codecs))

    @property
    def bridge_hz(self) -> int:
        """How many samples a second the bridge has that is made for these profiles."""
        return WIDE_HZ if self.wide else NARROW_HZ

    @property
    def domain(self) -> str | None:
        """The host of the identities that we send; None: our address."""
        return self.cluster.domain if self.cluster is not None else None

    def prepare(self) -> None:
        """Work out, in some 0.3 s, what would be worked out when it is first needed, and hold up the calls then."""
        _ = self.routes, self._networks
        today = datetime.now(UTC).date()
        for each in self.schedules.values():
            each.holiday(today)

    @property
    def probe_announcement(self) -> Announcement | None:
        """What a test call says to who answers it."""
        return announcement(self.gateway.probe_announcement, before=True)

    def watched(self, pbx: str) -> tuple[frozenset[str], frozenset[str]]:
        """The queues and the extensions of a PBX whose state decides where callers go."""
        of_numbers = ((number, one) for number in self.numbers for one in number.destinations.values())
        destinations = [one for number, one in of_numbers if number.pbx_of(one) == pbx]
        queues = frozenset(one.queue for one in destinations if one.queue)
        return queues, frozenset(extension for one in destinations for extension in one.watched)

    def profile(self, name: str) -> TrunkProfile | PbxProfile | None:
        """The profile of this name; None once a reload has taken it away."""
        return self.trunks.get(name) or self.pbxs.get(name)

    def peer_for(self, address: str) -> Peer | None:
        """The trunk or PBX that a request from this IP address comes from; the narrowest network that holds it wins."""
        source = _read_source(address)
        if source is None:
            return None
        return next((peer for network, peer in self._networks if source in network), None)

    @property
    def rewritten_networks(self) -> list[str]:
        """The networks of peers as the binding wants them: the narrowest first, `!` before what is left as it is."""
        named = [(network, self.profile(peer.name)) for network, peer in self._networks]
        return [f"{'' if profile and profile.rewrite_contact else '!'}{network}" for network, profile in named]

    @cached_property
    def _networks(self) -> tuple[tuple[IpNetwork, Peer], ...]:
        profiles = (*self.trunks.values(), *self.pbxs.values())
        networks = [(network, profile.peer) for profile in profiles for network in profile.networks()]
        return tuple(sorted(networks, key=lambda entry: entry[0].prefixlen, reverse=True))


class Directory(BaseModel):
    """A configuration's directory as one document, for the JSON schema: each file's content under its name."""

    main: GatewayFile = Field(alias="gateway.toml")
    profiles: dict[str, Annotated[Profile, Field(discriminator="kind")]] = Field(alias="sip_profiles")


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration's directory: of `gateway.toml`, and of each `sip_profiles/<name>.toml`."""
    schema = Directory.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "transfer-gateway"}


def http_settings(directory: Path) -> HttpSettings:
    """`[http]` alone, as far as it is right, for who asks a gateway that runs. Raises ConfigError: there is no TOML."""
    mistakes: list[Mistake] = []
    table, home = read_main(directory.absolute(), mistakes)
    if table is None:
        raise ConfigError(mistakes)
    around = Surroundings(home, credentials=credentials_directory(), secrets=False)
    main = read_model(GatewayFile, table, file=MAIN_FILE, around=around, mistakes=mistakes)
    return main.http if main is not None else HttpSettings()


def load(directory: Path, *, secrets: bool = True) -> Config:
    """Read and check the configuration in `directory`. Raises ConfigError with every mistake in it.

    Without `secrets` neither they nor keys and certificates are looked for: nothing can be done with such a
    configuration but to ask it.
    """
    begun = time.time()
    directory = directory.absolute()
    mistakes: list[Mistake] = []
    table, home = read_main(directory, mistakes)
    if table is None:
        raise ConfigError(mistakes)
    around = Surroundings(home, credentials=credentials_directory(), secrets=secrets)
    main = read_model(GatewayFile, table, file=MAIN_FILE, around=around, mistakes=mistakes)
    mistakes += [
        Mistake(MAIN_FILE, key, "is missing; see docs/configuration.md for what it holds")
        for key in ("gateway", "sip", "numbers")
        if not table.get(key)
    ]
    if main is None:
        raise ConfigError(mistakes)
    profiles = _load_profiles(around, main, mistakes)
    mistakes += check(main, profiles, table)
    if secrets:
        mistakes += check_certificates(main)
    if mistakes or main.gateway is None or main.sip is None:
        raise ConfigError(sorted(dict.fromkeys(mistakes), key=_reading_order))
    schedules = {name: schedule(name, hours) for name, hours in main.hours.items()}
    carriers = frozenset(name for name, one in profiles.items() if isinstance(one, PbxProfile) and one.is_carrier)
    return Config(
        directory=directory,
        home=home,
        gateway=main.gateway,
        sip=main.sip,
        mqtt=main.mqtt,
        http=main.http,
        platform=main.platform,
        cluster=main.cluster,
        webhooks=main.webhooks,
        history=main.history,
        messages=main.messages,
        hep=main.hep,
        traces=main.traces,
        schedules=schedules,
        numbers=tuple(assigned_number(number, schedules, main.gateway, carriers) for number in main.numbers),
        trunks={name: profile for name, profile in profiles.items() if isinstance(profile, TrunkProfile)},
        pbxs={name: profile for name, profile in profiles.items() if isinstance(profile, PbxProfile)},
        digests=_digests(main.sip, main.mqtt) if secrets else {},
        outdated=outdated(around.found, home) if secrets else (),
        files=files_read(around.found, home, begun),
        secret_files=frozenset(file_name(around.found.get(path, path), home) for path in around.secret),
        certificates=ends_of_certificates(main) if secrets else {},
        values=dict(_values(main, profiles, files=secrets)),
    )


def _digests(sip: SipSettings, mqtt: MqttSettings | None) -> dict[str, str]:
    read_once = {f"sip.{key}": digest(getattr(sip, key)) for key in READ_ONCE}
    return {**read_once, BROKERS_AUTHORITY: digest(mqtt.ca_file if mqtt is not None else None)}


def _values(main: GatewayFile, profiles: Mapping[str, Profile], *, files: bool) -> Iterator[tuple[str, object]]:
    yield from values_of("", main, files=files)
    for name, profile in profiles.items():
        yield from values_of(f"{PROFILES}/{name}.toml: ", profile, files=files)


def _reading_order(mistake: Mistake) -> tuple[bool, str]:
    return mistake.file != MAIN_FILE, mistake.file  # those of one file stay in the order they were found


def _load_profiles(around: Surroundings, main: GatewayFile, mistakes: list[Mistake]) -> dict[str, Profile]:
    """The profiles that numbers name, by name."""
    existing = sorted(path.stem for path in (around.directory / PROFILES).glob("*.toml"))
    read: dict[str, Profile | None] = {}
    for number in main.numbers:
        for where, kinds, name in _named_profiles(number):
            file = f"{PROFILES}/{name}.toml"
            if name not in existing:
                mistakes.append(Mistake(MAIN_FILE, where, f"there is no {file}; {did_you_mean(name, existing)}"))
                continue
            if name not in read:
                read[name] = _load_profile(around, name, file, mistakes)
            profile = read[name]
            if profile is not None and profile.kind not in kinds:
                needed = " or ".join(f'"{kind}"' for kind in kinds)
                problem = f'{file} is of kind "{profile.kind}"; one of kind {needed} is needed here'
                mistakes.append(Mistake(MAIN_FILE, where, problem))
    return {name: profile for name, profile in read.items() if profile is not None}


def _named_profiles(number: NumberSettings) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Where a number names a profile, of which kinds it may be, and its name."""
    where = f"numbers[{number.id}]"
    yield f"{where}.trunk", ("trunk",), number.trunk
    yield f"{where}.pbx", ("pbx",), number.pbx
    for destination in number.destinations:
        if destination.pbx is not None:
            yield f"{where}.destinations[{destination.id}].pbx", ("pbx", "carrier"), destination.pbx
        if destination.callback_pbx is not None:
            yield f"{where}.destinations[{destination.id}].callback_pbx", ("pbx", "carrier"), destination.callback_pbx


def _load_profile(main: Surroundings, name: str, file: str, mistakes: list[Mistake]) -> Profile | None:
    table = read_table(main.directory, file, mistakes)
    if table is None:
        return None
    around = replace(main, directory=main.directory / PROFILES, name=name)
    match table.get("kind"):
        case "trunk":
            return read_model(TrunkProfile, table, file=file, around=around, mistakes=mistakes)
        case "pbx" | "carrier":
            return read_model(PbxProfile, table, file=file, around=around, mistakes=mistakes)
        case other:
            given = "it is missing" if other is None else f"is {shown(other)}"
            mistakes.append(Mistake(file, "kind", f'must be "trunk", "pbx" or "carrier"; {given}'))
            return None
