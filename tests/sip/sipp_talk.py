# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls through the gateway with SIPp at both ends, from the PBX to the assistant or from the trunk to Anna."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tests.sip.bed import ANNA, ASSISTANT_HZ, CALLER, CALLER_HZ, PORT, TLS_PORT, Bed, Pair, tls
from tests.support.processes import Net
from tests.support.sip_message import address
from tests.support.sipp_end import OFFERED_EVENTS, End
from tests.support.sipp_script import Called, Calling, Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.certificates import Authority
    from tests.support.sip_message import Message

S = TypeVar("S", bound=Script)

WAYS = ("from the PBX", "from the trunk")
ANNA_NUMBER = address(ANNA).removeprefix("sip:").partition("@")[0]
CALLED_HZ = ASSISTANT_HZ
TOLD = {"identity": "asserted", "diversion": "diversion"}
HISTORY = {"diversion": "history-info"}
PAIRS = {
    "udp": Pair(),
    "tcp": Pair({"transport": "tcp"}, {"transport": "tcp"}),
    "tls": Pair({"transport": "tls"}, {"transport": "tls"}),
    "info": Pair({"dtmf": "info"}),
    "told": Pair(TOLD, TOLD),
    "history": Pair(HISTORY, HISTORY),
}
WHO = ("caller", "called")
ANY_OFFER = "m=audio [0-9]+ RTP/AVP [0-9]+ "
WIRES = ("udp", "tcp", "tls")


class Place:
    """A gateway whose pairs of peers are played by SIPp, and what they need for TLS."""

    def __init__(self, authority: Authority, pairs: Mapping[str, Pair], net: Net | None = None, **sip: Any) -> None:
        self.net = net or Net()
        self._authority = authority
        self._port = sip.get("udp_port", PORT)
        sip = {"tcp_port": PORT, **sip, **tls(authority, self.net.gateway)}
        self.bed = Bed(self.net, dict(pairs), sip=sip)

    def end(self, does: S, host: str, hz: int, wire: str = "udp", port: int = PORT, call_id: str = "") -> End[S]:
        """Somebody at a host, who calls if they are Calling."""
        identity = self._authority.identity(host) if wire == "tls" else None
        gateway = "::1" if ":" in host else self.net.gateway
        remote = (gateway, TLS_PORT if wire == "tls" else self._port) if isinstance(does, Calling) else None
        return End(does, (host, port), hz=hz, remote=remote, wire=wire, identity=identity, call_id=call_id)

    async def __aenter__(self) -> Self:
        try:
            await self.bed.gateway.__aenter__()
        except BaseException:
            self.net.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            await self.bed.gateway.__aexit__(kind, *error)
        finally:
            self.net.close()


class Talk(AsyncExitStack):
    """Two ends of a call, and who joins them.

    At its end, everybody has done what was written, and nothing is left in the gateway, if it was there `alone`.
    """

    def __init__(
        self,
        place: Place,
        pair: str,
        way: str = WAYS[0],
        *,
        caller: str = CALLER,
        caller_port: int = PORT,
        alone: bool = True,
    ) -> None:
        super().__init__()
        self._alone = alone
        self.place = place
        bed = self.bed = place.bed
        trunk, pbx = bed.trunk_host(pair), bed.pbx_host(pair)
        here, there = (pbx, trunk) if way == WAYS[0] else (trunk, pbx)
        self.number = bed.number(pair) if way == WAYS[0] else ANNA_NUMBER
        self.wire = pair if pair in WIRES else "udp"
        self.caller = place.end(Calling(self.number, caller), here, CALLER_HZ, self.wire, caller_port)
        self.called = place.end(Called(), there, CALLED_HZ, self.wire)
        self.ends: tuple[End[Any], ...] = (self.called, self.caller)

    async def __aenter__(self) -> Self:
        self.push_async_callback(self._close)
        if self._alone:
            await self.enter_async_context(self.bed.gateway.scenario())
        self.push_async_exit(self._over)
        return self

    async def _over(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.over()

    async def _close(self) -> None:
        for end in self.ends:
            await end.close()

    def opening(self, headers: Mapping[str, str] | None = None) -> None:
        """Both do what makes a call, the INVITE with these headers too."""
        self.caller.does.invite(self.caller.offer(), headers).answered().ack().stop("up")
        self.called.does.invited(Via=f"SIP/2.0/{self.wire.upper()} .*").answer(180)
        self.called.does.answer(200, self.called.answer()).expect("ACK").stop("up")

    def opening_without_offer(self) -> None:
        """The same of a caller who leaves the offer to the gateway, and answers it in the ACK."""
        self.caller.events = OFFERED_EVENTS
        self.caller.does.invite().answered(ANY_OFFER).ack(self.caller.answer()).stop("up")
        self.called.does.invited(ANY_OFFER).answer(200, self.called.answer()).expect("ACK").stop("up")

    def closing(self) -> None:
        """The caller hangs up."""
        self.caller.does.bye()
        self.called.does.gone()

    async def begin(self, headers: Mapping[str, str] | None = None) -> Message:
        """Have a call made and answered that the caller will end: the INVITE that has reached the other side."""
        self.opening(headers)
        self.closing()
        await self.start()
        taken: list[Message] = self.called.taken
        return taken[0]

    async def start(self, stop: str = "up") -> None:
        """Have all begin who have something to do, and wait until they have come to this stop, if there is one."""
        for end in self.ends:
            if end.does.steps:
                await end.start()
        if stop:
            await self.arrive(stop)

    async def until(self, stop: str) -> None:
        """Let all go on from where they are, and wait until they have come to this stop."""
        await self.go(to=stop)
        await self.arrive(stop)

    async def arrive(self, stop: str) -> None:
        """Wait until all who stop there have come to this stop."""
        stopping = [end for end in self.ends if end.does.stops_at(stop)]
        assert stopping, f"nobody stops at {stop!r}"
        await asyncio.gather(*(end.at(stop) for end in stopping))

    async def go(self, to: str = "") -> None:
        """Let all go on who have stopped anywhere else; who waits for another does so before that one begins."""
        stopped = [end for end in self.ends if end.stop not in {"", to}]
        for end in sorted(stopped, key=lambda end: not end.does.waits_after(end.stop)):
            await end.go()

    async def over(self) -> None:
        """Let all go on to the end."""
        await self.go()
        for end in self.ends:
            if end.started:
                await end.over()

    async def both_hear(self, *, anew: bool = False) -> None:
        """Each hears what the other speaks; `anew`: from now on, whatever has come before."""
        if anew:
            for end in self.ends:
                end.media.received.clear()
        await hear(self.caller, self.called)

    def joined_by(self, end: End[S]) -> End[S]:
        """Have another end take part, from `start` to the end."""
        self.ends = (end, *self.ends)
        return end

    def parts(self, who: str) -> tuple[End[Any], End[Any]]:
        """The "caller" or the "called", and the other one."""
        return (self.caller, self.called) if who == "caller" else (self.called, self.caller)


async def hear(one: End[Any], other: End[Any]) -> None:
    """Each hears what the other speaks."""
    await other.media.hears(one.media.hz or 0)
    await one.media.hears(other.media.hz or 0)
