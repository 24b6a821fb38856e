# SPDX-License-Identifier: GPL-2.0-or-later
"""A decision for every key there is: a reload applies it, or says that it takes a restart."""

import functools
import os
import re
import tempfile
import wave
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel, SecretStr

from gateway.app import _broker as broker
from gateway.config import Config, ConfigError, differences, in_force, load, profiles, settings
from gateway.config.changes import AT_START
from gateway.config.cluster import ClusterSettings
from gateway.config.profiles import PbxProfile, PlatformForm, QueueSource, TrunkProfile
from gateway.config.settings import (
    DestinationSettings,
    GatewayFile,
    GatewaySettings,
    HepSettings,
    HistorySettings,
    HoursSettings,
    HttpSettings,
    McpTokenSettings,
    MessagesSettings,
    MqttSettings,
    NumberSettings,
    PlatformSettings,
    SipSettings,
    TokenSettings,
    TracesSettings,
    WebhookSettings,
    WeeklySettings,
)
from tests.support.certificates import Authority
from tests.support.configuration import toml, write_files

Tables = dict[str, Any]

SECRETS = {name: f"whsec_{letter * 48}" for name, letter in (("one", "A"), ("two", "B"), ("three", "C"))}
HOLIDAYS = [date(2026, 12, 25), date(2026, 4, 27)]
MODELS: Final[dict[str, type[BaseModel]]] = {
    "gateway": GatewaySettings,
    "sip": SipSettings,
    "mqtt": MqttSettings,
    "http": HttpSettings,
    "http.tokens": TokenSettings,
    "platform": PlatformSettings,
    "platform.mcp_tokens": McpTokenSettings,
    "cluster": ClusterSettings,
    "webhooks": WebhookSettings,
    "history": HistorySettings,
    "messages": MessagesSettings,
    "hep": HepSettings,
    "traces": TracesSettings,
    "hours": HoursSettings,
    "hours.weekly": WeeklySettings,
    "numbers": NumberSettings,
    "numbers.destinations": DestinationSettings,
    "trunk": TrunkProfile,
    "trunk.platform": PlatformForm,
    "pbx": PbxProfile,
    "pbx.queues": QueueSource,
}
"""By the name of their table; a trunk's and a PBX's are files of their own."""
THE_PEER = {"trunk.kind", "pbx.kind", "pbx.prefixes", "trunk.platform.form"}
"""Not settings of a peer: with another kind, such as a carrier's that needs prefixes, it is another peer."""

