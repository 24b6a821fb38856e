# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether somebody else may read or write a file: by its mode, or by its access control list where it has one."""

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

# acl(5), and linux/posix_acl_xattr.h: a version, then entries of a tag, rights and an id.
_LIST = "system.posix_acl_access"
_VERSION, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_OWNER, _USER, _OWNING_GROUP, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


def may_read(path: Path, user: int | None, groups: set[int]) -> bool:
    """Whether they may read it, and pass each directory above it; `user` None: one who owns nothing."""
    return may(path, user, groups, stat.S_IROTH)


def may(path: Path, user: int | None, groups: set[int], wanted: int) -> bool:
    """Whether this user has these rights to a file, and each directory above lets them pass.

    `user` None: one who owns nothing. `wanted` are bits of others.
    """
    try:
        found = path.resolve(strict=True)
        above = [(each, stat.S_IXOTH) for each in found.parents]
        return all(_granted(each, user, groups, bits) for each, bits in ((found, wanted), *above))
    except OSError:
        return False


def _granted(path: Path, user: int | None, groups: set[int], wanted: int) -> bool:
    status = path.stat()
    if user is not None and status.st_uid == user:
        return status.st_mode >> 6 & wanted == wanted
    entries = list(_entries(path))
    if not entries:
        given = status.st_mode >> 3 if status.st_gid in groups else status.st_mode
        return given & wanted == wanted
    # With a list the mode's rights of the group are the list's mask.
    rights = {tag: right for tag, right, _ in entries if tag in {_OWNING_GROUP, _MASK, _OTHERS}}
    mask = rights.get(_MASK, 0o7)
    named = [right for tag, right, who in entries if tag == _USER and who == user]
    if named:
        return named[0] & mask & wanted == wanted
    grouped = [right for tag, right, who in entries if tag == _GROUP and who in groups]
    if status.st_gid in groups:
        grouped.append(rights.get(_OWNING_GROUP, 0))
    if grouped:
        return any(right & mask & wanted == wanted for right in grouped)
    return rights.get(_OTHERS, 0) & wanted == wanted


def _entries(path: Path) -> Iterator[tuple[int, int, int]]:
    """Tag, rights and id of each entry of a file's list; none where it has none, or the file system knows of none."""
    try:
        written = os.getxattr(path, _LIST)
    except OSError:
        return
    if len(written) >= _VERSION.size and _VERSION.unpack_from(written) == (2,):
        whole = (len(written) - _VERSION.size) // _ENTRY.size * _ENTRY.size
        yield from _ENTRY.iter_unpack(written[_VERSION.size : _VERSION.size + whole])
