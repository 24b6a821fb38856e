# SPDX-License-Identifier: GPL-2.0-or-later
"""Who plays what a call tells of its caller, written once in test_caller_scenarios.py: scripted peers, and SIPp."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from tests.sip.bed import ASSISTANT_HZ, CALLER, CALLER_HZ, PORT, Stage
from tests.sip.sipp_talk import ANNA_NUMBER, CALLED_HZ, WAYS, Place, Talk
from tests.support.sip_message import Message
from tests.support.sipp_script import Calling

if TYPE_CHECKING:
    from tests.support.peer import Peer
    from tests.support.peer_call import Call

Headers = Mapping[str, str]


class Told(Protocol):
    """A call that was answered, as the side sees it that was called."""

    invite: Message
    """What has reached it."""

    async def seen(self) -> str:
        """The call ends; all that was said to that side."""

    async def comes_back(self) -> int:
        """It sends the INVITE back as a proxy would, one hop less and a Via on top: the code of the answer.

        Both hear each other afterwards as before.
        """


class Player(Protocol):
    """Plays a call one of WAYS, between a pair of sipp_talk.PAIRS, whose INVITE has these headers."""

    async def __call__(
        self,
        scenario: Callable[[Told], Awaitable[None]],
        way: str,
        pair: str = "udp",
        *,
        caller: str = CALLER,
        headers: Headers,
    ) -> None:
        """AssertionError: it did not go as it should."""

    async def refused(self, way: str, code: int, *, headers: Headers) -> None:
        """Such a call gets this answer, and reaches nobody."""


class Peers:
    """Implements Player: scripted peers."""

    def __init__(self, place: Place) -> None:
        self._bed = place.bed

    async def __call__(
        self,
        scenario: Callable[[Told], Awaitable[None]],
        way: str,
        pair: str = "udp",
        *,
        caller: str = CALLER,
        headers: Headers,
    ) -> None:
        async with Stage(self._bed, pair) as at:
            call, there = self._begin(at, way, caller, headers)
            called = await there.wait_call()
            await called.answer(hz=ASSISTANT_HZ)
            await call.answered()
            told = TwoPeers(at, call, called)
            await scenario(told)
            await told.over()

    async def refused(self, way: str, code: int, *, headers: Headers) -> None:
        async with Stage(self._bed, "udp") as at:
            call, there = self._begin(at, way, CALLER, headers)
            assert (await call.final()).code == code
            assert not there.received("INVITE")

    @staticmethod
    def _begin(at: Stage, way: str, caller: str, headers: Headers) -> tuple[Call, Peer]:
        here, there = (at.pbx, at.trunk) if way == WAYS[0] else (at.trunk, at.pbx)
        number = at.number if way == WAYS[0] else ANNA_NUMBER
        uri, more = f"sip:{number}@gateway", tuple(headers.items())
        return here.invite(uri, at.gateway, from_=caller, hz=CALLER_HZ, headers=more), there


class TwoPeers:
    """Implements Told."""

    def __init__(self, at: Stage, caller: Call, called: Call) -> None:
        assert called.incoming
        self._at, self._caller, self._called = at, caller, called
        self.invite = called.incoming
        self._is_over = False

    async def over(self) -> None:
        """The caller hangs up, if they have not yet."""
        if not self._is_over:
            self._is_over = True
            await self._caller.hang_up()
            await self._called.wait_request("BYE")

    async def seen(self) -> str:
        await self.over()
        return "\n".join(str(one.message) for one in self._called.peer.trace if not one.sent)

    async def comes_back(self) -> int:
        peer = self._called.peer
        via = ("Via", f"SIP/2.0/UDP {peer.sent_by};branch=z9hG4bK-round")
        headers = [(name, "69" if name == "Max-Forwards" else value) for name, value in self.invite.headers]
        back = Message(f"INVITE sip:{self._at.number}@gateway SIP/2.0", [via, *headers], self.invite.body)
        code = (await peer.transact(back, self._at.gateway).final()).code
        await self._caller.media.hears(ASSISTANT_HZ)
        await self._called.media.hears(CALLER_HZ)
        return code


class Sipp:
    """Implements Player: SIPp at both ends."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def __call__(
        self,
        scenario: Callable[[Told], Awaitable[None]],
        way: str,
        pair: str = "udp",
        *,
        caller: str = CALLER,
        headers: Headers,
    ) -> None:
        async with Talk(self._place, pair, way, caller=caller) as talk:
            await scenario(TwoSipps(self._place, talk, await talk.begin(headers)))

    async def refused(self, way: str, code: int, *, headers: Headers) -> None:
        async with Talk(self._place, "udp", way) as talk:
            talk.caller.does.invite(talk.caller.offer(), headers).refused(code)
            await talk.start("")


class TwoSipps:
    """Implements Told."""

    def __init__(self, place: Place, talk: Talk, invite: Message) -> None:
        self._place, self._talk = place, talk
        self.invite = invite

    async def seen(self) -> str:
        await self._talk.over()
        return self._talk.called.sipp.messages()

    async def comes_back(self) -> int:
        talk, ours = self._talk, self.invite
        proxy = Calling(talk.number, ours["From"], cseq=ours.cseq[0])
        proxy.invite(talk.called.offer(), {"Max-Forwards": "69", "v": ours["Via"]}).refused(482)
        back = self._place.end(proxy, talk.called.here[0], CALLED_HZ, port=PORT + 10, call_id=ours["Call-ID"])
        await talk.joined_by(back).start()
        await back.over()
        await talk.both_hear(anew=True)
        return 482  # it ends with an error at any other
