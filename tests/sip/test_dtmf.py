# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of keys for which there is nobody yet, and of too many of them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pjsua2 as pj
import pytest

from gateway.core.model import LegId
from gateway.sip.calls.dtmf import ENDED, KEPT, PAUSE_MS, TONE_MS, Keypads

EVENT = pj.PJSUA_DTMF_METHOD_RFC2833


class Side(SimpleNamespace):
    """A leg that notes what it is given."""

    def __init__(self, name: str) -> None:
        super().__init__(
            id=LegId(name), peer=SimpleNamespace(name=name), over=False, ending=False, established=True, given=""
        )

    def sendDtmf(self, prm: pj.CallSendDtmfParam) -> None:  # noqa: N802 - pjsua2's name
        self.given += prm.digits


class Stage:
    """A caller, whose partner may be set and may be deaf."""

    def __init__(self) -> None:
        self.caller, self.target = Side("caller"), Side("target")
        self.partner: Side | None = None
        self.deaf = False
        find: Any = lambda _leg: self.partner  # noqa: E731
        self.keys = Keypads(find, lambda _leg: False, lambda _leg: not self.deaf, lambda: None)

    def press(self, *keys: str) -> None:
        for stamp, key in enumerate(keys):
            self.keys.pressed(self.caller, key, EVENT, stamp)  # type: ignore[arg-type]

    def join(self) -> None:
        self.partner = self.target
        self.keys.joined(self.caller, self.target)  # type: ignore[arg-type]


async def given(side: Side, count: int) -> str:
    """What a side has been given, once that is so much or the time for it is over."""
    for _ in range(count):
        if len(side.given) >= count:
            break
        await asyncio.sleep((TONE_MS + PAUSE_MS) / 1000)
    return str(side.given)


async def test_keys_without_a_partner_are_for_the_next_one() -> None:
    stage = Stage()
    stage.press("1", "2")
    assert stage.target.given == ""
    stage.join()
    assert await given(stage.target, 2) == "12"
    stage.keys.stop()


async def test_keys_for_somebody_who_cannot_take_them_wait_for_him() -> None:
    stage = Stage()
    stage.deaf = True
    stage.join()
    stage.press("5")
    assert stage.target.given == ""
    stage.deaf = False
    stage.keys.changed(stage.target.id)
    assert stage.target.given == "5"
    stage.keys.stop()


async def test_no_more_keys_are_kept_than_a_stream_can_hold() -> None:
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
async def test_a_key_held_for_long_is_one_and_pressed_again_is_another() -> None:
    stage = Stage()
    held, pressed_again = 1365, 2730  # 0xFFFF at 48000 Hz, in milliseconds
    for stamp, flags in ((0, 0), (0, 1), (held, 0), (held, ENDED), (pressed_again, 0)):
        stage.keys.pressed(stage.caller, "5", EVENT, stamp, flags)  # type: ignore[arg-type]
    assert list(stage.keys._pads[stage.caller.id].typed) == ["5", "5"]
