# SPDX-License-Identifier: GPL-2.0-or-later
"""What a gateway is told, for tests: the tables of a configuration, and the one place that writes them as TOML.

    files = Configuration(net.gateway)
    files.trunk("hms", net.trunk)
    files.pbx("asterisk", f"sip:{net.pbx}:5070", password="secret", username="gw")
    files.number("main-line", "+31201234567", "hms", "asterisk", [{"id": "anna", "extension": "6001"}])

Every table may be changed until `write`, and before the next one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Table = dict[str, Any]

SIP_PORT = 5060
TOKEN = "let-the-tests-in"  # opens a server that lives for one test


class Configuration:
    """The files of a gateway that listens at `host`: `main` is gateway.toml, `profiles` and `secrets` are by name."""

    def __init__(self, host: str, *, instance: str = "test", drain_timeout_s: float = 0, **sip: Any) -> None:
        gateway = {"instance": instance, "state_dir": "", "default_country": "NL", "drain_timeout_s": drain_timeout_s}
        self.main: Table = {
            "gateway": gateway,
            "sip": {"bind_address": host, "udp_port": SIP_PORT, **sip},
            "http": {"bind_address": "127.0.0.1", "port": free_port(), "token_file": "http.token"},
            "numbers": [],
        }
        self.sip: Table = self.main["sip"]
        self.profiles: dict[str, Table] = {}
        self.secrets = {"http.token": TOKEN}

    @property
    def line(self) -> Table:
        """The first number."""
        table: Table = self.main["numbers"][0]
        return table

    def trunk(self, name: str, host: str, **profile: Any) -> Table:
        """A trunk whose platform is at this host; a `password` in its profile goes into a file of its own."""
        outbound = f"sip:{host}:{SIP_PORT}"
        return self._profile(name, {"kind": "trunk", "addresses": [host], "outbound": outbound, **profile})

    def pbx(self, name: str, address: str, **profile: Any) -> Table:
        """A PBX at this URI; see trunk()."""
        return self._profile(name, {"kind": "pbx", "address": address, **profile})

    def number(
        self, name: str, number: str, trunk: str, pbx: str, destinations: Iterable[Mapping[str, Any]], **more: Any
    ) -> Table:
        """An assigned number with copies of these destinations."""
        own = [dict(one) for one in destinations]
        table: Table = {"id": name, "number": number, "trunk": trunk, "pbx": pbx, **more, "destinations": own}
        self.main["numbers"].append(table)
        return table

    def follow(self, pbx: str, port: int, password: str, username: str = "gateway", **more: Any) -> None:
        """Have the state of a PBX told by its manager interface at this port."""
        login = {"username": username, "password_file": "ami.secret"}
        self.profiles[pbx]["queues"] = {"source": "ami", "port": port, **login, **more}
        self.secrets["sip_profiles/ami.secret"] = password

    def destination(self, name: str) -> Table:
        """A destination of the first number."""
        [found] = [one for one in self.line["destinations"] if one["id"] == name]
        table: Table = found
        return table

    def write(self, directory: Path) -> None:
        """Write all files (anew)."""
        profiles = {f"sip_profiles/{name}.toml": toml(table) for name, table in self.profiles.items()}
        write_files(directory, {"gateway.toml": toml(self.main), **profiles, **self.secrets})

    def _profile(self, name: str, table: Table) -> Table:
        if "password" in table:
            self.secrets[f"sip_profiles/{name}.secret"] = table.pop("password")
            table["password_file"] = f"{name}.secret"
        self.profiles[name] = table
        return table


def write_files(directory: Path, texts: Mapping[str, str]) -> None:
    """Write the files of a configuration, by their names in its directory."""
    (directory / "sip_profiles").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")


def toml(tables: Table) -> str:
    """A file: single values first, then a section for each table, whose values are written inline."""
    sections = {name: table for name, table in tables.items() if isinstance(table, dict)}
    return _lines({name: value for name, value in tables.items() if name not in sections}) + "".join(
        f"\n[{json.dumps(name)}]\n{_lines(table)}" for name, table in sections.items()
    )


def _lines(table: Table) -> str:
    return "".join(f"{json.dumps(key)} = {_inline(value)}\n" for key, value in table.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(one) for one in value) + "]"
    # DEL is the one control character that JSON leaves as it is and TOML does not allow.
    return json.dumps(value, ensure_ascii=False).replace("\u007f", "\\u007f")
