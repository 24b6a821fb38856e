# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of a real Asterisk's extensions by its hints alone: no manager interface, only subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.company import settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk
    from tests.support.baresip import Agent

pytestmark = pytest.mark.pbx

ANNA, NOBODY, SALES = "<sip:+31612345681@gw>", "<sip:nobody@gw>", "<sip:+31612345678@gw>"
CALLER_HZ, ASSISTANT_HZ, AGENT_HZ = 700, 900, 1000
MAX_AGE_S = 3
DIALOG_INFO_MODULE = "res_pjsip_dialog_info_body_generator.so"


@pytest.fixture
async def gateway(pbx: Asterisk) -> AsyncIterator[Gateway]:
    """A gateway that knows the PBX by its hints; no call may be left in it."""
    files = settings(pbx.net, pbx=pbx)
    files.profiles["asterisk"]["queues"] = {"source": "dialog-info", "max_age_s": MAX_AGE_S}
    files.destination("anna")["when_unknown"] = "refuse"
    number = files.line
    number["destinations"].append({"id": "nobody", "extension": "6009", "when_unknown": "refuse"})
    async with Gateway(files) as running:
        yield running
        await running.idle()


async def says(gateway: Gateway, reason: str, line: str, target: str = "anna") -> None:
    """Wait until the gate decides so, for this."""

    async def decided() -> bool:
        decision: dict[str, Any] = await gateway.get(f"/api/explain?target={target}&number=main-line")
        return decision["reason"] == reason and any(line in each for each in decision["trail"])

    await eventually(decided, f"{target}: {reason}, {line}")


async def counted(gateway: Gateway, up: int) -> None:
    """Wait until the metric tells this of the PBX."""

    async def so() -> bool:
        return await gateway.metric("transfer_gateway_pbx_up") == up

    await eventually(so, f"pbx_up {up}")


async def through_every_state(gateway: Gateway, phones: Phones) -> Agent:
    """Anna's phone comes, rings, is in use and idle again, and the gate knows it each time: her phone."""
    await says(gateway, "queue-unstaffed", "extension 6001 (dialog-info): unavailable")
    anna = await phones("6001", hz=AGENT_HZ, manner="ring")
    bert = await phones("6002", hz=CALLER_HZ)
    await says(gateway, "accepted", "extension 6001 (dialog-info): idle")
    await bert.dial("6001")
    await anna.event("CALL_INCOMING")
    await says(gateway, "agents-busy", "extension 6001 (dialog-info): ringing")
    await anna.pick_up()
    await says(gateway, "agents-busy", "extension 6001 (dialog-info): in-use")
    await anna.hang_up()
    await says(gateway, "accepted", "extension 6001 (dialog-info): idle")
    return anna


@pytest.mark.keeps("15.13")
async def test_every_state_of_a_phone_is_told(gateway: Gateway, phones: Phones) -> None:
    anna = await through_every_state(gateway, phones)
    await anna.stop()
    await says(gateway, "queue-unstaffed", "extension 6001 (dialog-info): unavailable")


async def test_what_has_no_hint_is_unknown_and_the_trail_says_so(gateway: Gateway) -> None:
    line = "extension 6999 (dialog-info): state unknown, asterisk answers 404 to our subscription to its dialog"
    await says(gateway, "accepted", line, "missing")
    await says(gateway, "accepted", "queue sales (dialog-info): state unknown, dialog-info tells nothing", "sales")
    assert (await gateway.get("/api/status"))["pbx"] == {"asterisk": {"up": True, "because": None}}


async def test_a_caller_is_put_through_to_a_phone_that_is_there_and_to_no_other(
    gateway: Gateway, pbx: Asterisk, phones: Phones
) -> None:
    anna = await phones("6001", hz=AGENT_HZ)
    await says(gateway, "accepted", "extension 6001 (dialog-info): idle")
    async with Peer(pbx.net.trunk) as assistant:
        await pbx.originate("+31201234567", hz=CALLER_HZ)
        call = await assistant.wait_call()
        await call.answer(hz=ASSISTANT_HZ)
        await call.media.hears(CALLER_HZ)
        refused = await call.refer(NOBODY)
        assert refused.code == 480
        await call.media.hears(CALLER_HZ)
        assert (await call.refer(ANNA)).code == 202
        assert (await call.notifies())[-1].sipfrag == 200
        await anna.hears(CALLER_HZ)
        await says(gateway, "agents-busy", "extension 6001 (dialog-info): in-use")
        done, lost = await gateway.ended(2)
        assert (done["outcome"], lost["outcome"], lost["reason"]) == ("completed", "refused", "queue-unstaffed")
        assert "extension 6009 (dialog-info): unavailable" in lost["trail"]
        assert "extension 6001 (dialog-info): idle" in done["trail"]
        assert (done["human_at"], done["answered_by"]) == (None, None)  # subscriptions tell nothing of calls
        await anna.hang_up()
        await gateway.idle()


async def test_a_pbx_that_was_restarted_is_known_again(gateway: Gateway, pbx: Asterisk, phones: Phones) -> None:
    await phones("6001")
    await says(gateway, "accepted", "extension 6001 (dialog-info): idle")
    await pbx.kill()
    await says(gateway, "queue-unknown", "extension 6001 (dialog-info): state unknown")
    await counted(gateway, 0)
    await pbx.start()

    async def known() -> bool:
        # Idle or unavailable: Asterisk writes a registration to disk about a second after it came.
        trail = (await gateway.get("/api/explain?target=anna&number=main-line"))["trail"]
        return any(line.endswith(("(dialog-info): idle", "(dialog-info): unavailable")) for line in trail)

    await eventually(known, "the state of extension 6001", timeout_s=30)
    await phones("6002")
    await counted(gateway, 1)


async def test_presence_alone_tells_as_much_of_a_phone(gateway: Gateway, pbx: Asterisk, phones: Phones) -> None:
    # Without its generator of dialog-info documents Asterisk answers 489 to Event: dialog.
    await gateway.stop()
    await pbx.action("ModuleLoad", Module=DIALOG_INFO_MODULE, LoadType="unload")
    try:
        await gateway.start()
        await through_every_state(gateway, phones)
        assert "package=dialog" in gateway.log
    finally:
        await pbx.action("ModuleLoad", Module=DIALOG_INFO_MODULE, LoadType="load")
