# SPDX-License-Identifier: GPL-2.0-or-later
"""Which way the audio of two legs takes, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.media_way import RELAYED, TRANSLATED, Why, bridged
from gateway.sip.calls.media_way import Format, Side, decide

pytestmark = pytest.mark.keeps("17.15")

ALAW = Format("PCMA", 8000, 1)
OPUS = Format("OPUS", 48000, 2, "useinbandfec=1;")
PLAIN = Side(ALAW)
ULAW = Side(Format("PCMU", 8000, 1))


@pytest.mark.parametrize("one", [ALAW, Format("G722", 16000, 1), OPUS, replace(ALAW, asked_for="annexb=no;")], ids=str)
def test_two_with_one_codec_are_relayed(one: Format) -> None:
    assert decide(Side(one), Side(one)) == RELAYED


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (PLAIN, Side(Format("G722", 16000, 1)), Why.CODEC),
        (PLAIN, Side(Format("PCMA", 16000, 1)), Why.CODEC),
        (ULAW, Side(Format("PCMA", 8000, 2)), Why.CODEC),
        (ULAW, Side(ALAW, media="bridge"), Why.SETTING),
        (Side(OPUS), Side(replace(OPUS, channels=1)), Why.CODEC),
        (Side(OPUS), Side(replace(OPUS, asked_for="maxaveragebitrate=20000;")), Why.PARAMETERS),
        (PLAIN, Side(ALAW, media="bridge"), Why.SETTING),
        (PLAIN, Side(None), Why.NO_AUDIO),
    ],
)
def test_what_cannot_be_relayed_is_bridged_and_says_why(one: Side, other: Side, why: Why) -> None:
    assert decide(one, other) == decide(other, one) == bridged(why)


def test_the_two_forms_of_g711_are_relayed_too() -> None:
    assert decide(PLAIN, ULAW) == decide(ULAW, PLAIN) == TRANSLATED
    assert decide(PLAIN, ULAW, waits=True) == bridged(Why.WAITING)
    assert decide(PLAIN, ULAW, keys=True) == bridged(Why.KEYS)
    assert PLAIN.takes_events_of(ULAW)
    assert ULAW.takes_events_of(PLAIN)


def test_who_waits_or_is_sent_keys_needs_the_bridge() -> None:
    assert decide(PLAIN, PLAIN, waits=True) == bridged(Why.WAITING)
    assert decide(PLAIN, PLAIN, keys=True) == bridged(Why.KEYS)


def test_format_parameters_of_a_codec_without_any_do_not_matter() -> None:
    assert decide(PLAIN, Side(replace(ALAW, asked_for="annexb=no;"))) == RELAYED


def test_events_go_on_where_the_other_side_takes_them() -> None:
    assert PLAIN.takes_events_of(PLAIN)
    assert not Side(replace(ALAW, events=False)).takes_events_of(PLAIN)
    assert not Side(ALAW, wants_info=True).takes_events_of(PLAIN)
    assert PLAIN.takes_events_of(Side(ALAW, wants_info=True))
    assert not Side(OPUS).takes_events_of(Side(OPUS))
    assert not PLAIN.takes_events_of(Side(None))


def test_the_binding_tells_a_format() -> None:
    assert Format.read(("opus", "48000", "2", "useinbandfec=1;", "0")) == replace(OPUS, events=False)
    assert Format.read(()) is None
