# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures of the two, a value of each for every round, and how they are told: the median, the least and the most."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOTHING = "–"
UNCOMPARED = ("%", "ms late")
"""Units of what says how far the rest can be trusted."""


@dataclass(frozen=True)
class Figure:
    """One line of the table. A round in which it could not be measured has None."""

    what: str
    unit: str
    gateway: list[float | None]
    asterisk: list[float | None]

    @property
    def ratios(self) -> list[float]:
        """Of those rounds in which both were measured: the gateway's value for one of Asterisk's."""
        if self.unit in UNCOMPARED:
            return []
        pairs = zip(self.gateway, self.asterisk, strict=True)
        return [ours / theirs for ours, theirs in pairs if ours is not None and theirs]

    def line(self) -> str:
        """As a row of the table."""
        ours, theirs = told(self.gateway), told(self.asterisk)
        return f"| {self.what}, {self.unit} | {ours} | {theirs} | {told(self.ratios)} |"

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Figure:
        """From what is stored of it."""
        return cls(**stored)


def told(values: Sequence[float | None]) -> str:
    """The median, with least and most if there are several."""
    measured = [value for value in values if value is not None]
    if not measured:
        return NOTHING
    middle = number(median(measured))
    missing = f", {len(measured)} of {len(values)} rounds" if len(measured) < len(values) else ""
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(measured))} to {number(max(measured))}{missing})"


def number(value: float) -> str:
    """With three digits that count."""
    for limit, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= limit:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}"


def percentile(values: Sequence[float], share: float) -> float | None:
    """Of sorted values, the one that so many of them do not exceed; None if there are none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else None


def lines(figures: Sequence[Figure]) -> Iterator[str]:
    """A table of them."""
    yield "| | gateway | Asterisk | gateway ÷ Asterisk |"
    yield "|---|---|---|---|"
    yield from (figure.line() for figure in figures)
