# SPDX-License-Identifier: GPL-2.0-or-later
"""A clean root of a Debian release, in which what the package needs of that release is compiled and examined."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.binding import cache
from scripts.binding.tools import BuildError
from scripts.debian_mirror import KEYRING, MirrorError, mirror

RELEASES = {"bookworm": "12", "trixie": "13"}
"""Code name -> number: the releases that a package is built for."""

PACKAGES = (
    "gcc", "g++", "make", "swig", "patch", "pkg-config", "xz-utils", "dpkg-dev", "lintian", "python3-dev",
    "libssl-dev", "libopus-dev", "libsrtp2-dev", "libspeexdsp-dev", "libspeex-dev", "uuid-dev",
)  # fmt: skip
# The same compiled modules each time.
_PYTHON = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
# Read-only but for what is bound into it, so that one build leaves nothing behind for the next.
_ENTER = """
root=$1; shift
mount --rbind "$root" "$root"; mount -o remount,bind,ro "$root"
mount --rbind /dev "$root/dev"; mount -t tmpfs tmpfs "$root/tmp"; mount --rbind /proc "$root/proc"
while [ "$1" != -- ]; do
    mount --rbind "$1" "$root$2"
    [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
    shift 3
done
shift
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class System:
    """A root of `release`, with compilers; `python` as "3.11", `libc` as (2, 36), `architecture` as Debian has it."""

    root: Path
    release: str
    python: str
    libc: tuple[int, int]
    architecture: str

    def run(
        self,
        command: Sequence[str],
        *,
        reads: Mapping[Path, str] | None = None,
        writes: Mapping[Path, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """What `command` prints, run in this root; directories of this machine are at the places in it that are given.

        Places are "/build", "/cache" and "/source". Raises BuildError.
        """
        bound = [(path, place, "ro") for path, place in (reads or {}).items()]
        bound += [(path, place, "rw") for path, place in (writes or {}).items()]
        return _output(
            ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _ENTER, "enter", str(self.root)]
            + [word for path, place, way in bound for word in (str(path), place, way)]
            + ["--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LC_ALL=C.UTF-8"]
            + [f"{name}={value}" for name, value in {**_PYTHON, **(environment or {})}.items()]
            + list(command),
            f"{shlex.join(command)[:200]} (in a root of {self.release})",
        )


def system(release: str) -> System:
    """The root of `release` for building, out of the cache where it was made before. Raises BuildError."""
    root = debian_root("build", release, PACKAGES, ("build", "cache", "source"))
    bare = System(root, release, "", (0, 0), "")
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    python = bare.run(["python3", "-c", asked]).strip()
    libc = bare.run(["getconf", "GNU_LIBC_VERSION"]).split()[-1]
    architecture = bare.run(["dpkg", "--print-architecture"]).strip()
    major, minor = (int(number) for number in libc.split("."))
    return System(root, release, python, (major, minor), architecture)


def debian_root(
    kind: str, release: str, packages: Sequence[str], places: Sequence[str] = (), *, without: Sequence[str] = ()
) -> Path:
    """A directory with a minimal Debian of `release` and these packages, kept in the cache; `places` are empty in it.

    `without`: patterns of files that its packages are to leave out. Others read it: who changes it takes a copy.
    Raises BuildError.
    """
    if os.geteuid() != 0:
        raise BuildError("a root of Debian takes root to make and to enter: sudo make deb")
    if shutil.which("mmdebstrap") is None:
        raise BuildError("there is no mmdebstrap on this machine: apt-get install mmdebstrap")

    def make(work: Path) -> None:
        try:
            archive = mirror()
        except MirrorError as error:
            raise BuildError(str(error)) from None
        options = ["--quiet", "--variant=minbase", f"--keyring={KEYRING}"]
        options += [f"--include={package}" for package in packages]
        options += [f"--dpkgopt=path-exclude={pattern}" for pattern in without]
        say(f"making a root of {release}, which takes one to two minutes")
        _output(["mmdebstrap", *options, release, str(work), archive], f"making a root of {release}")
        for place in places:
            (work / place).mkdir()

    with cache.locked():
        return cache.keep(f"{kind}-root", cache.digest(release, *sorted(packages), *places, *without), make)


def say(text: str) -> None:
    """Tell what is done on stderr; stdout is for the package's path alone."""
    print(f"deb: {text}", file=sys.stderr, flush=True)


def _output(command: Sequence[str], what: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-25:]
        raise BuildError("\n  ".join([f"{what} failed with exit code {done.returncode}:", *said]))
    return done.stdout
