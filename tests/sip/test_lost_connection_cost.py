# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection that is gone costs nothing, though the call that it was for goes on and its socket is still held."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.sip.bed import PORT, TLS_PORT, Bed, Pair, Stage, tls
from tests.support.certificates import Authority
from tests.support.gateway import Gateway
from tests.support.processes import Net
from tests.support.wire import Streams

pytestmark = [pytest.mark.sip, pytest.mark.alone]

LOOKED_AT_S = 1.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(own_net: Net, authority: Authority) -> AsyncIterator[Bed]:
    pairs = {"tcp": Pair(pbx={"transport": "tcp"}), "tls": Pair(pbx={"transport": "tls"})}
    made = Bed(own_net, pairs, sip={"tcp_port": PORT, **tls(authority, own_net.gateway)})
    async with made.gateway:
        yield made


def cpu_s(gateway: Gateway) -> float:
    """The processor time that it has used so far."""
    fields = Path(f"/proc/{gateway.child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.keeps("8.6")
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("name", ["tcp", "tls"])
async def test_a_lost_connection_keeps_nobody_busy(bed: Bed, authority: Authority, name: str, reset: bool) -> None:
    wire = Streams() if name == "tcp" else Streams(authority.identity(bed.pbx_host(name)), clients=True)
    async with Stage(bed, name, pbx=wire, port=PORT if name == "tcp" else TLS_PORT) as at:
        caller, assistant = await at.conversation()  # over a connection that the PBX has made
        wire.drop(reset=reset)
        before = cpu_s(bed.gateway)
        await asyncio.sleep(LOOKED_AT_S)  # the passing of time is what is looked at here
        assert cpu_s(bed.gateway) - before < LOOKED_AT_S / 4
        await assistant.hang_up()
        await caller.wait_request("BYE")
