# SPDX-License-Identifier: GPL-2.0-or-later
"""Hold and resume with SIPp at both ends, which checks what each is told; what they hear is listened to."""

from __future__ import annotations

import pytest

from tests.sip.sipp_talk import WAYS, WHO, WIRES, Place, Talk
from tests.support.sipp_end import NOUGHT

pytestmark = pytest.mark.sip

MUSIC_HZ = 1900


async def hold_and_resume(talk: Talk, who: str, direction: str, method: str = "INVITE") -> None:
    """One holds the other and resumes: that one is told, hears music or nothing, and then the first again."""
    holder, held = talk.parts(who)
    told, answer = ("inactive", "inactive") if direction == "inactive" else ("sendonly", "recvonly")
    change = holder.does.reinvite if method == "INVITE" else holder.does.update
    talk.opening()
    change(holder.offer(host=NOUGHT) if direction == NOUGHT else holder.offer(direction), f"a={answer}").stop("held")
    held.does.told(f"a={told}", held.answer(answer)).stop("held")
    change(holder.offer(), "a=sendrecv").stop("resumed")
    held.does.told("a=sendrecv", held.answer()).stop("resumed")
    talk.closing()
    await talk.start()
    await talk.both_hear()
    await talk.until("held")
    holder.media.hz = MUSIC_HZ
    if direction == "inactive":
        await talk.hears_nothing(held)
    else:
        await held.media.hears(MUSIC_HZ)
    await talk.hears_nothing(holder)  # though the other side speaks all the time
    await talk.until("resumed")
    await talk.both_hear()


@pytest.mark.keeps("11.2")
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("way", WAYS)
async def test_hold_and_resume_by_re_invite(place: Place, way: str, who: str, wire: str) -> None:
    async with Talk(place, wire, way) as talk:
        await hold_and_resume(talk, who, "sendonly")


@pytest.mark.keeps("11.2")
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("way", WAYS)
async def test_hold_and_resume_by_update(place: Place, way: str, who: str) -> None:
    async with Talk(place, "udp", way) as talk:
        await hold_and_resume(talk, who, "sendonly", "UPDATE")


@pytest.mark.keeps("11.2")
@pytest.mark.parametrize("direction", ["inactive", NOUGHT])
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("way", WAYS)
async def test_every_kind_of_hold(place: Place, way: str, who: str, direction: str) -> None:
    async with Talk(place, "udp", way) as talk:
        await hold_and_resume(talk, who, direction)
