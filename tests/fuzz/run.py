# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of the fuzzer: clumsy peers on every side of one gateway, and beside them calls without mistakes.

What the gateway promises is looked at all the time and in the end: the process lives, no sanitizer has anything to say,
the good call is heard all along, every good transfer completes, and nothing is left when all have gone. Where calls
outlive it, it is killed halfway and started again: those that talked go on, or are told of as over.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.fuzz import good, settings
from tests.fuzz.held import connections_of, ended, held, is_connected, kinds_of
from tests.fuzz.mutator import Mutator
from tests.fuzz.peers import Clumsy
from tests.fuzz.playing import calls_in, calls_out, shouting, states, stray
from tests.fuzz.reports import of_leaks, of_sanitizers, of_the_gateway
from tests.fuzz.restart import Restart
from tests.fuzz.result import Result
from tests.fuzz.services import DNS_PORT, ClumsyBroker, ClumsyNames, clumsy_commands, clumsy_manager
from tests.fuzz.streams import connections
from tests.fuzz.talks import Talks
from tests.fuzz.tally import PBXS, STRANGERS, TRUNKS
from tests.pbx.fake_ami import FakeAmi, hint
from tests.sip.bed import TLS_PORT
from tests.support.broker import Broker
from tests.support.certificates import Authority
from tests.support.configuration import TOKEN
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net, eventually
from tests.support.subscriber import Subscriber
from tests.support.wire import Streams

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.support.wire import Wire

LINGER_S = 120.0
"""How long PJSIP may hold what was left to it: a BYE that is repeated for 32 s, and a transaction's 32 s after that."""
LOOK_S = 5.0
"""Between two looks; what repeats something says it within four seconds (RFC 3261 §17.1.2.2)."""
START_S = 120.0
"""The sanitizers are slow to load."""
END_S = 60.0
"""… and look through the memory at the end."""
CANCEL_S = 5.0
"""How long those who play may take to stop once nobody is there any more."""
MISSING = 50
"""Packets of the good call that may be on their way: a second of them. A call that is lost is silent for longer."""
REACHED_S = 60.0
"""A run of this length has to have reached everything; one in which it is killed takes twice as long."""