CHANGES: Final[Tables] = {
    "gateway": {
        "instance": "other", "state_dir": "/var/tmp", "default_country": "BE", "drain_timeout_s": 7,
        "log_format": "json", "log_level": "debug", "log_numbers": True, "locale": "nl",
        "probe_announcement": "two.wav", "report_agents": True,
    },
    "sip": {
        "bind_address": "127.0.0.9", "bind_address6": "::1", "udp_port": 5090, "tcp_port": 5091, "tls_port": 5092,
        "tls_certificate": "two.pem", "tls_key": "two.pem", "tls_ca": "two.pem", "tls_verify_client": True,
        "public_address": "192.0.2.9", "public_address6": "2001:db8::9", "name_servers": ["192.0.2.53"],
        "rtp_port_min": 21000, "rtp_port_max": 28999, "max_calls": 11, "rtp_timeout_s": 12, "max_call_s": 13,
        "answer_timeout_s": 14, "recover_calls": True,
    },
    "mqtt": {
        "host": "192.0.2.7", "port": 1884, "tls": True, "ca_file": "two.pem", "username": "other",
        "password_file": "two.secret", "base_topic": "other", "home_assistant": True,
    },
    "http": {"bind_address": "127.0.0.8", "port": 9471, "token_file": "two.secret", "host_names": ["pbx.example.com"],
             "tokens": [], "ready_needs": ["pbx"]},
    "http.tokens": {"name": "other", "secret_file": "two.secret", "may": ["read"], "numbers": ["main-line"]},
    "platform": {
        "bind_address": "127.0.0.8", "port": 9472, "path": "/other", "tls_certificate": "two.pem",
        "tls_key": "two.pem", "public_url": "https://gw.example.com/platform", "mcp_path": "/tools", "mcp_tokens": [],
    },
    "platform.mcp_tokens": {"name": "other", "secret_file": "two.secret", "numbers": ["main-line"]},
    "cluster": {
        "secret_file": "two.secret", "nodes": {"test-1": "sip:192.0.2.31", "other": "sip:192.0.2.32"},
        "domain": "two.example.com", "orphan_after_s": 45,
    },
    "webhooks": {
        "id": "other", "url": "https://other.example.com/", "secret_file": "two.secret", "events": ["call.ended.v1"],
        "ca_file": "two.pem",
    },
    "history": {"days": 30, "failures_days": 31, "max_mb": 32, "callers": "hashed"},
    "messages": {"max_mb": 1, "calls": 20, "disk_mb": 21},
    "hep": {
        "address": "192.0.2.21:9061", "transport": "tcp", "password_file": "two.secret",
        "capture_id": 7, "node": "other", "rtcp": False,
    },
    "traces": {
        "endpoint": "https://traces.example.com/v1/traces", "authorization_file": "two.secret", "ca_file": "two.pem",
    },
    "hours": {
        "time_zone": "Europe/Lisbon", "holidays": "NL", "closed": ["2026-12-24"],
        "open": {"2026-12-27": ["10:00-16:00"]}, "weekly": {"mon": ["10:00-11:00"]},
    },
    "hours.weekly": {day: ["10:00-11:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")},
    "numbers": {
        "id": "other", "number": "+31201234568", "trunk": "spare", "pbx": "spare-pbx", "answer": "voicemail",
        "fallback": "voicemail", "locale": "nl", "total_ring_s": 50, "destinations": [], "assistant_file": "two.json",
    },
    "numbers.destinations": {
        "id": "other", "number": "+31612345670", "aliases": ["2009"], "description": "Other", "message": "Wait.",
        "extension": "6509", "emergency": "6500", "queue": "other", "hours": "office", "min_available": 2,
        "max_waiting": 3, "max_wait_s": 4, "max_concurrent": 5, "max_concurrent_shared": True,
        "when_unknown": "refuse", "ring_timeout_s": 6,
        "overflow": ["voicemail"], "overflow_on": ["busy"], "announcement": "two.wav", "announce": "before-dialling",
        "name": "Other", "group": ["6001"], "max_penalty": 7, "wrap_up_s": 8,
        "voicemail": "keep", "digits": "w1", "whisper": ["two.wav", "caller-number"], "whisper_locale": "nl",
        "accept": "1", "decline": "2", "accept_timeout_s": 3,
        "while_waiting": "ringback", "hold_place_s": 9,
        "callback_prefixes": ["+31"], "callback_pbx": "spare-pbx", "callback_within_s": 70, "callback_attempts": 2,
        "callback_retry_s": 40, "callback_ring_s": 9, "callback_per_hour": 3,
        "pbx": "spare-pbx",
    },
    "trunk": {
        "addresses": ["203.0.113.77"], "transport": "tcp", "username": "other", "password_file": "two.secret",
        "pass_headers": ["X-Other"], "dtmf": "info", "codecs": ["PCMU"], "srtp": "optional", "identity": "asserted",
        "rtp_source": "latched",
        "media": "bridge",
        "diversion": "diversion", "outbound": "sip:203.0.113.99", "register": True, "challenge": True,
        "final_notify": "on-human", "event_id": "always", "refusal": "notify", "deadline_s": 9,
        "at_deadline": "continue", "options_interval_s": 11, "failure_code": "reason",
        "reason_phrase": "sentence", "reason_phrase_ascii": True,
        "calls_per_second": 5, "max_calls": 6, "rewrite_contact": True,
        "platform": {"form": "hms", "secret_files": ["two.secret"]},
    },
    "trunk.platform": {"form": "hms", "secret_files": ["two.secret"]},
    "pbx": {
        "addresses": ["198.51.100.9"], "transport": "tcp", "username": "other", "password_file": "two.secret",
        "pass_headers": ["X-Other"], "dtmf": "info", "codecs": ["PCMU"], "srtp": "optional", "identity": "asserted",
        "rtp_source": "latched",
        "media": "bridge",
        "diversion": "diversion", "address": "sip:198.51.100.7", "transfer_mode": "hand-down",
        "rewrite_contact": True,
        "queues": {"source": "none"},
    },
    "pbx.queues": {
        "source": "dialog-info", "host": "192.0.2.8", "port": 5039, "username": "other",
        "password_file": "two.secret", "max_age_s": 12, "extension_context": "phones",
        "outside_lines": ["PJSIP/provider"],
    },
}  # fmt: skip
"""For every key a value that it does not have in `before()`; more of them do no harm."""


