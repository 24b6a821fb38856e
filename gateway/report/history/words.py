# SPDX-License-Identifier: GPL-2.0-or-later
"""The words of a trail, as the index has them: split where SQLite's tokenizer `unicode61` splits, without accents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_ASCII_WORD = re.compile("[a-z0-9]+")
_QUOTED = re.compile(r'"([^"]*)"|([^"]+)')


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    plain = unicodedata.normalize("NFD", text.lower())
    kept = (char for char in plain if not unicodedata.combining(char))
    return "".join(char if unicodedata.category(char)[0] in "LN" else " " for char in kept).split()


def phrases(text: str) -> list[list[str]]:
    """What is looked for: each word by itself, and what stands in quotation marks as a row of words."""
    found: list[list[str]] = []
    for quoted, plain in _QUOTED.findall(text):
        found += [words(quoted)] if quoted else [[word] for word in words(plain)]
    return [phrase for phrase in found if phrase]


def match_of(wanted: Sequence[Sequence[str]]) -> str:
    """The same as an FTS5 query, in which nothing is an operator; empty where nothing is wanted."""
    return " AND ".join(f'"{" ".join(phrase)}"' for phrase in wanted)


def has(text: str, wanted: Sequence[Sequence[str]]) -> bool:
    """Whether every phrase is in the text."""
    there = f" {' '.join(words(text))} "
    return all(f" {' '.join(phrase)} " in there for phrase in wanted)
