# SPDX-License-Identifier: GPL-2.0-or-later
"""A store of history, and who reads it; what its disk refused is tried again at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.report.history.questions import HistoryReader
from gateway.report.history.store import HistoryStore
from gateway.report.sinks import history as sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "RETRY_S", 0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HistoryStore]:
    """Open, in a directory of the test's own."""
    made = HistoryStore(tmp_path)
    made.open()
    yield made
    made.close()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[HistoryReader]:
    """Of what is in the same directory."""
    made = HistoryReader(tmp_path)
    yield made
    made.close()
