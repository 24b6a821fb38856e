# SPDX-License-Identifier: GPL-2.0-or-later
"""What is written says the same as the files that are shipped, but for the places that people fill in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import load
from gateway.setting_up import gateway_files, pbx_files
from gateway.setting_up.found import FoundTransport
from gateway.setting_up.platforms import PLATFORMS
from tests.config_directory import MAIN, PBX, write
from tests.setting_up.pbxs import PLAIN, answers, planned

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "asterisk"


def sections(text: str) -> list[tuple[str, list[str]]]:
    """The sections of an Asterisk file with their lines, comments left out."""
    found: list[tuple[str, list[str]]] = []
    for each in text.splitlines():
        bare = each.partition(";")[0].strip()
        if bare.startswith("["):
            found.append((bare, []))
        elif bare:
            found[-1][1].append(bare)
    return found


def shipped(name: str) -> str:
    return (SHIPPED / name / "transfer-gateway.conf").read_text()


def test_the_peer_of_the_pbx() -> None:
    made = planned(PLAIN, answers(gateway={"address": "127.0.0.2", "port": 5060}))
    assert sections(pbx_files.pjsip(made)) == sections(shipped("pjsip.d"))


def test_the_manager_user() -> None:
    made = sections(pbx_files.manager(planned(PLAIN, answers()), "CHANGE-ME"))
    # Hand-down, which alone needs channelvars, is nothing that `init` sets up.
    assert made == [each for each in sections(shipped("manager.d")) if each[0] != "[general](+)"]


def test_the_way_to_the_assistant() -> None:
    made = dict(sections(pbx_files.extensions(planned(PLAIN, answers()))))
    there = dict(sections(shipped("extensions.d")))
    assert made["[to-transfer-gateway]"] == there["[to-transfer-gateway]"]
    assert made.keys() == there.keys()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_profiles_of_platforms(platform: str, tmp_path: Path) -> None:
    name = "generic-trunk" if platform == "generic" else platform
    table = {"name": platform, "addresses": ["203.0.113.10"], "outbound": "sip:sip.example.net"}
    text = gateway_files.trunk_profile(planned(PLAIN, answers(platform=table)))
    theirs = (ROOT / "sip_profiles" / f"{name}.toml").read_text()
    theirs = re.sub(r"^addresses = .*$", 'addresses = ["203.0.113.10"]', theirs, flags=re.MULTILINE)
    theirs = re.sub(r"^outbound = .*$", 'outbound = "sip:sip.example.net"', theirs, flags=re.MULTILINE)
    ours, given = (
        load(write(tmp_path / kind, MAIN, {"platform": profile, "asterisk": PBX})).trunks["platform"]
        for kind, profile in (("ours", text), ("given", theirs))
    )
    # Without the key Referred-By travels as well; what is shipped has no reason to keep it back.
    assert ours.model_dump(exclude={"pass_headers"}) == given.model_dump(exclude={"pass_headers"})
    assert set(given.transfer_headers) <= set(ours.transfer_headers)


def test_a_pbx_at_one_address_of_several_has_its_audio_come_from_there() -> None:
    at_one = replace(PLAIN, transports=(FoundTransport("udp", "udp", "192.0.2.7", 5060),))
    dialled = planned(at_one, answers(gateway={"address": "192.0.2.8"}, pbx={"address": "sip:192.0.2.7:5060"}))
    assert "media_address = 192.0.2.7\nbind_rtp_to_media_address = yes\n" in pbx_files.pjsip(dialled)
    elsewhere = planned(at_one, answers(gateway={"address": "192.0.2.8"}, pbx={"address": "sip:192.0.2.9:5060"}))
    assert "media_address" not in pbx_files.pjsip(elsewhere)
