# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway with a bug that is put in on purpose.

`BUG=2 python -m tests.model.on_the_wire.broken run --config DIRECTORY` runs it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

from gateway import app
from tests.engine import bugs
from tests.support.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.configuration import Configuration

WHICH = "BUG"


class BrokenGateway(Gateway):
    """One that has the bug with this number of `bugs.EACH`."""

    copied = False
    module = __name__

    def __init__(self, files: Configuration, bug: int) -> None:
        super().__init__(files, env={WHICH: str(bug)})


if __name__ == "__main__":
    where, wrong = cast("tuple[str, Callable[..., None]]", bugs.EACH[int(os.environ[WHICH])].values)
    with patch(where, wrong):
        sys.exit(app.main(Path(sys.argv[-1])))
