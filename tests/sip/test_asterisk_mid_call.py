# SPDX-License-Identifier: GPL-2.0-or-later
"""What two real Asterisks do in the middle of a call: hold, keys, session timers."""

from __future__ import annotations

import pytest

from tests.sip.aged import AGREED, TIMED
from tests.sip.bed import TARGET_HZ
from tests.sip.far_ends import End, Ends, FarBed, FarStage
from tests.sip.mid_call import WAYS, both_hear, has_keys

pytestmark = [pytest.mark.sip, pytest.mark.pbx]

MUSIC_HZ = 2300
SAFE = End("tls", encrypted=True)
INFO = End(asterisk={"dtmf_mode": "info"}, profile={"dtmf": "info"})
PAIRS = {
    "plain": Ends(),
    "safe": Ends(SAFE, SAFE),
    "info": Ends(INFO),
    "infopbx": Ends(pbx=INFO),
    "opus": Ends(End(codecs=("opus",)), End(codecs=("g722",))),
    "timed": Ends(TIMED, TIMED),
}


@pytest.mark.keeps("10.8")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["plain", "safe", "info", "infopbx", "opus"])
async def test_keys_each_once_both_ways_and_around_a_transfer(far_bed: FarBed, name: str, way: str) -> None:
    async with FarStage(far_bed, name) as at:
        person, assistant = await at.conversation(way)
        # One after the other: an Asterisk that sends a key sends a packet of it for each packet that it receives. Two
        # that do so at the same time answer each other's, and their keys take seconds or never come.
        person.media.press("159D")
        await has_keys(assistant, "159D")
        assistant.media.press("2#")
        await has_keys(person, "2#")
        await at.refer(assistant)
        target = await at.people.wait_call()
        person.media.press("73")  # for whoever answers
        await target.answer(hz=TARGET_HZ)
        await both_hear(person, target)
        await has_keys(target, "73")
        person.media.press("44")
        await has_keys(target, "7344")
        target.media.press("0")
        await has_keys(person, "2#0")
        await at.platform.released(name)
        await at.hang_up(person, target)
        assert [call.media.keys for call in (person, assistant, target)] == ["2#0", "159D", "7344"]
    for far, end in ((at.platform, PAIRS[name].trunk), (at.pbx, PAIRS[name].pbx)):
        infos = {sent for sent, one in await at.messages(far) if one.method == "INFO" and one.is_request}
        assert infos == ({True, False} if end is INFO else set())


@pytest.mark.keeps("10.9")
@pytest.mark.parametrize("way", WAYS)
async def test_session_timers(far_bed: FarBed, way: str) -> None:
    async with FarStage(far_bed, "timed") as at:
        person, assistant = await at.conversation(way)
        calling, called = (at.pbx, at.platform) if way == WAYS[0] else (at.platform, at.pbx)
        # The one Asterisk asks the gateway for the shortest time there is; the other is asked by it for half an hour.
        for far, expires in ((calling, AGREED), (called, "1800;refresher=uac")):
            [agreed] = [one for _, one in await at.messages(far) if one.code == 200 and one.method == "INVITE"]
            assert agreed["Session-Expires"] == expires
            assert agreed["Require"] == "timer"
        await at.hang_up(person, assistant)
