# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reload changes at once, and what waits for a restart."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from gateway.config.checks import check_listening
from gateway.config.credentials import ReadFile, file_name
from gateway.config.fields import Section
from gateway.config.loading import BROKERS_AUTHORITY, PROFILES, READ_ONCE, Config
from gateway.config.mistakes import ConfigError, Mistake

S = TypeVar("S", bound=Section)

AT_START: Mapping[str, tuple[str, ...]] = {
    "gateway": ("instance", "state_dir"),
    "sip": (
        "bind_address",
        "bind_address6",
        "udp_port",
        "tcp_port",
        "tls_port",
        "tls_certificate",
        "tls_key",
        "tls_ca",
        "tls_verify_client",
        "public_address",
        "public_address6",
        "name_servers",
        "rtp_port_min",
        "rtp_port_max",
        "max_calls",
    ),
    "mqtt": ("host", "port", "tls", "ca_file", "base_topic", "home_assistant"),
    "http": ("bind_address", "port"),
    "platform": ("bind_address", "port", "path", "tls_certificate", "tls_key", "mcp_path"),
    "cluster": ("secret_file", "orphan_after_s"),
}
"""The keys that are read when the gateway starts, by their table. A reload applies every other key; but a first wide
codec is heard narrow where it is mixed, until a restart makes a bridge for it."""


def in_force(started: Config, loaded: Config) -> tuple[Config, tuple[str, ...]]:
    """The configuration that holds after a reload, and the keys and secret files that take a restart.

    `started` is the configuration that the gateway was started with: its keys of `AT_START` stay in force. Raises
    ConfigError where what was loaded does not go together with those.
    """
    config = replace(
        loaded,
        gateway=_kept("gateway", started.gateway, loaded.gateway),
        sip=_kept("sip", started.sip, loaded.sip),
        mqtt=_kept("mqtt", started.mqtt, loaded.mqtt) if started.mqtt and loaded.mqtt else started.mqtt,
        http=_kept("http", started.http, loaded.http),
        platform=(
            _kept("platform", started.platform, loaded.platform)
            if started.platform and loaded.platform
            else started.platform
        ),
        cluster=(
            _kept("cluster", started.cluster, loaded.cluster) if started.cluster and loaded.cluster else started.cluster
        ),
        digests=_digests(started, loaded),
        certificates={**_certificates(loaded, sip=False), **_certificates(started, sip=True)},
        files={**loaded.files, **_read_once(started)},
        values=_values(started, loaded),
    )
    mistakes = [
        Mistake(mistake.file, mistake.key, f"{mistake.problem} (as long as the gateway is not restarted)")
        for mistake in check_listening(config.sip, config.http, config.platform, {**config.trunks, **config.pbxs})
    ]
    if mistakes:
        raise ConfigError(mistakes)
    return config, (*_restart_needed(started, loaded), *loaded.outdated)


def _values(started: Config, loaded: Config) -> dict[str, object]:
    """What each key means while those that are read at the start, and tables that came or went, stay as they were."""
    kept = {f"{table}.{key}" for table, keys in AT_START.items() for key in keys}
    if _same_authority(started, loaded):
        kept.remove("mqtt.ca_file")
    whole = [table for table in AT_START if (getattr(started, table) is None) is not (getattr(loaded, table) is None)]

    def stays(name: str) -> bool:
        return name in kept or any(name == table or name.startswith(f"{table}.") for table in whole)

    return {
        **{name: value for name, value in loaded.values.items() if not stays(name)},
        **{name: value for name, value in started.values.items() if stays(name)},
    }


def _digests(started: Config, loaded: Config) -> dict[str, str]:
    """Of the files that PJSIP has read; and of the broker's authority, which is read anew at each login."""
    source = loaded if _same_authority(started, loaded) else started
    return {**started.digests, BROKERS_AUTHORITY: source.digests.get(BROKERS_AUTHORITY, "")}


def _same_authority(started: Config, loaded: Config) -> bool:
    """Whether the file is of the same name; what it holds may be new."""
    return bool(started.mqtt and loaded.mqtt and started.mqtt.ca_file == loaded.mqtt.ca_file)


def _kept(table: str, started: S, loaded: S) -> S:
    return loaded.model_copy(update={key: getattr(started, key) for key in AT_START[table]})


def _certificates(config: Config, *, sip: bool) -> Mapping[str, datetime]:
    """Until when they are good: those of SIP, which PJSIP has read once, or the others."""
    return {key: end for key, end in config.certificates.items() if key.startswith("sip.") is sip}


def _read_once(started: Config) -> dict[str, ReadFile]:
    """The certificate, the key and the authority: a reload has looked at them, and done nothing with what it saw."""
    paths = [path for key in READ_ONCE if (path := getattr(started.sip, key))]
    names = [file_name(path, started.home) for path in paths]
    return {name: replace(started.files[name], renewed_by="restart") for name in names if name in started.files}


def _restart_needed(started: Config, loaded: Config) -> Iterator[str]:
    for table, keys in AT_START.items():
        before, now = getattr(started, table), getattr(loaded, table)
        if before is None or now is None:
            if before is not now:
                yield table
            continue
        for key in keys:
            name = f"{table}.{key}"
            # A renewed certificate has the name of the old one.
            same_file = table != "sip" or started.digests.get(name) == loaded.digests.get(name)
            if getattr(before, key) != getattr(now, key) or not same_file:
                yield name
    if loaded.bridge_hz > started.bridge_hz:
        yield from (f"{PROFILES}/{name}.toml: codecs" for name in loaded.wide)
