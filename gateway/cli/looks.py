# SPDX-License-Identifier: GPL-2.0-or-later
"""What a look at the running gateway finds: the document that programs get, and the sections that people see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway.cli import listing
from gateway.cli.output import BAD, DOUBTFUL, GOOD, PLAIN, Line
from gateway.cli.status import because, broker, destination, stage, standings
from gateway.remote import RemoteError, ask

if TYPE_CHECKING:
    from gateway.config import HttpSettings

Document: TypeAlias = Mapping[str, Any]

MOST_CALLS, MOST_TRANSFERS = 100, 50
"""That are asked for at a look, whatever goes on: more than anybody sees."""
_STYLES = {"completed": GOOD, "refused": DOUBTFUL, "abandoned": DOUBTFUL, "failed": BAD, "interrupted": BAD}


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, and for how long the gateway was asked."""

    at: datetime
    status: Document
    calls: Sequence[Document]
    transfers: Sequence[Document]
    queues: Sequence[Document]
    took_s: float

    def document(self) -> dict[str, Any]:
        """For programs."""
        found = {"status": self.status, "calls": self.calls, "transfers": self.transfers, "queues": self.queues}
        return {"at": _utc(self.at), "reachable": True, "because": None, **found}


def missed(at: datetime, why: str) -> dict[str, Any]:
    """The document of a look that found nobody."""
    return {"at": _utc(at), "reachable": False, "because": why}


def look(http: HttpSettings) -> Look:
    """Ask the running gateway. Raises RemoteError."""
    at, begun = datetime.now(UTC), time.monotonic()
    status = ask(http, "/api/status")
    calls = ask(http, f"/api/calls?limit={MOST_CALLS}")
    transfers = ask(http, f"/api/transfers?limit={MOST_TRANSFERS}")
    queues = ask(http, "/api/queues")
    try:
        found = Look(at, status, calls["calls"], transfers["transfers"], queues["queues"], time.monotonic() - begun)
        list(sections(found))  # what cannot be shown is no look
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RemoteError(f"what answers is no gateway of this release ({error})") from None
    return found


@dataclass(frozen=True, slots=True)
class Section:
    """A table, named by its first column."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    styles: Sequence[str]
    total: int | None  # how many there are, of which these may be some; None: nobody counts them
    spared: tuple[str, ...] = ()
    """Columns that go where there is no room for all, the first of them first."""


def sections(found: Look) -> Iterator[Section]:
    """What a page shows below the verdict and its problems, the most telling first."""
    status = found.status
    peers = list(_peers(status))
    yield Section(
        ("peers", ""), [(line.label or "", line.text) for line in peers], [line.style for line in peers], None
    )
    if found.queues:
        yield _section(_QUEUES, found.queues, _queue_style, len(found.queues))
    yield _section(_CALLS, found.calls, _plain, status["calls"])
    yield _section(_RUNNING, [each for each in found.transfers if each["outcome"] is None], _plain, status["transfers"])
    yield _section(_OVER, [each for each in found.transfers if each["outcome"] is not None], _outcome_style, None)


def _running_row(told: Document) -> tuple[str, ...]:
    return told["transfer"], told["number"] or "-", destination(told), stage(told), clock_time(told["requested_at"])


def _over_row(told: Document) -> tuple[str, ...]:
    why = because(told) if told["outcome"] != "completed" else ""
    return clock_time(told["ended_at"]), told["transfer"], destination(told), told["outcome"], told["reason"], why


@dataclass(frozen=True, slots=True)
class _Kind:
    head: tuple[str, ...]
    row: Callable[[Document], tuple[str, ...]]
    spared: tuple[str, ...]


_QUEUES = _Kind(
    ("queues", *listing.QUEUE_HEAD[1:]), listing.queue_row, ("PBX", "paused", "busy", "expected", "longest")
)
_CALLS = _Kind(("calls", *listing.CALL_HEAD[1:]), listing.call_row, ("audio", "legs", "number", "caller"))
_RUNNING = _Kind(("transfers", "number", "to", "is", "since"), _running_row, ("number", "since"))
_OVER = _Kind(
    ("last outcomes", "transfer", "to", "outcome", "reason", "why"), _over_row, ("why", "transfer", "outcome")
)


def _section(
    kind: _Kind, documents: Sequence[Document], style: Callable[[Document], str], total: int | None
) -> Section:
    rows, styles = [kind.row(each) for each in documents], [style(each) for each in documents]
    return Section(kind.head, rows, styles, total, kind.spared)


def _peers(status: Document) -> Iterator[Line]:
    for kind, good in (("trunks", "up"), ("pbx", "known"), ("webhooks", "up")):
        label = {"trunks": "trunk", "pbx": "PBX", "webhooks": "webhook"}[kind]
        yield from (line._replace(label=label) for line in standings(status[kind], good))
    yield broker(status["mqtt"], status["outbox"])._replace(label="broker")


def _plain(_told: Document) -> str:
    return PLAIN


def _outcome_style(told: Document) -> str:
    return _STYLES.get(told["outcome"], PLAIN)


def _queue_style(told: Document) -> str:
    if not told["known"]:
        return BAD
    return PLAIN if told["available"] else DOUBTFUL


def clock_time(text: str | datetime | None) -> str:
    """Of a time the hour, minute and second, by this machine's clock."""
    if text is None:
        return "-"
    moment = datetime.fromisoformat(text) if isinstance(text, str) else text
    return moment.astimezone().strftime("%H:%M:%S")


def _utc(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
