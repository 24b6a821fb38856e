# SPDX-License-Identifier: GPL-2.0-or-later
"""A report as the outside sees it: JSON, CSV or a table for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.report.figures.counting import By, Counting, Figures, Group, percentile

_COUNTS = ("asked", "reached", "unknown", "refused", "lost", "failed", "interrupted", "returned")
_BY = {"destination": ("number", "destination"), "hour": ("hour",), "reason": ("outcome", "reason")}
_HEADS = {"reached_percent": "reached %", "median_s": "median s", "p95_s": "95 % s"}
_SHOWN = 20  # lines of each of the training opportunities in a table


def figures_document(figures: Figures) -> dict[str, Any]:
    """The figures of a group; null where there is nothing to tell."""
    waits = sorted(figures.waits_ms)
    return {
        **{name: getattr(figures, name) for name in _COUNTS},
        "reached_percent": round(100 * figures.reached / figures.asked, 1) if figures.asked else None,
        "median_s": _seconds(percentile(waits, 50)),
        "p95_s": _seconds(percentile(waits, 95)),
    }


def training_document(
    counting: Counting, targets: Sequence[Mapping[str, Any]], never_came: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What is worth telling the assistant, or whoever staffs the destinations."""
    return {
        "no_destination": list(targets),
        "closed": [each._asdict() for each in counting.closed],
        "unreached": [each._asdict() for each in counting.unreached],
        "never_came": list(never_came),
    }


def report_document(counting: Counting, by: By | None, training: Mapping[str, Any]) -> dict[str, Any]:
    """All of it."""
    reasons = sorted(counting.total.reasons.items(), key=lambda each: (-each[1], each[0]))
    return {
        "total": figures_document(counting.total),
        "reasons": [{"outcome": outcome, "reason": reason, "count": count} for (outcome, reason), count in reasons],
        "by": by,
        "groups": [_group(group, by) | figures_document(figures) for group, figures in counting.groups],
        "rung": [each._asdict() for each in counting.rung],
        "training": training,
    }


def as_csv(document: Mapping[str, Any]) -> str:
    """A line for each group, or one for all where there are none (RFC 4180)."""
    rows = _rows(document)
    text = io.StringIO()
    writer = csv.writer(text)
    if rows:
        writer.writerow(rows[0])
        writer.writerows([_plain(value) for value in row.values()] for row in rows)
    return text.getvalue()


def as_table(document: Mapping[str, Any]) -> str:
    """For people."""
    return "\n".join(_table(document)) + "\n"


def _table(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"from {document['since']} to {document['until']}" + (
        f", number {document['number']}" if document["number"] else ""
    )
    yield ""
    yield from _aligned(_rows(document))
    if document["by"] and document["by"] != "reason":
        yield from ("", "in all")
        yield from _aligned([document["total"]])
    if document["by"] != "reason" and document["reasons"]:
        yield from ("", "outcomes and reasons")
        yield from _aligned(document["reasons"])
    if document["by"] == "destination" and document["rung"]:
        yield from ("", "rung, each destination of a hunt by itself")
        yield from _aligned([{key: _words(value) for key, value in each.items()} for each in document["rung"]])
    for name, words in (
        ("no_destination", "asked for, and no destination"),
        ("closed", "asked for when closed"),
        ("unreached", "tried while open, and nobody was reached"),
        ("never_came", "promised by the assistant, and never asked for"),
    ):
        if found := document["training"][name]:
            yield from ("", f"training opportunity: {words}")
            yield from _aligned([{key: _words(value) for key, value in each.items()} for each in found[:_SHOWN]])
            if len(found) > _SHOWN:
                yield f"… and {len(found) - _SHOWN} more (--format json has all)"


def _rows(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    groups: Sequence[Mapping[str, Any]] = document["groups"] if document["by"] else [document["total"]]
    return groups


def _aligned(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "nothing"
        return
    cells = [[_HEADS.get(name, name) for name in rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    numeric = [all(isinstance(row[name], int | float | None) for row in rows) for name in rows[0]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        parts = zip(line, widths, numeric, strict=True)
        yield "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in parts).rstrip()


def _cell(value: object) -> str:
    # What a peer asked for may hold what a terminal would obey.
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else "�" for char in text) or "-"


def _plain(value: object) -> object:
    """A text that a spreadsheet would take for a formula is none."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _words(value: object) -> object:
    return ", ".join(f"{name} {count}×" for name, count in value.items()) if isinstance(value, dict) else value


def _group(group: Group, by: By | None) -> dict[str, Any]:
    return {name: getattr(group, name) or None for name in _BY[by]} if by else {}


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
