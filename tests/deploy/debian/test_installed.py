# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway by `make install` in a booted Debian: from the README to a transfer, `make rollback` and `uninstall`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deploy.debian import evening
from tests.deploy.debian.packages import chosen_release, holds, tried_root

if TYPE_CHECKING:
    from scripts.deb.package import Staging

pytestmark = [pytest.mark.booted, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
PYTHON = "/usr/bin/python3"
SOURCE = ("gateway", "deploy", "docs", "scripts", "sip_profiles")
# /opt as it is in the system that is booted, and with what this machine has there, for whoever runs this.
INSTALL = """
cd "$1"
for each in /opt/*/; do
    [ -d "$each" ] || continue
    mkdir -p "$2/$(basename "$each")"
    case $each in */transfer-gateway/) ;; *) mount --rbind "$each" "$2/$(basename "$each")" ;; esac
done
mount --rbind "$2" /opt
exec scripts/install.sh
"""


def why_not_alike() -> str:
    """What keeps a release that is installed here from running in the system that is booted; empty: nothing."""
    asked = [
        PYTHON,
        "-c",
        "import ensurepip, platform, sys; print(platform.freedesktop_os_release()['VERSION_CODENAME'])",
    ]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    ours = "import sys; print(sys.version_info[:2])"
    versions = {
        subprocess.run([python, "-c", ours], capture_output=True, text=True, check=False).stdout
        for python in (PYTHON, sys.executable)
    }
    if said.stdout.strip() == chosen_release() and len(versions) == 1:
        return ""
    return f"`make install` is tried in Debian's release and with its Python alone: {said.stdout or said.stderr}"


@pytest.fixture(scope="module")
def told(staging: Staging, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    if why := why_not_alike():
        pytest.skip(why)
    trial = tmp_path_factory.mktemp("installed")
    package = staging.pack("1.0", trial, quick=True)  # of which is read what a host needs to have
    root = tried_root(package)
    opt = tmp_path_factory.mktemp("opt")
    opt.chmod(0o755)  # the service's user comes to it, too
    tree = a_tree(tmp_path_factory.mktemp("tree"))
    for version in ("1.0", "2.0"):
        install(tree, version, opt)
    evening.prepare(trial, package, "installed.sh")
    said = evening.play(root, trial, f"--bind={opt}:/opt", f"--bind-ro={tree}:/tree")
    print("\n".join(line for part in said.values() for line in part))
    return said


def a_tree(directory: Path) -> Path:
    """What `make install` needs of this tree, with the virtual environment of this one."""
    for name in SOURCE:
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("requirements*"), ROOT / "LICENSE", ROOT / "pyproject.toml"):
        shutil.copy(path, directory)
    (directory / ".venv").symlink_to(sys.prefix)
    return directory


def install(tree: Path, version: str, opt: Path) -> None:
    """Install the tree as that version into /opt/transfer-gateway, which is in the directory `opt`."""
    (tree / "gateway" / "__init__.py").write_text(
        (ROOT / "gateway" / "__init__.py").read_text().partition("__version__")[0] + f'__version__ = "{version}"\n'
    )
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", INSTALL, "install", str(tree), str(opt)]
    environment = {**os.environ, "PYTHON": PYTHON, "CONFIGURATION": "/nowhere"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.keeps("20.112")
def test_the_steps_of_the_readme_lead_from_make_install_to_a_transfer(told: dict[str, list[str]]) -> None:
    holds(told["installed"])


@pytest.mark.keeps("20.113")
def test_a_rollback_under_a_call_ends_no_call_and_the_restart_gives_it_its_time(told: dict[str, list[str]]) -> None:
    holds(told["rollback"])


@pytest.mark.keeps("20.113")
def test_a_gateway_that_runs_is_not_taken_away_and_then_all_of_it_is(told: dict[str, list[str]]) -> None:
    *lines, last = told["uninstalled"]
    holds(lines)
    assert last == "all of it holds"
