# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shown of a configuration: by a list of keys, and never a secret, wherever one may stand."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gateway import configured
from gateway.config import Config, load
from gateway.config.shown import MOST_TOLD, ORIGIN_ONLY, SHOWN, check_document, configuration_document
from gateway.configured import Configured
from gateway.ports import UnreadableError
from tests.bench import BEGIN
from tests.test_config_changes import EVERY_KEY, SECRETS, THE_PEER, before, certificate, written

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = {
    "gateway": set(),
    "sip": {"tls_key"},
    "mqtt": {"username", "password_file"},
    "http": {"token_file", "tokens"},
    "http.tokens": {"name", "secret_file", "may", "numbers"},  # who may do what is for those who may read the trail
    "platform": {"path", "tls_key", "mcp_path", "mcp_tokens"},  # a path may be what only the platform knows
    "platform.mcp_tokens": {"name", "secret_file", "numbers"},
    "cluster": {"secret_file"},
    "webhooks": {"secret_file"},
    "hep": {"password_file"},
    "traces": {"endpoint", "authorization_file"},  # an address may hold what only who sends there knows
    "hours": {"weekly"},
    "numbers": {"destinations"},
    "numbers.destinations": {"digits"},  # of a conference: its PIN
    "trunk": {"username", "password_file", "platform"},
    "trunk.platform": {"secret_files"},
    "pbx": {"username", "password_file", "queues"},
    "pbx.queues": {"username", "password_file"},
}
"""Keys that are not shown, or are tables of their own."""
MARKS = ("hunter2", "1234#", "whsec_", "sesame")


def values(config: Config) -> dict[str, Any]:
    return {f"{each['file']}: {each['key']}": each["value"] for each in configuration_document(config)["keys"]}


def with_secrets() -> dict[str, Any]:
    """A configuration with a secret in each place that can hold one."""
    files = before()
    main = files["gateway.toml"]
    main["webhooks"][0]["url"] = "https://crm.example.com:8443/hooks/hunter2?key=hunter2"
    main["platform"] |= {"public_url": "https://gw.example.com/hunter2", "path": "/hunter2"}
    main["mqtt"]["username"] = "hunter2"
    main["numbers"][0]["destinations"][0]["digits"] = "w1234#"
    main["numbers"][0]["assistant_file"] = "assistant.json"
    main["numbers"][0]["destinations"][0]["number"] = "+31612345670"
    for name in ("platform", "asterisk"):
        files[f"sip_profiles/{name}.toml"]["username"] = "hunter2"
    files["sip_profiles/platform.toml"]["outbound"] = "sip:me:hunter2@203.0.113.10"
    files["sip_profiles/asterisk.toml"]["address"] = "sip:me:hunter2@198.51.100.5"
    return files


def assistant(directory: Path) -> None:
    offer = {"type": "transfer_call", "destinations": [{"number": "+31612345670"}]}
    (directory / "assistant.json").write_text(json.dumps({"server_secret": "sesame", "tools": [offer]}))


@pytest.mark.keeps("23.27")
@pytest.mark.parametrize(("table", "key"), EVERY_KEY, ids=[".".join(each) for each in EVERY_KEY])
def test_somebody_has_decided_of_each_key_whether_it_is_shown(table: str, key: str) -> None:
    assert (f"{table}.{key}" in SHOWN) is not (key in HIDDEN.get(table, ())), "a new key: may whoever looks see it?"


def test_what_is_shown_is_a_key_and_no_secret() -> None:
    known = {f"{table}.{key}" for table, key in EVERY_KEY} | THE_PEER
    assert known >= SHOWN >= ORIGIN_ONLY
    assert not [
        key for key in SHOWN if any(word in key for word in ("secret", "password", "token", "username", "_key"))
    ]


@pytest.mark.keeps("23.27")
def test_no_secret_is_shown_wherever_it_stands(tmp_path: Path) -> None:
    assistant(tmp_path)
    config = written(tmp_path, with_secrets())
    told = json.dumps([configuration_document(config), check_document(config)])
    assert [mark for mark in MARKS if mark in told] == []
    assert not any(secret in told for secret in SECRETS.values())
    assert not any(line in told for line in certificate("one").splitlines() if len(line) > 40)
    shown = values(config)
    assert shown["gateway.toml: webhooks[crm].url"] == "https://crm.example.com:8443/…"
    assert shown["gateway.toml: platform.public_url"] == "https://gw.example.com/…"
    assert shown["gateway.toml: numbers[main-line].assistant_file"] == "assistant.json"
    assert shown["sip_profiles/platform.toml: outbound"] == "sip:me:…@203.0.113.10"
    assert shown["gateway.toml: numbers[main-line].destinations[sales].digits"] is None