class Run:
    """One run: `await Run(seed, environment()).play(60)`."""

    def __init__(self, seed: int, env: dict[str, str] | None, *, recovers: bool = False) -> None:
        """`env`: what the gateway's environment has besides, see `sanitized.environment`; `recovers`: it is killed."""
        self._seed = seed
        self._env = env
        self._recovers = recovers
        self._result = Result()
        self._tally = self._result.tally
        self._clumsy: list[Clumsy] = []
        self._talks = Talks()

    async def play(self, seconds: float) -> Result:
        """Play for so long, and look at what is left."""
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(self._raised)
        try:
            return await self._play(seconds)
        finally:
            loop.set_exception_handler(before)

    def _raised(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a peer cannot read of what came back to its mistakes is nothing; all else is the fuzzer's own fault."""
        error = context.get("exception")
        if error is not None and not isinstance(error, ValueError | LookupError | OSError | asyncio.CancelledError):
            self._result.faults.append(f"in the fuzzer: {context['message']}: {error!r}")

    async def _play(self, seconds: float) -> Result:
        async with AsyncExitStack() as stack:
            net = stack.enter_context(Net())
            broker = await stack.enter_async_context(Broker())
            before_it = await stack.enter_async_context(ClumsyBroker(broker, Mutator(self._seed + 14), self._tally))
            ami, calm = [await stack.enter_async_context(FakeAmi()) for _ in range(2)]
            calm.hints.append(hint("6003", 0))
            loop = asyncio.get_running_loop()
            names, _ = await loop.create_datagram_endpoint(
                lambda: ClumsyNames(Mutator(self._seed + 9), self._tally, net.host(32)),
                local_addr=(net.host(53), DNS_PORT),
            )
            stack.callback(names.close)
            authority = Authority(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            files = settings.tables(net, before_it.port, ami, calm, authority, recover_calls=self._recovers)
            gateway = Gateway(files, env=self._env)
            heard = await stack.enter_async_context(Subscriber(broker, f"transfer-gateway/{settings.INSTANCE}/#"))
            self._restart = Restart(gateway, heard, Mutator(self._seed + 18))
            await gateway.start(START_S)
            try:
                await eventually(lambda: is_connected(gateway), "the broker and both managers are connected")
                before, self._kinds = await held(gateway), kinds_of(gateway.child.pid)
                before_it.rests = False
                playing = [
                    *await self._peers(stack, net, gateway, authority, seconds),
                    clumsy_manager(ami, Mutator(self._seed + 10), self._tally, seconds, 0.005),
                    clumsy_commands(
                        broker,
                        gateway,
                        f"transfer-gateway/{settings.INSTANCE}",
                        Mutator(self._seed + 11),
                        self._tally,
                        seconds,
                    ),
                    self._good(stack, net, gateway, seconds),
                ]
                handed = next(peer for peer in self._clumsy if peer.host == net.host(33)).handed
                playing.append(clumsy_manager(calm, Mutator(self._seed + 15), self._tally, seconds, 0.2, handed))
                await self._all(playing, gateway, seconds)
                before_it.rests = True
                try:
                    await self._look(gateway, before)
                except (aiohttp.ClientError, TimeoutError) as error:
                    self._result.faults.append(f"no answer after the run: {error!r}{await ended(gateway, END_S)}")
                if seconds >= (2 * REACHED_S if self._recovers else REACHED_S) and gateway.child.exit_code is None:
                    transferred = ["a good transfer"] if not self._result.transfers else []
                    self._result.faults += [f"not reached: {what}" for what in [*transferred, *self._tally.unreached()]]
            finally:
                if gateway.child.exit_code is None:
                    await gateway.child.stop(END_S)
                self._result.log = gateway.log
                self._result.faults += [
                    *of_sanitizers(gateway.log), *of_leaks(gateway.log), *of_the_gateway(gateway.log)
                ]  # fmt: skip
                self._result.latest = [data for peer in self._clumsy for data in peer.sent]
                await gateway.__aexit__(None, None, None)
        return self._result

    async def _peers(
        self, stack: AsyncExitStack, net: Net, gateway: Gateway, authority: Authority, seconds: float
    ) -> list[Coroutine[Any, Any, None]]:
        """What the peers of every side will do."""

        async def clumsy(role: str, last: int, number: int, wire: Wire | None = None) -> Clumsy:
            peer = Clumsy(net.host(last), role, Mutator(self._seed + number), self._tally, wire)
            peer.talks = self._talks
            peer.is_running, peer.takes_back = self._restart.is_running, self._recovers
            self._clumsy.append(peer)
            return await stack.enter_async_context(peer)

        def sealed_wire(last: int) -> Wire:
            return Streams(authority.identity(net.host(last)), clients=True)

        trunk, named, handed = [await clumsy(TRUNKS, last, last) for last in (30, 32, 34)]
        pbx, handing = [await clumsy(PBXS, last, last) for last in (31, 33)]
        stranger = await clumsy(STRANGERS, 99, 99)
        wired = [await clumsy(role, last, last, Streams()) for role, last in ((TRUNKS, 40), (PBXS, 41))]
        sealed = [await clumsy(role, last, last, sealed_wire(last)) for role, last in ((TRUNKS, 42), (PBXS, 43))]
        handed.refers_to = [settings.BERT]
        wired[1].hints = {"6001": "idle", "6003": "idle"}
        at, at_tls = gateway.sip, (gateway.sip[0], TLS_PORT)
        uris = {
            number: f"sip:{number}@{net.gateway}"
            for number in (
                settings.CLUMSY,
                settings.NAMED,
                settings.WIRED,
                settings.SEALED,
                settings.HANDED,
                settings.SALES,
                settings.BERT,
            )
        }
        numbers, targets = (
            [uris[settings.CLUMSY], uris[settings.NAMED]],
            [uris[settings.SALES], uris[settings.BERT], f"sip:2001@{net.gateway}"],
        )
        return [
            *(calls_in(peer, seconds) for peer in self._clumsy if peer is not stranger),
            *(calls_out(peer, targets, at, seconds) for peer in (trunk, trunk, named, wired[0], wired[0])),
            *(calls_out(peer, numbers, at, seconds) for peer in (pbx, pbx)),
            *(calls_out(handing, [uris[settings.HANDED]], at, seconds) for _ in range(3)),
            *(calls_out(wired[1], [uris[settings.WIRED]], at, seconds) for _ in range(2)),
            *(calls_out(sealed[0], targets, at_tls, seconds) for _ in range(2)),
            *(calls_out(sealed[1], [uris[settings.SEALED]], at_tls, seconds) for _ in range(2)),
            *(stray(peer, [*numbers, *targets], at, seconds, 0.1) for peer in (trunk, pbx)),
            *(stray(peer, [uris[settings.WIRED], *targets], at, seconds, 0.3) for peer in wired),
            *(stray(peer, [uris[settings.SEALED], *targets], at_tls, seconds, 0.3) for peer in sealed),
            stray(stranger, [*numbers, *targets], at, seconds, 0.05),
            shouting(stranger, self._clumsy, seconds),
            states(wired[1], seconds),
            connections(net.host(40), at, Mutator(self._seed + 12), self._tally, "peer TCP", seconds),
            connections(net.host(42), at_tls, Mutator(self._seed + 13), self._tally, "peer TLS", seconds),
            connections(net.host(99), at, Mutator(self._seed + 16), self._tally, f"{STRANGERS} TCP", seconds),
            connections(net.host(99), at_tls, Mutator(self._seed + 17), self._tally, f"{STRANGERS} TLS", seconds),
        ]

    async def _all(self, playing: list[Coroutine[Any, Any, None]], gateway: Gateway, seconds: float) -> None:
        ended = asyncio.create_task(self._restart.ended(2 * seconds + 600))
        played = asyncio.ensure_future(asyncio.gather(*playing, return_exceptions=True))
        both: set[asyncio.Future[Any]] = {played, ended}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            self._result.faults.append(f"the process ended with {gateway.child.exit_code}")
            played.cancel()
            await asyncio.wait({played}, timeout=CANCEL_S)
            return
        ended.cancel()
        faults = [one for one in played.result() if isinstance(one, Exception)]
        self._result.faults += [f"{type(one).__name__}: {one}" for one in faults]

    async def _good(self, stack: AsyncExitStack, net: Net, gateway: Gateway, seconds: float) -> None:
        """One call from beginning to end, and transfer after transfer."""
        trunk = await stack.enter_async_context(Peer(net.host(10), user="assistant"))
        pbx = await stack.enter_async_context(Peer(net.host(11), user="pbx"))
        caller, assistant = await good.talk(trunk, pbx, gateway, net)
        begun, before = asyncio.get_running_loop().time(), assistant.media._sequence
        is_to_be_killed = self._recovers
        try:
            # However long it all takes on a busy machine, it is killed.
            while is_to_be_killed or asyncio.get_running_loop().time() < begun + seconds:
                # The packets are the assistant's own, who says less while this process is busy.
                said = (assistant.media._sequence - before) & 0xFFFF
                assert len(caller.media.received) > said - MISSING, "the good call was silent"
                assert good.ASSISTANT_HZ in caller.media.detect(good.ASSISTANT_HZ, seconds=1.0), (
                    "the good call was not heard"
                )
                caller.media.received.clear()
                before = assistant.media._sequence
                put_through = await good.put_through(trunk, pbx, gateway, net)
                self._result.transfers += 1
                if is_to_be_killed and asyncio.get_running_loop().time() > begun + seconds / 2:
                    is_to_be_killed = False
                    await self._restart.play([(caller, assistant), put_through], START_S)
                    before = assistant.media._sequence
                await good.hang_up(pbx, *put_through)
                for peer in (trunk, pbx):
                    peer.trace.clear()
                await asyncio.sleep(0.5)
        except AssertionError as error:
            if gateway.child.exit_code is None:
                told = [entry for peer in (trunk, pbx) for entry in peer.ladder()[-12:]]
                self._result.faults.append(f"beside it: {str(error)[:500]}, {told}")
        finally:
            if gateway.child.exit_code is None:
                await caller.hang_up()
                await assistant.wait_request("BYE")

    async def _look(self, gateway: Gateway, before: dict[str, int]) -> None:
        if gateway.child.exit_code is not None:
            return
        begun = asyncio.get_running_loop().time()
        for peer in self._clumsy:
            peer.rest()
        self._result.refused = await self._restart.counted("refused")

        async def nothing_left() -> bool:
            for peer in self._clumsy:
                peer.heard.clear()
                if isinstance(peer.wire, Streams):
                    peer.wire.drop()  # PJSIP keeps a connection for ten minutes
            now = await held(gateway)
            return all(now[what] <= before[what] for what in before)

        settings.quiet(gateway.files)
        gateway.write()
        status, text = await gateway.http("POST", "/api/reload", token=TOKEN)
        if status != 200:
            self._result.faults.append(f"no reload: {status} {text}")
        try:
            await eventually(nothing_left, "nothing is left", timeout_s=LINGER_S, every_s=LOOK_S)
            self._result.settled_s = asyncio.get_running_loop().time() - begun
        except AssertionError:
            says = b"\n----\n".join(one for peer in self._clumsy for one in peer.heard)
            dialogs = (await gateway.get("/api/dialogs"))["dialogs"]
            self._result.left = self._talks.about(dialogs)
            pid = gateway.child.pid
            self._result.faults.append(
                f"left behind: {await held(gateway)}, was {before}; open {kinds_of(pid)}, was {self._kinds}; "
                f"connections {connections_of(pid)}; dialogs {dialogs}; it still says:\n{says.decode(errors='replace')}"
            )
        self._result.outcomes = await self._restart.counted("transfers")
        transfers = await gateway.get("/api/transfers")
        open_ones = [one for one in transfers["transfers"] if one["outcome"] is None]
        if open_ones:
            self._result.faults.append(f"transfers without an outcome: {open_ones[:3]}")
        if self._recovers:
            self._result.faults += await self._restart.faults()
            self._result.restart = self._restart.lines()
