# SPDX-License-Identifier: GPL-2.0-or-later
"""Who takes part: a gateway, and the broker, the PBX and the receiver of a webhook that are restarted beneath it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from tests.reconciled.faulty import EXTENSION, FaultyGateway
from tests.reconciled.kinds import WITH_SIPP, WITHOUT_PBX, Asked
from tests.report.webhook.server import SECRET, Server
from tests.support.asterisk import Asterisk
from tests.support.broker import Broker
from tests.support.company import settings
from tests.support.peer import Peer
from tests.support.processes import eventually
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.configuration import Configuration
    from tests.support.processes import Net

SIDE, NARROW = "+31201234568", "+31201234569"
"""The numbers of the scripted peers: the platform that has everything, and one that may have a single call."""
SIDE_HOST, NARROW_HOST, LINE_HOST, STRANGER_HOST = 4, 5, 21, 99
SINGLE, FAULTY = "+31612345720", "+31612345721"
CROWD = 24
WEBHOOK = "auditor"
TRANSFERS = "transfer_gateway_transfers_total"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SETTLE_S = 40

DIALPLAN = """
[transfer-destinations](+)
exten => _7XXX,1,Answer()
 same => n,Wait(3600)
exten => 7900,1,Ringing()
 same => n,Wait(3600)
exten => 7901,1,Ringing()
 same => n,Wait(3600)
exten => 6018,1,PJSIPHangup(500)
exten => 6016,1,PJSIPHangup(484)
exten => 6017,1,PJSIPHangup(488)
exten => 6014,hint,Custom:6014
exten => 6014,1,Busy()
exten => 6515,1,Answer()
 same => n,Queue(full)
exten => 6516,1,Answer()
 same => n,Queue(long)
"""
"""Agents who answer and stay as long as their caller, agents who never do, 500, busy by its hint, two queues."""

QUEUES = """
[support](+)
{agents}
[full](queue)
maxlen = 1
timeout = 3600
member => Local/7900@transfer-destinations/n,0,Nobody
[long](queue)
timeout = 3600
member => Local/7901@transfer-destinations/n,0,Nobody
"""


class StaffedAsterisk(Asterisk):
    """The PBX with agents and queues that are there again by themselves after a restart."""

    def _configure(self) -> None:
        super()._configure()
        # One after the other, for the queue rings all of the lowest penalty at once.
        agents = "\n".join(
            f"member => Local/{7000 + number}@transfer-destinations/n,{number},Agent {number}"
            for number in range(CROWD)
        )
        for name, more in (("extensions", DIALPLAN), ("queues", QUEUES.format(agents=agents))):
            file = self.etc / f"{name}.conf"
            file.write_text(file.read_text() + more)

    async def occupy(self) -> None:
        """Have a caller wait in each of the two queues whose agents never answer, and a phone be busy."""
        await self.cli("devstate change Custom:6014 BUSY")
        for extension in ("6515", "6516"):
            await self.action(
                "Originate", Channel=f"Local/{extension}@transfer-destinations/n", Application="Wait", Data="3600",
                Async="true",
            )  # fmt: skip


class Receiver(Server):
    """The receiver of the webhook, which goes away and comes back at the same address."""

    async def go(self) -> None:
        """Listen no more."""
        await self.__aexit__()

    async def come_back(self) -> None:
        """Listen again."""
        await self.__aenter__()


def configured(pbx: Asterisk, broker: Broker, receiver: Server) -> Configuration:
    """The gateway's configuration, with every destination that is asked for."""
    net = pbx.net
    files = settings(net, pbx=pbx, broker=broker)
    files.main["gateway"]["log_level"] = "warning"
    files.profiles["hms"]["options_interval_s"] = 0  # SIPp would take it for a call
    files.profiles["asterisk"]["addresses"].append(net.host(LINE_HOST))
    files.destination("silent")["ring_timeout_s"] = 1
    today = datetime.now(UTC)
    later, holidays = today + timedelta(days=3), [(today + timedelta(days=days)).date().isoformat() for days in (0, 1)]
    files.main["hours"] = {
        "later": {"time_zone": "UTC", "weekly": {DAYS[later.weekday()]: ["09:00-17:00"]}},
        "holidays": {"time_zone": "UTC", "weekly": {day: ["00:00-24:00"] for day in DAYS}, "closed": holidays},
    }
    kinds = [one for one in (*WITH_SIPP, *WITHOUT_PBX) if one.destination]
    own = [{"id": one.id, "number": one.number, **(one.destination or {})} for one in kinds]
    files.line["destinations"] += [
        *{one["id"]: one for one in own}.values(),
        {"id": "faulty", "number": FAULTY, "extension": EXTENSION},
        {"id": "single", "number": SINGLE, "extension": "6599", "max_concurrent": 1},
    ]  # fmt: skip
    for name, number, host, more in (("side", SIDE, SIDE_HOST, {}), ("narrow", NARROW, NARROW_HOST, {"max_calls": 1})):
        files.trunk(name, net.host(host), options_interval_s=0, **more)
        files.number(f"{name}-line", number, name, "asterisk", files.line["destinations"],
                     answer="sales", fallback="voicemail")  # fmt: skip
    files.main["webhooks"] = [{"id": WEBHOOK, "url": receiver.url, "secret_file": "auditor.secret"}]
    files.secrets["auditor.secret"] = SECRET
    return files


class World:
    """`async with World(net) as world`: everybody is there and knows each other."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        try:
            self.pbx = await enter(StaffedAsterisk(self.net))
            self.broker = await enter(Broker(persistent=True, options=["max_queued_messages 0"]))
            self.receiver = await enter(Receiver())
            self.heard = await enter(Subscriber(self.broker, "transfer-gateway/test/transfers/#", client_id="auditor"))
            self.gateway = await enter(FaultyGateway(configured(self.pbx, self.broker, self.receiver)))
            self.side = await enter(Peer(self.net.host(SIDE_HOST)))
            self.narrow = await enter(Peer(self.net.host(NARROW_HOST)))
            self.line = await enter(Peer(self.net.host(LINE_HOST), user="caller"))
            await self.pbx.occupy()
            await self.staffed()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *details: Any) -> None:
        await self._stack.__aexit__(*details)

    async def settled(self, kinds: Iterable[Asked]) -> None:
        """Wait until the gate says of each of these kinds what is to become of it."""
        wanted = {one.id: one for one in kinds if one.by_gate}

        async def agrees() -> bool:
            for one in list(wanted.values()):
                found = await self.gateway.get(f"/api/explain?target=%2B{one.number[1:]}&number=main-line")
                if found["reason"] == str(one.reason):
                    del wanted[one.id]
            return not wanted

        await eventually(agrees, f"the gate says so: {wanted}", timeout_s=SETTLE_S, every_s=0.2)

    async def staffed(self) -> None:
        """Wait until the gateway sees all that the PBX has: its agents, and who waits."""
        await self.gateway.queue("support", SETTLE_S, available=CROWD)
        await self.settled(WITH_SIPP)
