# SPDX-License-Identifier: GPL-2.0-or-later
"""Two gateways of one configuration in a booted systemd, by the package's template unit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deploy.debian.packages import findings, holds, tried_root

if TYPE_CHECKING:
    from scripts.deb.package import Staging

pytestmark = [pytest.mark.booted, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def told(staging: Staging, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    trial = tmp_path_factory.mktemp("instances")
    for name, version in (("first", "1.0"), ("second", "2.0"), ("third", "3.0")):
        staging.pack(version, trial, quick=True).rename(trial / f"{name}.deb")
    shutil.copy(Path(__file__).with_name("instances.sh"), trial / "trial.sh")
    said = findings(tried_root(trial / "first.deb"), trial)
    print("\n".join(line for part in said.values() for line in part))
    return said


@pytest.mark.keeps("22.44")
def test_two_run_from_one_configuration_and_status_has_both(told: dict[str, list[str]]) -> None:
    holds(told["instances"])


@pytest.mark.keeps("22.44")
def test_one_is_restarted_under_a_call_of_the_other(told: dict[str, list[str]]) -> None:
    holds(told["rolling"])


@pytest.mark.keeps("22.44")
def test_an_upgrade_restarts_one_after_the_other_or_none(told: dict[str, list[str]]) -> None:
    holds(told["upgraded"])


@pytest.mark.keeps("22.44")
def test_a_purge_leaves_nothing_of_them(told: dict[str, list[str]]) -> None:
    *lines, last = told["removed"]
    holds(lines)
    assert last == "all of it holds"
