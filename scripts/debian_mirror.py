# SPDX-License-Identifier: GPL-2.0-or-later
"""A private apt that reads Debian sid through the mirror this machine already uses, without root.

Asterisk 22 and pjproject 2.17 are in no stable Debian release. Both are fetched from sid into directories of
our own, so the machine's package database, sources and caches stay as they are. Standard library only: it runs
before the virtual environment exists.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE = "sid"


class MirrorError(RuntimeError):
    """No usable Debian mirror; the message says what is missing and what helps."""


def mirror() -> str:
    """The base URI, without a trailing slash, of the Debian archive this machine's own apt is set up for.

    apt itself reads its sources, so every format and location it knows works. DEBIAN_MIRROR overrides the answer.
    Raises MirrorError when apt is absent or none of its sources is a Debian archive.
    """
    if override := os.environ.get("DEBIAN_MIRROR"):
        return override.rstrip("/")
    query = ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)|$(COMPONENT)"]
    try:
        answer = subprocess.run(query, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    except FileNotFoundError:
        raise MirrorError("apt-get is not on this machine; set DEBIAN_MIRROR to the URI of a Debian archive") from None
    except subprocess.CalledProcessError as error:
        raise MirrorError(f"apt cannot read its own sources: {error.stderr.strip()}") from None
    sources = [line.split("|") for line in answer.splitlines() if line.count("|") == 1]
    found = [uri.rstrip("/") for uri, part in sources if part == "main" and _is_debian(uri)]
    if not found:
        raise MirrorError("no Debian archive among this machine's apt sources; set DEBIAN_MIRROR to the URI of one")
    return found[0]


def _is_debian(uri: str) -> bool:
    # Other vendors also call a suite 'stable' and a component 'main', and Debian's security archive has no sid.
    # What tells Debian's own archive apart is the path it is served under on every mirror.
    return urlsplit(uri).path.rstrip("/").endswith("/debian")


def write_private_apt(directory: Path, deb_types: Sequence[str], components: Sequence[str]) -> list[str]:
    """Lay out a private apt for sid under `directory`; returns the arguments that make apt-get use it.

    `deb_types` is any of "deb" and "deb-src", `components` e.g. ["main"]. Follow with `update`, then `install
    --download-only` (the packages land in `directory`/cache/archives) or `source --download-only`. The machine's
    own apt configuration stays in force, so that a proxy set there is used. Raises MirrorError.
    """
    if not KEYRING.is_file():
        raise MirrorError(f"{KEYRING} is missing: install the package debian-archive-keyring")
    directory = directory.resolve()
    for name in ("etc/preferences.d", "state/lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    (directory / "state/status").touch()
    archive = mirror()
    sources = "".join(f"{kind} [signed-by={KEYRING}] {archive} {SUITE} {' '.join(components)}\n" for kind in deb_types)
    (directory / "etc/sources.list").write_text(sources)
    options = {
        "Dir::Etc": f"{directory}/etc",
        "Dir::Etc::sourcelist": f"{directory}/etc/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": f"{directory}/state",
        "Dir::State::lists": f"{directory}/state/lists",
        # An empty package database: dependencies are resolved as on an empty machine, so the result does not
        # depend on what happens to be installed here.
        "Dir::State::status": f"{directory}/state/status",
        "Dir::Cache": f"{directory}/cache",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Languages": "none",
        "Acquire::PDiffs": "false",
        "Acquire::Retries": "3",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
    }
    return [f"-o{key}={value}" for key, value in options.items()]
