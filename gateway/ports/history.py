# SPDX-License-Identifier: GPL-2.0-or-later
"""What may be asked of the history, and how it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """Which transfers or calls, newest first; what is None chooses nothing. Times are those of the request."""

    limit: int = 50
    before: int | None = None  # the key of the last one that was told: a page's `next`
    since: datetime | None = None  # at or after
    until: datetime | None = None  # before
    number: str | None = None  # id of the assigned number
    destination: str | None = None
    outcome: str | None = None
    reason: str | None = None
    caller: str | None = None
    text: str | None = None  # words of the trail, all of them; in quotation marks those that follow one another


@dataclass(frozen=True, slots=True)
class FiguresQuery:
    """Of which transfers there are to be figures; what is None chooses nothing. Times are those of the request."""

    since: datetime  # at or after
    until: datetime  # before
    number: str | None = None  # id of the assigned number
    destination: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some of what was asked for, newest first, and the key that leads to the rest; None: there is none."""

    documents: Sequence[Mapping[str, Any]]
    next: int | None
