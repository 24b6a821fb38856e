# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the files into their directory: all of them, after they were checked together, or none.

Into a directory that is not there yet, or is empty, they come by one rename. In one that holds something each takes its
place by a rename of its own, what was there lies beside it, and what fails puts all of it back.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SECRET_MODE, OPEN_MODE, DIRECTORY_MODE = 0o600, 0o644, 0o755


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is to stand in a file; a secret is for its owner alone."""

    text: str
    secret: bool = False


class WritingError(Exception):
    """The files were not written; the message is for people."""


def standing_in_the_way(directory: Path, files: Mapping[str, NewFile]) -> list[str]:
    """The names, of those that would be written, that exist already."""
    return [name for name in files if os.path.lexists(directory / name)]


def write_all(
    directory: Path, files: Mapping[str, NewFile], check: Callable[[Path], None], *, force: bool = False
) -> list[str]:
    """Write all files, by their names within the directory; returns the names of the backups that were made.

    `check` is given a directory in which they are, and raises what it finds wrong: then nothing has happened. Raises
    WritingError where something stands there without `force`, or the disk does not take them.
    """
    if not force and (there := standing_in_the_way(directory, files)):
        raise WritingError(
            f"nothing was written: {', '.join(there)} in {directory} would be overwritten; with --force they are, and "
            "what was in them is kept beside"
        )
    try:
        return _written(directory.absolute(), files, check)
    except OSError as error:
        raise WritingError(f"nothing was written: {error.filename or directory}: {error.strerror or error}") from None


def _written(directory: Path, files: Mapping[str, NewFile], check: Callable[[Path], None]) -> list[str]:
    fresh = not directory.exists() or not any(directory.iterdir())
    parent = directory.parent if fresh else directory
    parent.mkdir(parents=True, exist_ok=True)
    staged = parent / f".transfer-gateway-init-{secrets.token_hex(4)}"
    try:
        _stage(staged, files)
        check(staged)
        if fresh:
            try:
                staged.rename(directory)
            except OSError:
                # A file system of its own is mounted there, or the directory may not be replaced.
                return _replace(directory, staged, files)
            return []
        return _replace(directory, staged, files)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _stage(staged: Path, files: Mapping[str, NewFile]) -> None:
    staged.mkdir(mode=0o700)
    for name, file in files.items():
        path = staged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = SECRET_MODE if file.secret else OPEN_MODE
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            os.fchmod(descriptor, mode)  # whatever the umask
            opened.write(file.text)
            opened.flush()
            os.fsync(descriptor)
    for each in (staged, *(path for path in staged.rglob("*") if path.is_dir())):
        each.chmod(DIRECTORY_MODE)


def _replace(directory: Path, staged: Path, files: Mapping[str, NewFile]) -> list[str]:
    """Put each staged file in its place; what was there gets a name of its own."""
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    done: list[tuple[Path, Path | None]] = []
    try:
        for name in files:
            path = directory / name
            if not path.parent.exists():
                path.parent.mkdir(parents=True)
                path.parent.chmod(DIRECTORY_MODE)
            backup = _free(path.with_name(f"{path.name}.before-{now}")) if os.path.lexists(path) else None
            if backup is not None:
                path.rename(backup)
            done.append((path, backup))
            (staged / name).rename(path)
    except OSError:
        for path, backup in reversed(done):
            with suppress(OSError):
                path.unlink(missing_ok=True)
            if backup is not None:
                backup.rename(path)
        raise
    return [str(backup.relative_to(directory)) for _, backup in done if backup is not None]


def _free(path: Path) -> Path:
    """A name that nothing has yet."""
    count, found = 1, path
    while os.path.lexists(found):
        count += 1
        found = path.with_name(f"{path.name}-{count}")
    return found
