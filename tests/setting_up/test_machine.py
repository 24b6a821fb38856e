# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine tells of itself."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from gateway.setting_up.machine import address_of, address_towards, time_zone


def test_the_address_by_which_others_are_reached() -> None:
    assert address_towards(ipaddress.ip_network("127.0.0.9")) == "127.0.0.1"
    assert address_towards(ipaddress.ip_network("127.5.0.0/16")) == "127.0.0.1"
    assert address_towards(ipaddress.ip_network("255.255.255.255")) == ""  # no way leads there


def test_the_address_of_a_host() -> None:
    assert address_of("192.0.2.7") == "192.0.2.7"
    assert address_of("2001:db8::7") == "2001:db8::7"
    assert address_of("localhost") == "127.0.0.1"
    assert address_of("nowhere.invalid") == "nowhere.invalid"
    assert address_of("a" * 70 + ".invalid") == "a" * 70 + ".invalid"


def test_the_time_zone(tmp_path: Path) -> None:
    assert time_zone(tmp_path) == "UTC"
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    assert time_zone(tmp_path) == "Europe/Berlin"
    (tmp_path / "timezone").write_text("Europe/Amsterdam\n")
    assert time_zone(tmp_path) == "Europe/Amsterdam"
    (tmp_path / "timezone").write_bytes(b"\xff")
    assert time_zone(tmp_path) == "Europe/Berlin"
