# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is told what a PBX says."""

from __future__ import annotations

import pytest

from tests.pbx.fake_ami import Listener


@pytest.fixture
async def listener() -> Listener:
    return Listener()
