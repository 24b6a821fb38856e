# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether files that are read once, or of which systemd keeps a copy, have been changed since."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What is in force of a file that a `…_file` key, or one like it, names."""

    read_at: float  # seconds since 1970; of a copy that systemd made: when it was made
    renewed_by: Literal["reload", "restart"]


def digest(file: Path | None) -> str:
    """SHA-256 of what a file holds, in hexadecimal; empty without a file, or where it cannot be read."""
    if file is None:
        return ""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def files_read(found: Mapping[Path, Path], directory: Path, at: float) -> dict[str, ReadFile]:
    """What was read, by its name as in `outdated`; `found` as there, `at`: when it was read."""
    files: dict[str, ReadFile] = {}
    for path, original in found.items():
        try:
            copied = path != original
            read = ReadFile(path.stat().st_mtime, "restart") if copied else ReadFile(at, "reload")
        except OSError:
            continue  # gone since
        files[file_name(original, directory)] = read
    return files


def outdated(found: Mapping[Path, Path], directory: Path) -> tuple[str, ...]:
    """The files that have been changed since systemd copied them for this process (systemd.exec(5), LoadCredential=).

    `found`: each file that was read, and where it lies without credentials. systemd makes the copies when the service
    starts, so that only a restart brings what is there now.
    """
    changed = [original for copy, original in found.items() if copy != original and _changed(copy, original)]
    return tuple(sorted(file_name(original, directory) for original in changed))


def _changed(copy: Path, original: Path) -> bool:
    try:
        return copy.read_bytes() != original.read_bytes()
    except OSError:
        pass
    try:
        # The original is for root alone, as it should be; but everybody may see when it was written, moved there or
        # given other rights.
        return original.stat().st_ctime > copy.stat().st_mtime
    except OSError:
        return False  # it does not lie there


def file_name(file: Path, directory: Path) -> str:
    """A file's path; relative to the configuration's directory where it lies in it."""
    return str(file.relative_to(directory) if file.is_relative_to(directory) else file)
