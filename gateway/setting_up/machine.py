# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine tells of itself: by which address it reaches others, and in which time zone it is."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from gateway.config.fields import IpNetwork

_DISCARD = 9  # a port; nothing is sent to it
_UTC = {"UTC", "UCT", "GMT", "Universal", "Zulu"}  # in tzdata's names, the last part


def address_towards(network: IpNetwork) -> str:
    """The address from which this machine would send to a network; empty where there is no way. Nothing is sent."""
    first = next(iter(network.hosts()), network.network_address)
    family = socket.AF_INET6 if first.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((str(first), _DISCARD))
            return str(asked.getsockname()[0])
    except OSError:
        return ""


def address_of(host: str) -> str:
    """The address of a host that may be a name; the name itself where it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return host
    return str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])


def time_zone(etc: Path = Path("/etc")) -> str:
    """The name of this machine's zone; UTC where it does not say."""
    try:
        name = (etc / "timezone").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        name = ""
    if not name:
        _, _, name = str((etc / "localtime").resolve()).partition("zoneinfo/")
    return name if name in available_timezones() else "UTC"


def time_zone_in(country: str, etc: Path = Path("/etc"), zones: Path = Path("/usr/share/zoneinfo")) -> str:
    """The zone that is proposed for hours in a country: this machine's, or the country's where that is UTC.

    Servers mostly run on UTC, and no office keeps hours by it. A country whose clocks differ proposes none.
    """
    own = time_zone(etc)
    if own.rpartition("/")[2] not in _UTC:
        return own
    try:
        lines = [line.split("\t") for line in (zones / "zone.tab").read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return own
    of_country = [
        line[2] for line in lines if line[0] == country and len(line) > 2 and line[2] in available_timezones()
    ]
    now = datetime.now(UTC)
    return of_country[0] if len({ZoneInfo(name).utcoffset(now) for name in of_country}) == 1 else own
