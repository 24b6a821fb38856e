# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of the fuzzer: clumsy peers on every side of one gateway, and beside them calls without mistakes.

What the gateway promises is looked at all the time and in the end: the process lives, no sanitizer has anything to say,
the good call is heard all along, every good transfer completes, and nothing is left when all have gone.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutator import Mutator
from tests.fuzz.peers import Clumsy, calls_in, calls_out, stray
from tests.fuzz.sanitized import HARMLESS, REPORT
from tests.fuzz.services import DNS_PORT, ClumsyNames, clumsy_commands, clumsy_manager
from tests.fuzz.settings import CLUMSY, GOOD, INSTANCE, NAMED, SEALED, TLS_PORT, TRUNKS, WIRED, settings
from tests.fuzz.streams import connections
from tests.pbx.fake_ami import FakeAmi
from tests.support.broker import Broker
from tests.support.certificates import Authority
from tests.support.gateway import TOKEN, Gateway
from tests.support.peer import Peer
from tests.support.processes import Net, eventually
from tests.support.wire import Streams

if TYPE_CHECKING:
    from tests.support.peer_call import Call
    from tests.support.wire import Wire

SALES = "<sip:+31612345678@gw.example>"
CALLER_HZ, ASSISTANT_HZ, TARGET_HZ = 700, 900, 1200
LINGER_S = 120.0
"""How long PJSIP may hold what was left to it: a BYE that is repeated for 32 s, and a transaction's 32 s after that."""
TRIES, BUSY = 4, 503
"""What the gateway may answer a new call with while it is late, as on a machine with other work (Retry-After)."""
START_S = 120.0
"""The sanitizers are slow to load."""
GAP_S = 1.0
"""The sanitizers make everything some three times slower; a call that is lost is silent for longer."""


@dataclass
class Result:
    """What came of a run."""

    faults: list[str] = field(default_factory=list)
    transfers: int = 0
    """Good ones."""
    requests: float = 0
    latest: list[bytes] = field(default_factory=list)
    """The messages that went out last."""
    log: str = ""
    """What the gateway wrote."""


