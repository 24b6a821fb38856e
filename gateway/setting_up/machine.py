# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine tells of itself: by which address it reaches others, and in which time zone it is."""

import socket
from pathlib import Path
from zoneinfo import available_timezones

from gateway.config.fields import IpNetwork

_DISCARD = 9  # a port; nothing is sent to it


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
