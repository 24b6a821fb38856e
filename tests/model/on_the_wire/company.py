# SPDX-License-Identifier: GPL-2.0-or-later
"""The company of which model and gateway both have the configuration, with time-outs that a test can wait for.

The gateway has it many times over, once for each way that is played at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.configuration import Configuration

if TYPE_CHECKING:
    from collections.abc import Sequence

RING_S = 3.0
DEADLINE_S = 6.9
"""Less 2 s of the gateway's own; no time-out falls due within `script.GAP_S` of another, if they begin together."""
PLATFORM, PBX = "platform", "asterisk"
ASSIGNED = "+31201234567"
SALES = "+31612345678"

DESTINATIONS = (
    {"id": "sales", "number": SALES, "extension": "6500", "overflow": ["support", "voicemail"]},
    {"id": "support", "number": "+31612345679", "extension": "6501", "overflow": ["voicemail"]},
    {"id": "voicemail", "extension": "190"},
)


def add_company(
    files: Configuration, name: str, pbx: str, platforms: Sequence[str], numbers: Sequence[str], early: Sequence[bool]
) -> None:
    """One more PBX at the host `pbx`, and for each host of a platform a number between the two.

    `early`: whether the platform is as `Scope` has it.
    """
    files.pbx(PBX + name, f"sip:{pbx}:5060")
    own = [{**one, "ring_timeout_s": RING_S} for one in DESTINATIONS]
    for host, number, is_early in zip(platforms, numbers, early, strict=True):
        manners = {"final_notify": "on-ring", "at_deadline": "continue"} if is_early else {}
        trunk = f"{PLATFORM}{name}{'-early' if is_early else ''}"
        files.trunk(trunk, host, deadline_s=DEADLINE_S, options_interval_s=0, **manners)
        files.number(f"line-{trunk}", number, trunk, PBX + name, own, answer="support", fallback="voicemail")


def alone(*, early: bool) -> Configuration:
    """The company once, as the model has it."""
    files = Configuration("127.0.0.2")
    files.main["gateway"]["state_dir"] = "/tmp/transfer-gateway-test"
    add_company(files, "", "127.0.0.1", ["127.0.0.3"], [ASSIGNED], [early])
    [name] = [one for one in files.profiles if one.startswith(PLATFORM)]
    files.profiles[PLATFORM] = files.profiles.pop(name)  # as the bench calls it
    files.line["trunk"] = PLATFORM
    return files
