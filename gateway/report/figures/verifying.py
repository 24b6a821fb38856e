# SPDX-License-Identifier: GPL-2.0-or-later
"""`report --verify`: whether a proof is whole and its figures are those of its lines, from the file alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.core.json_form import timestamp
from gateway.report.figures.proof import FORM, ProofFigures, month_span
from gateway.report.history.chain import GENESIS, KEYS, linked

_LINE = re.compile(r"([0-9a-f]{64}) (\{.*\})")
_WRONG = (ValueError, TypeError, KeyError, AttributeError)


class ProofError(Exception):
    """The first thing that does not fit, with the line of the file it was found in."""

    def __init__(self, place: int, why: str) -> None:
        super().__init__(f"line {place}: {why}")


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: the lines of the chain, the figures made from them, and what the file cannot tell by itself."""

    first: int
    last: int
    figures: Mapping[str, Any]
    notes: tuple[str, ...]


def verify(file: Iterable[str], heads: Mapping[int, str]) -> Verified:
    """Recompute a proof; `heads` are hashes by the number of their line, as they were noted elsewhere.

    Raises ProofError.
    """
    lines = enumerate((line.rstrip("\r\n") for line in file), start=1)
    place, header = next(lines, (1, ""))
    try:
        kind, _, text = header.partition(" ")
        told = json.loads(text) if kind == "proof" else {}
        if told["form"] != FORM:
            raise ProofError(place, f"it is of form {told['form']}, which this release does not know")
        since, until = month_span(told["month"], _zone(told["zone"]))
        begun = _Begun(told["first"], told["before"], since, until, told["figures"])
        if (told["since"], told["until"]) != (timestamp(since), timestamp(until)):
            raise ProofError(place, "since and until are not those of the month")
        made_at = datetime.fromisoformat(told["made_at"])
    except _WRONG:
        raise ProofError(place, "this is no proof") from None
    verified = _Chain(begun, heads).verify(place, lines)
    if made_at < until:
        return _noted(verified, f"it was made before {told['month']} was over")
    return verified


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise ValueError(name) from None


def _noted(verified: Verified, note: str) -> Verified:
    return Verified(verified.first, verified.last, verified.figures, (*verified.notes, note))


@dataclass(frozen=True, slots=True)
class _Begun:
    first: int
    before: str | None
    since: datetime
    until: datetime
    figures: Mapping[str, Any]

    def has(self, line: Mapping[str, Any]) -> bool:
        """Whether the transfer was asked for in the month."""
        return self.since <= datetime.fromisoformat(line["requested_at"]) < self.until


def _read(place: int, text: str) -> Mapping[str, Any]:
    try:
        line = json.loads(text)
        if type(line["n"]) is not int or line.keys() != KEYS:
            raise ValueError(text)
        for name in ("requested_at", "human_at"):
            if line[name] is not None or name == "requested_at":
                datetime.fromisoformat(line[name]).astimezone(UTC)
    except _WRONG:
        raise ProofError(place, "this is no line of the chain") from None
    return dict(line)


class _Chain:
    def __init__(self, begun: _Begun, heads: Mapping[int, str]) -> None:
        self._begun = begun
        self._heads = dict(heads)
        self._figures = ProofFigures()
        self._n = begun.first - 1
        self._hash = GENESIS if begun.first == 1 else begun.before
        self._is_in = False  # the last line is of the month

    def verify(self, header: int, lines: Iterator[tuple[int, str]]) -> Verified:
        end, place = None, header
        for place, text in lines:
            if end is not None:
                raise ProofError(place, "there is something behind the end")
            if text.startswith("end "):
                end = text
            else:
                self._take(place, text)
        if end is None:
            raise ProofError(place + 1, "the end is missing: the file was cut off")
        return self._ended(place, end)

    def _take(self, place: int, text: str) -> None:
        parts = _LINE.fullmatch(text)
        if parts is None:
            raise ProofError(place, "this is no line of the chain")
        noted, line = parts[1], _read(place, parts[2])
        n, is_in = line["n"], self._begun.has(line)
        if n != self._n + 1:
            raise ProofError(place, f"line {self._n + 1} of the chain should be here, not {n}")
        if self._hash is not None and linked(self._hash, parts[2]) != noted:
            raise ProofError(place, f"the hash of line {n} is not that of the hash before it and this line")
        if n == self._begun.first and is_in and n != 1:
            raise ProofError(place, f"the line before line {n} is missing: the beginning of the month was cut off")
        if n in self._heads and self._heads.pop(n) != noted:
            raise ProofError(place, f"line {n} was noted with another hash")
        self._n, self._hash, self._is_in = n, noted, is_in
        if is_in:
            self._figures.add(line)

    def _ended(self, place: int, text: str) -> Verified:
        try:
            told = json.loads(text.removeprefix("end "))
            last, head, noted = int(told["last"]), int(told["head"]["n"]), str(told["head"]["hash"])
        except _WRONG:
            raise ProofError(place, "this is no end of a proof") from None
        if self._n < self._begun.first or (self._n == last == head and noted != self._hash):
            raise ProofError(place, "the head is not the last line's")
        if last != self._n:
            raise ProofError(place, f"the last line should be line {last}, and is {self._n}")
        if self._is_in and head != last:
            raise ProofError(place, f"the line after line {last} is missing: the end of the month was cut off")
        missing = [n for n in self._heads if n > last and self._is_in]
        if missing:
            raise ProofError(place, f"line {min(missing)} was noted, and the chain ends with line {last} here")
        figures = self._figures.document()
        if figures != self._begun.figures:
            differing = [name for name in figures if figures[name] != self._begun.figures.get(name)]
            raise ProofError(1, f"the figures are not those of the lines: {', '.join(differing) or 'more are told'}")
        return Verified(self._begun.first, last, figures, tuple(self._notes(last)))

    def _notes(self, last: int) -> Iterator[str]:
        if self._is_in:
            yield f"line {last} was the newest: whether more followed, a later chain-head or --proof tells"
        for n in self._heads:
            yield f"line {n} is not in this file: its hash was compared with nothing"
