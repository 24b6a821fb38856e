# SPDX-License-Identifier: GPL-2.0-or-later
"""The loops of the tests of webhooks."""

from tests.bench.jumping_loop import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]  # pytest looks for its hooks here
