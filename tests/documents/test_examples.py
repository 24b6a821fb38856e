# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents' pieces of configuration are taken by the gateway, and what `check` is said to print it prints."""

from __future__ import annotations

import copy
import json
import shutil
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config import load
from gateway.documents import EndedTransferData
from tests.documents import readme_event
from tests.documents.blocks import ROOT, Block, all_blocks
from tests.support.command_line import run
from tests.support.configuration import toml

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = ROOT / "deploy" / "config" / "gateway.toml"
PIECES = [block for block in all_blocks("toml") if block.document.name != "README.md" or "sip_profiles/" in block.text]
CHECKED = [block for block in all_blocks("text") if block.document.name == "configuration.md"]


def merged(table: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    """A table with a piece of the documents in it."""
    both = copy.deepcopy(table)
    for key, value in piece.items():
        both[key] = merged(both.get(key, {}), value) if isinstance(value, dict) else value
    return both


def configured(directory: Path, main: dict[str, Any]) -> Path:
    """The shipped profiles with this gateway.toml, in the directory."""
    shutil.copytree(ROOT / "sip_profiles", directory / "sip_profiles")
    (directory / "gateway.toml").write_text(toml(main))
    return directory


def shipped() -> dict[str, Any]:
    return tomllib.loads(SHIPPED.read_text())


@pytest.mark.keeps("20.90")
@pytest.mark.parametrize("piece", PIECES, ids=str)
def test_every_piece_of_configuration_is_taken(piece: Block, tmp_path: Path) -> None:
    """A piece of a profile says in its first line of which; any other is one of gateway.toml."""
    main, first = shipped(), piece.text.splitlines()[0]
    read = tomllib.loads(piece.text)
    if "base" in read:
        own = configured(tmp_path, main) / "instances" / "own"
        own.mkdir(parents=True)
        (own / "gateway.toml").write_text(piece.text)
        load(own, secrets=False)
        return
    if not first.startswith("# sip_profiles/"):
        load(configured(tmp_path, merged(main, read)), secrets=False)
        return
    name = first.removeprefix("# sip_profiles/").removesuffix(".toml")
    profile = merged(tomllib.loads((ROOT / "sip_profiles" / f"{name}.toml").read_text()), read)
    main["numbers"][0]["trunk" if profile["kind"] == "trunk" else "pbx"] = name
    main["platform"] = {"port": 9471}
    if profile["transport"] == "tls":
        main["sip"] |= {"tls_port": 5061, "tls_certificate": "gateway.crt", "tls_key": "gateway.key"}
    (configured(tmp_path, main) / "sip_profiles" / f"{name}.toml").write_text(toml(profile))
    load(tmp_path, secrets=False)


def printed(beginning: str) -> list[str]:
    """The lines of the block that begins so."""
    [found] = [block for block in CHECKED if block.text.startswith(beginning)]
    return found.text.splitlines()


def test_check_prints_the_mistakes_as_the_document_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = shipped()
    main["sip"]["upd_port"] = main["sip"]["udp_port"]
    main["numbers"][0]["destinations"][0]["hours"] = "ofice"
    code, out, err = run(capsys, configured(tmp_path, main), "check")
    told = (out + err).replace(str(tmp_path), "/etc/transfer-gateway").splitlines()
    assert code == 78
    assert [line for line in printed("gateway.toml: sip.upd_port") if line not in told] == []


def test_check_prints_what_an_assistant_says_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configured(tmp_path, shipped())
    (tmp_path / "sip_profiles" / "ami.secret").write_text("secret")
    _, out, _ = run(capsys, tmp_path, "tool", "--number", "main-line")
    tool = json.loads(out)
    tool["destinations"] = [one for one in tool["destinations"] if one["number"] != "+31612345679"]
    tool["destinations"].insert(2, {"type": "number", "number": "+31699999999"})
    (tmp_path / "assistant.json").write_text(json.dumps({"llm_config": {"tools": [tool]}}))
    code, out, err = run(capsys, tmp_path, "check", "--tool", str(tmp_path / "assistant.json"))
    told = (out + err).replace(f"{tmp_path}/", "").splitlines()
    assert code == 1
    assert [line for line in printed("assistant.json:") if line not in told] == []


@pytest.mark.keeps("20.109")
def test_the_readme_s_event_has_the_fields_of_the_contract_and_no_others() -> None:
    """Its values are compared with a real one by tests/demo."""
    example = readme_event.shown()
    EndedTransferData.model_validate(example, strict=False)
    assert set(example) == set(EndedTransferData.model_fields)