def before(**listening: int) -> dict[str, Tables]:
    """The tables of a configuration, by file; the transports of `listening` are on."""
    login = {"username": "user", "password_file": "one.secret"}
    destinations = [
        {
            "id": "sales",
            "extension": "6500",
            "queue": "sales",
            "announcement": "one.wav",
            "whisper": ["one.wav", "caller-number"],
            "accept": "5",
            "while_waiting": "assistant",
            "max_concurrent": 2,
            "callback_prefixes": ["+32"],
        },
        {"id": "voicemail", "extension": "190"},
    ]
    return {
        "gateway.toml": {
            "gateway": {"instance": "test-1", "state_dir": "/tmp", "probe_announcement": "one.wav"},
            "sip": {
                "bind_address": "127.0.0.2", "udp_port": 5060, "tcp_port": 5061, "tls_certificate": "one.pem",
                "tls_key": "one.pem", "tls_ca": "one.pem", "max_calls": 10, **listening,
            },
            "mqtt": {"host": "127.0.0.1", **login},
            "http": {
                "port": 9470, "token_file": "one.secret",
                "tokens": [{"name": "crm", "secret_file": "three.secret", "may": ["transfer"]}],
            },
            "platform": {
                "port": 9474, "tls_certificate": "one.pem", "tls_key": "one.pem",
                "mcp_tokens": [{"name": "mcp", "secret_file": "three.secret"}],
            },
            "cluster": {"secret_file": "one.secret", "nodes": {"test-1": "sip:192.0.2.21", "other": "sip:192.0.2.22"}},
            "webhooks": [{"id": "crm", "url": "https://crm.example.com/hooks", "secret_file": "one.secret"}],
            "history": {},
            "messages": {},
            "hep": {"address": "192.0.2.20:9060", "password_file": "one.secret"},
            "traces": {"endpoint": "http://127.0.0.1:4318/v1/traces"},
            "hours": {"office": {"time_zone": "Europe/Amsterdam", "weekly": {}}},
            "numbers": [
                {"id": "main-line", "number": "+31201234567", "trunk": "platform", "pbx": "asterisk",
                 "destinations": destinations},
                {"id": "second-line", "number": "+31201234599", "trunk": "spare", "pbx": "spare-pbx",
                 "destinations": [{"id": "desk", "extension": "191"}]},
            ],
        },
        "sip_profiles/platform.toml": {"kind": "trunk", "addresses": ["203.0.113.10"], "outbound": "sip:203.0.113.10",
                                       **login, "platform": {"form": "hms", "secret_files": ["one.secret"]}},
        "sip_profiles/spare.toml": {"kind": "trunk", "addresses": ["203.0.113.11"]},
        "sip_profiles/asterisk.toml": {"kind": "pbx", "address": "sip:198.51.100.5", **login,
                                       "queues": {"source": "ami", **login}},
        "sip_profiles/spare-pbx.toml": {"kind": "pbx", "address": "sip:198.51.100.6"},
    }  # fmt: skip


