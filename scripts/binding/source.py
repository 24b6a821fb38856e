# SPDX-License-Identifier: GPL-2.0-or-later
"""Where pjproject's source comes from: $PJPROJECT_SOURCE, else the cache, else Debian sid.

No Debian package carries pjproject alone, but the source package of Asterisk holds it as a component of its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scripts.binding import cache
from scripts.binding.known import KNOWN
from scripts.binding.tools import BuildError, run, say
from scripts.debian_mirror import MirrorError, write_private_apt

OLDEST = (2, 17)  # the first whose API and behaviour the gateway is written for
OVERRIDE_HELP = "make setup PJPROJECT_SOURCE=PATH takes a tarball or an unpacked tree of pjproject, 2.17 or newer"


@dataclass(frozen=True)
class Source:
    """A pjproject: `path` is a tarball or an unpacked tree, `digest` stands for all it holds."""

    path: Path
    digest: str
    known: bool = False
    """Whether the test suite was run with just this one."""

    def unpack(self, target: Path, log: Path) -> None:
        """Put the tree into the directory `target`, without a top directory of its own."""
        if self.path.is_dir():
            shutil.copytree(self.path, target, ignore=shutil.ignore_patterns(".git", "*.o", "*.a"), dirs_exist_ok=True)
        else:
            target.mkdir(exist_ok=True)
            command = ["tar", "-xf", str(self.path), "-C", str(target), "--strip-components=1"]
            run(f"unpacking {self.path.name}", command, log=log)


def find(log: Path) -> Source:
    """The source to build from, fetched if need be."""
    if override := os.environ.get("PJPROJECT_SOURCE"):
        path = Path(override).resolve()
        if path.is_dir():
            return Source(path, cache.tree_digest(path))
        if path.is_file():
            return _tarball(path)
        raise BuildError(f"PJPROJECT_SOURCE names {path}, where there is neither a tarball nor a tree\n{OVERRIDE_HELP}")
    tarball = cache.root() / "source" / "pjproject.tar.xz"
    if not tarball.is_file():
        _fetch(tarball, log)
    return _tarball(tarball)


def _tarball(path: Path) -> Source:
    content = path.read_bytes()
    known = hashlib.sha256(content).hexdigest() in KNOWN
    return Source(path, cache.digest(content), known)


def _fetch(tarball: Path, log: Path) -> None:
    say("fetching pjproject's source from Debian sid (in the source package of Asterisk)")
    tarball.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=tarball.parent) as name:
        work = Path(name)
        try:
            options = write_private_apt(work / "apt", ["deb-src"], ["main"])
        except MirrorError as error:
            raise BuildError(f"{error}\n{OVERRIDE_HELP}") from None
        try:
            # Without 'any', apt-get update only warns when the archive's signature can't be checked.
            run("reading sid's index", ["apt-get", *options, "-oAPT::Update::Error-Mode=any", "update"], log=log)
        except BuildError as error:
            said = str(error)
            if "NO_PUBKEY" in said or "not signed" in said:
                said += (
                    "\nthe installed debian-archive-keyring does not know the key that signs sid: upgrade that package"
                )
            raise BuildError(f"{said}\n{OVERRIDE_HELP}") from None
        fetch = ["apt-get", *options, "source", "--download-only", "--only-source", "asterisk"]
        run("fetching the source package", fetch, log=log, cwd=work)
        found = sorted(work.glob("*.orig-Xpjproject.tar.*"))
        if not found:
            raise BuildError(f"sid's source package of Asterisk no longer carries pjproject\n{OVERRIDE_HELP}")
        found[0].rename(tarball)


def version_of(tree: Path) -> str:
    """The version in an unpacked tree, as "2.17"; BuildError when it is no pjproject or older than `OLDEST`."""
    try:
        text = (tree / "version.mak").read_text()
    except FileNotFoundError:
        raise BuildError(f"this is no pjproject: it has no version.mak\n{OVERRIDE_HELP}") from None
    parts = [re.search(rf"PJ_VERSION_{name}\s*:=[ \t]*(\d*)", text) for name in ("MAJOR", "MINOR", "REV")]
    numbers = [int(part[1]) for part in parts if part and part[1]]
    version = ".".join(map(str, numbers))
    if tuple(numbers[:2]) < OLDEST:
        raise BuildError(f"pjproject {version} is too old: 2.17 or newer is needed\n{OVERRIDE_HELP}")
    return version
