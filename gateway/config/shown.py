# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration as whoever looks at the gateway may see it: a list of the keys that are shown, and no other.

A key that is not in SHOWN is named, and nothing of what it says is told: whoever adds one decides. Decision 0112.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from gateway.config.advice import advise
from gateway.config.assistants import Assistant
from gateway.config.differences import TABLE, differences
from gateway.config.host import look_around
from gateway.config.instances import MAIN_FILE
from gateway.config.loading import PROFILES, Config, load
from gateway.config.mistakes import ConfigError, Mistake
from gateway.config.sounds import Sound

if TYPE_CHECKING:
    from gateway.core.model import AssignedNumber

MOST_KEYS = 20_000
MOST_TOLD = 200
"""Mistakes, warnings and changed keys, of each."""

_PEER = (
    "kind", "addresses", "transport", "pass_headers", "dtmf", "codecs", "srtp", "rtp_source", "media", "identity",
    "diversion", "rewrite_contact",
)  # fmt: skip
_SHOWN: Mapping[str, tuple[str, ...]] = {
    "gateway": (
        "instance", "state_dir", "default_country", "drain_timeout_s", "log_format", "log_level", "log_numbers",
        "report_agents", "locale", "probe_announcement",
    ),
    "sip": (
        "bind_address", "bind_address6", "udp_port", "tcp_port", "tls_port", "tls_certificate", "tls_ca",
        "tls_verify_client", "public_address", "public_address6", "name_servers", "rtp_port_min", "rtp_port_max",
        "max_calls", "rtp_timeout_s", "max_call_s", "answer_timeout_s", "recover_calls",
    ),
    "mqtt": ("host", "port", "tls", "ca_file", "base_topic", "home_assistant"),
    "http": ("bind_address", "port", "ready_needs", "host_names"),
    "platform": ("bind_address", "port", "tls_certificate", "public_url"),
    "cluster": ("nodes", "orphan_after_s", "domain"),
    "webhooks": ("id", "url", "events", "ca_file"),
    "history": ("days", "failures_days", "max_mb", "callers"),
    "messages": ("max_mb", "calls", "disk_mb"),
    "traces": ("ca_file",),
    "hep": ("address", "transport", "capture_id", "node", "rtcp"),
    "hours": ("time_zone", "holidays", "closed", "open"),
    "hours.weekly": ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
    "numbers": ("id", "number", "trunk", "pbx", "answer", "fallback", "locale", "total_ring_s", "assistant_file"),
    "numbers.destinations": (
        "id", "number", "aliases", "description", "message", "extension", "emergency", "pbx", "queue", "hours",
        "min_available", "max_waiting", "max_wait_s", "max_concurrent", "max_concurrent_shared", "when_unknown",
        "ring_timeout_s", "overflow",
        "voicemail", "whisper", "whisper_locale", "accept", "decline", "accept_timeout_s", "while_waiting",
        "hold_place_s",
        "callback_prefixes", "callback_pbx", "callback_within_s", "callback_attempts", "callback_retry_s",
        "callback_ring_s", "callback_per_hour",
        "overflow_on", "announcement", "announce", "name", "group", "max_penalty", "wrap_up_s",
    ),
    "trunk": (
        *_PEER, "outbound", "register", "challenge", "final_notify", "event_id", "refusal", "deadline_s",
        "failure_code", "reason_phrase", "reason_phrase_ascii", "at_deadline", "max_calls", "calls_per_second",
        "options_interval_s",
    ),
    "trunk.platform": ("form",),
    "pbx": (*_PEER, "address", "transfer_mode", "prefixes"),
    "pbx.queues": ("source", "host", "port", "max_age_s", "extension_context", "outside_lines"),
}  # fmt: skip
SHOWN = frozenset(f"{table}.{key}" for table, keys in _SHOWN.items() for key in keys)
"""Keys by their table, a profile's by its kind."""
ORIGIN_ONLY = frozenset({"webhooks.url", "platform.public_url"})
"""Addresses whose path may be what only who is to send there knows: shown without it."""
_NAMED_ENTRY = re.compile(r"\[[^\[\]]*\]")
_PASSWORD = re.compile(r"(?i)\b(sips?:[^:@\s]{1,128}):[^@\s]{1,128}@")
_QUOTES_NOTHING = re.compile(r"is no known key; |is missing\b")
_PLACE = re.compile(r"line [0-9]+, column [0-9]+|mode|file")
"""What stands in place of a key where a file cannot be read at all, or its rights are wrong: no value is told there."""


def configuration_document(config: Config) -> dict[str, Any]:
    """What is in force: JSON-able. `keys` in the order of the files; `numbers` is what `explain` may be asked about."""
    keys = list(_keys(config))
    return {
        "keys": keys[:MOST_KEYS],
        "left_out": max(0, len(keys) - MOST_KEYS),
        "numbers": [_number(each) for each in config.numbers],
    }


