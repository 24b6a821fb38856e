# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that grow old (RFC 4028, RFC 3261 §13.3.1.4): scenarios that are written once, in ageing.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.aged import PLAYED
from tests.sip.players import by

if TYPE_CHECKING:
    from tests.sip.aged import Aged

pytestmark = pytest.mark.sip


def acknowledged(player: str) -> list[tuple[str, str]]:
    """What a player plays but for calls whose ACK is lost."""
    return [which for which in PLAYED[player] if which[0] != "no-ack"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("aged_by", "kind", "way"),
    [
        *by(pytest.mark.keeps("9.13"), "peers", acknowledged("peers")),
        *by(pytest.mark.keeps("9.11"), "peers", [("no-ack", "from the PBX")]),
        *by(pytest.mark.keeps("11.12"), "sipp", PLAYED["sipp"]),
        *by(pytest.mark.keeps("10.9"), "asterisks", PLAYED["asterisks"]),
    ],
)
def test_calls_that_grow_old(aged: dict[str, Aged], aged_by: str, kind: str, way: str) -> None:
    """Who refreshes is refreshed by; who does not, or does not answer, or never sends an ACK, is given up."""
    aged[aged_by].check(kind, way)