@functools.cache
def certificate(name: str) -> str:
    """A certificate and its key, which is read where TLS is on."""
    with tempfile.TemporaryDirectory() as directory:
        made = Authority(Path(directory)).identity(name)
        return made.certificate.read_text() + made.key.read_text()


def written(directory: Path, files: dict[str, Tables]) -> Config:
    write_files(directory, {name: toml(tables) for name, tables in files.items()})
    for folder in (directory, directory / "sip_profiles"):
        for name, secret in SECRETS.items():
            (folder / f"{name}.secret").write_text(secret)
        (folder / "two.json").write_text('{"type": "transfer_call", "destinations": []}')
        for name in ("one", "two"):
            (folder / f"{name}.pem").write_text(certificate(name))
            with wave.open(str(folder / f"{name}.wav"), "wb") as sound:
                sound.setparams((1, 2, 8000, 0, "NONE", ""))
                sound.writeframes(b"\0\0" * (80 if name == "one" else 160))
    return load(directory)


def table_of(files: dict[str, Tables], table: str) -> Tables:
    main = files["gateway.toml"]
    found: dict[str, Tables] = {
        "hours": main["hours"]["office"],
        "hours.weekly": main["hours"]["office"]["weekly"],
        "http.tokens": main["http"]["tokens"][0],
        "platform.mcp_tokens": main["platform"]["mcp_tokens"][0],
        "webhooks": main["webhooks"][0],
        "numbers": main["numbers"][0],
        "numbers.destinations": main["numbers"][0]["destinations"][0],
        "trunk": files["sip_profiles/platform.toml"],
        "trunk.platform": files["sip_profiles/platform.toml"]["platform"],
        "pbx": files["sip_profiles/asterisk.toml"],
        "pbx.queues": files["sip_profiles/asterisk.toml"]["queues"],
    }
    return found[table] if table in found else main[table]


def meaning(config: Config, table: str, key: str) -> str:
    """What the parts of the gateway get to see of a key."""
    match table:
        case "hours" | "hours.weekly":
            schedule = config.schedules["office"]
            return _text((schedule, [schedule.holiday(day) for day in HOLIDAYS]))
        case "http.tokens":
            return _text(getattr(config.http.tokens[0], _field(TokenSettings, key)))
        case "platform.mcp_tokens":
            assert config.platform is not None
            return _text(getattr(config.platform.mcp_tokens[0], _field(McpTokenSettings, key)))
        case "webhooks":
            return _text(getattr(config.webhooks[0], _field(WebhookSettings, key)))
        case "numbers" | "numbers.destinations":
            return _text(config.numbers)
        case "trunk":
            return _text(getattr(config.trunks["platform"], _field(TrunkProfile, key)))
        case "trunk.platform":
            return _text(getattr(config.trunks["platform"].platform, _field(PlatformForm, key)))
        case "pbx":
            return _text(getattr(config.pbxs["asterisk"], _field(PbxProfile, key)))
        case "pbx.queues":
            return _text(getattr(config.pbxs["asterisk"].queues, _field(QueueSource, key)))
    return _text(getattr(getattr(config, table), _field(MODELS[table], key)))


def _text(value: object) -> str:
    if isinstance(value, PlatformForm):
        value = value.secrets
    if isinstance(value, tuple) and value and isinstance(value[0], SecretStr):
        return repr([each.get_secret_value() for each in value])
    shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    return re.sub(r" at 0x[0-9a-f]+", "", repr(shown))


def _field(model: type[BaseModel], key: str) -> str:
    [name] = [name for name, field in model.model_fields.items() if key in (field.alias, name)]
    return name


def keys(table: str) -> list[str]:
    return [field.alias or name for name, field in MODELS[table].model_fields.items()]


ONLY_CHECKED = {("numbers.destinations", "emergency")}
"""A key that lets another one pass, and changes nothing by itself."""
EVERY_KEY = [(table, key) for table in MODELS for key in keys(table) if f"{table}.{key}" not in THE_PEER]


