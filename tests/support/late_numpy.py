# SPDX-License-Identifier: GPL-2.0-or-later
"""`np`, which is numpy once somebody makes or hears a tone: it takes a tenth of a second to import."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
else:

    class _Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module("numpy"), name)

    np = _Late()

__all__ = ["np"]
