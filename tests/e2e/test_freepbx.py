# SPDX-License-Identifier: GPL-2.0-or-later
"""What deploy/freepbx/README.md says of an extension with voicemail, on an Asterisk laid out as FreePBX lays it out."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.documents.blocks import ROOT, blocks
from tests.e2e.scene import Scene, hang_up
from tests.e2e.test_init import SALES, Written, answers, init
from tests.support.baresip import Agent
from tests.support.configuration import Configuration
from tests.support.end import both_hear
from tests.support.peer import Peer
from tests.support.untouched_asterisk import FreePbx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.processes import Net

pytestmark = [pytest.mark.pbx, pytest.mark.keeps("20.93")]

GUIDE = ROOT / "deploy" / "freepbx" / "README.md"
RELOAD = "asterisk -rx 'dialplan reload'"


def line_past_the_box() -> str:
    """The line that the guide gives for a phone without its box."""
    [found] = [block for block in blocks(GUIDE) if "Dial(PJSIP/6001" in block.text]
    [line] = re.findall(r"^exten => .*$", found.text, re.MULTILINE)
    return str(line)


@pytest_asyncio.fixture
async def freepbx(own_net: Net) -> AsyncIterator[FreePbx]:
    """A FreePBX whose extension 6001 has voicemail."""
    async with FreePbx(own_net) as pbx:
        generated = pbx.etc / "extensions_additional.conf"
        generated.write_text(generated.read_text().replace("(novm,6001)", "(6001,6001)"))
        pbx.carry_out([RELOAD])
        yield pbx


async def test_a_box_is_no_person_and_is_not_reached_where_the_phone_alone_is_dialled(
    freepbx: FreePbx, tmp_path: Path
) -> None:
    net = freepbx.net
    files = Configuration(net.gateway)
    table = answers(net, freepbx.ami_port, files.main["http"]["port"], {"extension": "6001", "id": "anna"})
    code, said, complaints = await init(tmp_path, freepbx, table)
    assert code == 0, complaints
    written = tmp_path / "written"
    main = written / "gateway.toml"
    main.write_text(main.read_text().replace('extension = "6001"', 'extension = "6001"\nring_timeout_s = 4'))
    freepbx.carry_out(said["left"][0]["commands"])
    async with (
        Agent(freepbx, "6001", manner="ring"),
        Peer(net.trunk) as assistant,
        Peer(net.provider, user="caller") as line,
        AsyncExitStack() as stack,
    ):
        gateway = await stack.enter_async_context(Written(files, written))
        play = Scene(freepbx, gateway, assistant, line)
        await freepbx.reaches_gateway()
        caller, talking = await play.talk()
        assert await play.refer(talking, SALES) == 202
        assert [notify.sipfrag for notify in await talking.notifies()][-1] == 480
        await both_hear(caller, talking)
        [boxed] = await gateway.ended()
        assert (boxed["outcome"], boxed["reason"], boxed["human_at"]) == ("failed", "voicemail", None)
        assert boxed["returned_to_transferor"]
        await hang_up(caller)
        await play.quiet()

        dialplan = freepbx.etc / "extensions.d" / "transfer-gateway.conf"
        text, changed = re.subn(
            r"^exten => 6001,1,Goto.*$", line_past_the_box(), dialplan.read_text(), flags=re.MULTILINE
        )
        assert changed == 1
        dialplan.write_text(text)
        freepbx.carry_out([RELOAD])
        await freepbx.reaches_gateway()
        caller, talking = await play.talk()
        assert await play.refer(talking, SALES) == 202
        assert [notify.sipfrag for notify in await talking.notifies()][-1] == 480
        await both_hear(caller, talking)
        [missed, _] = await gateway.ended(2)
        assert (missed["outcome"], missed["reason"], missed["human_at"]) == ("failed", "no-answer", None)
        assert missed["returned_to_transferor"]
        await hang_up(caller)
        await play.quiet()
