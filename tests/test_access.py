# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether somebody may read a file: the same as the kernel says, with and without an access control list."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.access import may_read

OWNER, SERVICE, GROUP, OTHER_GROUP = 0, 1234, 2345, 3456
USER_OBJ, USER, GROUP_OBJ, NAMED_GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF
R, NONE = 4, 0

LISTS: dict[str, list[tuple[int, int, int]]] = {
    "named": [(USER, R, SERVICE)],
    "named and masked": [(USER, R, SERVICE), (MASK, NONE, NOBODY)],
    "named and refused": [(USER, NONE, SERVICE), (NAMED_GROUP, R, GROUP), (OTHERS, R, NOBODY)],
    "somebody else": [(USER, R, SERVICE + 1)],
    "its group": [(NAMED_GROUP, R, GROUP)],
    "its group, masked": [(NAMED_GROUP, R, GROUP), (MASK, NONE, NOBODY)],
    "its group refused": [(NAMED_GROUP, NONE, GROUP), (OTHERS, R, NOBODY)],
    "one of its groups": [(NAMED_GROUP, NONE, GROUP), (NAMED_GROUP, R, OTHER_GROUP)],
    "everybody": [(OTHERS, R, NOBODY), (USER, R, SERVICE + 1)],
}


def set_list(path: Path, entries: list[tuple[int, int, int]]) -> None:
    """As setfacl would, in the kernel's form: what a list has to have is added."""
    whole = [*entries, (USER_OBJ, 6, NOBODY), (GROUP_OBJ, NONE, NOBODY)]
    for tag, rights in ((MASK, R), (OTHERS, NONE)):
        if tag not in {entry[0] for entry in entries}:
            whole.append((tag, rights, NOBODY))
    whole.sort(key=lambda entry: (entry[0], entry[2]))
    written = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in whole)
    try:
        os.setxattr(path, "system.posix_acl_access", written)
    except OSError as error:
        pytest.skip(f"this file system has no access control lists: {error}")


def kernel_says(path: Path, groups: list[int]) -> bool:
    tried = subprocess.run(["test", "-r", path], check=False, user=SERVICE, group=9999, extra_groups=groups)
    return tried.returncode == 0


@pytest.fixture
def file() -> Iterator[Path]:
    """In a directory that everybody may come to."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        made = Path(directory) / "secret"
        made.touch(mode=0o600)
        yield made


@pytest.mark.slow
@pytest.mark.keeps("20.5")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("groups", [[], [GROUP], [GROUP, OTHER_GROUP], [0]], ids=str)
def test_a_list_is_read_as_the_kernel_reads_it(file: Path, name: str, groups: list[int]) -> None:
    set_list(file, LISTS[name])
    assert may_read(file, SERVICE, {9999, *groups}) == kernel_says(file, groups)


@pytest.mark.slow
@pytest.mark.keeps("20.5")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o604, 0o404])
@pytest.mark.parametrize("groups", [[], [0]], ids=str)
def test_a_mode_is_read_as_the_kernel_reads_it(file: Path, mode: int, groups: list[int]) -> None:
    file.chmod(mode)
    assert may_read(file, SERVICE, {9999, *groups}) == kernel_says(file, groups)
