# SPDX-License-Identifier: GPL-2.0-or-later
"""A running gateway between a scripted PBX and scripted platforms, each with the profile of a kind of sender."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from tests.support.company import destinations
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

PBX_PORT = 5070
CALLER = "+31201112222"
CALLER_HZ, ASSISTANT_HZ, TARGET_HZ = 700, 900, 1200

SALES = "<sip:+31612345678@gw.example>"
ANNA = "<sip:+31612345681@gw.example>"
SILENT = "<sip:+31612345683@gw.example>"
"""Is let ring for a second."""
CLOSED = "<sip:+31612345687@gw.example>"
"""Opens in a few days."""
OVERFLOWS = "<sip:+31612345686@gw.example>"
"""Goes on to Anna when it fails."""
UNKNOWN = "<sip:+31699999999@gw.example>"

TRUNK_PASSWORD, PBX_PASSWORD = "correct horse", "battery staple"


@dataclass(frozen=True)
class Line:
    """An assigned number of ours, the platform it is on, and how that platform's profile differs from the default."""

    number: str
    host: int
    profile: dict[str, Any] = field(default_factory=dict)


TRACED = ["X-*", "Referred-By", "traceparent", "tracestate"]
LINES = {
    "main": Line("+31201234567", Net.TRUNK, {"pass_headers": ["User-to-User", "X-*", "Referred-By"]}),
    "livekit": Line("+31201234501", 31, {"event_id": "always"}),
    "jambonz": Line("+31201234502", 32, {"deadline_s": 15, "pass_headers": TRACED}),
    "on-ring": Line("+31201234503", 33, {"final_notify": "on-ring"}),
    "notify": Line("+31201234504", 34, {"refusal": "notify"}),
    "hurried": Line("+31201234505", 35, {"deadline_s": 3}),
    "patient": Line("+31201234507", 37, {"deadline_s": 3, "at_deadline": "continue"}),
    "info": Line("+31201234509", 39, {"dtmf": "info"}),
    "by-reason": Line("+31201234510", 38, {"failure_code": "reason"}),
    "secret": Line("+31201234506", 36, {"challenge": True, "username": "hms", "password": TRUNK_PASSWORD}),
}
UNHURRIED = "+31612345688"
"""Is let ring for as long as one may."""
COMPANY = [
    *destinations("sales", "overseas", "anna", "silent", "closed", "overflowing", "voicemail"),
    {"id": "unhurried", "number": UNHURRIED, "extension": "6014", "ring_timeout_s": 600},
]
EXTENSIONS = {one["id"]: one["extension"] for one in COMPANY}


def settings(net: Net, lines: dict[str, Line] = LINES, *, gateway: str = "", **pbx: Any) -> Configuration:
    """The configuration; `gateway` is its address if not the usual one, `pbx` more of the profile of the PBX."""
    later = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
    files = Configuration(gateway or net.gateway, instance="conformance", drain_timeout_s=1)
    files.main["hours"] = {"seldom": {"time_zone": "UTC", "weekly": {later: ["09:00-17:00"]}}}
    files.pbx("pbx", f"sip:{net.pbx}:{PBX_PORT}", username="gw", password=PBX_PASSWORD, **pbx)
    for name, line in lines.items():
        files.trunk(name, net.host(line.host), **{"options_interval_s": 0, **line.profile})
        files.number(name, line.number, name, "pbx", COMPANY, answer="sales", fallback="voicemail")
    return files


def make_gateway(net: Net) -> Gateway:
    """The gateway that the scenarios share."""
    return Gateway(settings(net))


