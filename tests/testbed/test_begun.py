# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process was kept from a processor before it ended is no part of how long its end took."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tests.support import begun
from tests.support.begun import Begun

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_who_has_ended_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "Path", lambda name: tmp_path / str(name).strip("/"))
    mine, theirs = (tmp_path / f"proc/{pid}/task/{pid}/schedstat" for pid in (os.getpid(), 999_999))
    for file, waited_ns in ((mine, 2_000_000_000), (theirs, 30_000_000_000)):
        file.parent.mkdir(parents=True)
        file.write_text(f"1 {waited_ns} 1\n")
    since = Begun(999_999)
    assert since.kept_s == 0
    mine.write_text("1 2500000000 1\n")
    theirs.write_text("1 31000000000 1\n")
    assert since.kept_s == 1.5
    theirs.unlink()
    assert since.kept_s == 0.5
    assert since.took_s <= time.monotonic() - since
