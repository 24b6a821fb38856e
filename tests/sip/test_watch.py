# SPDX-License-Identifier: GPL-2.0-or-later
"""`transfer-gateway watch` in a terminal, beside a gateway that takes calls, goes away and comes back."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import CLOSED, LINES, Scene, settings
from tests.support.command_line import transfer_gateway
from tests.support.gateway import Gateway
from tests.support.pseudo_terminal import Terminal

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.keeps("20.83")
async def test_what_happens_is_seen_and_so_is_a_gateway_that_went_away(own_net: Net) -> None:
    async with (
        Gateway(settings(own_net, {"main": LINES["main"]})) as gateway,
        Scene(own_net, gateway) as scene,
        Terminal("watch", "--interval", "0.5", "--config", str(gateway.directory)) as terminal,
    ):
        await terminal.shows("conformance (online,", "calls (0)", "q ends")
        _, assistant = await scene.bridged()
        await terminal.shows("calls (1)", "+31201112222", " up ", "relay")
        assert (await assistant.refer(CLOSED)).code == 480
        await terminal.shows("closed", "refused", "outside-hours", "is closed: opens")

        terminal.resize(60, 12)
        await terminal.shows("calls (1)", "q ends")
        assert max(map(len, terminal.text.splitlines())) <= 60
        terminal.resize(20, 3)
        await terminal.shows("conformance (online")
        terminal.resize(120, 40)
        await terminal.shows("is closed: opens")

        await assistant.hang_up()
        await gateway.idle()
        await gateway.kill()
        await terminal.shows(
            "not reachable since ", "Connection refused", "below is what was found at", "outside-hours"
        )
        since = terminal.line("not reachable since ")[:30]
        await terminal.shows(since)
        code, out, _ = await transfer_gateway("watch", "--once", "--json", "--config", str(gateway.directory))
        assert (code, json.loads(out)["reachable"]) == (1, False)

        await gateway.start()
        await terminal.shows("conformance (online,", "calls (0)", "outside-hours")
        assert "not reachable" not in terminal.text
        code, out, _ = await transfer_gateway("watch", "--once", "--config", str(gateway.directory))
        assert code == 0
        assert "last outcomes" in out

        terminal.press("xq")
        assert await terminal.ended() == 0
        assert terminal.is_as_before


@pytest.mark.keeps("20.83")
@pytest.mark.parametrize(("how", "code"), [("\x03", 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminated"])
async def test_whatever_ends_it_the_terminal_is_as_before(own_net: Net, how: str | signal.Signals, code: int) -> None:
    directory = settings(own_net, {"main": LINES["main"]})
    gateway = Gateway(directory)  # that does not run
    async with Terminal("watch", "--config", str(gateway.directory)) as terminal:
        await terminal.shows("not reachable since ", "q ends")
        if isinstance(how, str):
            terminal.press(how)
        else:
            terminal.process.send_signal(how)
        assert await terminal.ended() == code
        assert terminal.is_as_before
        assert b"Traceback" not in terminal.written
