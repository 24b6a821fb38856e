# SPDX-License-Identifier: GPL-2.0-or-later
"""The image, built once for all tests of it, and a network in which nobody else is."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from scripts.deb.system import RELEASES
from tests.deploy.container.contained import empty_network
from tests.deploy.container.engine import Engine, engine, missing, refused
from tests.support.fetch import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = platform.freedesktop_os_release().get("VERSION_CODENAME", "")


@pytest.fixture(scope="session")
def podman() -> Iterator[Engine]:
    """podman, with the image."""
    if lacks := missing():
        pytest.skip(f"building an image and running a container takes {lacks}")
    programs()
    with engine() as started:
        started.take_base(HERE if HERE in RELEASES else "bookworm")
        if why := refused(started):
            pytest.skip(f"this machine runs no container: {why}")
        started.build()
        yield started


@pytest.fixture
def network(podman: Engine) -> Iterator[None]:
    """Loopback alone; what was built had this machine's."""
    with empty_network():
        yield
