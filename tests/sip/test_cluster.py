# SPDX-License-Identifier: GPL-2.0-or-later
"""What a gateway of a cluster says of itself: in Call-IDs, tags and Contacts, and to a proxy that asks."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from gateway.config.node_token import node_token
from tests.sip.scene import ANNA, LINES, Scene, settings
from tests.support.gateway import Gateway
from tests.support.processes import eventually
from tests.support.sip_message import parameter

if TYPE_CHECKING:
    from tests.support.configuration import Configuration
    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

SECRET = "what the nodes share"
TOKEN = node_token(SECRET, "conformance")


def in_a_cluster(net: Net) -> Configuration:
    files = settings(net, {"main": LINES["main"]})
    files.main["cluster"] = {"secret_file": "cluster.secret", "nodes": {"conformance": f"sip:{net.gateway}"}}
    files.secrets["cluster.secret"] = SECRET
    return files


@pytest.mark.keeps("22.32")
async def test_all_that_it_names_begins_with_its_token(own_net: Net) -> None:
    async with Gateway(in_a_cluster(own_net)) as gateway, Scene(own_net, gateway) as scene:
        caller, assistant = await scene.bridged()
        anna = await scene.referred(assistant, ANNA)
        await anna.answer()
        assert (await assistant.notifies())[-1].sipfrag == 200
        names = [
            parameter(caller.far, "tag"), parameter(assistant.far, "tag"), parameter(anna.far, "tag"),
            assistant.call_id, anna.call_id,
        ]  # fmt: skip
        for name in names:
            assert re.fullmatch(f"{TOKEN}-[0-9a-f-]{{36}}", name or "")
        assert len(set(names)) == len(names)
        for call in (caller, assistant, anna):
            assert f";node={TOKEN}" in call.target
        branches = {
            parameter(one.message["Via"], "branch") for peer in scene.peers for one in peer.trace
            if not one.sent and one.message.is_request
        }  # fmt: skip
        assert branches
        assert not [branch for branch in branches if TOKEN in (branch or "")]


@pytest.mark.keeps("22.33")
async def test_a_gateway_that_is_alone_says_nothing_of_the_kind(own_net: Net) -> None:
    files = settings(own_net, {"main": LINES["main"]})
    files.main["gateway"]["drain_timeout_s"] = 30
    async with Gateway(files) as gateway, Scene(own_net, gateway) as scene:
        caller, assistant = await scene.bridged()
        assert re.fullmatch("[0-9a-f-]{36}", assistant.call_id)
        assert re.fullmatch("[0-9a-f-]{36}", parameter(caller.far, "tag") or "")
        assert ";node=" not in caller.target
        gateway.terminate()
        await drains(scene)
        assert await nameless_options(scene) == 200
        await begin_anew(gateway, caller)


@pytest.mark.keeps("22.34")
async def test_a_proxy_that_asks_hears_503_while_it_drains_or_is_full(own_net: Net) -> None:
    files = in_a_cluster(own_net)
    files.main["gateway"]["drain_timeout_s"] = 30
    files.sip["max_calls"] = 1
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(Gateway(files))
        scene = await stack.enter_async_context(Scene(own_net, gateway))
        assert await nameless_options(scene) == 200
        caller, assistant = await scene.bridged()
        assert await nameless_options(scene) == 503
        await caller.hang_up()
        await assistant.wait_request("BYE")
        await gateway.idle()
        assert await nameless_options(scene) == 200
        caller, _ = await scene.bridged()
        gateway.terminate()
        await drains(scene)
        assert await nameless_options(scene) == 503
        await begin_anew(gateway, caller)


async def begin_anew(gateway: Gateway, caller: Call) -> None:
    """Its last call ends, and it with that."""
    await caller.hang_up()
    assert await gateway.child.wait(40) == 0
    await gateway.start()


async def nameless_options(scene: Scene) -> int:
    return (await scene.pbx.request("OPTIONS", f"sip:{scene.remote[0]}", scene.remote)).code


async def drains(scene: Scene) -> None:
    async def so() -> bool:
        return (await scene.gateway.http("GET", "/readyz"))[0] == 503

    await eventually(so, "it drains", timeout_s=30)
