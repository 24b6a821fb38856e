# SPDX-License-Identifier: GPL-2.0-or-later
"""The C and C++ programs of the comparison, compiled on first use (two seconds each), from the cache afterwards."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from tests.support.fetch import cache_dir

ENDS = Path(__file__).with_name("ends")
FLAGS = {
    ".cpp": ["c++", "-O2", "-std=c++17", "-Wall", "-Wextra"],
    ".c": ["cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC"],
}


def compiled(source: str) -> Path:
    """The program, or for C the shared library, of a source in `ends`. Raises CalledProcessError with what is wrong."""
    file = ENDS / source
    command = FLAGS[file.suffix]
    read = b"".join(each.read_bytes() for each in (file, *sorted(ENDS.glob("*.hpp"))))
    key = hashlib.sha256(" ".join(command).encode() + read).hexdigest()[:12]
    made = cache_dir() / "compare" / f"{file.stem}-{key}"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        # Under a name of its own until it is whole: another process may make the same.
        draft = made.with_name(f"{made.name}.{os.getpid()}")
        subprocess.run([*command, "-o", str(draft), str(file)], check=True, stdin=subprocess.DEVNULL)
        draft.rename(made)
    return made
