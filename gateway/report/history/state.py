# SPDX-License-Identifier: GPL-2.0-or-later
"""How the history is: what `/api/status` and the metrics say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.core.json_form import timestamp
from gateway.report.history.chain import NO_HEAD, Head


@dataclass(frozen=True, slots=True)
class HistorySize:
    """How much the history holds, and what its limits have deleted since the file was made."""

    transfers: int
    calls: int
    bytes: int
    oldest_at: float | None  # seconds since 1970
    deleted: Mapping[str, int]  # by why: age, size
    head: Head = NO_HEAD  # of the chain
    platform_calls: int = 0
    in_full: int = 0  # rows that may still name their caller in full, while `callers` says otherwise


@dataclass(frozen=True, slots=True)
class HistoryState:
    """How the history is, as it was last looked at."""

    writable: bool = True
    why: str = ""  # it is not
    size: HistorySize | None = None  # None: not known yet


def history_document(state: HistoryState, *, waiting: int, refused: int) -> dict[str, object]:
    """What `/api/status` says of it; null where it is not known yet."""
    size = state.size
    return {
        "writable": state.writable,
        "why": state.why or None,
        "waiting": waiting,
        "refused": refused,
        "transfers": size and size.transfers,
        "calls": size and size.calls,
        "platform_calls": size and size.platform_calls,
        "bytes": size and size.bytes,
        "oldest_at": size and size.oldest_at and timestamp(datetime.fromtimestamp(size.oldest_at, UTC)),
        "deleted": size and dict(size.deleted),
        "in_full": size and size.in_full,
        "chain": size and size.head._asdict(),
    }
