# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine tells of itself."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from gateway.setting_up.machine import address_of, address_towards, time_zone, time_zone_in


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


def test_the_time_zone_of_an_office_is_that_of_its_country_where_the_machine_keeps_utc(tmp_path: Path) -> None:
    assert time_zone_in("NL", tmp_path, tmp_path) == "UTC"  # this machine knows of no countries
    zones = ("NL\t+5222+00454\tEurope/Amsterdam", "DE\t+5230+01322\tEurope/Berlin\tmost of Germany",
             "DE\t+4742+00841\tEurope/Busingen\tBusingen", "ES\t+4024-00341\tEurope/Madrid\tmainland",
             "ES\t+2806-01524\tAtlantic/Canary\tCanaries", "XX\t+0000+00000\tNo/Where", "NL")  # fmt: skip
    (tmp_path / "zone.tab").write_text("# a comment\n" + "\n".join(zones))
    assert time_zone_in("NL", tmp_path, tmp_path) == "Europe/Amsterdam"
    assert time_zone_in("DE", tmp_path, tmp_path) == "Europe/Berlin"
    for country in ("ES", "XX", "BE"):  # two clocks, a zone that is unknown here, and nothing told
        assert time_zone_in(country, tmp_path, tmp_path) == "UTC"
    (tmp_path / "timezone").write_text("Etc/UTC\n")
    assert time_zone_in("NL", tmp_path, tmp_path) == "Europe/Amsterdam"
    (tmp_path / "timezone").write_text("Europe/Brussels\n")
    assert time_zone_in("NL", tmp_path, tmp_path) == "Europe/Brussels"
