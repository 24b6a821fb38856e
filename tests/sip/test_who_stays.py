# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever is called for a transfer is shown the party they will talk to, and not the one who leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, EXTENSIONS, SALES, TARGET_HZ, codes

if TYPE_CHECKING:
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip

PLATFORM = "+31201119999"
BOB = EXTENSIONS["anna"]


async def bob_answers(scene: Scene, *headers: tuple[str, str]) -> tuple[Call, Call]:
    """The platform has called somebody behind the PBX: its end, and theirs."""
    trunk = await scene.platform()
    sender = f'"Platform" <sip:{PLATFORM}@platform.example>'
    platform = trunk.invite(scene.uri("+31612345681"), scene.remote, from_=sender)
    bob = await scene.target("anna")
    assert bob.incoming
    assert bob.incoming["From"].startswith(f'"Platform" <sip:{PLATFORM}@')
    await bob.answer(headers=headers)
    await platform.answered()
    return platform, bob


async def carol_is_called(scene: Scene, transferor: Call) -> Message:
    """The INVITE to the one whom the party that stays is put through to; nothing in it names the platform."""
    carol = await scene.referred(transferor, SALES, "sales")
    await carol.answer(hz=TARGET_HZ)
    assert codes(await transferor.notifies()) == [100, 200]
    assert carol.incoming
    assert not carol.incoming.all("Diversion")
    assert PLATFORM not in "\n".join(value for _, value in carol.incoming.headers)
    return carol.incoming


@pytest.mark.keeps("16.56")
async def test_who_was_called_stays_and_is_shown(scene: Scene) -> None:
    platform, bob = await bob_answers(scene)
    invite = await carol_is_called(scene, platform)
    assert invite["From"].startswith(f"<sip:{BOB}@"), invite["From"]
    await bob.media.hears(TARGET_HZ)


@pytest.mark.keeps("16.56")
@pytest.mark.parametrize(
    "said",
    [
        [("P-Asserted-Identity", '"Bob Example" <sip:6017@pbx.example>')],
        [("Remote-Party-ID", '"Bob Example" <sip:6017@pbx.example>;party=called;privacy=off')],
    ],
)
async def test_who_has_answered_is_known_by_what_the_answer_asserts(scene: Scene, said: list[tuple[str, str]]) -> None:
    platform, _ = await bob_answers(scene, *said)
    invite = await carol_is_called(scene, platform)
    assert invite["From"].startswith('"Bob Example" <sip:6017@'), invite["From"]


@pytest.mark.keeps("16.56")
async def test_who_has_answered_and_withholds_their_number_is_anonymous(scene: Scene) -> None:
    asserted = ("P-Asserted-Identity", '"Bob Example" <sip:6017@pbx.example>')
    platform, _ = await bob_answers(scene, asserted, ("Privacy", "id"))
    invite = await carol_is_called(scene, platform)
    assert "anonymous@anonymous.invalid" in invite["From"]
    assert "6017" not in invite["From"]


@pytest.mark.keeps("16.56")
async def test_the_assistant_that_stays_is_shown_by_its_number(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    anna = await scene.referred(caller, ANNA, "anna")
    await anna.answer(hz=TARGET_HZ)
    await assistant.media.hears(TARGET_HZ)
    assert anna.incoming
    assert anna.incoming["From"].startswith(f"<sip:{scene.number('main')}@"), anna.incoming["From"]
    assert not anna.incoming.all("Diversion")


@pytest.mark.keeps("16.56")
async def test_a_second_transfer_shows_who_has_come_by_the_first(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    anna = await scene.referred(assistant, ANNA, "anna")
    await anna.answer(headers=[("P-Asserted-Identity", '"Anna" <sip:6001@pbx.example>')])
    assert codes(await assistant.notifies()) == [100, 200]
    sales = await scene.referred(caller, SALES, "sales")
    await sales.answer(hz=TARGET_HZ)
    await anna.media.hears(TARGET_HZ)
    assert sales.incoming
    assert sales.incoming["From"].startswith('"Anna" <sip:6001@'), sales.incoming["From"]