class Run:
    """One run: `await Run(seed, environment()).play(60)`."""

    def __init__(self, seed: int, env: dict[str, str] | None) -> None:
        """`env`: what the gateway's environment has besides, see `sanitized.environment`."""
        self._seed = seed
        self._env = env
        self._result = Result()
        self._clumsy: list[Clumsy] = []

    async def play(self, seconds: float) -> Result:
        """Play for so long, and look at what is left."""
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda *_: None)  # answers that a peer cannot read
        try:
            return await self._play(seconds)
        finally:
            loop.set_exception_handler(before)

    async def _play(self, seconds: float) -> Result:
        async with AsyncExitStack() as stack:
            net = Net()
            stack.callback(net.close)
            broker = await stack.enter_async_context(Broker())
            ami = await stack.enter_async_context(FakeAmi())
            loop = asyncio.get_running_loop()
            names, _ = await loop.create_datagram_endpoint(
                lambda: ClumsyNames(Mutator(self._seed + 9), net.host(32)), local_addr=(net.host(53), DNS_PORT)
            )
            stack.callback(names.close)
            secrets = {"sip_profiles/ami.secret": ami.secret}
            authority = Authority(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            gateway = Gateway(settings(net, broker, ami, authority), secrets=secrets, env=self._env)
            await gateway.start(START_S)
            try:
                before = await _held(gateway)
                await self._all(stack, net, gateway, broker, ami, authority, seconds)
                await self._look(gateway, before)
            finally:
                if gateway.child.exit_code is None:
                    await gateway.child.stop(60)
                self._result.log = gateway.log
                self._result.faults += _reports(gateway.log)
                self._result.latest = [data for peer in self._clumsy for data in peer.sent]
                await gateway.__aexit__(None, None, None)
        return self._result

    async def _all(
        self,
        stack: AsyncExitStack,
        net: Net,
        gateway: Gateway,
        broker: Broker,
        ami: FakeAmi,
        authority: Authority,
        seconds: float,
    ) -> None:
        async def clumsy(last: int, number: int, wire: Wire | None = None) -> Clumsy:
            peer = Clumsy(net.host(last), Mutator(self._seed + number), wire=wire)
            self._clumsy.append(peer)
            return await stack.enter_async_context(peer)

        trunk, pbx, named, stranger = [await clumsy(last, at) for at, last in enumerate((30, 31, 32, 99))]
        wired = [await clumsy(last, 20 + last, Streams()) for last in (40, 41)]
        sealed = [
            await clumsy(last, 20 + last, Streams(authority.identity(net.host(last)), clients=True))
            for last in (42, 43)
        ]
        at, at_tls = gateway.sip, (gateway.sip[0], TLS_PORT)
        uris = tuple(f"sip:{number}@{net.gateway}" for number in (CLUMSY, NAMED, "+31612345678", "2001"))
        playing = [
            *(calls_in(peer, seconds) for peer in (trunk, pbx, named)),
            *(calls_out(peer, uris, at, seconds) for peer in (trunk, trunk, pbx, pbx)),
            *(stray(peer, uris, at, seconds, 0.05) for peer in (trunk, pbx)),
            stray(stranger, uris, at, seconds, 0.03),
            *(calls_in(peer, seconds) for peer in (*wired, *sealed)),
            *(calls_out(peer, (f"sip:{WIRED}@{net.gateway}",), at, seconds) for peer in wired),
            *(calls_out(peer, (f"sip:{SEALED}@{net.gateway}",), at_tls, seconds) for peer in sealed),
            connections(net.host(40), at, Mutator(self._seed + 12), seconds),
            connections(net.host(42), at_tls, Mutator(self._seed + 13), seconds),
            clumsy_manager(ami, Mutator(self._seed + 10), seconds),
            clumsy_commands(broker, f"transfer-gateway/{INSTANCE}", Mutator(self._seed + 11), seconds),
            self._good(stack, net, gateway, seconds),
        ]
        ended = asyncio.create_task(gateway.child.wait(2 * seconds + 600))
        played = asyncio.ensure_future(asyncio.gather(*playing, return_exceptions=True))
        both: set[asyncio.Future[Any]] = {played, ended}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            self._result.faults.append(f"the process ended with {gateway.child.exit_code}")
            played.cancel()
            return
        ended.cancel()
        faults = [one for one in played.result() if isinstance(one, Exception)]
        self._result.faults += [f"{type(one).__name__}: {one}" for one in faults]

    async def _good(self, stack: AsyncExitStack, net: Net, gateway: Gateway, seconds: float) -> None:
        """One call from beginning to end, and transfer after transfer."""
        trunk = await stack.enter_async_context(Peer(net.host(10), user="assistant"))
        pbx = await stack.enter_async_context(Peer(net.host(11), user="pbx"))
        caller, assistant = await _talk(trunk, pbx, gateway, net)
        begun = asyncio.get_running_loop().time()
        try:
            while (now := asyncio.get_running_loop().time()) < begun + seconds:
                assert caller.media.longest_gap(now - 2) < GAP_S, "the good call was silent"
                assert ASSISTANT_HZ in caller.media.detect(ASSISTANT_HZ, seconds=1.0), "the good call was not heard"
                caller.media.received.clear()
                await _transfer(trunk, pbx, gateway, net)
                self._result.transfers += 1
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
        self._result.requests = await gateway.metric("transfer_gateway_requests_rejected_total")

        async def nothing_left() -> bool:
            for peer in self._clumsy:
                if isinstance(peer.wire, Streams):
                    peer.wire.drop()  # a message that is repeated makes a connection anew
            now = await _held(gateway)
            return all(now[what] <= before[what] for what in before)

        # Calls that a peer has left on hold or ringing, its BYE or CANCEL broken on the way, would last.
        gateway.files["gateway.toml"]["sip"] |= {"max_call_s": 1, "answer_timeout_s": 1}
        # Our own OPTIONS take a transaction each.
        for name in TRUNKS:
            gateway.files[f"sip_profiles/{name}.toml"]["options_interval_s"] = 0
        gateway.write()
        status, text = await gateway.http("POST", "/api/reload", token=TOKEN)
        if status != 200:
            self._result.faults.append(f"no reload: {status} {text}")
        try:
            await eventually(nothing_left, "nothing is left", timeout_s=LINGER_S, every_s=1.0)
        except AssertionError:
            self._result.faults.append(f"left behind: {await _held(gateway)}, was {before}")
        transfers = await gateway.get("/api/transfers")
        open_ones = [one for one in transfers["transfers"] if one["outcome"] is None]
        if open_ones:
            self._result.faults.append(f"transfers without an outcome: {open_ones[:3]}")


async def _talk(trunk: Peer, pbx: Peer, gateway: Gateway, net: Net) -> tuple[Call, Call]:
    for _ in range(TRIES):
        caller = pbx.invite(f"sip:{GOOD}@{net.gateway}", gateway.sip, hz=CALLER_HZ)
        try:
            assistant = await trunk.wait_call(5.0)
            break
        except AssertionError:
            if (await caller.final(5.0)).code != BUSY:
                raise
    else:
        raise AssertionError(f"a good call was refused {TRIES} times")
    await assistant.answer(hz=ASSISTANT_HZ)
    await caller.answered()
    await caller.media.hears(ASSISTANT_HZ)
    return caller, assistant


async def _transfer(trunk: Peer, pbx: Peer, gateway: Gateway, net: Net) -> None:
    caller, assistant = await _talk(trunk, pbx, gateway, net)
    accepted = await assistant.refer(SALES)
    assert accepted.code == 202, f"a good REFER was refused: {accepted.start}"
    target = await pbx.wait_call()
    await target.answer(hz=TARGET_HZ)
    notified = [one.sipfrag for one in await assistant.notifies()]
    assert notified[-1] == 200, f"a good transfer failed: {notified}"
    await caller.media.hears(TARGET_HZ)
    await caller.hang_up()
    await target.wait_request("BYE")
    for peer in (trunk, pbx):
        for call in [one for one in peer.calls if one in (caller, assistant, target)]:
            call.close()
            peer.calls.remove(call)
            peer._taken -= call.incoming is not None


async def _held(gateway: Gateway) -> dict[str, int]:
    status = await gateway.get("/api/status")
    descriptors = len(os.listdir(f"/proc/{gateway.child.pid}/fd"))  # noqa: PTH208  # no file is waited for
    held = {"calls": status["calls"], "transfers": status["transfers"], "descriptors": descriptors}
    return {**held, **status["sip"], **status["stack"]}


def _reports(log: str) -> list[str]:
    lines = log.splitlines()
    for at, line in enumerate(lines):
        if any(sign in line for sign in REPORT) and not any(sign in line for sign in HARMLESS):
            return ["\n".join(lines[at : at + 30])]
    return [f"a traceback: {line}" for line in lines if "Traceback" in line or "sip-callback-failed" in line][:3]


def keep(result: Result, path: Path) -> None:
    """Write down what went out last and what the gateway wrote, for whoever looks for the cause."""
    path.with_suffix(".latest").write_bytes(b"\n\n----\n\n".join(result.latest))
    path.with_suffix(".log").write_text(result.log)
