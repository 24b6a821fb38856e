# SPDX-License-Identifier: GPL-2.0-or-later
"""Somebody else comes to a peer's end in mid call, and is shown to whom the call goes next (RFC 3325, RFC 4916)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ANNA, CALLER, TARGET_HZ, codes
from tests.sip.test_who_stays import bob_answers, carol_is_called
from tests.support.peer_call import Call

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip

CARRIED = ("P-Asserted-Identity", '"Carol Example" <sip:6018@pbx.example>')


async def refreshed(call: Call, method: str, *headers: tuple[str, str], sender: str | None = None) -> None:
    """The peer refreshes the call, and says more."""
    if sender is not None:
        call.local = f"{sender};tag={call.local.rpartition('tag=')[2]}"
    answer = await call.reinvite(method=method, headers=headers)
    assert answer.code == 200, answer.start


@pytest.mark.keeps("16.57")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize(
    ("said", "sender"),
    [
        ([CARRIED], None),
        ([("Remote-Party-ID", '"Carol Example" <sip:6018@pbx.example>;party=calling;privacy=off')], None),
        ([], '"Carol Example" <sip:6018@pbx.example>'),
    ],
    ids=["asserted", "remote-party-id", "from"],
)
async def test_who_has_come_in_mid_call_is_shown(
    scene: Scene, method: str, said: list[tuple[str, str]], sender: str | None
) -> None:
    caller, assistant = await scene.bridged()
    await refreshed(caller, method, *said, sender=sender)
    anna = await scene.referred(assistant, ANNA, "anna")
    await anna.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    assert anna.incoming
    assert anna.incoming["From"].startswith('"Carol Example" <sip:6018@'), anna.incoming["From"]
    assert CALLER not in str(anna.incoming)


@pytest.mark.keeps("16.57")
async def test_who_was_called_and_has_moved_the_call_on_is_not_shown(scene: Scene) -> None:
    platform, bob = await bob_answers(scene, ("P-Asserted-Identity", '"Bob" <sip:6017@pbx.example>'))
    await refreshed(bob, "UPDATE", CARRIED)
    invite = await carol_is_called(scene, platform)
    assert invite["From"].startswith('"Carol Example" <sip:6018@'), invite["From"]


@pytest.mark.keeps("16.57")
async def test_who_has_come_is_told_by_the_answer_to_a_request_of_ours_too(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    caller.answers["INVITE"] = None
    assert (await assistant.reinvite(direction="sendonly")).code == 200
    caller.answer_now(await caller.wait_request("INVITE"), [CARRIED])
    caller.answers["INVITE"] = 200
    await caller.wait_request("ACK")
    anna = await scene.referred(assistant, ANNA, "anna")
    assert anna.incoming
    assert anna.incoming["From"].startswith('"Carol Example" <sip:6018@'), anna.incoming["From"]
    anna.reject()
    assert codes(await assistant.notifies())[-1] == 486


@pytest.mark.keeps("16.58")
async def test_who_withheld_their_number_does_so_after_a_refresh(scene: Scene) -> None:
    trunk = await scene.platform()
    own = ("P-Asserted-Identity", f"<sip:{CALLER}@pbx.example>")
    caller = scene.call_from_pbx(headers=[own, ("Privacy", "id")])
    assistant = await trunk.wait_call()
    await assistant.answer()
    await caller.answered()
    await refreshed(caller, "INVITE", own)
    anna = await scene.referred(assistant, ANNA, "anna")
    assert anna.incoming
    assert "anonymous@anonymous.invalid" in anna.incoming["From"]
    assert CALLER not in str(anna.incoming)
    anna.reject()
    assert codes(await assistant.notifies())[-1] == 486


@pytest.mark.keeps("16.58")
@pytest.mark.parametrize("said", [[("Privacy", "id")], [CARRIED, ("Privacy", "user;id")]])
async def test_who_withholds_their_number_in_mid_call_is_anonymous(scene: Scene, said: list[tuple[str, str]]) -> None:
    caller, assistant = await scene.bridged()
    await refreshed(caller, "UPDATE", *said)
    anna = await scene.referred(assistant, ANNA, "anna")
    assert anna.incoming
    assert "anonymous@anonymous.invalid" in anna.incoming["From"]
    assert not [number for number in (CALLER, "6018") if number in str(anna.incoming)]
    anna.reject()
    assert codes(await assistant.notifies())[-1] == 486


@pytest.mark.keeps("16.58")
async def test_a_refresh_that_names_nobody_anew_leaves_who_is_shown(scene: Scene) -> None:
    trunk = await scene.platform()
    own = ("P-Asserted-Identity", '"Main Office" <sip:+31201113333@pbx.example>')
    caller = scene.call_from_pbx(headers=[own])
    assistant = await trunk.wait_call()
    await assistant.answer()
    await caller.answered()
    for said in ([own], []):
        await refreshed(caller, "INVITE", *said)
    anna = await scene.referred(assistant, ANNA, "anna")
    assert anna.incoming
    assert anna.incoming["From"].startswith(f'"Eve Example" <sip:{CALLER}@'), anna.incoming["From"]
    anna.reject()
    assert codes(await assistant.notifies())[-1] == 486


@pytest.mark.keeps("16.58")
async def test_an_assistant_is_shown_by_its_number_whatever_its_platform_asserts(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await refreshed(assistant, "INVITE", ("P-Asserted-Identity", '"Platform" <sip:+31201119999@platform.example>'))
    anna = await scene.referred(caller, ANNA, "anna")
    assert anna.incoming
    assert anna.incoming["From"].startswith(f"<sip:{scene.number('main')}@"), anna.incoming["From"]
    anna.reject()
    assert codes(await caller.notifies())[-1] == 486


@pytest.mark.keeps("16.58")
async def test_a_stranger_names_nobody(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    stranger = await scene.stranger()
    forged = Call(stranger, caller.remote, local=caller.local, far=caller.far, call_id=caller.call_id)
    forged.target, forged.cseq = caller.target, caller.cseq
    assert (await forged.begin("UPDATE", headers=[CARRIED]).final()).code == 403
    anna = await scene.referred(assistant, ANNA, "anna")
    assert anna.incoming
    assert CALLER in anna.incoming["From"]
    anna.reject()
    assert codes(await assistant.notifies())[-1] == 486
    forged.close()