def test_every_table_of_the_configuration_is_looked_at() -> None:
    def tables(model: type[BaseModel]) -> set[type[BaseModel]]:
        found = {model}
        for field in model.model_fields.values():
            for part in re.findall(r"gateway\.config\.\w+\.(\w+)", repr(field.annotation)):
                for module in (settings, profiles):
                    nested = getattr(module, part, None)
                    if isinstance(nested, type) and issubclass(nested, BaseModel):
                        found |= tables(nested)
        return found

    assert tables(GatewayFile) | tables(TrunkProfile) | tables(PbxProfile) == {GatewayFile, *MODELS.values()}


@pytest.mark.thorough
@pytest.mark.keeps("16.108")
@pytest.mark.parametrize(("table", "key"), EVERY_KEY, ids=[".".join(each) for each in EVERY_KEY])
def test_a_reload_applies_a_key_or_says_that_it_takes_a_restart(tmp_path: Path, table: str, key: str) -> None:
    assert key in CHANGES[table], "a new key: is it applied by a reload? (gateway/config/changes.py)"
    files = before()
    started = written(tmp_path, files)
    changed = table_of(files, table)
    value = CHANGES[table][key]
    if (table, key) == ("numbers", "destinations"):
        value = changed["destinations"][:1]
    assert changed.get(key) != value
    changed[key] = value
    if table == "platform" and key in ("tls_certificate", "tls_key"):
        changed |= {"tls_certificate": value, "tls_key": value}
    if (table, key) == ("mqtt", "ca_file"):
        changed["tls"] = True
    if (table, key) == ("numbers.destinations", "group"):
        del changed["queue"]
    loaded = written(tmp_path, files)
    has_changed = meaning(loaded, table, key) != meaning(started, table, key)
    assert has_changed is not ((table, key) in ONLY_CHECKED)

    config, restart_needed = in_force(started, loaded)
    name = f"{table}.{key}"
    if key in AT_START.get(table, ()):
        assert name in restart_needed
        assert meaning(config, table, key) == meaning(started, table, key)
    else:
        assert restart_needed == ()
        assert meaning(config, table, key) == meaning(loaded, table, key)
    applied = differences(started.values, config.values)
    if key in AT_START.get(table, ()):
        assert not applied
    elif key in {"id", "name"}:  # by which it is another one
        assert all(each.endswith("]") for each in applied) or key in applied[0]
    else:
        assert applied
        assert any(f".{key}" in each.replace(": ", ".") for each in applied)
    # Put back, it is as if nothing had been.
    again, restart_needed = in_force(started, written(tmp_path, before()))
    assert restart_needed == ()
    assert meaning(again, table, key) == meaning(started, table, key)


@pytest.mark.slow
def test_a_renewed_certificate_takes_a_restart_though_its_file_has_the_same_name(tmp_path: Path) -> None:
    files = before()
    del files["gateway.toml"]["platform"], files["sip_profiles/platform.toml"]["platform"]
    started = written(tmp_path, files)
    (tmp_path / "one.pem").write_text("renewed")
    loaded = load(tmp_path)
    assert in_force(started, loaded)[1] == ("sip.tls_certificate", "sip.tls_key", "sip.tls_ca")
    (tmp_path / "one.pem").write_text(certificate("one"))
    assert in_force(started, load(tmp_path))[1] == ()


@pytest.mark.slow
@pytest.mark.keeps("20.3")
def test_a_renewed_authority_of_the_broker_is_proved_by_a_new_login(tmp_path: Path) -> None:
    files = before()
    del files["gateway.toml"]["platform"], files["sip_profiles/platform.toml"]["platform"]
    files["gateway.toml"]["mqtt"] |= {"tls": True, "ca_file": "authority.pem"}
    (tmp_path / "authority.pem").write_text(certificate("one"))
    started = written(tmp_path, files)
    (tmp_path / "authority.pem").write_text(certificate("another"))
    config, restart_needed = in_force(started, load(tmp_path))
    assert restart_needed == ()
    assert differences(started.values, config.values) == ("mqtt.ca_file",)
    assert broker(config) != broker(started)  # and who is another one is logged in to anew
    files["gateway.toml"]["mqtt"]["ca_file"] = "two.pem"
    config, restart_needed = in_force(started, written(tmp_path, files))
    assert restart_needed == ("mqtt.ca_file",)
    assert broker(config) == broker(started)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["mqtt", "platform"])
