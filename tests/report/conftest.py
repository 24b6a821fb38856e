# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests with a broker share."""

from __future__ import annotations

import pytest

from gateway.report.sinks.mqtt import sink


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that connects again soon."""
    monkeypatch.setattr(sink, "FIRST_RETRY_S", 0.6)
    monkeypatch.setattr(sink, "LAST_RETRY_S", 0.6)
