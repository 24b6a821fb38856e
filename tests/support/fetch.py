# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs of the test bed: a real PBX, phones, a traffic generator, a broker, Prometheus; fetched once.

They come from Debian sid and are unpacked side by side in a directory of the cache, without root and without
touching this machine's packages. They run through their own dynamic loader, with their own libraries.
"""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from scripts.debian_mirror import write_private_apt

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("asterisk", "baresip-core", "sip-tester", "mosquitto", "prometheus")
CAPTURE_PACKAGES = ("sngrep",)
PROXY_PACKAGES = ("kamailio", "kamailio-tls-modules")
"""In a root of their own: few tests need them, and a change of one list leaves what was fetched by the other."""
RELAY_PACKAGES = ("rtpengine-daemon",)

Proofs = dict[str, tuple[list[str], str]]

TESTED = Path(__file__).with_name("testbed.json")
"""Package -> version -> architecture -> SHA-256, of all that the whole suite has passed with."""
# What each answers within a second when it runs at all, and what is in the answer.
PROOFS: Proofs = {
    "usr/sbin/asterisk": (["-V"], "Asterisk 2"),
    "usr/bin/baresip": (["-h"], "baresip"),
    "usr/bin/sipp": (["-v"], "SIPp"),
    "usr/sbin/mosquitto": (["-h"], "mosquitto version 2"),
    "usr/bin/prometheus": (["--version"], "prometheus, version"),
}
PROXY_PROOFS: Proofs = {"usr/sbin/kamailio": (["-V"], "version: kamailio")}
RELAY_PROOFS: Proofs = {"usr/bin/rtpengine": (["--version"], "Version: ")}
CAPTURE_PROOFS: Proofs = {"usr/bin/sngrep": (["-V"], "sngrep - ")}

# Pulled in by maintainer scripts, never run here; they are most of the volume.
SKIPPED = ("python3*", "libpython3*", "perl*", "libperl*", "gnupg*", "gpg*", "dirmngr", "pinentry*", "passwd", "login*")
TRIMMED = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info", "./usr/share/bug",
           "./usr/share/prometheus", "./usr/share/perl*")  # fmt: skip

# Raise it when unpacking changes, so that a cache made by older code is not taken for a new one.
RECIPE = 2


class FetchError(RuntimeError):
    """The test bed's programs could not be had; the message says why."""


@dataclass(frozen=True)
class Programs:
    """An unpacked root file system of Debian packages, never chrooted into."""

    root: Path

    @property
    def lib(self) -> Path:
        """The directory of the shared libraries, e.g. root/usr/lib/x86_64-linux-gnu."""
        return self.loader.parent

    @property
    def loader(self) -> Path:
        return next((self.root / "usr/lib").glob("*-linux-gnu*/ld-linux*.so.*"))

    def command(self, program: str) -> list[str]:
        """The start of an argument list that runs `program`, e.g. "usr/sbin/asterisk", with its own libraries."""
        return [str(self.loader), "--library-path", str(self.lib), str(self.root / program)]


def cache_dir() -> Path:
    """Where everything that was fetched or built is kept; TRANSFER_GATEWAY_CACHE overrides it."""
    if chosen := os.environ.get("TRANSFER_GATEWAY_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transfer-gateway"


def programs() -> Programs:
    """The test bed's programs, fetched on first use (some 100 MB), from the cache afterwards. Raises FetchError."""
    return _programs("testbed", PACKAGES, PROOFS)


def capture_programs() -> Programs:
    """What reads captures: sngrep, which takes HEP (some 10 MB). Raises FetchError."""
    return _programs("capture", CAPTURE_PACKAGES, CAPTURE_PROOFS)


def proxy_programs() -> Programs:
    """A SIP proxy for in front of several gateways: Kamailio (some 30 MB). Raises FetchError."""
    return _programs("proxy", PROXY_PACKAGES, PROXY_PROOFS)


def relay_programs() -> Programs:
    """A relay of RTP for at the edge of a network: rtpengine (some 80 MB). Raises FetchError."""
    return _programs("relay", RELAY_PACKAGES, RELAY_PROOFS)


def _programs(name: str, packages: tuple[str, ...], proofs: Proofs) -> Programs:
    key = hashlib.sha256(repr((RECIPE, packages, SKIPPED, TRIMMED)).encode()).hexdigest()[:12]
    cache = cache_dir()
    ready = cache / f"{name}-{key}"
    if not ready.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache / "testbed.lock"):
            # Another process may have finished while this one waited for the lock.
            if not ready.is_dir():
                _fetch(cache, ready, packages, proofs)
    return Programs(ready / "root")


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(cache: Path, ready: Path, packages: tuple[str, ...], proofs: Proofs) -> None:
    print(f"Fetching the test bed ({', '.join(packages)}) into {ready}", file=sys.stderr, flush=True)
    work = Path(tempfile.mkdtemp(prefix="testbed-", suffix=".partial", dir=cache))
    try:
        apt = ["apt-get", "-qq", *write_private_apt(work / "apt", ["deb"], ["main"])]
        _run([*apt, "update"])
        _run([*apt, "--download-only", "-y", "install", *packages])
        (work / "root").mkdir()
        debs = sorted((work / "apt/cache/archives").glob("*.deb"))
        wanted = [deb for deb in debs if not any(fnmatch.fnmatch(deb.name, f"{skip}_*") for skip in SKIPPED)]
        # Two at a time keep one busy unpacking while the other waits for the disk.
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda deb: _unpack(deb, work / "root"), wanted))
        # Some libraries ship without the link that programs load them by, and leave it to ldconfig at installation.
        _run([shutil.which("ldconfig", path="/usr/sbin:/sbin") or "ldconfig", "-n", str(Programs(work / "root").lib)])
        untested = [deb.stem for deb in debs if deb.name.partition("_")[0] in packages and not _is_tested(deb)]
        if untested:
            print(f"Not what the suite was last run with, tried all the same: {', '.join(untested)}", file=sys.stderr)
        _prove(Programs(work / "root"), proofs)
        (work / "manifest").write_text("".join(f"{deb.stem}\n" for deb in wanted))
        shutil.rmtree(work / "apt")
        work.rename(ready)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _is_tested(deb: Path) -> bool:
    name, version, architecture = deb.stem.split("_")
    tested = json.loads(TESTED.read_text())
    return bool(tested[name].get(version, {}).get(architecture) == hashlib.sha256(deb.read_bytes()).hexdigest())


def _prove(programs: Programs, proofs: Proofs) -> None:
    """Have each program say its version. Raises FetchError for one that does not run."""
    for program, (arguments, expected) in proofs.items():
        command = [*programs.command(program), *arguments]
        # Some leave with an exit code other than 0 after saying it.
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30
        )
        if expected not in done.stdout + done.stderr:
            raise FetchError(f"{program} does not run: {(done.stderr or done.stdout).strip()[:500]}")


def _unpack(deb: Path, root: Path) -> None:
    tar = ["tar", "-x", "-C", str(root), "--no-same-owner", "--keep-directory-symlink"]
    tar += [f"--exclude={path}" for path in TRIMMED]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as source:
        _run(tar, stdin=source.stdout)
    if source.returncode:
        raise FetchError(f"{deb.name} cannot be read: dpkg-deb says {source.returncode}")


def _run(command: list[str], stdin: IO[bytes] | int | None = subprocess.DEVNULL) -> None:
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchError(f"{command[0]} {command[-1]} failed: {(done.stderr or done.stdout).strip()}")
