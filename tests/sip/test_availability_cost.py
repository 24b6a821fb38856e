# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs the running gateway to say whether a transfer would be accepted, over HTTP and to a platform."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.support.company import settings
from tests.support.gateway import Gateway
from tests.support.platform_client import asking

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.alone]

ASKED = 400
MOST_MS = 5.0


def cpu_s(pid: int) -> float:
    """Processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.keeps("19.9")
@pytest.mark.parametrize("again", [False, True], ids=["whole", "unchanged"])
async def test_two_hundred_a_second_have_five_milliseconds_each(own_net: Net, again: bool) -> None:
    # The processor's time is counted, not the clock's: on a machine that is busy each takes longer, and costs no more.
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5070")
    async with Gateway(files) as gateway, aiohttp.ClientSession() as session:
        url = f"{gateway.url}/api/availability?number=main-line"
        async with session.get(url) as first:
            assert len((await first.json())["destinations"]) == len(files.line["destinations"])
            tag = first.headers["ETag"]
        headers = {"If-None-Match": tag} if again else {}
        before = cpu_s(gateway.child.pid)
        for _ in range(ASKED):
            async with session.get(url, headers=headers) as answer:
                assert answer.status == (304 if again else 200)
                await answer.read()
        each_ms = (cpu_s(gateway.child.pid) - before) / ASKED * 1000
    assert each_ms < MOST_MS, f"{each_ms:.2f} ms each"


@pytest.mark.keeps("19.19")
@pytest.mark.parametrize("call", [("check_availability", {"destination": "anna"}), ("list_destinations", {})])
async def test_an_assistant_may_ask_as_often(own_net: Net, call: tuple[str, dict[str, str]]) -> None:
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5070")
    client = asking(files, "hms")
    async with Gateway(files) as gateway, client as platform:
        await platform.call_tools(call)
        before = cpu_s(gateway.child.pid)
        for _ in range(ASKED):
            await platform.call_tools(call)
        each_ms = (cpu_s(gateway.child.pid) - before) / ASKED * 1000
    print(f"\n{call[0]}: {each_ms:.2f} ms of processor time each")
    assert each_ms < MOST_MS, f"{each_ms:.2f} ms each"