class Scene:
    """One scenario's peers. When it ends well, everybody hangs up and nothing may be left in the gateway."""

    def __init__(self, net: Net, gateway: Gateway) -> None:
        self.net = net
        self.gateway = gateway
        self.remote = gateway.sip
        """Where the peers find the gateway."""
        self.pbx = self.make_pbx()
        self.pbx.is_wanted = gateway.carries
        self._earlier: frozenset[str] = frozenset()
        self._platforms: dict[str, Peer] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._earlier = self.pbx.earlier = await self.gateway.call_ids()
        await self._stack.enter_async_context(self.pbx)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            for peer in self.peers:
                for call in peer.calls:
                    if is_up(call):
                        await call.hang_up()
            if kind is None:
                await self.gateway.idle()
        finally:
            for peer in self.peers:
                peer.settle()
            await self._stack.aclose()

    @property
    def peers(self) -> list[Peer]:
        """Everybody who has taken part so far."""
        return [self.pbx, *self._platforms.values()]

    async def platform(self, line: str = "main") -> Peer:
        """The platform of a line, listening."""
        if line not in self._platforms:
            platform = self.make_platform(line)
            platform.is_wanted, platform.earlier = self.gateway.carries, self._earlier
            self._platforms[line] = await self._stack.enter_async_context(platform)
        return self._platforms[line]

    def make_pbx(self) -> Peer:
        """The PBX of this scenario."""
        return Peer(self.net.pbx, PBX_PORT, user="pbx")

    def make_platform(self, line: str) -> Peer:
        """The platform of a line."""
        return Peer(self.net.host(LINES[line].host), 5060)

    def number(self, line: str) -> str:
        """The assigned number of a line."""
        return LINES[line].number

    async def stranger(self) -> Peer:
        """Somebody whom no profile knows."""
        return await self._stack.enter_async_context(Peer(self.net.host(99), 5060, user="mallory"))

    def uri(self, user: str) -> str:
        """A URI at the gateway."""
        return f"sip:{user}@{self.remote[0]}:{self.remote[1]}"

    def call_from_pbx(self, line: str = "main", **more: Any) -> Call:
        """The PBX puts a caller through to the number of a line."""
        more.setdefault("from_", f'"Eve Example" <sip:{CALLER}@pbx.example>')
        return self.pbx.invite(self.uri(self.number(line)), self.remote, hz=CALLER_HZ, **more)

    async def bridged(self, line: str = "main", **more: Any) -> tuple[Call, Call]:
        """A caller who talks to the assistant of a line: the PBX's leg and the platform's."""
        platform = await self.platform(line)
        caller = self.call_from_pbx(line, **more)
        assistant = await platform.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        return caller, assistant

    async def target(self, destination: str = "anna") -> Call:
        """The call that the gateway makes to a destination's extension; not answered yet."""
        return await self.extension(EXTENSIONS[destination])

    async def referred(self, transferor: Call, refer_to: str = ANNA, destination: str = "anna") -> Call:
        """Have a REFER accepted: the target that is called for it."""
        assert (await transferor.refer(refer_to)).code == 202
        return await self.target(destination)

    async def extension(self, extension: str) -> Call:
        """The call that the gateway makes to an extension."""
        call = await self.pbx.wait_call()
        assert call.incoming
        assert call.incoming.uri.startswith(f"sip:{extension}@"), call.incoming.uri
        return call

    async def refused(self, transferor: Call, refer_to: str | None, *headers: tuple[str, str]) -> Message:
        """Have a REFER refused: nothing may be dialled or notified, and the call has to go on."""
        dialled = len(self.pbx.received("INVITE"))
        answer = await transferor.refer(refer_to, *headers)
        assert answer.code >= 300, answer.start
        await transferor.media.hears(CALLER_HZ)
        assert len(self.pbx.received("INVITE")) == dialled
        assert not transferor.peer.received("NOTIFY")
        return answer

    async def outcome(self) -> dict[str, Any]:
        """The newest transfer, once it has ended."""
        newest = (await self.gateway.transfers())[0]["transfer"]
        ended = await self.gateway.until(lambda one: one["transfer"] == newest and one["outcome"] is not None)
        return ended[0]


def codes(notifies: Sequence[Message]) -> list[int]:
    """The status codes that NOTIFYs report."""
    return [notify.sipfrag for notify in notifies]


def is_up(call: Call) -> bool:
    """Whether a call was answered and nobody has sent BYE since."""
    of_call = [one.message for one in call.peer.trace if one.message["Call-ID"] == call.call_id]
    answered = any(message.code == 200 and message.method == "INVITE" for message in of_call)
    return answered and not any(message.is_request and message.method == "BYE" for message in of_call)
