# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP messages of the last calls, as they were kept, beside what scripted peers have seen on the wire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.sip.kept_messages import compare, of_leg, of_transfer, read
from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER, TARGET_HZ, Scene
from tests.sip.test_challenge import call, challenged, credentials
from tests.support.configuration import TOKEN
from tests.support.sip_message import Message, token

if TYPE_CHECKING:
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

LEG_MOST = 400
"""Messages that are kept of one leg."""


async def put_through(scene: Scene) -> tuple[Call, Call, Call, str]:
    """A caller whom the assistant has put through, and who has hung up: all three legs, and the transfer."""
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    await target.ring()
    await target.answer(hz=TARGET_HZ)
    await assistant.notifies()
    await assistant.wait_request("BYE")
    ended = await scene.outcome()
    assert ended["outcome"] == "completed"
    await caller.hang_up()
    await target.wait_request("BYE")
    await scene.gateway.idle()
    return caller, assistant, target, ended["transfer"]


@pytest.mark.keeps("20.70")
async def test_all_messages_of_a_transfer_that_completes_are_kept_as_they_were(scene: Scene) -> None:
    caller, assistant, target, transfer = await put_through(scene)
    told = await of_transfer(scene.gateway, transfer)
    assert [(leg["call_id"], leg["side"], leg["role"]) for leg in told["legs"]] == [
        (caller.call_id, "pbx", "transferee"),
        (assistant.call_id, "trunk", "transferor"),
        (target.call_id, "pbx", "target"),
    ]
    compare(told, scene.peers)
    assert (told["kept"], told["because"], told["masked"]) == (True, None, False)
    methods = [read(one).method for one in of_leg(told, assistant.call_id) if read(one).is_request]
    assert methods[:3] == ["INVITE", "ACK", "REFER"]
    assert methods.count("NOTIFY") >= 2
    whole_call = await scene.gateway.get(f"/api/calls/{told['call']}/messages")
    assert whole_call["messages"] == told["messages"]
    ends = {(one["source"], one["destination"]) for one in of_leg(told, assistant.call_id) if one["sent"]}
    host, port = scene.gateway.sip
    assert ends == {(f"{host}:{port}", assistant.peer.sent_by)}


@pytest.mark.keeps("20.70")
async def test_what_was_decided_stands_between_the_messages_at_its_time(scene: Scene) -> None:
    *_, transfer = await put_through(scene)
    told = await of_transfer(scene.gateway, transfer)
    events = sorted((*told["messages"], *told["marks"]), key=lambda one: str(one["at"]))
    order = [one.get("what") or read(one).start.split(" ")[0 if read(one).is_request else 1] for one in events]
    refer = order.index("REFER")
    assert order[refer : order.index("202")].count("gate") >= 1, order
    assert refer < order.index("attempt") < order.index("answered")
    assert order.index("202") < order.index("answered") < order.index("ended")