def test_a_table_that_is_added_or_taken_out_takes_a_restart(tmp_path: Path, table: str) -> None:
    files = before()
    with_it = written(tmp_path, files)
    del files["gateway.toml"][table]
    files["sip_profiles/platform.toml"].pop(table, None)
    without = written(tmp_path, files)
    for started, loaded in ((with_it, without), (without, with_it)):
        config, restart_needed = in_force(started, loaded)
        assert (getattr(config, table), restart_needed) == (getattr(started, table), (table,))
        of_table = [each for each in differences(started.values, config.values) if each.startswith(table)]
        assert of_table == []
    assert table in differences(with_it.values, without.values)


@pytest.mark.keeps("17.45")
def test_a_first_wide_codec_is_applied_and_takes_a_restart_to_be_heard_so(tmp_path: Path) -> None:
    files = before()
    profiles_ = [files[f"sip_profiles/{name}.toml"] for name in ("platform", "spare", "asterisk", "spare-pbx")]
    for profile in profiles_:
        profile["codecs"] = ["PCMU", "PCMA"]
    narrow = written(tmp_path, files)
    for profile in profiles_[1:3]:
        profile["codecs"] = ["PCMA", "G722"]
    wide = written(tmp_path, files)
    assert (narrow.bridge_hz, wide.bridge_hz) == (8000, 16000)

    config, restart_needed = in_force(narrow, wide)
    assert restart_needed == ("sip_profiles/spare.toml: codecs", "sip_profiles/asterisk.toml: codecs")
    assert set(restart_needed) <= set(differences(narrow.values, config.values))
    assert config.pbxs["asterisk"].codecs == ("PCMA", "G722")
    # A bridge for wide codecs has all that narrow ones have.
    assert in_force(wide, narrow)[1] == ()


def test_what_does_not_go_together_with_what_runs_is_refused(tmp_path: Path) -> None:
    files = before()
    del files["gateway.toml"]["sip"]["tcp_port"]
    started = written(tmp_path, files)
    files["gateway.toml"]["sip"]["tcp_port"] = 5061
    files["sip_profiles/platform.toml"]["transport"] = "tcp"
    loaded = written(tmp_path, files)
    with pytest.raises(ConfigError, match=r"platform.toml: transport: .*as long as the gateway is not restarted"):
        in_force(started, loaded)


@pytest.mark.keeps("16.107")
@pytest.mark.parametrize("readable", [True, False])
def test_a_secret_that_systemd_copied_before_it_was_changed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    directory = tmp_path / "etc"
    written(directory, before())
    original = directory / "sip_profiles" / "one.secret"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    copy = credentials / "one.secret"
    copy.write_text(SECRETS["one"])
    if not readable:
        read_bytes = Path.read_bytes

        def refused(path: Path) -> bytes:
            if path.is_relative_to(directory) and path.suffix == ".secret":
                raise PermissionError(13, "Permission denied")
            return read_bytes(path)

        monkeypatch.setattr(Path, "read_bytes", refused)
    started = load(directory)
    assert in_force(started, started)[1] == ()

    original.write_text("rotated")
    os.utime(copy, (1, 1))
    if readable:
        (directory / "one.secret").write_text(SECRETS["one"])
    else:
        (directory / "one.secret").unlink()
    loaded = load(directory)
    assert in_force(started, loaded)[1] == ("sip_profiles/one.secret",)
    assert loaded.trunks["platform"].password == started.trunks["platform"].password
    assert "rotated" not in repr(loaded)
