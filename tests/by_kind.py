# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that plays tests of some kinds (`-m`) imports no file that has none of them.

To import all of them takes longer than the quick tests do, and each of the workers that play side by side would.
"""

from __future__ import annotations

import itertools
import re
from functools import partial
from typing import TYPE_CHECKING

from _pytest.mark.expression import Expression

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

KIND = re.compile(r"pytest\.mark\.(\w+)")
OF_ALL = re.compile(r"^pytestmark = .*$", re.MULTILINE)
"""The kinds that each test of a file is of stand in one line."""


def has_none(text: str, wanted: str) -> bool:
    """Whether no test of a file with this text can be one of the kinds `wanted`, an expression as `-m` takes it."""
    expression = Expression.compile(wanted)
    of_all = OF_ALL.search(text)
    certain = set(KIND.findall(of_all[0])) if of_all else set()
    possible = sorted((set(KIND.findall(text)) - certain) & set(re.findall(r"\w+", wanted)))
    return not any(
        expression.evaluate(partial(_is_of, certain.union(itertools.compress(possible, chosen))))
        for chosen in itertools.product((False, True), repeat=len(possible))
    )


def _is_of(kinds: set[str], kind: str, /, **_: object) -> bool:
    return kind in kinds


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a test file that has nothing to play; None: let pytest decide."""
    wanted = config.option.markexpr
    if not wanted or not collection_path.name.startswith("test_"):
        return None
    return True if has_none(collection_path.read_text(encoding="utf-8"), wanted) else None