def check_document(config: Config) -> dict[str, Any]:
    """What `check` says of the files as they are now, and what of them is not in force: JSON-able. Reads the disk."""
    try:
        found = load(config.directory)
    except ConfigError as error:
        mistakes = [_told(each) for each in error.mistakes[:MOST_TOLD]]
        return {"ok": False, "mistakes": mistakes, "warnings": [], "changed": []}
    warnings = dict.fromkeys((*advise(found), *look_around(found, unit="")))
    changed = [each for each in differences(config.values, found.values) if each]
    return {
        "ok": True,
        "mistakes": [],
        "warnings": [_told(each) for each in [*warnings][:MOST_TOLD]],
        "changed": changed[:MOST_TOLD],
    }


def _keys(config: Config) -> Iterator[dict[str, Any]]:
    for name, value in config.values.items():
        if value is None or value in ("", ()):
            continue
        file, key = _place(name)
        plain = _NAMED_ENTRY.sub("", key)
        kind = "trunk" if Path(file).stem in config.trunks else "pbx"
        known = _table_key(plain) if file == MAIN_FILE else f"{kind}.{plain}"
        hidden = known not in SHOWN
        if hidden and value == TABLE:
            continue
        told = None if hidden else _shown(config, known, value)
        yield {"file": file, "key": key, "value": told, "hidden": hidden or told is None}


def _place(name: str) -> tuple[str, str]:
    file, separator, key = name.partition(".toml: ")
    return (f"{file}.toml", key) if separator else (MAIN_FILE, name)


def _table_key(plain: str) -> str:
    """A key of `gateway.toml` without the names of entries, as SHOWN has it."""
    table, _, rest = plain.partition(".")
    return f"hours.{rest.partition('.')[2]}" if table == "hours" else plain


def _shown(config: Config, key: str, value: object) -> Any:
    """JSON-able; None: it is nothing that can be shown."""
    match value:
        case SecretStr() | BaseModel():
            return None
        case bool() | int() | float():
            return value
        case str():
            return _origin(value) if key in ORIGIN_ONLY else _without_password(value)
        case Path() | Sound() | Assistant() | (Path() | Sound(), str()):
            return _file(config, key, value)
        case (time() as start, time() as end):
            return f"{start:%H:%M}-{'24:00' if end == time.min else f'{end:%H:%M}'}"
        case dict():
            days = ((day, _list(config, key, hours)) for day, hours in value.items())
            return [f"{day}: {', '.join(hours)}" for day, hours in days]
        case tuple():
            return _list(config, key, value)
    return str(value).removesuffix("/32").removesuffix("/128")  # networks, zones, days


def _list(config: Config, key: str, values: Any) -> list[Any]:
    return [told for each in values if (told := _shown(config, key, each)) is not None]


def _file(config: Config, key: str, value: Any) -> str:
    """The name of a file; of one elsewhere not where that is."""
    named = value[0] if isinstance(value, tuple) else value  # beside what it holds
    path: Path = named if isinstance(named, Path) else named.path
    if key == "gateway.state_dir":
        return str(path)
    return str(path.relative_to(config.directory)) if path.is_relative_to(config.directory) else path.name


def _without_password(text: str) -> str:
    """Without that of a SIP URI (RFC 3261 §19.1.1)."""
    return _PASSWORD.sub(r"\1:…@", text)


def _origin(url: str) -> str:
    split = urlsplit(url)
    port = f":{split.port}" if split.port else ""
    return f"{split.scheme}://{split.hostname}{port}{'/…' if split.path.strip('/') or split.query else ''}"


def _told(mistake: Mistake) -> dict[str, str]:
    """A mistake or warning; of a key that is not shown not what it says, which the problem may quote."""
    plain = _NAMED_ENTRY.sub("", mistake.key)
    is_profile = mistake.file.startswith(PROFILES)
    names = {f"{kind}.{plain}" for kind in ("trunk", "pbx")} if is_profile else {_table_key(plain)}
    is_told = _QUOTES_NOTHING.match(mistake.problem) or _PLACE.fullmatch(mistake.key) or names & (SHOWN - ORIGIN_ONLY)
    problem = _without_password(mistake.problem) if is_told else "is not right; transfer-gateway check says why"
    return {"file": mistake.file, "key": mistake.key, "problem": problem}


def _number(number: AssignedNumber) -> dict[str, Any]:
    return {
        "id": number.id,
        "number": number.number,
        "destinations": [
            {
                "id": each.id,
                "number": each.number,
                "aliases": list(each.aliases),
                "name": each.name,
                "hours": None if each.hours is None else each.hours.id,
            }
            for each in number.destinations.values()
        ],
    }
