# SPDX-License-Identifier: GPL-2.0-or-later
"""What the person who answers can see: who calls, whom they had called, what was said before, which transfer it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.hearing import refer_to
from tests.sip.scene import CALLER, LINES, codes

if TYPE_CHECKING:
    from tests.sip.hearing import Hearing
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

NUMBER = LINES["main"].number
REFERRED_BY = '"Assistant" <sip:assistant@platform.example>;cid="1@platform.example"'


def check(invite: Message) -> None:
    """All of it, whichever target of the hunt it is."""
    for name in ("From", "P-Asserted-Identity"):
        assert invite[name].startswith(f'"Eve Example" <sip:{CALLER}@'), invite[name]
    assert invite["Diversion"].startswith(f"<sip:{NUMBER}@")
    assert invite["User-to-User"] == "00FA1B2C;encoding=hex"
    assert invite["X-Topic"] == "an invoice"
    assert invite["Referred-By"] == REFERRED_BY


@pytest.mark.keeps("8.22")
async def test_every_target_of_a_hunt_sees_the_same(hearing: Hearing) -> None:
    _, assistant = await hearing.bridged()
    context = [("User-to-User", "00FA1B2C;encoding=hex"), ("X-Topic", "an invoice"), ("Referred-By", REFERRED_BY)]
    assert (await assistant.refer(refer_to("chained"), *context)).code == 202
    first = await hearing.extension("6005")
    first.reject(486)
    second = await hearing.extension("6006")
    await second.answer()
    assert codes(await assistant.notifies()) == [100, 200]
    outcome = await hearing.outcome()
    for target in (first, second):
        assert target.incoming
        check(target.incoming)
        assert target.incoming.all("X-Transfer-ID") == [outcome["transfer"]]
    assert outcome["context"]["User-to-User"] == "00FA1B2C;encoding=hex"


@pytest.mark.keeps("8.23")
async def test_whom_the_caller_had_called_before_stands_behind_our_number(hearing: Hearing) -> None:
    platform = await hearing.platform()
    before = "<sip:+31208888888@pbx.example>;reason=no-answer"
    caller = hearing.call_from_pbx(headers=[("Diversion", before)])
    assistant = await platform.wait_call()
    await assistant.answer()
    await caller.answered()
    assert (await assistant.refer(refer_to("anna"))).code == 202
    target = await hearing.extension("6001")
    assert target.incoming
    diverted = [value.partition("@")[0] for value in target.incoming.all("Diversion")]
    assert diverted == [f"<sip:{NUMBER}", "<sip:+31208888888"]
    target.reject()
    await assistant.notifies()
