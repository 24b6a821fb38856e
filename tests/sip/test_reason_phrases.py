# SPDX-License-Identifier: GPL-2.0-or-later
"""A sentence for the caller as the reason phrase of a status line: within the grammar, whatever a name holds."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.text.reason_phrases import MAX_PHRASE, phrase_for, spoken_phrase

GRAMMAR = re.compile(r"(?:[A-Za-z0-9;/?:@&=+$,\-_.!~*'() ]|[^\x00-\xa0])*")
"""Reason-Phrase of RFC 3261 §25.1, without the escapes and tabs that are never written."""


@pytest.mark.parametrize(
    ("sentence", "phrase"),
    [
        ("Sales is closed until 09:00.", "Sales is closed until 09:00"),
        ("Verkoop\r\nContact: <sip:eve@example.net> is dicht.", "Verkoop Contact: (sip:eve@example.net) is dicht"),
        ("Die \"Zentrale\"\tist\x00\x7f\x85 besetzt.", "Die 'Zentrale' ist besetzt"),
        ("Ventes\u2028fermé\u200b\u202e.", "Ventes fermé"),
        ("R&D [100%] {#1} \\ `x` ^ | is busy.", "R&D (100 ) ( 1) / 'x' / is busy"),
        ("Half of \ud83d is busy.", "Half of is busy"),
        ("Cafe\u0301 is busy.", "Café is busy"),
        ("😀 is closed.", "😀 is closed"),
        ("", ""),
        ("\r\n", ""),
    ],
)  # fmt: skip
def test_what_is_no_part_of_a_phrase_is_left_out_of_it(sentence: str, phrase: str) -> None:
    assert spoken_phrase(sentence) == phrase


@pytest.mark.parametrize(
    ("sentence", "phrase"),
    [
        ("Café Zürich is gesloten.", "Cafe Zurich is gesloten"),
        ("Groß & Søn – “æble” kostet 5 €.", "Gross & Son - 'aeble' kostet 5 EUR"),
        ("😀 is closed.", "is closed"),
        ("Отдел продаж закрыт.", ""),  # nothing that ASCII could say
        ("Отдел is closed until Monday at 09:00.", "is closed until Monday at 09:00"),
    ],
)
def test_ascii_for_who_reads_nothing_else(sentence: str, phrase: str) -> None:
    assert spoken_phrase(sentence, to_ascii=True) == phrase


def test_a_long_sentence_is_cut_between_words() -> None:
    phrase = spoken_phrase("een twee drie " * 20)
    assert len(phrase) <= MAX_PHRASE
    assert phrase.endswith((" een...", " twee...", " drie..."))
    assert spoken_phrase("x" * 500) == "x" * (MAX_PHRASE - 3) + "..."
    assert spoken_phrase("x" * MAX_PHRASE + ".") == "x" * MAX_PHRASE


@given(st.text(max_size=300), st.booleans())
def test_whatever_a_sentence_holds_the_phrase_keeps_to_the_grammar(sentence: str, to_ascii: bool) -> None:
    phrase = spoken_phrase(sentence, to_ascii=to_ascii)
    assert GRAMMAR.fullmatch(phrase)
    assert len(phrase) <= MAX_PHRASE
    assert phrase == phrase.strip()
    assert not to_ascii or phrase.isascii()
    assert len(f"SIP/2.0 480 {phrase}\r\n".splitlines()) == 1


def test_only_a_trunk_that_reads_sentences_is_told_one() -> None:
    def trunk(kind: str) -> Any:
        return cast("Any", SimpleNamespace(reason_phrase=kind, reason_phrase_ascii=False))

    assert phrase_for(trunk("sentence"), "Sales is closed.") == "Sales is closed"
    assert phrase_for(trunk("sentence"), None) == ""
    assert phrase_for(trunk("standard"), "Sales is closed.") == ""
    assert phrase_for(None, "Sales is closed.") == ""  # a PBX
