# SPDX-License-Identifier: GPL-2.0-or-later
"""The company that the tests are about: its number, and where its callers can be put through to.

The extensions are those of the test bed's PBX (see asterisk.py); a scripted PBX has whatever it is called for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.ami import GATEWAY_AMI
from tests.support.configuration import Configuration, Table

if TYPE_CHECKING:
    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker
    from tests.support.processes import Net

NUMBER = "+31201234567"

DESTINATIONS: dict[str, Table] = {
    "sales": {"number": "+31612345678", "aliases": ["sales", "2001"], "extension": "6500", "queue": "sales",
              "description": "Questions about prices, quotes and new products", "ring_timeout_s": 10},
    "support": {"number": "+31612345679", "extension": "6501", "queue": "support",
                "description": "Technical problems", "ring_timeout_s": 10},
    "tiny": {"number": "+31612345680", "extension": "6510", "queue": "tiny", "min_available": 0, "max_waiting": 1},
    "anna": {"number": "+31612345681", "extension": "6001"},
    "busy": {"number": "+31612345682", "extension": "6010"},
    "silent": {"number": "+31612345683", "extension": "6011", "ring_timeout_s": 1},
    "declining": {"number": "+31612345684", "extension": "6012"},
    "missing": {"number": "+31612345685", "extension": "6999"},
    "overflowing": {"number": "+31612345686", "extension": "6501", "queue": "support", "overflow": ["anna"]},
    "closed": {"number": "+31612345687", "extension": "6700", "hours": "seldom"},
    "overseas": {"number": "+14125551234", "extension": "6502"},
    "voicemail": {"extension": "6599"},
}  # fmt: skip
ON_THE_TEST_BED = [name for name in DESTINATIONS if name not in {"closed", "overseas"}]


def destinations(*names: str) -> list[Table]:
    """Destinations as a number has them, in this order."""
    return [{"id": name, **DESTINATIONS[name]} for name in names]


def settings(
    net: Net, *, pbx: Asterisk | None = None, pbx_uri: str = "", broker: Broker | None = None, **overrides: Any
) -> Configuration:
    """The company between the platform `hms` and its PBX `asterisk`; `overrides` go into gateway.toml's tables."""
    files = Configuration(net.gateway, drain_timeout_s=2, rtp_port_min=20000, rtp_port_max=29999)
    files.trunk("hms", net.trunk)
    files.pbx("asterisk", pbx.uri if pbx else pbx_uri)
    if pbx is not None:
        files.profiles["asterisk"]["addresses"] = [net.provider]
        files.follow("asterisk", pbx.ami_port, GATEWAY_AMI[1], GATEWAY_AMI[0])
    more = {"answer": "sales", "fallback": "voicemail"}
    files.number("main-line", NUMBER, "hms", "asterisk", destinations(*ON_THE_TEST_BED), **more)
    if broker is not None:
        files.main["mqtt"] = {"host": broker.host, "port": broker.port}
    for name, table in overrides.items():
        files.main.setdefault(name, {}).update(table)
    return files
