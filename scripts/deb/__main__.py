# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m scripts.deb [--dist RELEASE] [--version VERSION] [--output DIR]`: its path is the only line on stdout."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

from gateway import __version__
from scripts.binding.tools import BuildError
from scripts.deb.package import staged
from scripts.deb.system import RELEASES, say
from scripts.deb.tree import SOURCE


def version() -> str:
    """`__version__` where the commit is tagged as that release; else below it, by the commit's time and name."""

    def asked(*words: str) -> str:
        command = ["git", "-C", str(SOURCE), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        if f"v{__version__}" in asked("tag", "--points-at", "HEAD").splitlines():
            return __version__
        commit = asked("log", "-1", "--format=%cd.%h", "--date=format-local:%Y%m%d%H%M%S")
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{__version__}~{commit}"


def main() -> int:
    """Build it, or say why not."""
    here = platform.freedesktop_os_release().get("VERSION_CODENAME")
    asked = argparse.ArgumentParser(prog="make deb")
    asked.add_argument("--dist", choices=tuple(RELEASES), default=here if here in RELEASES else None)
    asked.add_argument("--version", help="(default: that of the commit, below the release that it leads to)")
    asked.add_argument("--output", type=Path, default=SOURCE / "build")
    options = asked.parse_args()
    if options.dist is None:
        asked.error("this machine's release is none that a package is built for: name one, make deb DIST=bookworm")
    try:
        with staged(options.dist) as staging:
            package = staging.pack(options.version or version(), options.output)
            for line in staging.examine(package).splitlines():
                say(line)
            print(package)
    except BuildError as error:
        say(f"cannot be built: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
