# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway in the process of a test, which leaves that as it was."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest

from gateway import app
from tests.running_app import written
from tests.support.processes import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return written(tmp_path / "etc", tmp_path / "state", free_port())


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a gateway sets up for its whole process is not for ever here."""
    monkeypatch.setattr(app, "_configure_log", lambda _config: None)
    for what in ("collect", "freeze"):  # there is more here to look through than in a gateway
        monkeypatch.setattr(gc, what, lambda: 0)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
