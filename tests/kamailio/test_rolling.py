# SPDX-License-Identifier: GPL-2.0-or-later
"""A rolling restart under load; `make rolling` does it with 30 a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kamailio.rolling import roll
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.proxy, pytest.mark.alone]


@pytest.mark.keeps("22.31")
async def test_three_gateways_are_restarted_under_load_and_no_transfer_fails(own_net: Net, tmp_path: Path) -> None:
    done, took = await roll(own_net, Authority(tmp_path), per_second=5, seconds=40)
    print("restarts:", " ".join(f"{each:.1f} s" for each in took))
    assert done.errors == ""
    assert (done.refused, done.answered, done.completed, done.reached) == (0, done.asked, done.asked, done.asked)
