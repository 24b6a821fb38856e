# SPDX-License-Identifier: GPL-2.0-or-later
"""The loop of these tests, and the manager interface that they talk to."""

from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.bench.jumping_loop import pytest_asyncio_loop_factories
from tests.pbx.fake_ami import FakeAmi

__all__ = ["pytest_asyncio_loop_factories"]  # pytest looks for its hooks here


@pytest.fixture
async def pbx() -> AsyncIterator[FakeAmi]:
    async with FakeAmi() as fake:
        yield fake


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured
