# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether there is room for another call, asked of a gateway that has no account any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config import load
from gateway.sip.calls.capacity import Capacity
from gateway.sip.calls.leg_registry import LegRegistry
from gateway.sip.stack.accounts import Accounts
from tests.config_directory import write

if TYPE_CHECKING:
    from pathlib import Path


def test_a_gateway_that_stops_has_no_room(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    accounts = Accounts(config, lambda *_: None, lambda *_: None)
    assert not Capacity(accounts, LegRegistry()).has_room(config.pbxs["asterisk"].peer, 1)
