# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages that all tests of this directory try, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.deb.package import staged
from tests.deploy.debian.packages import chosen_release, why_no_boot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.deb.package import Staging


@pytest.fixture(scope="session")
def staging() -> Iterator[Staging]:
    """What packages are packed of, one at a time."""
    if why := why_no_boot():
        pytest.skip(why)
    with staged(chosen_release()) as made:
        yield made
