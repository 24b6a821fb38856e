# SPDX-License-Identifier: GPL-2.0-or-later
"""The key of a row: its time, as milliseconds since 1970, shifted by 20 bits for those that begin in the same one."""

import zlib
from datetime import UTC, datetime

KEY_BITS = 20


def key_of(moment: datetime, which: str) -> int:
    """The key of what began at that moment; `which` is its id."""
    return first_key(moment) | zlib.crc32(which.encode(errors="replace")) & ((1 << KEY_BITS) - 1)


def first_key(moment: datetime) -> int:
    """The lowest key of that millisecond."""
    return max(0, round((moment - _EPOCH).total_seconds() * 1000)) << KEY_BITS


def moment_of(key: int) -> datetime:
    """When what has this key began."""
    return datetime.fromtimestamp((key >> KEY_BITS) / 1000, UTC)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
