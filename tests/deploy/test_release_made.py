# SPDX-License-Identifier: GPL-2.0-or-later
"""A release of this tree, made twice in copies of it: all that it should be, and the same to the byte."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.binding.known import KNOWN
from scripts.deb.system import RELEASES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
VERSION = "999.0.0"
NEWS = "- Said for this test."
HERE = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
RELEASE = HERE if HERE in RELEASES else "bookworm"
# Of the forge, and of editors.
LEFT_OUT = {".ci/run", ".editorconfig", ".pre-commit-config.yaml"}
AUTHOR = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
"""What a commit takes besides."""


@dataclass(frozen=True)
class Made:
    """Two repositories, and what `make release` has put into each: of the tree, and of what it has written there."""

    first: Path
    second: Path
    packages: tuple[str, ...]
    """For which releases of Debian there are packages among it."""

    def file(self, pattern: str) -> Path:
        """The one file of the first release that is called so."""
        [found] = (self.first / "dist").glob(pattern)
        return found


def git(tree: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", tree, *words], check=True, capture_output=True, text=True).stdout


def committed(target: Path) -> Path:
    """This tree as it is, all of it committed, with something new to tell."""
    target.mkdir()
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    file = target / "CHANGELOG.md"
    file.write_text(file.read_text().replace("## [Unreleased]\n", f"## [Unreleased]\n\n### Added\n{NEWS}\n", 1))
    git(target, "init", "-q")
    git(target, "add", "--all", "--force")
    git(target, *AUTHOR, "commit", "-q", "-m", "A tree")
    return target


def release(tree: Path, packages: tuple[str, ...], **environment: str) -> None:
    command = [sys.executable, "-m", "scripts.release", VERSION, "--dist", *packages]
    done = subprocess.run(
        command, cwd=tree, env={**os.environ, **environment}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"git tag -a v{VERSION}" in done.stderr


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((), id="without-package"),
        pytest.param((RELEASE,), id="with-package", marks=pytest.mark.released),
    ],
)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    packages: tuple[str, ...] = request.param
    if packages and (os.geteuid() != 0 or shutil.which("mmdebstrap") is None):
        pytest.skip("a Debian package takes root and mmdebstrap to make")
    directory = tmp_path_factory.mktemp("release")
    first, second = committed(directory / "one"), directory / "another place"
    release(first, packages)
    changed = git(first, "status", "--porcelain").split()
    assert changed == ["M", "CHANGELOG.md", "M", "gateway/__init__.py"]
    git(first, *AUTHOR, "commit", "-q", "--all", "-m", "The release")
    git(first, "clone", "-q", str(first), str(second))
    before = os.umask(0o077)
    try:
        release(second, packages, TZ="Pacific/Auckland", LC_ALL="C", HOSTNAME="elsewhere", USER="somebody")
    finally:
        os.umask(before)
    assert git(second, "status", "--porcelain") == ""
    return Made(first, second, packages)


@pytest.mark.keeps("20.69")
def test_its_files_are_there_and_their_sums_hold(made: Made) -> None:
    architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout
    debs = {f"transfer-gateway_{VERSION}-1~deb{RELEASES[name]}_{architecture.strip()}.deb" for name in made.packages}
    assert {path.name for path in (made.first / "dist").iterdir()} == debs | {
        f"transfer_gateway-{VERSION}.tar.gz", f"transfer_gateway-{VERSION}-py3-none-any.whl",
        f"transfer-gateway-{VERSION}.cdx.json", f"transfer-gateway-{VERSION}.notes.md", "SHA256SUMS",
    }  # fmt: skip
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=made.first / "dist", check=True)
    assert NEWS in made.file("*.notes.md").read_text()


@pytest.mark.keeps("20.69")
def test_made_again_elsewhere_they_are_the_same(made: Made) -> None:
    sums = [(tree / "dist" / "SHA256SUMS").read_text().splitlines() for tree in (made.first, made.second)]
    assert sums[0] == sums[1]


@pytest.mark.keeps("20.69")
def test_the_source_has_what_git_has_and_nothing_else(made: Made) -> None:
    with tarfile.open(made.file("*.tar.gz")) as archive:
        names = [member.name.partition("/")[2] for member in archive if member.isfile()]
    inside = {name for name in names if not name.startswith("transfer_gateway.egg-info/")}
    assert inside - {"PKG-INFO", "setup.cfg"} == set(git(made.first, "ls-files").splitlines()) - LEFT_OUT
    assert not [name for name in inside if "pjproject" in name and not name.endswith((".md", ".py"))]


@pytest.mark.keeps("20.69")
def test_wheel_and_package_are_of_that_version(made: Made) -> None:
    with zipfile.ZipFile(made.file("*.whl")) as wheel:
        names = wheel.namelist()
        assert f'__version__ = "{VERSION}"' in wheel.read("gateway/__init__.py").decode()
        modules = {name for name in git(made.first, "ls-files", "gateway").splitlines() if name.endswith(".py")}
        assert {name for name in names if name.endswith(".py")} == modules
        assert "gateway/py.typed" in names
        assert not [name for name in names if name.endswith((".cpp", ".hpp", ".h", ".i"))]
    for name in made.packages:
        command = ["dpkg-deb", "-f", str(made.file("*.deb")), "Version"]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        assert told.stdout.strip() == f"{VERSION}-1~deb{RELEASES[name]}"


@pytest.mark.keeps("20.69")
def test_the_bill_of_materials_names_all_that_is_in_it(made: Made) -> None:
    bill = json.loads(made.file("*.cdx.json").read_text())
    parts = {part["name"]: part for part in bill["components"]}
    locks = "".join((ROOT / f"requirements{name}.txt").read_text() for name in ("", "-watch"))
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", locks, re.MULTILINE))
    assert pins.items() <= {name: part.get("version") for name, part in parts.items()}.items()
    assert parts["pjproject"]["hashes"] == [{"alg": "SHA-256", "content": next(iter(KNOWN))}]
    assert {"openssl", "libsrtp2"} <= set(parts)
    assert bill["metadata"]["component"]["version"] == VERSION
    assert "serialNumber" not in bill
    assert re.fullmatch(r"[0-9-]{10}T00:00:00\+00:00", bill["metadata"]["timestamp"])
