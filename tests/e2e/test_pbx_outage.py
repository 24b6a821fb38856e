# SPDX-License-Identifier: GPL-2.0-or-later
"""The PBX crashes, freezes, or does not let us in: the gateway knows that it does not know, and goes on."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.scene import ANNA_HZ, CALLER_HZ, RINGBACK_HZ, hang_up, hears_nobody, scene
from tests.support.asterisk import GATEWAY_AMI
from tests.support.company import settings
from tests.support.end import both_hear
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.e2e.scene import Scene
    from tests.support.asterisk import Asterisk

pytestmark = pytest.mark.pbx

SALES, ANNA = "+31612345678", "+31612345681"


async def until_up(play: Scene, up: int, timeout_s: float = 15.0) -> None:
    """Wait until the gateway counts the PBX as up (1) or not (0)."""

    async def agrees() -> bool:
        return await play.gateway.metric("transfer_gateway_pbx_up", pbx="asterisk") == up

    await eventually(agrees, f"pbx_up is {up}", timeout_s=timeout_s, every_s=0.05)


async def test_a_pbx_that_crashes_is_unknown_and_then_known_again(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    files = settings(pbx.net, pbx=pbx)
    files.destination("sales")["when_unknown"] = "refuse"
    async with scene(pbx, files=files) as play:
        await play.gateway.queue("sales", available=1)
        await until_up(play, 1)
        caller, assistant = await play.talk(past_pbx=True)
        await pbx.kill()
        await until_up(play, 0)
        assert await play.refer(assistant, SALES) == 480
        [refused] = await play.gateway.ended()
        assert refused["reason"] == "queue-unknown"
        assert "state unknown, not connected to the PBX" in refused["trail"][-1]
        await both_hear(caller, assistant)

        await pbx.start()
        # What a PBX was told in its last second it may have forgotten, so the phone registers anew, as phones do.
        await anna.kill()
        await anna.start()
        await play.gateway.queue("sales", available=1, timeout_s=20)
        await until_up(play, 1)
        assert await play.refer(assistant, SALES) == 202
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        completed, _ = await play.gateway.ended(2)
        assert completed["outcome"] == "completed"
        assert completed["human_at"] is not None
        await hang_up(caller)


async def test_a_transfer_under_way_when_the_pbx_crashes_gives_the_caller_back(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", manner="ring")
    files = settings(pbx.net, pbx=pbx)
    files.destination("anna")["ring_timeout_s"] = 3
    async with scene(pbx, files=files) as play:
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, ANNA) == 202
        await anna.event("CALL_INCOMING")
        await caller.media.hears(RINGBACK_HZ)
        told = [await assistant.wait_notify() for _ in range(2)]
        await pbx.kill()
        told += await assistant.notifies()
        assert [notify.sipfrag for notify in told] == [100, 180, 480]
        await both_hear(caller, assistant)
        await hears_nobody(caller, RINGBACK_HZ)
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["reason"], ended["sip_code"]) == ("failed", "no-answer", 480)
        assert ended["returned_to_transferor"]
        # It answers the CANCEL that it could not hear before, so that nothing is left of the leg.
        await pbx.start()
        await hang_up(caller)
        await assistant.wait_request("BYE")


async def test_a_pbx_that_freezes_is_not_believed_for_long(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", hz=ANNA_HZ)
    files = settings(pbx.net, pbx=pbx)
    files.profiles["asterisk"]["queues"]["max_age_s"] = 2
    files.destination("sales")["when_unknown"] = "refuse"
    async with scene(pbx, files=files) as play:
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk(past_pbx=True)
        assert pbx.child
        pbx.child.signal(signal.SIGSTOP)
        try:
            await until_up(play, 0, timeout_s=5)
            assert await play.refer(assistant, SALES) == 480
            [refused] = await play.gateway.ended()
            assert refused["reason"] == "queue-unknown"
            await both_hear(caller, assistant)
        finally:
            pbx.child.signal(signal.SIGCONT)
        await play.gateway.queue("sales", available=1, timeout_s=15)
        await until_up(play, 1)
        assert await play.refer(assistant, SALES) == 202
        await caller.media.hears(ANNA_HZ)
        await hang_up(caller)


async def test_a_wrong_secret_is_said_once_and_calls_go_on_without(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", hz=ANNA_HZ)
    files = settings(pbx.net, pbx=pbx)
    files.secrets["sip_profiles/ami.secret"] = "guessed"
    async with scene(pbx, files=files) as play:

        async def complaint() -> list[str]:
            return [line for line in play.gateway.log.splitlines() if " error " in line]

        [line] = await eventually(complaint, "the refusal is in the log")
        assert "ami-login-refused" in line
        assert GATEWAY_AMI[0] in line
        assert "guessed" not in play.gateway.log
        await until_up(play, 0)
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, SALES) == 202, "when_unknown allows it"
        await caller.media.hears(ANNA_HZ)
        [ended] = await play.gateway.ended()
        assert ended["outcome"] == "completed"
        assert any("state unknown, login refused" in line for line in ended["trail"])
        await hang_up(caller)
        assert len(await complaint()) == 1

        (play.gateway.directory / "sip_profiles" / "ami.secret").write_text(GATEWAY_AMI[1])
        play.gateway.child.signal(signal.SIGHUP)
        await play.gateway.queue("sales", available=1)
        await until_up(play, 1)
