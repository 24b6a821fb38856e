# SPDX-License-Identifier: GPL-2.0-or-later
"""The company of the demo: a real PBX with three people at phones and two queues, a broker, the gateway before it.

The outside caller and the voice platform's assistant are scripted SIP peers, so that every word they say is known.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.support.ami import Ami
from tests.support.asterisk import SIP_PORT, Asterisk
from tests.support.baresip import Agent
from tests.support.broker import Broker
from tests.support.company import NUMBER, settings
from tests.support.configuration import Configuration, Table
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.platform_client import asking
from tests.support.processes import Net
from tests.support.prometheus import Prometheus
from tests.support.subscriber import Subscriber

Server = TypeVar("Server", Asterisk, Broker, Gateway)

INSTANCE = "demo"
RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yaml"
CALLER = "+31201112222"

# What each one's voice is, in Hz, and the gateway's ringback, which no voice may be taken for.
RINGBACK_HZ = 425
CALLER_HZ, CALLER_AGAIN_HZ = 850, 930
ASSISTANT_HZ, ASSISTANT_AGAIN_HZ = 600, 680
PEOPLE_HZ = {"6001": 1000, "6002": 1150, "6003": 1300}
NAMES = {"6001": "Anna", "6002": "Bert", "6003": "Carla"}

DESTINATIONS: tuple[Table, ...] = (
    {
        "id": "sales",
        "number": "+31612345678",
        "aliases": ["sales", "2001"],
        "description": "Questions about prices, quotes and new products",
        "message": "I am putting you through to sales, one moment please.",
        "extension": "6500",
        "queue": "sales",
        "ring_timeout_s": 20,
    },
    {
        "id": "support",
        "number": "+31612345679",
        "description": "Technical problems that you can't solve yourself",
        "extension": "6501",
        "queue": "support",
    },
    {
        "id": "repairs",
        "number": "+31612345680",
        "description": "Something is broken and has to come back",
        "extension": "6501",
        "queue": "support",
        "overflow": ["anna"],
    },
    {"id": "anna", "number": "+31612345682", "description": "Whoever asks for Anna by name", "extension": "6001"},
    {
        "id": "workshop",
        "number": "+31612345683",
        "name": "the workshop",
        "description": "Whoever wants to bring something to the workshop",
        "extension": "6003",
        "hours": "workshop",
    },
    {"id": "director", "number": "+31612345681", "description": "Whoever insists on the director", "extension": "6010"},
)
NUMBERS = {destination["id"]: destination["number"] for destination in DESTINATIONS}


@dataclass
class Company:
    """Everybody and everything; `async with Company() as company` starts it all and ends it all."""

    def __post_init__(self) -> None:
        self.net = Net()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        stack = self._stack
        stack.callback(self.net.close)
        try:
            self.pbx = Asterisk(self.net)
            self._log_sip()
            await self._start(self.pbx)
            self.ami = await stack.enter_async_context(Ami(self.pbx.ami_port))
            await self.ami.action("Command", Command="core set verbose 4")
            await self.ami.action("Command", Command=f"pjsip set logger host {self.net.gateway}")
            self.people = {
                NAMES[extension]: await stack.enter_async_context(Agent(self.pbx, extension, hz=hz, manner="ring"))
                for extension, hz in PEOPLE_HZ.items()
            }
            self.broker = await self._start(Broker())
            self.news = await stack.enter_async_context(Subscriber(self.broker, "transfer-gateway/#"))
            self.assistant = await stack.enter_async_context(Peer(self.net.trunk))
            files = self._configuration()
            self.platform = asking(files, "hms")
            self.gateway = await self._start(Gateway(files))
            await stack.enter_async_context(self.platform)
            self.prometheus = Prometheus(self.gateway.url.removeprefix("http://"), rules=RULES)
            stack.push_async_exit(self.prometheus)
            await self.prometheus.__aenter__()
            # What is counted before its first look it takes for what was there already.
            await self.prometheus.wait_for("transfer_gateway_build_info")
            self.caller = await stack.enter_async_context(Peer(self.net.provider, user=CALLER))
        except BaseException:
            await stack.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        await self._stack.__aexit__(kind, *error)

    async def _start(self, server: Server) -> Server:
        # Its end is seen to first: Ctrl-C while it starts must leave nothing behind either.
        self._stack.push_async_exit(server)
        await server.start()
        return server

    @property
    def line(self) -> str:
        """Where the company's number is reached from outside."""
        return f"sip:{NUMBER}@{self.pbx.host}:{SIP_PORT}"

    @property
    def sip_log(self) -> str:
        """The file in which the PBX writes every SIP message between it and the gateway."""
        return str(self.pbx.directory / "log" / "sip")

    def _log_sip(self) -> None:
        # Time as the system counts it, to the microsecond: messages seen elsewhere are sorted in between.
        text = "[general]\ndateformat = %s.%6q\n\n[logfiles]\nconsole = notice,warning,error\nsip = verbose\n"
        (self.pbx.directory / "etc" / "logger.conf").write_text(text)

    def _configuration(self) -> Configuration:
        files = settings(self.net, pbx=self.pbx, broker=self.broker, gateway={"instance": INSTANCE})
        files.main["numbers"].clear()
        files.number("main-line", NUMBER, "hms", "asterisk", DESTINATIONS)
        later = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
        files.main["hours"] = {"workshop": {"time_zone": "UTC", "weekly": {later: ["09:00-17:00"]}}}
        return files
