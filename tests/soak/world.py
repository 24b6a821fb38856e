# SPDX-License-Identifier: GPL-2.0-or-later
"""Who takes part: a gateway between three platforms and two PBXs, and what they stand on."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.compare.pbx_state import BusyPbx
from tests.reconciled.world import DAYS
from tests.soak.kinds import DESTINATIONS, NAMES, PATIENCE_S, Pbx, Platform
from tests.soak.stations import BadDatagrams, Station
from tests.soak.troubles import SteppedClock
from tests.support.broker import Broker
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway
from tests.support.names import NameServer
from tests.support.processes import eventually
from tests.support.subscriber import Subscriber
from tests.support.wire import Streams

if TYPE_CHECKING:
    from tests.pbx.fake_ami import FakeAmi
    from tests.support.processes import Net

LINES = {"named": 31201230001, "streams": 31201230002, "bad": 31201230003}
"""Each platform's number: one is known by its name, one speaks TCP, one is behind a bad network, as is its PBX."""
PBX_OF = {"named": "good", "streams": "good", "bad": "bad"}
HOSTS = {"named": 11, "streams": 12, "bad": 13}
PBX_HOSTS = {"good": 21, "bad": 22}
NAME, DNS_HOST, DNS_PORT, TTL_S = "voice.example", 53, 5353, 5
SILENCE_S = 15
"""Nobody here sends audio, and nobody talks so long: calls of which both ends have gone end by that."""
SEED = 20261129


class World:
    """`async with World(net) as world`: everybody is there and knows each other."""

    def __init__(self, net: Net, *, recovers: bool = False) -> None:
        """`recovers`: calls outlive the gateway."""
        self.net = net
        self._recovers = recovers
        self._stack = AsyncExitStack()
        self.ended: dict[str, dict[str, Any]] = {}
        """Each outcome that was told of over MQTT, by its event's id."""
        self.events: Counter[str] = Counter()
        self.call_ends: Counter[str] = Counter()
        """How often the end of each call was told."""
        self.again = 0
        self._ids: set[str] = set()
        self._asked: dict[str, str] = {}  # the first transfer that each call has asked for
        self.bad = [BadDatagrams(random.Random(SEED + number)) for number in range(2)]
        self.streams = Streams()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        try:
            await self._arrive(enter)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *details: Any) -> None:
        await self._stack.__aexit__(*details)

    async def _arrive(self, enter: Any) -> None:
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.clock = SteppedClock(directory)
        self.broker = await enter(Broker(persistent=True, options=["max_queued_messages 0"]))
        self.busy = await enter(BusyPbx())
        self.manager: FakeAmi = self.busy._ami
        self.manager.queues["empty"] = []
        names = {(NAME, "A"): [self.net.host(HOSTS["named"])]}
        self.names = await enter(NameServer(self.net.host(DNS_HOST), DNS_PORT, names, TTL_S))
        self.heard = await enter(Subscriber(self.broker, "transfer-gateway/test/transfers/#", client_id="auditor"))
        self.gateway = Gateway(self._configured(), env=self.clock.environment)
        self.platforms = {name: Platform(self.gateway, self.transfer_of) for name in LINES}
        self.pbxs = {name: Pbx(self.gateway, self.busy.rings) for name in PBX_HOSTS}
        wires = {"named": None, "streams": self.streams, "bad": self.bad[0]}
        for name, platform in self.platforms.items():
            made = Station(self.net.host(HOSTS[name]), platform.takes, user="assistant", wire=wires[name])
            platform.station = await enter(made)
        for name, pbx in self.pbxs.items():
            wire = self.bad[1] if name == "bad" else None
            pbx.station = await enter(Station(self.net.host(PBX_HOSTS[name]), pbx.takes, user="pbx", wire=wire))
        await enter(self.gateway)
        self._listening = asyncio.create_task(self._listen())
        self._stack.callback(self._listening.cancel)

    def _configured(self) -> Configuration:
        net = self.net
        files = Configuration(
            net.gateway, drain_timeout_s=2, rtp_port_min=20000, rtp_port_max=29999, max_calls=900, tcp_port=5060,
            rtp_timeout_s=SILENCE_S,
            name_servers=[f"{net.host(DNS_HOST)}:{DNS_PORT}"],
        )  # fmt: skip
        files.main["gateway"]["log_level"] = "warning"
        if self._recovers:
            files.sip["recover_calls"] = True
        files.main["mqtt"] = {"host": self.broker.host, "port": self.broker.port}
        today = datetime.now(UTC)
        later, closed = today + timedelta(days=3), [today + timedelta(days=days) for days in (-1, 0, 1)]
        files.main["hours"] = {
            "later": {"time_zone": "UTC", "weekly": {DAYS[later.weekday()]: ["09:00-17:00"]}},
            "holidays": {"time_zone": "UTC", "weekly": {day: ["00:00-24:00"] for day in DAYS},
                         "closed": [day.date().isoformat() for day in closed]},
        }  # fmt: skip
        for name, host in PBX_HOSTS.items():
            files.pbx("asterisk" if name == "good" else name, f"sip:{net.host(host)}:5060")
        self.busy.followed_by(files)
        for name, number in LINES.items():
            more = {"named": {"outbound": f"sip:{NAME}"}, "streams": {"transport": "tcp"}}.get(name, {})
            files.trunk(f"{name}-platform", net.host(HOSTS[name]), options_interval_s=0, **more)
            pbx = "asterisk" if PBX_OF[name] == "good" else PBX_OF[name]
            own = [{"number": NAMES[one["id"]], **one} for one in DESTINATIONS]
            files.number(name, f"+{number}", f"{name}-platform", pbx, own, answer="anna")
        return files

    @property
    def stations(self) -> list[Station]:
        """All far ends."""
        return [*(one.station for one in self.platforms.values()), *(one.station for one in self.pbxs.values())]

    # --- what is told

    async def _listen(self) -> None:
        """Keep of the events what is counted in the end, and nothing else."""
        while True:
            await self.heard.until(bool, timeout_s=1e6)
            messages, self.heard.messages = self.heard.messages, []
            for message in messages:
                if b'"specversion"' in message.payload:
                    self._take(json.loads(message.payload))

    def _take(self, event: dict[str, Any]) -> None:
        if event["id"] in self._ids:
            self.again += 1
            return
        self._ids.add(event["id"])
        self.events[event["type"]] += 1
        data = event["data"]
        for_call = data.get("call_ids", {}).get("transferor")
        if for_call:
            self._asked.setdefault(for_call, data["transfer"])
        if event["type"] == "call.ended.v1":
            self.call_ends[data["call"]] += 1
        if event["type"] == "transfer.ended.v1":
            kept = ("transfer", "entry", "outcome", "reason", "sip_code", "call_ids")
            self.ended[event["id"]] = {name: data[name] for name in kept}

    async def transfer_of(self, call_id: str) -> str:
        """See Platform."""

        async def told() -> str:
            return self._asked.get(call_id, "")

        return await eventually(told, f"the transfer of {call_id}", timeout_s=PATIENCE_S, every_s=0.05)

    def by_call(self) -> dict[str, list[dict[str, Any]]]:
        """The outcomes by the call that has asked for them."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in self.ended.values():
            role = "transferee" if one["entry"] == "invite" else "transferor"
            found[one["call_ids"][role]].append(one)
        return found
