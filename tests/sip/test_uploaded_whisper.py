# SPDX-License-Identifier: GPL-2.0-or-later
"""A sound that was uploaded for one transfer is heard by who answers it, by nobody else, and in no other transfer."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.sip.hearing import EARLY_HZ, RINGBACK_HZ, WHISPER_HZ, refer_to
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ
from tests.sip.test_accept_by_key import BEFORE_S, has_heard
from tests.support import tones
from tests.support.configuration import TOKEN
from tests.support.processes import eventually, open_files

if TYPE_CHECKING:
    from tests.sip.hearing import Hearing
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

UPLOADED_HZ = EARLY_HZ


async def upload(hearing: Hearing, tmp_path: Path) -> dict[str, Any]:
    """Have the gateway keep a second of a tone."""
    sound = tones.write_wav(tmp_path / "sentence.wav", tones.tone(UPLOADED_HZ, 1)).read_bytes()
    status, text = await hearing.gateway.http("POST", "/api/whispers", token=TOKEN, data=sound)
    assert status == 201, text
    kept: dict[str, Any] = json.loads(text)
    return kept


def held(hearing: Hearing) -> list[str]:
    """The uploaded sounds that the gateway has."""
    return [one for one in open_files(hearing.gateway.child.pid) if "memfd:whisper" in one]


async def gone(hearing: Hearing) -> bool:
    """Whether it has none any more."""
    return not held(hearing)


async def command(hearing: Hearing, whisper: str) -> None:
    """Have the call under way transferred, with this sound."""
    [call] = (await hearing.gateway.get("/api/calls"))["calls"]
    body = {"type": "transfer", "destination": "uploaded", "whisper": whisper}
    status, text = await hearing.gateway.http("POST", f"/api/calls/{call['call']}/transfer", token=TOKEN, body=body)
    assert status == 202, text


async def taken(hearing: Hearing) -> tuple[Call, float]:
    """Who answers, and when."""
    target = await hearing.extension("6016")
    answered = time.monotonic()
    await target.answer(hz=TARGET_HZ)
    await target.media.hears(WHISPER_HZ)
    return target, answered


@pytest.mark.keeps("21.33")
@pytest.mark.parametrize("way", ["refer", "command"])
async def test_it_is_heard_by_who_answers_alone(hearing: Hearing, tmp_path: Path, way: str) -> None:
    kept = await upload(hearing, tmp_path)
    assert kept["duration_s"] == 1
    caller, assistant = await hearing.bridged()
    await caller.media.hears(ASSISTANT_HZ)
    await asyncio.sleep(BEFORE_S)  # some of the assistant, to begin with
    asked = time.monotonic()
    if way == "refer":
        name = kept["whisper"]
        assert (await assistant.refer(refer_to("uploaded"), ("X-Whisper", name))).code == 202
    else:
        await command(hearing, kept["whisper"])
    target, answered = await taken(hearing)
    await target.press("1")
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await has_heard(target, answered, UPLOADED_HZ, WHISPER_HZ, CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, RINGBACK_HZ, TARGET_HZ)
    told = await hearing.outcome()
    assert told["outcome"] == "completed"
    assert "whisper: a sound of 1.0 s was uploaded for this transfer" in told["trail"]
    assert kept["whisper"] not in "".join(told["trail"])


@pytest.mark.keeps("21.34")
async def test_nothing_of_it_stays_after_the_transfer(hearing: Hearing, tmp_path: Path) -> None:
    kept = await upload(hearing, tmp_path)
    caller, _ = await hearing.bridged()
    await caller.media.hears(ASSISTANT_HZ)
    await command(hearing, kept["whisper"])
    target, _ = await taken(hearing)
    await target.press("2")  # declined: the caller is back
    assert (await hearing.outcome())["reason"] == "declined"
    await eventually(partial(gone, hearing), "the sound is let go of", timeout_s=30)
    await caller.media.hears(ASSISTANT_HZ)
    await command(hearing, kept["whisper"])
    target, answered = await taken(hearing)
    await has_heard(target, answered, WHISPER_HZ)
    await target.press("1")
    await caller.media.hears(TARGET_HZ)
    told = (await hearing.gateway.ended(2))[0]
    line = "whisper: not heard, there is no such sound, or not any more, or it is another transfer's"
    assert line in told["trail"]


@pytest.mark.keeps("21.34")
async def test_what_is_no_sound_too_large_or_nobody_s_is_refused(hearing: Hearing, tmp_path: Path) -> None:
    sound = tones.write_wav(tmp_path / "long.wav", tones.tone(UPLOADED_HZ, 31)).read_bytes()
    for data, token, expected in (
        (b"ID3", TOKEN, (400, "bad-sound")),
        (sound, TOKEN, (400, "bad-sound")),
        (bytes(1_000_001), TOKEN, (413, "too-large")),
        (sound, None, (401, "wrong-token")),
    ):
        status, text = await hearing.gateway.http("POST", "/api/whispers", token=token, data=data)
        assert (status, json.loads(text)["error"]["code"]) == expected
