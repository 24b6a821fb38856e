# SPDX-License-Identifier: GPL-2.0-or-later
"""One end of a call: SIPp for its signalling, as a script has it, and RTP of the test's own for what it says and hears.

SIPp's third-party control (-3pcc) ties the two together: SIPp hands over every message that it has taken, says where
it has stopped, and is told when to go on. Sound goes to wherever the newest description says.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Generic, TypeVar

from tests.support.end import NOUGHT
from tests.support.processes import WAIT_S, eventually
from tests.support.rtp import Rtp
from tests.support.sip_message import Message, events_of, media_of, sdp
from tests.support.sipp import Sipp
from tests.support.sipp_script import Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.certificates import Identity
    from tests.support.sip_message import Address

S = TypeVar("S", bound=Script)
T = TypeVar("T")

END = b"\x1b"
CODECS = {0: "PCMU", 8: "PCMA"}
OFFERED_EVENTS = 120
"""The payload type that the gateway offers for RFC 4733 events, which an answer has to repeat (RFC 3264 §6.1)."""
TIMEOUTS = 3
"""How many times the patience of a script SIPp has for all of it."""


class Control(asyncio.Protocol):
    """What SIPp takes for its twin: another SIPp of a third-party call."""

    def __init__(self, taken: Callable[[bytes], None]) -> None:
        self._taken = taken
        self._rest = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._taken(b"")

    def data_received(self, data: bytes) -> None:
        *commands, self._rest = (self._rest + data).split(END)
        for command in commands:
            self._taken(command)


class End(Generic[S]):
    """Somebody at one side of the gateway: write what they do (`does`), then `start`; `over` asserts that all went so.

    With `remote` they call there. `wire` is "udp", "tcp" or "tls"; the last needs an identity.
    """

    def __init__(
        self,
        does: S,
        here: Address,
        *,
        hz: int,
        remote: Address | None = None,
        wire: str = "udp",
        identity: Identity | None = None,
        call_id: str = "",
    ) -> None:
        self.does = does
        self.hz = hz
        self.codecs: tuple[str, ...] = ("PCMA", "PCMU")
        """What they speak."""
        self.events = 101 if remote else OFFERED_EVENTS
        self.media = Rtp(here[0], hz=hz)
        self.options: list[str] = []
        """What else SIPp is told on its command line."""
        self.taken: list[Message] = []
        """What SIPp has waited for and got, oldest first."""
        self.taken_at: list[float] = []
        """When that was, by time.monotonic()."""
        self.here = here
        self._remote = remote
        self._wire, self._identity = wire, identity
        self.stop = ""
        """Where SIPp has stopped."""
        self.call_id = call_id
        """Once it is known; their own choice, or SIPp's."""
        self._aborted = False
        self._news = asyncio.Event()
        self._control = Control(self._told)
        self._stack = AsyncExitStack()

    def offer(
        self, direction: str = "sendrecv", *, codecs: tuple[str, ...] = (), host: str = "", media: Rtp | None = None
    ) -> str:
        """An offer of theirs; with another host, or other media, than their own if that is given."""
        media = media or self.media
        return sdp(host or media.host, media.port, codecs or self.codecs, direction, self.events).decode()

    def answer(self, direction: str = "sendrecv", *, codec: str = "") -> str:
        """An answer of theirs, which leaves no choice of codecs."""
        return self.offer(direction, codecs=(codec or self.codecs[0],))

    @property
    def started(self) -> bool:
        """Whether SIPp has begun."""
        return self._control.transport is not None

    def moves(self, media: Rtp) -> None:
        """Speak and hear there from the next description on; close what was used before."""
        self.media.close()
        self.media = media

    async def start(self) -> None:
        """Have SIPp begin, and wait until it does."""
        server = await asyncio.get_running_loop().create_server(lambda: self._control, "127.0.0.1", 0)
        self._stack.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        options = [*self.options, "-3pcc", f"127.0.0.1:{port}", *(["-t", "t1"] if self._wire == "tcp" else [])]
        if self.call_id:
            options += ["-cid_str", self.call_id]
        self.sipp = await self._stack.enter_async_context(
            Sipp(
                "script", self.here[0], port=self.here[1], remote=self._remote, options=options,
                timeout_s=TIMEOUTS * self.does.patience_s, values={"STEPS": self.does.steps}, identity=self._identity,
            )
        )  # fmt: skip
        await self.until(lambda: self._control.transport, "SIPp")
        assert self._control.transport
        self._stack.callback(self._control.transport.abort)

    async def until(self, found: Callable[[], T | None], what: str, timeout_s: float = WAIT_S) -> T:
        """Wait until something is there, while SIPp goes on as it should."""
        try:
            async with asyncio.timeout(timeout_s):
                while (got := found()) is None:
                    assert not self._aborted, f"no {what}, for the call has failed: {self._log()}"
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {what} within {timeout_s} s; at {self.stop!r}\n{self._log()}") from None
        return got

    async def at(self, stop: str, timeout_s: float = WAIT_S) -> Message | None:
        """Wait until SIPp has come to this stop; the newest message by then."""
        await self.until(lambda: self.stop == stop or None, f"stop {stop!r}", timeout_s)
        return self.taken[-1] if self.taken else None

    async def go(self) -> None:
        """Let SIPp go on from where it has stopped."""
        stop = self.stop
        assert self._control.transport
        self._control.transport.write(f"Call-ID: {self.call_id}\r\n\r\n".encode() + END)
        await self.until(lambda: self.stop != stop or None, f"going on from {stop!r}")

    async def has_logged(self, start: str, count: int) -> None:
        """Wait until SIPp has seen so many messages that begin so, those that are repeated and not waited for too."""

        async def are_there() -> bool:
            return self.sipp.messages().count(f"\n{start}") >= count

        await eventually(are_there, f"{count} of {start!r}")

    async def close(self) -> None:
        """Stop it, whatever it is doing."""
        self.media.close()
        await self._stack.aclose()

    async def over(self) -> None:
        """Wait until all steps are done; raise AssertionError unless they went as they are written."""
        (await self.sipp.finished()).check()

    def _told(self, command: bytes) -> None:
        head, _, message = command.partition(b"\r\n\r\n")
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            match name:
                case "Call-ID":
                    self.call_id = value
                case "At":
                    self.stop = value
                case "Past":
                    self.stop = ""
                case "Took":
                    self.taken.append(Message.parse(message))
                    self.taken_at.append(time.monotonic())
                    self._hear(self.taken[-1].body)
                case "internal-cmd":
                    self._aborted = True
        self._news.set()

    def _hear(self, description: bytes) -> None:
        described = media_of(description)
        # Address 0.0.0.0 is hold as it was done once; an answer repeats it, and who holds may speak all the same.
        if described is None or described[0] == NOUGHT:
            return
        host, port, types = described
        spoken = [CODECS[number] for number in types if CODECS.get(number) in self.codecs]
        self.media.events = events_of(description)
        self.media.send_to(host, port, spoken[0])

    def _log(self) -> str:
        errors = self.sipp.directory / "errors.log"
        return (errors.read_text(errors="replace") if errors.exists() else self.sipp.child.tail())[:4000]
