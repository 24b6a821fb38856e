# SPDX-License-Identifier: GPL-2.0-or-later
"""Callers who talk to an agent, whose platform reads in status lines why they can't be put through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.gateway import Gateway
    from tests.support.peer import Peer
    from tests.support.peer_call import Call
    from tests.support.processes import Net
    from tests.support.sip_message import Message


@dataclass
class Talk:
    """A caller who talks to the agent of a platform, behind one PBX."""

    net: Net
    gateway: Gateway
    pbx: Peer
    platform: Peer
    number: str

    def fresh(self, number: str) -> Call:
        """The platform calls a destination by a fresh INVITE."""
        return self.platform.invite(f"sip:{number}@{self.net.gateway}", self.gateway.sip)

    async def transferor(self) -> tuple[Call, Call]:
        """The caller's leg and the agent's, who talk."""
        caller = self.pbx.invite(f"sip:{self.number}@{self.net.gateway}", self.gateway.sip)
        agent = await self.platform.wait_call()
        await agent.answer()
        await caller.answered()
        return caller, agent

    async def rejects(self, code: int) -> None:
        """The PBX refuses the next call, or lets it ring."""
        target = await self.pbx.wait_call()
        if code:
            target.reject(code)
        else:
            await target.ring()
            await target.wait_request("CANCEL")


def fragment(notify: Message) -> str:
    """The status line in a NOTIFY, whole."""
    assert notify["Content-Type"].startswith("message/sipfrag")
    assert notify.body.endswith(b"\r\n")
    assert notify.body.count(b"\n") == 1
    return notify.body.decode().removesuffix("\r\n")


def handed_on(messages: str) -> set[str]:
    """What LiveKit would tell its agent of the failures in SIPp's log: code and reason phrase, and nothing else."""
    found = re.findall(r"^SIP/2\.0 ([3-6]\d\d) (.+?)\r?$", messages, re.MULTILINE)
    return {f"call transfer failed: sip status: {code}: {phrase}" for code, phrase in found}
