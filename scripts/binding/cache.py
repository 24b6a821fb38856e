# SPDX-License-Identifier: GPL-2.0-or-later
"""The build cache: directories named by what they hold and the hash of what went into it.

An entry appears under its final name only when it is complete, so a build that was killed leaves nothing half-made
behind, and one lock keeps two builds from doing the same work.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.binding.tools import say

KEPT = {"libs": 4, "wrapper": 6, "object": 120, "wheel": 6, "sanitized": 4}  # entries of each kind, the latest used


def root() -> Path:
    """Where everything is kept: $TRANSFER_GATEWAY_CACHE, else below the user's own cache directory."""
    if chosen := os.environ.get("TRANSFER_GATEWAY_CACHE"):
        return Path(chosen).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transfer-gateway"


def digest(*parts: str | bytes | Path) -> str:
    """A hash, in 16 hex digits, of strings, bytes and the contents of files; a file's own name counts too."""
    total = hashlib.sha256()
    for part in parts:
        match part:
            case Path():
                content = part.name.encode() + b"\0" + part.read_bytes()
            case str():
                content = part.encode()
            case bytes():
                content = part
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:16]


def tree_digest(tree: Path) -> str:
    """The `digest` of every file below `tree`, version control left out."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and ".git" not in path.parts)
    return digest(*(item for path in files for item in (str(path.relative_to(tree)), path)))


def keep(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The directory `kind`-`key`; when it is not there yet, `make` fills an empty one that then takes this name."""
    entry = root() / "binding" / f"{kind}-{key}"
    if not entry.is_dir():
        # Beside its final place, since a rename is atomic only within one file system.
        work = Path(tempfile.mkdtemp(prefix=f"making-{kind}-", dir=entry.parent))
        try:
            make(work)
            work.chmod(0o755)
            work.rename(entry)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    os.utime(entry)
    return entry


def prune() -> None:
    """Remove what has not been used for longest, beyond `KEPT` entries of each kind."""
    for kind, count in KEPT.items():
        entries = sorted((root() / "binding").glob(f"{kind}-*"), key=lambda entry: entry.stat().st_mtime, reverse=True)
        for entry in entries[count:]:
            shutil.rmtree(entry, ignore_errors=True)


@contextmanager
def locked() -> Iterator[None]:
    """Hold the cache for one build; a second one waits, and then finds the work done."""
    (root() / "binding").mkdir(parents=True, exist_ok=True)
    with (root() / "binding" / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is under way; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
