# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of the fuzzer: clumsy peers on every side of one gateway, and beside them calls without mistakes.

What the gateway promises is looked at all the time and in the end: the process lives, no sanitizer has anything to say,
the good call is heard all along, every good transfer completes, and nothing is left when all have gone.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutator import Mutator
from tests.fuzz.peers import Clumsy, calls_in, calls_out, stray
from tests.fuzz.sanitized import HARMLESS, REPORT, environment
from tests.fuzz.services import DNS_PORT, ClumsyNames, clumsy_commands, clumsy_manager
from tests.pbx.fake_ami import FakeAmi
from tests.support.broker import Broker
from tests.support.gateway import TOKEN, Gateway
from tests.support.peer import Peer
from tests.support.processes import Net, eventually, free_port

if TYPE_CHECKING:
    from tests.support.peer_call import Call

PORT = 5060
GOOD, CLUMSY, NAMED = "+31201234500", "+31201234501", "+31201234502"
SALES = "<sip:+31612345678@gw.example>"
CALLER_HZ, ASSISTANT_HZ, TARGET_HZ = 700, 900, 1200
LINGER_S = 120.0
"""How long PJSIP may hold what was left to it: a BYE that is repeated for 32 s, and a transaction's 32 s after that."""
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
    """One run: `await Run(seed).play(60)`."""

    def __init__(self, seed: int, *, sanitized: bool = True) -> None:
        self._seed = seed
        self._env = environment() if sanitized else None
        self._result = Result()
        self._clumsy: list[Clumsy] = []

    async def play(self, seconds: float) -> Result:
        """Play for so long, and look at what is left."""
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # answers that a peer cannot read
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
            gateway = Gateway(_settings(net, broker, ami), secrets=secrets, env=self._env)
            await gateway.start(START_S)
            try:
                before = await _held(gateway)
                await self._all(stack, net, gateway, broker, ami, seconds)
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
        self, stack: AsyncExitStack, net: Net, gateway: Gateway, broker: Broker, ami: FakeAmi, seconds: float
    ) -> None:
        async def clumsy(last: int, number: int) -> Clumsy:
            peer = Clumsy(net.host(last), Mutator(self._seed + number))
            self._clumsy.append(peer)
            return await stack.enter_async_context(peer)

        trunk, pbx, named, stranger = [await clumsy(last, at) for at, last in enumerate((30, 31, 32, 99))]
        at = gateway.sip
        uris = tuple(f"sip:{number}@{net.gateway}" for number in (CLUMSY, NAMED, "+31612345678", "2001"))
        playing = [
            *(calls_in(peer, seconds) for peer in (trunk, pbx, named)),
            *(calls_out(peer, uris, at, seconds) for peer in (trunk, trunk, pbx, pbx)),
            *(stray(peer, uris, at, seconds, 0.05) for peer in (trunk, pbx)),
            stray(stranger, uris, at, seconds, 0.01),
            clumsy_manager(ami, Mutator(self._seed + 10), seconds),
            clumsy_commands(broker, "transfer-gateway/fuzz", Mutator(self._seed + 11), seconds),
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
            now = await _held(gateway)
            return all(now[what] <= before[what] for what in before)

        # Calls that a peer has left on hold, its BYE broken on the way, would last.
        gateway.files["gateway.toml"]["sip"]["max_call_s"] = 1
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
    caller = pbx.invite(f"sip:{GOOD}@{net.gateway}", gateway.sip, hz=CALLER_HZ)
    assistant = await trunk.wait_call()
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
    return {"calls": status["calls"], "transfers": status["transfers"], **status["sip"], **status["stack"]}


def _reports(log: str) -> list[str]:
    lines = log.splitlines()
    for at, line in enumerate(lines):
        if any(sign in line for sign in REPORT) and not any(sign in line for sign in HARMLESS):
            return ["\n".join(lines[at : at + 30])]
    return [f"a traceback: {line}" for line in lines if "Traceback" in line or "sip-callback-failed" in line][:3]


def _settings(net: Net, broker: Broker, ami: FakeAmi) -> dict[str, dict[str, Any]]:
    sales: dict[str, Any] = {"id": "sales", "number": "+31612345678", "extension": "6500", "ring_timeout_s": 3}
    anna = {"id": "anna", "aliases": ["2001"], "extension": "6001", "ring_timeout_s": 3}
    destinations = [{**sales, "queue": "sales", "overflow": ["anna"]}, anna]
    clumsy = {"pbx": "clumsy-pbx", "fallback": "anna", "destinations": destinations}
    numbers = [
        {"id": "good", "number": GOOD, "trunk": "good", "pbx": "good-pbx", "destinations": [sales]},
        {"id": "clumsy", "number": CLUMSY, "trunk": "clumsy", **clumsy},
        {"id": "named", "number": NAMED, "trunk": "named", **clumsy},
    ]
    main: dict[str, Any] = {
        "gateway": {"instance": "fuzz", "state_dir": "", "default_country": "NL", "drain_timeout_s": 0},
        "sip": {
            "bind_address": net.gateway, "udp_port": PORT, "tcp_port": PORT,
            "name_servers": [f"{net.host(53)}:{DNS_PORT}"],
        },
        "http": {"bind_address": "127.0.0.1", "port": free_port(), "token_file": "http.token"},
        "mqtt": {"host": broker.host, "port": broker.port},
        "numbers": numbers,
    }  # fmt: skip
    trunk = {"kind": "trunk", "options_interval_s": 2}
    manager = {"source": "ami", "port": ami.port, "host": "127.0.0.1", "username": "gw", "password_file": "ami.secret"}
    return {
        "gateway.toml": main,
        "sip_profiles/good.toml": {**trunk, "addresses": [net.host(10)], "outbound": f"sip:{net.host(10)}:{PORT}"},
        "sip_profiles/good-pbx.toml": {"kind": "pbx", "address": f"sip:{net.host(11)}:{PORT}"},
        "sip_profiles/clumsy.toml": {**trunk, "addresses": [net.host(30)], "outbound": f"sip:{net.host(30)}:{PORT}"},
        "sip_profiles/clumsy-pbx.toml": {"kind": "pbx", "address": f"sip:{net.host(31)}:{PORT}", "queues": manager},
        "sip_profiles/named.toml": {**trunk, "addresses": [net.host(32)], "outbound": "sip:fuzz.example"},
    }


def keep(result: Result, path: Path) -> None:
    """Write down what went out last and what the gateway wrote, for whoever looks for the cause."""
    path.with_suffix(".latest").write_bytes(b"\n\n----\n\n".join(result.latest))
    path.with_suffix(".log").write_text(result.log)
