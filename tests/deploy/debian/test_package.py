# SPDX-License-Identifier: GPL-2.0-or-later
"""The package in a booted systemd: installed, started, upgraded under calls, refused, removed, purged."""

from __future__ import annotations

import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deploy.debian.packages import findings, holds, pack_all, tried_root

if TYPE_CHECKING:
    from scripts.deb.package import Staging

pytestmark = [pytest.mark.booted, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
LEFT = next((HERE.parents[1] / "upgrade").glob("*.tar.xz"))


@pytest.fixture(scope="module")
def told(staging: Staging, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    trial = tmp_path_factory.mktemp("trial")
    pack_all(staging, trial)
    for file in (HERE / "trial.sh", HERE / "talks.py", HERE.parents[1] / "support" / "sip_message.py"):
        shutil.copy(file, trial)
    with tarfile.open(LEFT) as archive:
        archive.extractall(trial / "left", filter="data")
    with ThreadPoolExecutor() as pool:
        warnings = pool.submit(staging.examine, trial / "first.deb")  # raises where lintian finds an error
        root = tried_root(trial / "first.deb")
        said = findings(root, trial)
    said["warnings"] = warnings.result().splitlines()
    print("\n".join(line for part in said.values() for line in part))
    return said


@pytest.mark.keeps("20.40")
def test_it_installs_without_network_and_starts_nothing(told: dict[str, list[str]]) -> None:
    holds(told["install"])


@pytest.mark.keeps("20.41")
@pytest.mark.keeps("20.106")
def test_with_a_configuration_it_starts_and_takes_a_call(told: dict[str, list[str]]) -> None:
    holds(told["service"])


@pytest.mark.keeps("20.42")
def test_an_upgrade_drains_the_calls_and_keeps_configuration_and_state(told: dict[str, list[str]]) -> None:
    holds(told["upgrade"])


@pytest.mark.keeps("20.43")
def test_a_release_that_does_not_work_replaces_nothing(told: dict[str, list[str]]) -> None:
    holds(told["broken"])


@pytest.mark.keeps("20.43")
def test_a_release_that_does_not_start_gives_way_to_the_one_before(told: dict[str, list[str]]) -> None:
    holds(told["stillborn"])


@pytest.mark.keeps("20.44")
def test_a_release_that_refuses_the_configuration_waits_for_it(told: dict[str, list[str]]) -> None:
    holds(told["refused"])


@pytest.mark.keeps("20.118")
def test_an_upgrade_keeps_a_call_whose_gateway_is_to_keep_its_calls(told: dict[str, list[str]]) -> None:
    holds(told["kept"])


@pytest.mark.keeps("20.119")
def test_a_release_that_does_not_start_gives_the_call_back_to_the_one_before(told: dict[str, list[str]]) -> None:
    holds(told["given_back"])


@pytest.mark.keeps("20.107")
def test_a_later_store_is_refused_and_the_release_that_knows_it_comes_back(told: dict[str, list[str]]) -> None:
    holds(told["later"])


@pytest.mark.keeps("20.45")
def test_a_removal_leaves_configuration_and_state(told: dict[str, list[str]]) -> None:
    holds(told["remove"])


@pytest.mark.keeps("20.45")
def test_a_purge_leaves_nothing(told: dict[str, list[str]]) -> None:
    *lines, last = told["purge"]
    holds(lines)
    assert last == "all of it holds"


def test_lintian_warns_of_nothing(told: dict[str, list[str]]) -> None:
    assert [line for line in told["warnings"] if not line.startswith("I:")] == []
