# SPDX-License-Identifier: GPL-2.0-or-later
"""The history tries again at once what its disk refused."""

from __future__ import annotations

import pytest

from gateway.report.sinks import history as sink


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "RETRY_S", 0.01)
