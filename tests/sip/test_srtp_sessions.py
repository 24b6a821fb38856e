# SPDX-License-Identifier: GPL-2.0-or-later
"""SRTP made anew in mid call: no session of libsrtp is used once it was given up, nor by two threads at once.

libsrtp mostly reads from freed memory without a word. So a library that is preloaded into the gateway looks
at each use of a session, and ends the process at the first that is wrong.
"""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sip.bed import ASSISTANT_HZ, CALLER_HZ, Bed, Pair, Stage
from tests.support.end import both_hear
from tests.support.processes import eventually
from tests.support.srtp import DEFAULT, KEY_LENGTH, Key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.processes import Net

pytestmark = pytest.mark.sip

SOURCE = Path(__file__).parents[1] / "support" / "srtp_sessions.c"
FOR_ONE = Key(1, DEFAULT, b"\x5a" * KEY_LENGTH)
RE_INVITES = 20


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a gateway with the library that looks at its SRTP sessions."""
    library = tmp_path_factory.mktemp("library") / "srtp_sessions.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SOURCE, "-Wl,--no-as-needed", "-lsrtp2"], check=True)
    return {"LD_PRELOAD": str(library), "SRTP_KEY_FOR_ONE": FOR_ONE.secret.hex()}


@pytest_asyncio.fixture(loop_scope="session")
async def bed(own_net: Net, watching: dict[str, str]) -> AsyncIterator[Bed]:
    """A gateway whose SRTP sessions were all used as they should be in the end."""
    made = Bed(own_net, {"sealed": Pair({"srtp": "required"})})
    made.gateway.env = watching
    async with made.gateway:
        yield made
        assert [line for line in made.gateway.log.splitlines() if "SRTP session misused" in line] == []


@pytest.mark.keeps("16.182")
async def test_packets_that_come_twice_make_srtp_anew_while_re_invites_ask_of_it(bed: Bed) -> None:
    async with Stage(bed, "sealed") as at:
        at.trunk.encryption = "required"
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        assistant.media.copies = 2
        for _ in range(RE_INVITES):
            # A new key begins a hundred packets in which one that comes twice makes SRTP anew, by the thread of its
            # socket. How many of them the gateway gets in a while is up to the machine, so each key waits for one.
            assistant.key = Key.new()
            before = made_anew(bed)
            assert (await assistant.reinvite()).code == 200
            await eventually(partial(more_made_anew, bed, before), "that packets that come twice made SRTP anew")
            await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        await caller.hang_up()


@pytest.mark.keeps("16.182")
async def test_of_two_sessions_of_which_one_cannot_be_made_anew_none_is_used(bed: Bed) -> None:
    async with Stage(bed, "sealed") as at:
        at.trunk.encryption = "required"
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        assistant.key = FOR_ONE
        assert (await assistant.reinvite()).code == 200
        assistant.media.copies = 2
        await eventually(lambda: told(bed, "SRTP session refused"), "that SRTP was not made anew")
        assistant.media.copies = 1
        assistant.key = Key.new()
        assert (await assistant.reinvite()).code == 200
        caller.media.received.clear()
        await both_hear(caller, assistant)
        await caller.hang_up()


def made_anew(bed: Bed) -> int:
    """How many sessions were given up by a thread other than the loop, which answers re-INVITEs."""
    return bed.gateway.log.count("SRTP session given up by another thread")


async def more_made_anew(bed: Bed, before: int) -> bool:
    """Whether a packet that came twice has had SRTP made anew since there were so many."""
    return made_anew(bed) > before


async def told(bed: Bed, line: str) -> bool:
    """Whether the library that looks at the sessions has said so."""
    return line in bed.gateway.log
