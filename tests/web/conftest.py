# SPDX-License-Identifier: GPL-2.0-or-later
"""The loops of the tests of HTTP, and the server that they ask."""

from collections.abc import AsyncIterator

import pytest

from tests.bench.jumping_loop import pytest_asyncio_loop_factories
from tests.web.serving import Client, Gateway, serving

__all__ = ["pytest_asyncio_loop_factories"]  # pytest looks for its hooks here


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def ask(gateway: Gateway) -> AsyncIterator[Client]:
    async with serving(gateway) as client:
        yield client
