# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP messages of a transfer are told by the next process as the one before has told them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.kept_messages import compare, of_transfer
from tests.sip.scene import CALLER, Scene, settings
from tests.sip.test_messages import put_through
from tests.support.configuration import TOKEN
from tests.support.gateway import Gateway
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip


@pytest.mark.keeps("23.44", "23.45")
async def test_the_next_process_knows_all_messages_up_to_the_end_of_the_call(own_net: Net) -> None:
    files = settings(own_net)
    files.main["messages"] = {"disk_mb": 10}
    async with Gateway(files) as gateway:
        async with Scene(own_net, gateway) as scene:
            *_, transfer = await put_through(scene)
            told = await of_transfer(gateway, transfer)
            peers = scene.peers
        await gateway.stop()
        await gateway.start()

        async def is_known() -> bool:
            return bool((await of_transfer(gateway, transfer))["kept"])

        await eventually(is_known, "the file is read", timeout_s=30)
        again = await of_transfer(gateway, transfer)
        assert again == told
        compare(again, peers)
        status, answer = await gateway.http("POST", "/api/forget", token=TOKEN, body={"caller": CALLER})
        assert (status, '"message_transfers": 1' in answer) == (200, True), answer
        assert (await of_transfer(gateway, transfer))["kept"] is False