def test_a_secret_that_was_put_where_its_file_belongs_is_not_told_as_a_mistake(tmp_path: Path) -> None:
    config = written(tmp_path, before())
    files = before()
    main = files["gateway.toml"]
    main["http"]["token_file"] = "hunter2"
    main["mqtt"] |= {"password_file": "hunter2", "password": "hunter2", "username": ["hunter2"]}
    main["webhooks"][0] |= {"url": "https://me:hunter2@crm.example.com/", "secret_file": 7}
    files["sip_profiles/platform.toml"] |= {"password_file": "hunter2", "outbound": "sip:me:hunter2@203.0.113.10:99999"}
    files["sip_profiles/asterisk.toml"]["queues"]["password_file"] = "hunter2"
    with pytest.raises(Exception, match="hunter2"):
        written(tmp_path, files)
    found = check_document(config)
    assert found["ok"] is False
    assert {(each["file"], each["key"]) for each in found["mistakes"]} >= {
        ("gateway.toml", "http.token_file"), ("gateway.toml", "mqtt.password"), ("gateway.toml", "webhooks[crm].url"),
        ("sip_profiles/platform.toml", "password_file"), ("sip_profiles/asterisk.toml", "queues.password_file"),
    }  # fmt: skip
    assert "hunter2" not in json.dumps(found)
    problems = {each["key"]: each["problem"] for each in found["mistakes"]}
    assert problems["mqtt.password"] == "is no known key; did you mean password_file?"
    assert problems["http.token_file"] == "is not right; transfer-gateway check says why"
    (tmp_path / "gateway.toml").write_text('[http]\ntoken_file = "hunter2\n')
    assert "hunter2" not in json.dumps(check_document(config))
    assert check_document(config)["mistakes"][0]["key"].startswith("line 2")


def test_each_kind_of_value_is_told_as_the_file_has_it(tmp_path: Path) -> None:
    files = before()
    files["gateway.toml"]["hours"]["office"] = {
        "time_zone": "Europe/Amsterdam", "holidays": "NL", "closed": ["2026-12-24"],
        "open": {"2026-12-27": ["10:00-16:00", "20:00-24:00"]}, "weekly": {"mon": ["09:00-17:30", "22:00-24:00"]},
    }  # fmt: skip
    files["gateway.toml"]["numbers"][0]["destinations"][0]["hours"] = "!office"
    config = written(tmp_path, files)
    shown = values(config)
    assert {key.rpartition(".")[2]: value for key, value in shown.items() if "hours.office" in key} == {
        "time_zone": "Europe/Amsterdam", "holidays": "NL", "closed": ["2026-12-24"],
        "open": ["2026-12-27: 10:00-16:00, 20:00-24:00"], "mon": ["09:00-17:30", "22:00-24:00"],
    }  # fmt: skip
    assert shown["gateway.toml: numbers[main-line].destinations[sales].hours"] == "!office"
    assert shown["gateway.toml: gateway.probe_announcement"] == "one.wav"
    assert shown["gateway.toml: gateway.state_dir"] == "/tmp"
    assert shown["sip_profiles/platform.toml: addresses"] == ["203.0.113.10"]
    assert shown["gateway.toml: sip.udp_port"] == 5060
    numbers = configuration_document(config)["numbers"]
    assert [(each["id"], [one["id"] for one in each["destinations"]]) for each in numbers] == [
        ("main-line", ["sales", "voicemail"]), ("second-line", ["desk"])
    ]  # fmt: skip
    assert json.dumps(configuration_document(config))


def test_the_check_says_what_is_not_in_force_and_what_is_hardly_meant(tmp_path: Path) -> None:
    files = before()
    config = written(tmp_path, files)
    found = check_document(config)
    assert (found["ok"], found["mistakes"], found["changed"]) == (True, [], [])
    by_key = {each["key"]: each["problem"] for each in found["warnings"]}
    assert "is an example of the documentation" in by_key["addresses"]
    assert by_key["webhooks[crm].url"] == "is not right; transfer-gateway check says why"
    files["gateway.toml"]["history"]["days"] = 7
    written(tmp_path, files)
    assert check_document(config)["changed"] == ["history.days"]


def test_it_tells_so_much_and_no_more(tmp_path: Path) -> None:
    config = written(tmp_path, before())
    wrong = "\n".join(f"wrong{number} = 1" for number in range(MOST_TOLD + 10))
    (tmp_path / "gateway.toml").write_text(f"[gateway]\n{wrong}\n")
    assert len(check_document(config)["mistakes"]) == MOST_TOLD


# --- beside the running gateway


class Reloader:
    """Has a configuration in force."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.loaded_at = BEGIN
        self.restart_needed = ("sip.udp_port",)


async def test_the_files_are_read_every_ten_seconds_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reloader: Any = Reloader(written(tmp_path, before()))
    read: list[Config] = []

    def check(config: Config) -> dict[str, Any]:
        read.append(config)
        return {"ok": True}

    monkeypatch.setattr(configured, "check_document", check)
    looked = Configured()
    answers = await asyncio.gather(*(looked.check(reloader) for _ in range(5)))
    assert answers[0] == {"ok": True, "restart_needed": ["sip.udp_port"]}
    assert len(read) == 1
    reloader.config = load(tmp_path)
    await looked.check(reloader)
    assert len(read) == 2
    monkeypatch.setattr(configured, "CHECK_EVERY_S", 0)
    await looked.check(reloader)
    assert len(read) == 3
    assert (await looked.in_force(reloader))["loaded_at"].startswith("2026-")
    assert (await looked.in_force(reloader))["keys"] == configuration_document(reloader.config)["keys"]
    await looked.stop()


async def test_a_file_system_that_hangs_is_told_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def hangs(*_: object) -> None:
        asked.append(1)
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "to_thread", hangs)
    monkeypatch.setattr(configured, "ANSWER_S", 0.01)
    monkeypatch.setattr(configured, "CHECK_EVERY_S", 0)
    looked, reloader = Configured(), Reloader(SimpleNamespace(directory="/etc/x"))  # type: ignore[arg-type]
    for _ in range(3):
        with pytest.raises(UnreadableError, match="still being read"):
            await looked.check(reloader)  # type: ignore[arg-type]
    assert len(asked) == 1
    await looked.stop()
