# SPDX-License-Identifier: GPL-2.0-or-later
"""Hand-down: a real PBX carries out the transfer that the assistant asks for, and the gateway leaves the path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.e2e.scene import ANNA_HZ, ASSISTANT_HZ, CALLER_HZ, hang_up, scene
from tests.support.company import NUMBER, settings
from tests.support.end import both_hear
from tests.support.processes import eventually

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.conftest import Phones
    from tests.e2e.scene import Scene
    from tests.support.asterisk import Asterisk

pytestmark = pytest.mark.pbx

SALES, SUPPORT, TINY, ANNA = "+31612345678", "+31612345679", "+31612345680", "+31612345681"
BUSY, MISSING = "+31612345682", "+31612345685"
BRIDGED = "bridge: it is not certain that somebody answers, and the PBX would not give the caller back"


def handing(pbx: Asterisk) -> AbstractAsyncContextManager[Scene]:
    """The stage with a PBX whose profile says hand-down."""
    files = settings(pbx.net, pbx=pbx)
    files.profiles["asterisk"]["transfer_mode"] = "hand-down"
    return scene(pbx, files=files)


async def phone_is(play: Scene, target: str, state: str) -> None:
    """Wait until the gateway knows what the phone behind a target is doing."""

    async def known() -> bool:
        told = await play.gateway.get(f"/api/explain?target={quote(target)}&number={quote(NUMBER)}")
        return any(line.endswith(f": {state}") for line in told["trail"])

    await eventually(known, f"{target} is known to be {state}")


async def only(play: Scene) -> dict[str, Any]:
    """The only transfer there has been, once it has ended."""
    [ended] = await play.gateway.ended()
    return ended


async def test_the_pbx_takes_a_caller_to_a_staffed_queue(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with handing(pbx) as play, pbx.ami() as ami:
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        assert await play.refer(assistant, SALES) == 202
        told = await assistant.notifies()
        assert [notify.sipfrag for notify in told] == [100, 200]
        await assistant.wait_request("BYE")
        await anna.event("CALL_INCOMING")
        # The PBX says that it has the caller while the phone still rings: there is no outcome before a person is there.
        [running] = await play.gateway.transfers()
        assert (running["outcome"], running["human_at"]) == (None, None)
        await anna.pick_up()
        await ami.event("AgentConnect", Queue="sales")
        ended = await only(play)
        assert (ended["outcome"], ended["reason"], ended["destination"]) == ("completed", "answered", "sales")
        assert ended["human_at"] >= ended["answered_at"] > ended["requested_at"]
        assert ended["trail"][-1] == "hand-down: the PBX takes the caller to 6500 by itself"

        # Nothing of it is left here, and they talk.
        await play.gateway.idle()
        await anna.hears(CALLER_HZ)
        await caller.media.hears(ANNA_HZ)
        await hang_up(caller)
        await anna.event("CALL_CLOSED")


async def test_the_pbx_takes_a_caller_to_an_extension(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with handing(pbx) as play:
        await phone_is(play, ANNA, "idle")
        caller, assistant = await play.talk()
        assert await play.refer(assistant, ANNA) == 202
        assert [notify.sipfrag for notify in await assistant.notifies()] == [100, 180, 200]
        await assistant.wait_request("BYE")
        [running] = await play.gateway.transfers()
        assert running["outcome"] is None
        await anna.pick_up()
        ended = await only(play)
        assert (ended["outcome"], ended["attempts"][0]["extension"]) == ("completed", "6001")
        assert ended["human_at"] is not None
        await play.gateway.idle()
        await anna.hears(CALLER_HZ)
        await caller.media.hears(ANNA_HZ)
        await anna.hang_up()
        await caller.wait_request("BYE")


@pytest.mark.parametrize("target", [ANNA, SALES])
async def test_a_caller_who_hangs_up_while_the_phone_rings_has_abandoned_it(
    pbx: Asterisk, phones: Phones, target: str
) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with handing(pbx) as play:
        await phone_is(play, ANNA, "idle")
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        assert await play.refer(assistant, target) == 202
        await assistant.notifies()
        await anna.event("CALL_INCOMING")
        await hang_up(caller)
        ended = await only(play)
        assert (ended["outcome"], ended["reason"], ended["human_at"]) == ("abandoned", "caller-hung-up", None)


async def test_a_phone_that_is_not_there_is_never_handed_down_to(pbx: Asterisk) -> None:
    async with handing(pbx) as play:
        await phone_is(play, ANNA, "unavailable")
        caller, assistant = await play.talk()
        assert await play.refer(assistant, ANNA) == 480
        await both_hear(caller, assistant)
        assert (await only(play))["reason"] == "queue-unstaffed"
        await hang_up(caller)


async def test_a_target_whose_state_is_unknown_is_bridged_and_the_caller_comes_back(pbx: Asterisk) -> None:
    async with handing(pbx) as play:
        caller, assistant = await play.talk()
        assert await play.refer(assistant, MISSING) == 202
        assert (await assistant.notifies())[-1].sipfrag == 404
        ended = await only(play)
        assert (ended["outcome"], ended["reason"]) == ("failed", "unreachable")
        assert ended["returned_to_transferor"]
        assert BRIDGED in ended["trail"]
        await both_hear(caller, assistant)
        await hang_up(caller)


async def test_a_caller_who_would_have_to_wait_is_bridged(pbx: Asterisk, phones: Phones) -> None:
    carla = await phones("6003", hz=ANNA_HZ)
    async with handing(pbx) as play:
        await play.gateway.queue("tiny", available=1)
        first, one = await play.talk()
        assert await play.refer(one, TINY) == 202
        await carla.hears(CALLER_HZ)
        await play.gateway.queue("tiny", available=0)
        second, other = await play.talk()
        assert await play.refer(other, TINY) == 202
        [waiting] = await play.gateway.until(lambda transfer: transfer["outcome"] is None)
        assert BRIDGED in waiting["trail"]
        await hang_up(second)
        await hang_up(first)
        ended = await play.gateway.ended(2)
        assert {transfer["outcome"] for transfer in ended} == {"completed", "abandoned"}


async def test_a_caller_whom_the_pbx_drops_is_told_of_as_it_was(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", manner="busy")
    async with handing(pbx) as play:
        await phone_is(play, ANNA, "idle")
        caller, assistant = await play.talk()
        assert await play.refer(assistant, ANNA) == 202
        await caller.wait_request("BYE")
        ended = await only(play)
        assert (ended["outcome"], ended["returned_to_transferor"]) == ("failed", False)
        # Where Asterisk hangs up before it passes the busy signal on, its last NOTIFY says 503; AMI's Hangup says why.
        assert (ended["reason"], ended["sip_code"]) == ("busy", 486)
        assert ended["fault"].startswith("the PBX took the caller and dropped them")
        await assistant.notifies()
        await assistant.wait_request("BYE")


async def test_a_caller_to_whom_the_pbx_plays_the_busy_tone_is_not_taken_for_returned(pbx: Asterisk) -> None:
    async with handing(pbx) as play:
        await phone_is(play, BUSY, "idle")  # as its hint says, which is wrong
        caller, assistant = await play.talk()
        assert await play.refer(assistant, BUSY) == 202
        assert [notify.sipfrag for notify in await assistant.notifies()] == [100, 486]
        ended = await only(play)
        assert (ended["outcome"], ended["reason"], ended["returned_to_transferor"]) == ("failed", "busy", False)
        assert ended["fault"] == "the PBX took the caller and dropped them: 486"
        await assistant.wait_request("BYE")
        await hang_up(caller)


async def test_an_assistant_that_has_hung_up_leaves_the_caller_to_the_pbx(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    async with handing(pbx) as play:
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        assert await play.refer(assistant, SALES) == 202
        await hang_up(assistant)
        await anna.hears(CALLER_HZ)
        await caller.media.hears(ANNA_HZ)
        assert not caller.media.detect(ASSISTANT_HZ)
        assert (await only(play))["outcome"] == "completed"
        await hang_up(caller)
