# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of several versions, good and bad, and a Debian that has what they depend on, and nothing of theirs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.deb.system import RELEASES, debian_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.deb.package import Staging

BOOTED = ("systemd", "systemd-sysv", "dbus", "iproute2", "curl", "sip-tester", "sudo", "openssl")
SCRIPTS = Path(__file__).parents[3] / "scripts"


def _with(text: str, name: str = "app") -> Callable[[Path], None]:
    """Adds `text` to a module; that is the one that serves."""

    def change(site: Path) -> None:
        module = site / "gateway" / f"{name}.py"
        # The file may be a link into the tree that others are packed of; the compiled one would be taken in its place.
        content = module.read_text()
        module.unlink()
        module.write_text(f"{content}\n{text}\n")
        for compiled in (module.parent / "__pycache__").glob(f"{module.stem}.*.pyc"):
            compiled.unlink()

    return change


VERSIONS: dict[str, tuple[str, Callable[[Path], None] | None]] = {
    "first": ("1.0", None),
    "second": ("2.0", None),
    "broken": ("3.0", _with("raise ImportError('it is broken')")),
    "stillborn": ("4.0", _with("import os\nif 'NOTIFY_SOCKET' in os.environ: raise SystemExit(1)")),
    "earlier": ("0.9", _with("STEPS = STEPS[:1]", "report/migrations")),
    "last": ("5.0", None),
}


def pack_all(staging: Staging, target: Path) -> None:
    """Put a package of each version into `target`, under the name that the trial knows."""
    for name, (version, change) in VERSIONS.items():
        staging.pack(version, target, quick=True, change=change).rename(target / f"{name}.deb")


def chosen_release() -> str:
    """$DIST, else the release of this machine, else Debian 12."""
    here = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    return os.environ.get("DIST", here if here in RELEASES else "bookworm")


def why_no_boot() -> str:
    """What this machine lacks for booting a Debian; empty: nothing."""
    missing = [program for program in ("mmdebstrap", "systemd-nspawn") if shutil.which(program) is None]
    lacking = ", ".join(missing) or "what this machine has"
    return f"booting a Debian takes root, and {lacking}" if missing or os.geteuid() != 0 else ""


def clean_root(release: str, package: Path) -> Path:
    """A system with what `package` says that it depends on, and with what the trial needs. Read only."""
    asked = subprocess.run(["dpkg-deb", "-f", package, "Depends"], check=True, capture_output=True, text=True)
    names = sorted({each.split()[0] for each in asked.stdout.split(",")})
    return debian_root("boot", release, (*BOOTED, *names))


def tried_root(package: Path) -> Path:
    """The same of the release that is tried; skips the test where this machine can run no system inside it."""
    root = clean_root(chosen_release(), package)
    if why := _why_not_entered(root):
        pytest.skip(f"this machine boots no Debian inside it: {why}")
    return root


def _why_not_entered(root: Path) -> str:
    """What this machine says where no system can be run inside it, as in some containers; empty: it can."""
    options = ("-q", "--register=no", "--keep-unit", "--private-network", "--volatile=overlay")
    entered = subprocess.run(
        ["systemd-nspawn", *options, "-D", root, "true"], check=False, capture_output=True, text=True, timeout=60
    )
    return "" if entered.returncode == 0 else entered.stderr.strip() or f"exit code {entered.returncode}"


def findings(root: Path, trial: Path, *options: str) -> dict[str, list[str]]:
    """What the trial in that directory says, by its parts, in the system `root`, which stays as it is.

    `options` are systemd-nspawn's.
    """
    subprocess.run([SCRIPTS / "boot.sh", root, trial, "--volatile=overlay", *options], check=True, timeout=320)
    said = (trial / "findings").read_text()
    parts = [part.splitlines() for part in ("\n" + said).split("\n# ")]
    return {lines[0]: lines[1:] for lines in parts if lines}


def holds(lines: list[str]) -> None:
    """One part of what a trial says: all of it is right, and there is some. Raises AssertionError."""
    failed = [line for line in lines if not line.startswith("ok ")]
    assert len(lines) > 1
    assert not failed, "\n".join(failed)