@pytest.mark.keeps("20.71")
async def test_so_are_those_of_one_that_fails_and_brings_the_caller_back(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    target.reject(486)
    await assistant.notifies()
    ended = await scene.outcome()
    assert (ended["outcome"], ended["reason"]) == ("failed", "busy")
    await caller.media.hears(ASSISTANT_HZ)
    await caller.hang_up()
    await assistant.wait_request("BYE")
    await scene.gateway.idle()
    told = await of_transfer(scene.gateway, ended["transfer"])
    compare(told, scene.peers)
    assert [read(one).start for one in of_leg(told, target.call_id)][-2:] == [
        "SIP/2.0 486 Busy Here",
        read(of_leg(told, target.call_id)[-1]).start,
    ]
    assert {"attempt", "returned", "ended"} <= {mark["what"] for mark in told["marks"]}
    assert "failed, busy (486)" in [mark["text"] for mark in told["marks"]]


@pytest.mark.keeps("20.71")
async def test_each_of_those_who_were_tried_in_vain_has_its_leg(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    first = await scene.referred(assistant, "<sip:+31612345686@gw.example>", "overflowing")
    first.reject(486)
    second = await scene.target("anna")
    await second.answer(hz=TARGET_HZ)
    await assistant.wait_request("BYE")
    transfer = (await scene.outcome())["transfer"]
    told = await of_transfer(scene.gateway, transfer)
    targets = [leg["call_id"] for leg in told["legs"] if leg["role"] == "target"]
    assert targets == [first.call_id, second.call_id]
    compare(told, scene.peers)
    await caller.hang_up()
    await second.wait_request("BYE")


@pytest.mark.keeps("20.72")
async def test_what_is_sent_again_is_marked(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assert caller.invite is not None
    caller.invite.resend()
    target = await scene.referred(assistant)
    refer = next(one for one in assistant.peer.trace if one.sent and one.message.method == "REFER")
    assistant.peer.send(refer.message, scene.gateway.sip, repeated=True)
    await target.answer(hz=TARGET_HZ)
    await assistant.wait_request("BYE")
    told = await of_transfer(scene.gateway, (await scene.outcome())["transfer"])
    again = [(read(one).start, one["sent"]) for one in told["messages"] if one["again"]]
    assert ("SIP/2.0 202 Accepted", True) in again
    assert [start.split(" ")[0] for start, sent in again if not sent] == ["INVITE", "REFER"]
    compare(told, scene.peers)
    await caller.hang_up()
    await target.wait_request("BYE")


@pytest.mark.keeps("20.73")
async def test_a_flood_in_one_call_takes_no_more_than_that_call_s_share(scene: Scene) -> None:
    caller, _, target, whole = await put_through(scene)
    noisy, assistant = await scene.bridged()
    for number in range(260):
        method = ("OPTIONS", "INFO", "INVITE")[number % 3]
        if method == "INVITE":
            assert (await noisy.reinvite()).code == 200
        else:
            await noisy.begin(method, headers=[("X-Filling", "x" * 1200)]).final()
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    await assistant.wait_request("BYE")
    told = await of_transfer(scene.gateway, (await scene.outcome())["transfer"])
    [leg] = [leg for leg in told["legs"] if leg["call_id"] == noisy.call_id]
    kept = of_leg(told, noisy.call_id)
    assert len(kept) == leg["messages"] <= LEG_MOST
    assert sum(len(one["text"]) for one in kept) < 256 * 1024
    everything = sum(one.message["Call-ID"] == noisy.call_id for one in scene.pbx.trace)
    assert leg["left_out"] + leg["messages"] == everything
    assert read(kept[0]).method == "INVITE"
    assert read(kept[-1]) in [Message.parse(bytes(one.message)) for one in scene.pbx.trace[-8:]]
    compare(await of_transfer(scene.gateway, whole), scene.peers)
    await noisy.hang_up()
    await target.wait_request("BYE")
    assert caller.call_id != noisy.call_id


@pytest.mark.keeps("20.73")
async def test_a_message_that_is_very_long_is_cut_and_that_is_told(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await caller.begin("OPTIONS", headers=[("X-Filling", "x" * 6500)]).final()
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    await assistant.wait_request("BYE")
    told = await of_transfer(scene.gateway, (await scene.outcome())["transfer"])
    [cut] = [one for one in told["messages"] if one["cut"]]
    assert (cut["text"].startswith("OPTIONS "), len(cut["text"]), cut["size"] > 6500) == (True, 6000, True)
    await caller.hang_up()
    await target.wait_request("BYE")


@pytest.mark.keeps("20.74")
async def test_no_credentials_of_either_side_and_no_keys_are_kept(scene: Scene) -> None:
    first = await challenged(scene)
    uri = scene.uri("+31612345681")
    name, value = credentials(first, "INVITE", uri)
    caller = await call(scene, (name, value))
    target = await scene.target()
    target.reject(401, [("WWW-Authenticate", 'Digest realm="pbx", nonce="abc", algorithm=MD5, qop="auth"')])
    target.incoming = await target.wait_request("INVITE")
    await target.answer(hz=TARGET_HZ)
    await caller.answered()
    for kind, body in (("application/dtmf-relay", b"Signal= 7\r\nDuration= 160\r\n"), ("application/dtmf", b"7")):
        await caller.begin("INFO", headers=[("Content-Type", kind)], body=body, content_type="").final()
    transfer = (await scene.outcome())["transfer"]
    told = await of_transfer(scene.gateway, transfer)
    everything = "".join(one["text"] for one in told["messages"])
    proofs = [re.findall(r'response="(\w+)"', text) for text in (value, *map(str, scene.pbx.received("INVITE")))]
    assert sum(map(len, proofs)) >= 2
    for proof in (one for found in proofs for one in found):
        assert proof not in everything
    assert everything.count("response=[redacted]") >= 2
    assert 'username="hms"' in everything
    infos = [one["text"] for one in told["messages"] if one["text"].startswith("INFO ")]
    assert len(infos) >= 2
    assert all("7" not in text.partition("\r\n\r\n")[2].replace("Duration= 160", "") for text in infos), infos
    await caller.hang_up()
    await target.wait_request("BYE")


@pytest.mark.keeps("20.75")
async def test_strangers_and_other_peers_add_nothing_to_a_call(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    before = await scene.gateway.get("/api/status")
    stranger, other = await scene.stranger(), await scene.platform("livekit")
    for peer in (stranger, other):
        for method in ("OPTIONS", "INVITE", "BYE"):
            await peer.transact(forged(peer.sent_by, method, caller.call_id, scene), scene.gateway.sip).final()
            await peer.transact(forged(peer.sent_by, method, token(), scene), scene.gateway.sip).final()
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    await assistant.wait_request("BYE")
    told = await of_transfer(scene.gateway, (await scene.outcome())["transfer"])
    compare(told, [scene.pbx, assistant.peer])
    now = await scene.gateway.get("/api/status")
    assert now["messages"]["legs"] == before["messages"]["legs"] + 1  # the target's
    await caller.hang_up()
    await target.wait_request("BYE")


def forged(sent_by: str, method: str, call_id: str, scene: Scene) -> Message:
    """A request with somebody else's Call-ID, for a number that is not ours."""
    return Message(
        f"{method} {scene.uri('+31699999999')} SIP/2.0",
        [
            ("Via", f"SIP/2.0/UDP {sent_by};branch={token('z9hG4bK')};rport"), ("Max-Forwards", "70"),
            ("From", f"<sip:mallory@{sent_by}>;tag={token()}"), ("To", f"<{scene.uri('x')}>"), ("Call-ID", call_id),
            ("CSeq", f"1 {method}"), ("Contact", f"<sip:mallory@{sent_by}>"), ("X-Filling", "x" * 900),
        ],
    )  # fmt: skip


@pytest.mark.keeps("20.76")
async def test_a_caller_who_is_forgotten_is_in_no_message(scene: Scene) -> None:
    *_, transfer = await put_through(scene)
    assert CALLER[3:] in str(await of_transfer(scene.gateway, transfer))
    status, text = await scene.gateway.http("POST", "/api/forget", token=TOKEN, body={"caller": CALLER})
    assert (status, '"message_legs": 0' in text) == (200, False), text
    told = await of_transfer(scene.gateway, transfer)
    assert (told["kept"], told["messages"]) == (False, [])
    assert CALLER[3:] not in str(told)


@pytest.mark.keeps("20.78")
async def test_a_refer_outside_of_the_dialog_is_told_with_its_call(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    own, gateway = assistant.local.partition(";tag=")[2], assistant.far.partition(";tag=")[2]
    target_dialog = f"{assistant.call_id};local-tag={gateway};remote-tag={own}"
    contact = f"<sip:platform@{assistant.peer.sent_by}>"
    headers = [("Refer-To", ANNA), ("Target-Dialog", target_dialog), ("Contact", contact)]
    answer = await assistant.peer.request("REFER", "sip:gateway", scene.gateway.sip, headers=headers)
    assert answer.code == 202
    anna = await scene.target()
    await anna.answer(hz=TARGET_HZ)
    await assistant.wait_request("BYE")
    told = await of_transfer(scene.gateway, (await scene.outcome())["transfer"])
    texts = [read(one) for one in of_leg(told, assistant.call_id)]
    beside = {(one.method, one.is_request) for one in texts if one["Call-ID"] != assistant.call_id}
    assert {("REFER", True), ("REFER", False), ("NOTIFY", True)} <= beside
    await caller.hang_up()
    await anna.wait_request("BYE")
