# SPDX-License-Identifier: GPL-2.0-or-later
"""Files in memory, for libraries that take the name of a file: whoever opens them waits for no disk."""

import hashlib
import os
import weakref


class MemoryFile:
    """Some bytes under a name that this process can open, for as long as this is there (memfd_create(2)).

    Who has opened it may read on when it is gone. Raises OSError where the system has no descriptor left.
    """

    def __init__(self, data: bytes, label: str) -> None:
        """`label`: what it is, for whoever looks at /proc/<pid>/fd."""
        descriptor = os.memfd_create(label, os.MFD_CLOEXEC)
        self.name = f"/proc/self/fd/{descriptor}"
        self.close = weakref.finalize(self, os.close, descriptor)
        """Let go of it before its time; safe to call twice."""
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
        except OSError:
            self.close()
            raise


_kept: weakref.WeakValueDictionary[bytes, MemoryFile] = weakref.WeakValueDictionary()


def shared(data: bytes, label: str) -> MemoryFile:
    """A file with this in it, the same one for all who ask for the same. Raises OSError, see MemoryFile."""
    digest = hashlib.sha256(data).digest()
    found = _kept.get(digest)
    if found is None:
        found = _kept[digest] = MemoryFile(data, label)
    return found
