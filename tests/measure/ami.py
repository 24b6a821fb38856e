# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs a PBX that gateways follow it by AMI, and what each of them sees: none of them, one, two, three.

A real Asterisk has calls of its own and agents who pause and come back, at a rate that stays the same, while so many
gateways are logged in; then one more, and so on, and back again. Processor time is counted, not the clock on the wall.

    python -m tests.measure.ami --seconds 10 --rounds 1
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections import defaultdict
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.kamailio.costs import cpu_s
from tests.support import tones
from tests.support.ami import GATEWAY_AMI
from tests.support.asterisk import Asterisk
from tests.support.company import ON_THE_TEST_BED, destinations
from tests.support.configuration import Configuration
from tests.support.fetch import programs
from tests.support.gateway import Gateway
from tests.support.processes import Net, free_port

if TYPE_CHECKING:
    from tests.support.ami import Ami

MOST = 3
CALLS_S, PAUSES_S = 20, 40
"""What goes on in a second: calls of which each lasts a second, and pauses of an agent or their ends."""


class Counted:
    """Stands between a gateway and the manager interface, and counts what that sends."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = free_port()
        self.octets = self.events = 0
        self._server: asyncio.Server

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Listen no longer."""
        self._server.close()

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        with suppress(OSError):
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer, counts=True))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool = False) -> None:
        while data := await reader.read(65536):
            if counts:
                self.octets += len(data)
                self.events += data.count(b"Event: ")
            writer.write(data)
        writer.close()


@dataclass
class Found:
    """With so many gateways logged in: of each turn, in a second."""

    pbx_cpu_s: list[float] = field(default_factory=list)
    gateway_cpu_s: list[float] = field(default_factory=list)  # of one
    events: list[float] = field(default_factory=list)  # to one
    octets: list[float] = field(default_factory=list)


async def busy(ami: Ami) -> None:
    """Have the PBX do what it does all day, until cancelled."""
    loop, turn, begun = asyncio.get_running_loop(), 0, asyncio.get_running_loop().time()
    while True:
        member = ("6001", "6002")[turn % 2]
        paused = str(turn // 2 % 2 == 0).lower()
        await ami.action("QueuePause", Queue="sales", Interface=f"PJSIP/{member}", Paused=paused)
        if turn % (PAUSES_S // CALLS_S) == 0:
            await ami.action(
                "Originate", Channel="Local/6599@transfer-destinations/n", Application="Wait", Data="1", Async="true"
            )
        ami.events.clear()
        turn += 1
        await asyncio.sleep(max(0.0, begun + turn / PAUSES_S - loop.time()))


def configured(net: Net, place: int, port: int) -> Configuration:
    """A gateway that follows the queues and phones of the test bed."""
    files = Configuration(net.host(51 + place), instance=f"gw-{place + 1}")
    files.trunk("hms", net.trunk, options_interval_s=0)
    files.pbx("asterisk", f"sip:{net.pbx}:5070")
    files.follow("asterisk", port, GATEWAY_AMI[1], GATEWAY_AMI[0])
    files.number("main-line", "+31201234567", "hms", "asterisk", destinations(*ON_THE_TEST_BED))
    return files


async def turn(pbx: Asterisk, net: Net, gateways: int, seconds: float, found: Found) -> None:
    """One measurement."""
    async with AsyncExitStack() as stack:
        counted = [Counted(pbx.ami_port) for _ in range(gateways)]
        following = []
        for place, one in enumerate(counted):
            await one.start()
            stack.push_async_callback(one.stop)
            following.append(await stack.enter_async_context(Gateway(configured(net, place, one.port))))
        for gateway in following:
            await gateway.queue("sales", 60)
        ami = await stack.enter_async_context(pbx.ami())
        playing = asyncio.ensure_future(busy(ami))
        await asyncio.sleep(2)
        pids = [gateway.child.pid for gateway in following]
        before = cpu_s([pbx.pid]), cpu_s(pids), [(one.events, one.octets) for one in counted]
        await asyncio.sleep(seconds)
        after = cpu_s([pbx.pid]), cpu_s(pids), [(one.events, one.octets) for one in counted]
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    found.pbx_cpu_s.append((after[0] - before[0]) / seconds)
    if gateways:
        found.gateway_cpu_s.append((after[1] - before[1]) / seconds / gateways)
        seen = [(now[0] - then[0], now[1] - then[1]) for then, now in zip(before[2], after[2], strict=True)]
        found.events.append(sum(events for events, _ in seen) / seconds / gateways)
        found.octets.append(sum(octets for _, octets in seen) / seconds / gateways)


async def measure(seconds: float, rounds: int) -> None:
    """Print the table."""
    found: dict[int, Found] = defaultdict(Found)
    order = [*range(MOST + 1), *reversed(range(MOST + 1))]
    with Net() as net:
        async with Asterisk(net) as pbx:
            for number in rounds * order:
                await turn(pbx, net, number, seconds, found[number])
    print(f"{CALLS_S} calls and {PAUSES_S} pauses a second, {2 * rounds} turns of {seconds:g} s each\n")
    print("| gateways logged in | processor of the PBX | events a second to each | kB/s to each | of each gateway |")
    print("|---:|---:|---:|---:|---:|")
    for number, one in sorted(found.items()):
        pbx_words = f"{statistics.median(one.pbx_cpu_s):.2%} ({min(one.pbx_cpu_s):.2%} to {max(one.pbx_cpu_s):.2%})"
        rest = "| | | "
        if number:
            rest = (
                f"| {statistics.median(one.events):.1f} | {statistics.median(one.octets) / 1000:.1f} "
                f"| {statistics.median(one.gateway_cpu_s):.2%} "
            )
        print(f"| {number} | {pbx_words} {rest}|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each turn lasts (10)")
    parser.add_argument("--rounds", type=int, default=2, help="there and back so often (2)")
    options = parser.parse_args()
    programs()
    tones.prepare()
    asyncio.run(measure(options.seconds, options.rounds))
