# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions between two real Asterisks, once they have lasted as long as RFC 4028 makes them last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sip.aged_asterisks import AgedAsterisks

pytestmark = [pytest.mark.sip, pytest.mark.pbx]


@pytest.mark.keeps("10.9")
@pytest.mark.timeout(180)
def test_asterisks_refresh_their_sessions_and_one_that_died_is_noticed(aged_asterisks: AgedAsterisks) -> None:
    aged_asterisks.check("refreshed until one dies")
