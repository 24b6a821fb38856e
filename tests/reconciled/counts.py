# SPDX-License-Identifier: GPL-2.0-or-later
"""What each of those who count has counted, and the table of all of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.reconciled.kinds import Key
from tests.reconciled.world import TRANSFERS
from tests.support.command_line import transfer_gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.support.gateway import Gateway

ENDED = "transfer.ended.v1"
REJECTED = "transfer_gateway_requests_rejected_total"
DETAILS = ("number", "entry", "destination", "outcome", "reason")
MILESTONES = "transfer_gateway_transfer_milestones_total"


@dataclass
class Book:
    """What one of those who count has at the end: transfers by outcome and reason."""

    name: str
    transfers: Counter[Key] = field(default_factory=Counter)


@dataclass
class Scraped:
    """The counters of one life of the gateway, as they were scraped last."""

    transfers: Counter[Key]
    rejected: Counter[str]
    milestones: Counter[str]
    details: Counter[tuple[str, ...]]
    """As `details` counts."""
    series: frozenset[tuple[tuple[str, str], ...]]
    """Every combination of labels of `transfers_total`, counted or not."""


async def scrape(gateway: Gateway) -> Scraped:
    """All of it as it is now."""
    samples = {name: await gateway._samples(name) for name in (TRANSFERS, REJECTED, MILESTONES)}
    transfers: Counter[Key] = Counter()
    found: Counter[tuple[str, ...]] = Counter()
    for one in samples[TRANSFERS]:
        transfers[one.labels["outcome"], one.labels["reason"]] += int(one.value)
        found[tuple(one.labels[name] for name in DETAILS)] += int(one.value)
    return Scraped(
        +transfers,
        _by(samples[REJECTED], "reason"),
        _by(samples[MILESTONES], "milestone"),
        +found,
        frozenset(tuple(sorted(one.labels.items())) for one in samples[TRANSFERS]),
    )


def _by(samples: Iterable[Any], label: str) -> Counter[str]:
    counted: Counter[str] = Counter()
    for one in samples:
        counted[one.labels[label]] += int(one.value)
    return +counted


def details(transfers: Iterable[Mapping[str, Any]]) -> Counter[tuple[str, ...]]:
    """Transfers by all that labels of the metrics tell apart, from events or the history."""
    return Counter(tuple(one[name] or "unknown" for name in DETAILS) for one in transfers)


def of_events(events: Iterable[Mapping[str, Any]]) -> Counter[Key]:
    """Of the ends of transfers, each event once, by its id."""
    ends = {event["id"]: event["data"] for event in events if event["type"] == ENDED}
    return Counter((data["outcome"], data["reason"]) for data in ends.values())


async def of_history(gateway: Gateway) -> list[dict[str, Any]]:
    """Every transfer that /api/transfers tells of, page by page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await gateway.get(f"/api/transfers?limit=500&cursor={cursor}")
        found += page["transfers"]
        cursor = page["next"]
    return found


async def command(gateway: Gateway, *arguments: str) -> str:
    """What `transfer-gateway` prints. Raises AssertionError where it fails."""
    code, printed, complaints = await transfer_gateway(*arguments, "--config", str(gateway.directory))
    assert code == 0, complaints
    return printed


async def report(gateway: Gateway) -> dict[str, Any]:
    """What `transfer-gateway report` says."""
    made: dict[str, Any] = json.loads(await command(gateway, "report", "--format", "json"))
    return made


async def of_proof(gateway: Gateway, months: Iterable[str]) -> Counter[Key]:
    """The lines of the chain of these months: `report --proof` prints them, and `report --verify` finds them right."""
    found: Counter[Key] = Counter()
    for month in sorted(set(months)):
        file = gateway.directory / f"{month}.txt"
        file.write_text(await command(gateway, "report", "--proof", month))
        await command(gateway, "report", "--verify", str(file))
        lines = [json.loads(line.partition(" ")[2]) for line in file.read_text().splitlines()[1:-1]]
        found.update((one["outcome"], one["reason"]) for one in lines if one["requested_at"].startswith(month))
    return found


def of_report(made: Mapping[str, Any]) -> Counter[Key]:
    """A report's outcomes and reasons."""
    return Counter({(one["outcome"], one["reason"]): one["count"] for one in made["reasons"]})


def table(books: Sequence[Book]) -> Iterator[str]:
    """A row for each outcome and reason, a column for each of those who count, and the sums."""
    keys = sorted({key for book in books for key in book.transfers})
    rows = [
        ["outcome", "reason", *(book.name for book in books)],
        *([*key, *(str(book.transfers[key]) for book in books)] for key in keys),
        ["", "all", *(str(book.transfers.total()) for book in books)],
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()


def differences(books: Sequence[Book]) -> list[str]:
    """Where they do not all have the same."""
    found = []
    for key in sorted({key for book in books for key in book.transfers}):
        counts = {book.name: book.transfers[key] for book in books}
        if len(set(counts.values())) > 1:
            found.append(f"{'/'.join(key)}: {counts}")
    return found
