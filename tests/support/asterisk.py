# SPDX-License-Identifier: GPL-2.0-or-later
"""A real PBX: Asterisk, set up by the files of deploy/asterisk that are shipped, and by those of pbx_etc around them.

What it has, by extension: 6001–6003 people's phones (see baresip.py) · 6009 a phone that never registers · 6010 busy
· 6011 rings for ever · 6012 declines · 6500 queue sales (6001, 6002) · 6501 queue support (6003) · 6510 queue tiny
(6003, one may wait) · 6520 queue slow (6002, 3 s of wrap-up) · 6521 queue sales, agents with a penalty of at most 2 ·
6530 rings 6001 and 6002 together · 6540 plays a tone for two seconds before it is answered, then rings 6001 · 6550
and so on what else answers: voicemail, a menu, a conference (pbx_etc/extensions.conf) · 6598 queue sales, answered at
once, with music · 6599 answers and plays a tone for ever · every other is unknown. An
outside caller is whoever calls from `Net.provider`; they reach the gateway by an assigned number.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import tones
from tests.support.ami import GATEWAY_AMI
from tests.support.asterisk_server import MUSIC_HZ, AsteriskServer, install
from tests.support.processes import WAIT_S

if TYPE_CHECKING:
    from tests.support.ami import Block
    from tests.support.fetch import Programs
    from tests.support.processes import Net

OURS = Path(__file__).with_name("pbx_etc")
SHIPPED = Path(__file__).parents[2] / "deploy" / "asterisk"

SIP_PORT = 5070
GATEWAY_PORT = 5060

VOICEMAIL_HZ = 850
EARLY_HZ = 1650

__all__ = [
    "EARLY_HZ", "GATEWAY_AMI", "GATEWAY_PORT", "MUSIC_HZ", "SIP_PORT", "VOICEMAIL_HZ", "Asterisk",
]  # fmt: skip


class Asterisk(AsteriskServer):
    """One PBX: `async with Asterisk(net) as pbx`. It can be stopped, killed and started again on the same ports."""

    hints = "transfer-destinations"
    """The context that holds the phones' hints."""

    def __init__(self, net: Net, *, installed: Programs | None = None) -> None:
        super().__init__(installed)
        self.net = net
        self._configure()

    @property
    def host(self) -> str:
        """The address it listens on, over UDP at port 5070."""
        return self.net.pbx

    @property
    def uri(self) -> str:
        """Where it is, as the gateway's profile of it says."""
        return f"sip:{self.host}:{SIP_PORT}"

    async def pause(self, extension: str, *, paused: bool = True, queue: str = "") -> None:
        """Pause an agent in one queue or in all of them, or end that."""
        fields = {"Queue": queue} if queue else {}
        await self.action("QueuePause", Interface=f"PJSIP/{extension}", Paused=str(paused).lower(), **fields)

    async def add_member(self, queue: str, extension: str) -> None:
        """Log an agent in to a queue."""
        phone = f"PJSIP/{extension}"
        await self.action("QueueAdd", Queue=queue, Interface=phone, StateInterface=phone, MemberName=extension)

    async def remove_member(self, queue: str, extension: str) -> None:
        """Log an agent out of a queue."""
        await self.action("QueueRemove", Queue=queue, Interface=f"PJSIP/{extension}")

    async def originate(self, number: str, *, caller: str = "+31201112222", hz: int = VOICEMAIL_HZ) -> None:
        """Send a caller who hums `hz` to the assistant: the PBX calls an assigned number through the gateway."""
        await self.action(
            "Originate",
            Channel=f"Local/{number}@to-transfer-gateway/n",
            Context="humming-caller",
            Exten=hz,
            Priority=1,
            CallerID=f"<{caller}>",
            Async="true",
        )

    async def members(self, queue: str) -> dict[str, Block]:
        """The queue's members as the PBX sees them, by extension; Status 1 is idle, 5 unavailable."""
        blocks = await self.action("QueueStatus", Queue=queue)
        members = [block for block in blocks if block.get("Event") == "QueueMember"]
        return {block["Location"].removeprefix("PJSIP/"): block for block in members}

    async def until_state(self, extension: str, status: int, *, timeout_s: float = WAIT_S) -> None:
        """Wait until a phone's state is this: 0 idle, 1 in use, 4 unavailable, 8 ringing. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self.ami() as ami:
            while True:
                seen = len(ami.events)
                state = await ami.action("ExtensionState", Context=self.hints, Exten=extension)
                if int(state[0]["Status"]) == status:
                    return
                await ami.event("ExtensionStatus", after=seen, timeout_s=timeout_s, Exten=extension)

    async def tidy(self) -> None:
        """End every call and put the queues' members back as configured."""
        async with self.ami() as ami:
            await ami.action("Command", Command="channel request hangup all")
            for member in await ami.action("QueueStatus"):
                if member.get("Event") != "QueueMember":
                    continue
                if member["Membership"] == "dynamic":
                    await ami.action("QueueRemove", Queue=member["Queue"], Interface=member["Location"])
                elif member["Paused"] == "1":
                    await ami.action("QueuePause", Interface=member["Location"], Paused="false")
            await ami.action("QueueReload", Members="yes", Rules="no", Parameters="no")
        await self.quiet()

    def _record(self) -> None:
        """What its voicemail says to callers of 6001, and what it says to whom follow-me finds."""
        tones.write_wav(self.directory / "prompt.wav", tones.tone(EARLY_HZ, 0.1))
        greeting = self.directory / "spool" / "voicemail" / "default" / "6001" / "unavail.wav"
        greeting.parent.mkdir(parents=True)
        tones.write_wav(greeting, tones.tone(VOICEMAIL_HZ, 5))

    def _configure(self) -> None:
        ours = {
            "@BED@": str(self.directory),
            "@PBX@": self.host,
            "@PORT@": str(SIP_PORT),
            "@PROVIDER@": self.net.provider,
            "@VOICEMAIL_HZ@": str(VOICEMAIL_HZ),
            "@EARLY_HZ@": str(EARLY_HZ),
        }
        self.install(OURS, ours)
        self._record()
        # What somebody who adds these files to their PBX would edit; the rest must work as it is shipped.
        edits: dict[str, dict[str, str]] = {
            "pjsip.d": {
                "127.0.0.2": self.net.gateway,
                # No waiting until the PBX has found out that a gateway just started is there.
                "qualify_frequency = 10": "qualify_frequency = 0",
            },
            "extensions.d": {},
            "manager.d": {"CHANGE-ME": GATEWAY_AMI[1]},
        }
        for folder, values in edits.items():
            (self.etc / folder).mkdir()
            source = SHIPPED / folder / "transfer-gateway.conf"
            missing = [old for old in values if old not in source.read_text()]
            if missing:
                raise RuntimeError(f"{source} no longer contains {missing}")
            install(source, self.etc / folder / source.name, values)
