# SPDX-License-Identifier: GPL-2.0-or-later
"""The private tree: a virtual environment on the release's own Python, written by hand so that it can be moved.

It holds the packages of requirements.txt and requirements-watch.txt, each checked against its hash, our binding and the
gateway, all compiled.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.binding import cache
from scripts.binding.source import find
from scripts.binding.tools import BuildError
from scripts.deb.system import System, say

SOURCE = Path(__file__).resolve().parents[2]
HOME = "/usr/lib/transfer-gateway"
# What pip installs for its own book-keeping; nobody is to change this tree by pip.
_BOOKS = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
# Compiled here, since it is of one Python only: the target has neither to do it nor to clean up after it. Told by no
# time or hash of the source, which nobody changes there.
_FINISH = """
find /build/site -name '*.so' -exec strip --strip-unneeded {} +
python3 -m compileall -q --invalidation-mode unchecked-hash -s /build/site -p "$1" /build/site
"""


def site_directory(python: str) -> str:
    """Where a tree has its modules, as "lib/python3.11/site-packages"."""
    return f"lib/python{python}/site-packages"


def private_tree(system: System, target: Path) -> None:
    """Make the tree in the directory `target`. Raises BuildError."""
    site = target / site_directory(system.python)
    locked = _locked_packages(system)
    shutil.copytree(locked, site)
    with tempfile.TemporaryDirectory() as name:
        ours = Path(name) / "site"
        _install(ours, "--no-deps", "--no-build-isolation", str(_source_alone(Path(name) / "source")))
        _install(ours, "--no-deps", "--no-index", *_for(system), str(_binding(system)))
        _finish(system, ours)
        shutil.copytree(ours, site, dirs_exist_ok=True)
    (target / "bin").mkdir()
    (target / "bin" / "python3").symlink_to(f"/usr/bin/python{system.python}")
    (target / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")


def _locked_packages(system: System) -> Path:
    requirements = [SOURCE / name for name in ("requirements.txt", "requirements-watch.txt")]
    words = [word for path in requirements for word in ("-r", str(path))]

    def make(work: Path) -> None:
        say(f"the packages of the requirements for Python {system.python}, each checked against its hash")
        _install(work / "site", "--no-deps", "--require-hashes", *_for(system), *words)
        _finish(system, work / "site")

    key = cache.digest(*requirements, system.python, str(system.libc), system.architecture, Path(__file__))
    with cache.locked():
        return cache.keep("packages", key, make) / "site"


def _for(system: System) -> list[str]:
    """What has pip choose wheels for the release's Python and libc, and not for those of this machine."""
    machine = platform.machine()
    abi = f"cp{system.python.replace('.', '')}"
    major, minor = system.libc
    platforms = [f"manylinux_{major}_{n}_{machine}" for n in range(minor, 4, -1)]
    platforms += [f"manylinux{name}_{machine}" for name in ("2014", "2010", "1")] + [f"linux_{machine}"]
    words = ["--only-binary=:all:", "--python-version", system.python, "--implementation", "cp"]
    return words + [f"--abi={name}" for name in (abi, "abi3", "none")] + [f"--platform={name}" for name in platforms]


def _install(target: Path, *words: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile"]
    done = subprocess.run([*command, "--target", str(target), *words], check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise BuildError("pip could not install what the package holds (see above)")
    shutil.rmtree(target / "bin", ignore_errors=True)  # scripts with this machine's Python in their first line


def _source_alone(target: Path) -> Path:
    """The gateway's source, and nothing that an earlier build has left beside it."""
    left = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(SOURCE / "gateway", target / "gateway", ignore=left)
    for file in (SOURCE / "pyproject.toml", SOURCE / "LICENSE", *SOURCE.glob("requirements*.in")):
        shutil.copy(file, target)
    return target


def _binding(system: System) -> Path:
    """The wheel of the binding for that release, compiled in its root where the cache has none."""
    log = cache.root() / "binding" / "build.log"
    with cache.locked():
        find(log)  # there, the network need not be reached
    made = system.run(
        ["sh", "-c", "cd /source && exec python3 -m scripts.binding"],
        reads={SOURCE: "/source"},
        writes={cache.root(): "/cache"},
        environment={"TRANSFER_GATEWAY_CACHE": "/cache"},
    )
    return cache.root() / Path(made.strip()).relative_to("/cache")


def _finish(system: System, site: Path) -> None:
    for book in _BOOKS:
        for path in site.glob(f"*.dist-info/{book}"):
            path.unlink()
    place = f"{HOME}/current/{site_directory(system.python)}"
    system.run(["sh", "-euc", _FINISH, "finish", place], writes={site.parent: "/build"})
    for path in site.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
