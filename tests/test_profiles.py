# SPDX-License-Identifier: GPL-2.0-or-later
"""The profiles and the example that are shipped: each loads, and says what it was tested against."""

import shutil
import tomllib
from pathlib import Path

import pytest

from gateway.config import Config, load
from tests.config_directory import MAIN, PBX, TRUNK, write

ROOT = Path(__file__).parent.parent
SHIPPED = sorted((ROOT / "sip_profiles").glob("*.toml"))
RESERVED = ("192.0.2.", "198.51.100.", "203.0.113.", "127.", "example.")  # RFC 5737, RFC 2606


def load_with(directory: Path, shipped: Path) -> Config:
    kind = tomllib.loads(shipped.read_text(encoding="utf-8"))["kind"]
    key, stand_in = ("trunk", '"platform"') if kind == "trunk" else ("pbx", '"asterisk"')
    main = MAIN.replace(f"{key} = {stand_in}", f'{key} = "{shipped.stem}"')
    profiles = {"platform": TRUNK, "asterisk": PBX, shipped.stem: shipped.read_text(encoding="utf-8")}
    return load(write(directory, main, profiles))


def test_every_promised_profile_is_shipped() -> None:
    promised = "asterisk generic-pbx generic-trunk hms jambonz livekit twilio vapi"
    assert " ".join(path.stem for path in SHIPPED) == promised


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_profile_loads_and_says_what_it_was_tested_against(tmp_path: Path, shipped: Path) -> None:
    config = load_with(tmp_path, shipped)
    assert shipped.stem in {*config.trunks, *config.pbxs}
    comment = shipped.read_text(encoding="utf-8").partition("\n\n")[0]
    assert "tested" in comment


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_profile_names_nobodys_real_address(shipped: Path) -> None:
    profile = tomllib.loads(shipped.read_text(encoding="utf-8"))
    for value in (*profile["addresses"], profile["outbound"]) if profile["kind"] == "trunk" else (profile["address"],):
        assert any(part in value for part in RESERVED), value


def test_what_senders_need_is_in_their_profiles(tmp_path: Path) -> None:
    jambonz = load_with(tmp_path / "jambonz", ROOT / "sip_profiles/jambonz.toml").trunks["jambonz"]
    livekit = load_with(tmp_path / "livekit", ROOT / "sip_profiles/livekit.toml").trunks["livekit"]
    assert jambonz.deadline_s == 15
    assert livekit.deadline_s == 30
    assert livekit.event_id == "when-needed"
    # Its agent is told the reason phrase and nothing else; who is not known to read it gets that of the RFC.
    assert (livekit.reason_phrase, jambonz.reason_phrase) == ("sentence", "standard")


def test_the_example_configuration_has_no_mistakes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "deploy/config/gateway.toml", tmp_path)
    shutil.copytree(ROOT / "sip_profiles", tmp_path / "sip_profiles")
    (tmp_path / "sip_profiles/ami.secret").write_text("secret")
    config = load(tmp_path)
    assert list(config.numbers[0].destinations) == ["sales", "support", "reception", "night-desk", "voicemail"]
