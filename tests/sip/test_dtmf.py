# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of keys for which there is nobody yet, and of too many of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core.model import LegId
from gateway.sip.calls.dtmf import KEPT, PAUSE_MS, TONE_MS, Keypads
from gateway.sip.calls.leg_control import KeyPress, KeyWay
from gateway.sip.calls.pairs import Pairs
from tests.bench.clock import VirtualClock


class Side(SimpleNamespace):
    """A leg that notes what it is given."""

    def __init__(self, name: str) -> None:
        super().__init__(
            id=LegId(name), peer=SimpleNamespace(name=name), over=False, ending=False, established=True, given=""
        )

    def press(self, key: str, way: KeyWay, duration_ms: int) -> bool:
        self.given += key
        return True


class Stage:
    """A caller, whose partner may be set and may be deaf."""

    def __init__(self) -> None:
        self.caller, self.target = Side("caller"), Side("target")
        legs: dict[LegId, Any] = {side.id: side for side in (self.caller, self.target)}
        self.deaf = False
        self.pairs, self.clock = Pairs(), VirtualClock(datetime(2026, 11, 29, tzinfo=UTC))
        self.told: list[LegId] = []  # before each event, whoever is given it
        self.keys = Keypads(
            self.pairs, legs.get, lambda _leg: False, lambda _leg: not self.deaf, self.clock, lambda: None,
            self.told.append,
        )  # fmt: skip

    def press(self, *keys: str) -> None:
        for stamp, key in enumerate(keys):
            self.keys.pressed(self.caller, KeyPress(key, KeyWay.EVENT, stamp))

    def join(self) -> None:
        self.pairs.join(self.caller.id, self.target.id)
        self.keys.joined(self.caller, self.target)

    def given(self, count: int) -> str:
        """What the target has been given, once the time for so many keys is over."""
        self.clock.advance(count * (TONE_MS + PAUSE_MS) / 1000)
        return str(self.target.given)


def test_keys_without_a_partner_are_for_the_next_one() -> None:
    stage = Stage()
    stage.press("1", "2")
    assert stage.target.given == ""
    stage.join()
    assert stage.given(2) == "12"
    stage.keys.stop()


@pytest.mark.keeps("17.7")
def test_a_key_whose_packets_were_relayed_is_not_given_as_well() -> None:
    stage = Stage()
    stage.join()
    relayed = KeyPress("7", KeyWay.EVENT, 800, relayed=True)
    stage.keys.pressed(stage.caller, relayed)
    stage.keys.pressed(stage.caller, replace(relayed, ended=True))
    stage.keys.pressed(stage.caller, KeyPress("7", KeyWay.INFO))  # the same in the other way
    assert stage.given(3) == ""
    assert stage.told == []
    stage.keys.pressed(stage.caller, KeyPress("8", KeyWay.INFO))
    assert stage.given(1) == "8"
    assert stage.told == [stage.target.id]
    stage.keys.stop()


def test_keys_for_somebody_who_cannot_take_them_wait_for_him() -> None:
    stage = Stage()
    stage.deaf = True
    stage.join()
    stage.press("5")
    assert stage.target.given == ""
    stage.deaf = False
    stage.keys.changed(stage.target.id)
    assert stage.target.given == "5"
    stage.keys.stop()


def test_no_more_keys_are_kept_than_a_stream_can_hold() -> None:
    stage = Stage()
    stage.press(*"0123456789" * 10)
    stage.deaf = True
    stage.join()
    stage.deaf = False
    stage.press("#")
    pad = stage.keys._pads[stage.target.id]
    assert len(pad.waiting) + len(stage.target.given) == KEPT
    stage.keys.stop()


@pytest.mark.keeps("9.20")
def test_a_key_held_for_long_is_one_and_pressed_again_is_another() -> None:
    stage = Stage()
    held, pressed_again = 1365, 2730  # 0xFFFF at 48000 Hz, in milliseconds
    for stamp, ended in ((0, False), (0, False), (held, False), (held, True), (pressed_again, False)):
        stage.keys.pressed(stage.caller, KeyPress("5", KeyWay.EVENT, stamp, ended))
    assert list(stage.keys._pads[stage.caller.id].typed) == ["5", "5"]
