# SPDX-License-Identifier: GPL-2.0-or-later
"""One connection to Asterisk's manager interface: login, actions and their replies, events in the order of the wire."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, cast

from gateway.pbx.addresses import addresses_of
from gateway.pbx.asterisk.ami_codec import AmiError, Decoder, Message, encode
from gateway.ports import Clock, time_limit

MAX_LISTED = 20_000  # messages in one list that are kept
SLICE = 4 * 1024  # bytes taken at once
WORK_S = 0.002  # after so much work at a stretch …
REST_S = 0.004  # … the rest of the gateway has its turn: a PBX gets a third of the time at most


class LoginRefusedError(AmiError):
    """The PBX does not let us in with this user name and secret."""


class ConnectionLostError(AmiError):
    """The connection ended, or could not be made."""


class NoAnswerError(AmiError):
    """The PBX left an action unanswered for too long."""


class UnreadableError(AmiError):
    """The PBX's answer makes no sense to us."""


class ActionRefusedError(AmiError):
    """The PBX answered an action with an error; the message is the PBX's own."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to an action: the response and, for a list, what it listed."""

    response: Message
    items: tuple[Message, ...] = ()
    complete: bool = True  # False: the PBX says it listed more than arrived


@dataclass(slots=True)
class _Pending:
    reply: asyncio.Future[Reply]
    on_reply: Callable[[Reply], None] | None
    keep: Callable[[Message], bool] | None
    listed: int = 0
    response: Message | None = None
    items: list[Message] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """A connection that is logged in. Make one with `open`; everything is called on the loop's thread.

    `on_event` gets every event that is no part of a reply. It and an action's `on_reply` are called in the order in
    which the PBX spoke: a list never undoes an event that came after it.
    """

    def __init__(
        self,
        clock: Clock,
        on_event: Callable[[Message], None],
        on_data: Callable[[], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._clock = clock
        self._on_event = on_event
        self._on_data = on_data
        self._on_fault = on_fault
        self._transport: asyncio.Transport | None = None
        self._decoder = Decoder()
        self._unread: deque[bytes] = deque()
        self._resting: asyncio.TimerHandle | None = None
        self._pending: dict[str, _Pending] = {}
        self._sent = 0
        self.lost: asyncio.Future[AmiError] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        username: str,
        secret: str,
        *,
        clock: Clock,
        events: str,
        within: float,
        on_event: Callable[[Message], None],
        on_data: Callable[[], None] = lambda: None,
        on_fault: Callable[[Exception], None] = lambda _error: None,
    ) -> Self:
        """Connect and log in within `within` seconds; `events`: classes of events to be sent, e.g. "agent,call".

        `on_data` is called for whatever arrives after the login, `on_fault` with what `on_event` or `on_reply` raised.
        Raises NotAmiError, LoginRefusedError,
        ConnectionLostError, NoAnswerError.
        """
        connection = cls(clock, on_event, on_data, on_fault)
        try:
            async with time_limit(clock, within):
                await connection._connect(host, port)
                await connection._login(username, secret, events)
        except TimeoutError:
            connection.close()
            raise NoAnswerError(f"no answer to our login within {within:g} s") from None
        except OSError as error:
            raise ConnectionLostError(_plain(error)) from None
        except BaseException:
            connection.close()
            raise
        return connection

    async def _connect(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        error = OSError(f"{host} has no address")
        for address in await addresses_of(host):
            try:
                await loop.create_connection(lambda: self, address, port)
            except OSError as failure:
                error = failure
            else:
                return
        raise error

    async def _login(self, username: str, secret: str, events: str) -> None:
        try:
            challenge = await self.action("Challenge", AuthType="MD5")
            # AMI knows no other digest; this one keeps the secret itself off the wire.
            key = hashlib.md5(
                f"{challenge.response.get('Challenge')}{secret}".encode(), usedforsecurity=False
            ).hexdigest()
            await self.action("Login", AuthType="MD5", Username=username, Key=key, Events=events)
        except ActionRefusedError as error:
            raise LoginRefusedError(f"login refused: {error}") from None

    @property
    def dropped(self) -> int:
        """How many messages were unreadable or too long."""
        return self._decoder.dropped

    async def action(
        self,
        name: str,
        *,
        within: float | None = None,
        on_reply: Callable[[Reply], None] | None = None,
        keep: Callable[[Message], bool] | None = None,
        **fields: str,
    ) -> Reply:
        """Send an action and await its whole reply, for `within` seconds at most.

        `on_reply` sees the reply before any message that came after it; of a list only what `keep` wants. Raises
        ActionRefusedError, NoAnswerError, ConnectionLostError, UnreadableError, and UnsendableError for fields that
        can't be sent.
        """
        if self._transport is None or self.lost.done():
            raise self.lost.result() if self.lost.done() else ConnectionLostError("not connected")
        self._sent += 1
        action_id = str(self._sent)
        wire = encode(name, action_id, fields.items())
        pending = _Pending(asyncio.get_running_loop().create_future(), on_reply, keep)
        self._pending[action_id] = pending
        self._transport.write(wire)
        try:
            async with time_limit(self._clock, within):
                return await pending.reply
        except TimeoutError:
            raise NoAnswerError(f"no answer to {name} within {within:g} s") from None
        finally:
            self._pending.pop(action_id, None)

    def close(self, reason: str = "closed by us") -> None:
        """Drop the connection at once; nothing is called afterwards."""
        self._end(ConnectionLostError(reason))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes (asyncio)."""
        if self.lost.done():
            return
        view = memoryview(data)
        self._unread.extend(bytes(view[at : at + SLICE]) for at in range(0, len(data), SLICE))
        if self._resting is None:
            self._work()

    def _work(self) -> None:
        """Take what has come, with rests: a PBX that pours events must not hold up calls."""
        self._resting = None
        loop = asyncio.get_running_loop()  # whose turn it is for the rest: no clock decides that
        until = loop.time() + WORK_S
        while self._unread and not self.lost.done():
            if loop.time() >= until:
                self._pause(reading=False)
                self._resting = loop.call_later(REST_S, self._work)
                return
            self._take(self._unread.popleft())
        self._pause(reading=True)

    def _pause(self, *, reading: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not reading:
            self._transport.pause_reading()
        elif not self._transport.is_reading():
            self._transport.resume_reading()

    def _take(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except AmiError as error:
            self._end(error)
            return
        self._on_data()
        for message in messages:
            if self.lost.done():
                return
            try:
                self._dispatch(message)
            except Exception as error:  # noqa: BLE001 -- one message that is not understood leaves the others
                self._on_fault(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end (asyncio)."""
        self._end(ConnectionLostError(_plain(exc) if isinstance(exc, OSError) else "the PBX closed the connection"))

    def _end(self, error: AmiError) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
        self._unread.clear()
        if self._resting is not None:
            self._resting.cancel()
        if self._transport is not None:
            self._transport.abort()
        for pending in self._pending.values():
            if not pending.reply.done():
                pending.reply.set_exception(error)

    def _dispatch(self, message: Message) -> None:
        pending = self._pending.get(message.get("ActionID"))
        if message.response:
            if pending is not None:
                self._take_response(pending, message)
        elif pending is not None and pending.response is not None:
            self._take_item(pending, pending.response, message)
        else:
            self._on_event(message)

    def _take_response(self, pending: _Pending, message: Message) -> None:
        if pending.reply.done():
            return
        if message.response == "Error":
            pending.reply.set_exception(ActionRefusedError(message.get("Message")[:200] or "no reason given"))
        elif message.get("EventList").lower() == "start":
            pending.response = message
        else:
            self._finish(pending, Reply(message))

    def _take_item(self, pending: _Pending, response: Message, message: Message) -> None:
        if message.get("EventList").lower() == "complete":
            items = tuple(pending.items)
            listed = message.number("ListItems")
            complete = listed in (None, pending.listed) and len(items) < MAX_LISTED
            self._finish(pending, Reply(response, items, complete))
            return
        pending.listed += 1
        if len(pending.items) < MAX_LISTED and (pending.keep is None or pending.keep(message)):
            pending.items.append(message)

    def _finish(self, pending: _Pending, reply: Reply) -> None:
        if pending.reply.done():
            return
        if pending.on_reply is not None:
            try:
                pending.on_reply(reply)
            except Exception as error:  # noqa: BLE001 -- as above
                self._on_fault(error)
                pending.reply.set_exception(UnreadableError("an answer that was not understood"))
                return
        pending.reply.set_result(reply)


def _plain(error: OSError) -> str:
    # The words people know; asyncio's own text names addresses as well.
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | BrokenPipeError():
            return "connection reset"
        case _:
            return (error.strerror or str(error) or type(error).__name__).lower()
