# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes the journal's events to the broker, and sets aside those that it will not have.

Events go out in order at QoS 1, a few in flight at once, each forgotten when its own acknowledgement arrived; after a
lost connection all that were not acknowledged go out again. What the broker answers with a failure is set aside at
once, or after some tries where the reason passes by itself.

Some brokers hang up instead of an answer, each time anew. After a loss the events that were in flight are therefore
sent one at a time: the one that ends the connection by itself is known then, and set aside too.
"""

import asyncio
from collections.abc import Callable

import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.ports import Clock, sleep
from gateway.report.backlog import Backlog
from gateway.report.cursors import StoredEvent
from gateway.report.event import CONTENT_TYPE
from gateway.report.sinks.mqtt.connection import Client
from gateway.report.sinks.mqtt.refusals import NoAnswerError, PublishRefusedError, reason_of

AGAIN_S = (1.0, 2.0, 4.0, 8.0)  # before each further try where the broker's reason passes by itself
RESEND_EVERY_S = 300.0
MAX_HANG_UPS = 3
"""So many connections in a row have to end on an event before it is held to be the cause."""
NOTICE_EVERY_S = 60.0
NOT_AUTHORIZED = 0x87
# Malformed packet, protocol error, not authorised, topic name invalid, packet too large, payload format invalid: with
# these a broker says itself that what it was sent is why it hangs up (MQTT 5 §3.14.2.1).
_ABOUT_A_MESSAGE = (0x81, 0x82, NOT_AUTHORIZED, 0x90, 0x95, 0x99)


class _CloudEvent(Properties):
    """The properties of every event. They never change; to pack them takes paho as long as the rest of a PUBLISH."""

    def __init__(self) -> None:
        super().__init__(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        self.ContentType = CONTENT_TYPE

    def pack(self) -> bytes:
        return _PACKED


_PACKED: bytes = Properties.pack(_CloudEvent())  # type: ignore[no-untyped-call]
CLOUD_EVENT = _CloudEvent()

log = structlog.get_logger(__name__)


class Delivery:
    """See the module. `topic` makes an event's topic a full one. Set `calm` means that nothing is under suspicion."""

    def __init__(self, backlog: Backlog, topic: Callable[[str], str], clock: Clock) -> None:
        self._clock = clock
        self._backlog = backlog
        self._topic = topic
        self._taken: set[int] = set()  # in flight, or to be tried again
        self._in_flight: dict[int, StoredEvent] = {}
        self._aside: set[int] = set()  # … also while the disk refuses to have that written down
        self._suspects_to = 0  # up to this sequence number events go one at a time
        self._hang_ups = (0, 0)  # the event on which the last connections ended, and how many they were
        self._from_start = False
        self._resent_at = float("-inf")
        self._notices: dict[int | None, tuple[float, int]] = {}  # by reason: when told last, how many since
        self.calm = asyncio.Event()

    async def send(self, client: Client) -> None:
        """Send what waits, and what comes to wait, until cancelled. Raises aiomqtt.MqttError."""
        sent = 0
        room = asyncio.Semaphore(client.in_flight_limit)
        async with asyncio.TaskGroup() as publishes:
            while True:
                self._backlog.stored.clear()
                if self._from_start:
                    self._from_start, sent = False, 0
                limit = client.in_flight_limit + len(self._taken)
                events = await self._backlog.fetch(sent, limit)
                for event in events:
                    sent = event.seq
                    if event.seq in self._taken or event.seq in self._aside:
                        continue
                    await room.acquire()
                    self._taken.add(event.seq)
                    is_suspect = event.seq <= self._suspects_to
                    self._trust(not is_suspect)
                    if is_suspect:
                        await asyncio.wait({publishes.create_task(self._send(client, event, room, publishes))})
                    else:
                        await client.room.acquire()
                        self._post(client, event, room, publishes)
                if len(events) < limit:
                    self._trust(True)
                    await self._backlog.stored.wait()

    def _trust(self, everybody: bool) -> None:
        if everybody:
            self._suspects_to = 0
            self.calm.set()
        else:
            self.calm.clear()

    def _post(self, client: Client, event: StoredEvent, room: asyncio.Semaphore, tasks: asyncio.TaskGroup) -> None:
        """Send an event, with no task of its own; its answer comes when it comes."""

        def on_answer(code: ReasonCode) -> None:
            if event.seq in self._in_flight:  # else the connection is lost by now
                refused = PublishRefusedError(str(code), code.value) if code.is_failure else None
                self._settle(client, event, room, tasks, refused)

        self._in_flight[event.seq] = event
        try:
            client.post(self._topic(event.topic), event.payload, CLOUD_EVENT, on_answer)
        except (PublishRefusedError, ValueError) as error:
            self._settle(client, event, room, tasks, error)

    async def _send(
        self, client: Client, event: StoredEvent, room: asyncio.Semaphore, tasks: asyncio.TaskGroup, tries: int = 0
    ) -> None:
        """Send an event, and wait for the answer."""
        self._in_flight[event.seq] = event
        refused = None
        try:
            await client.publish(self._topic(event.topic), event.payload, qos=1, properties=CLOUD_EVENT)
        except (PublishRefusedError, ValueError) as error:
            refused = error
        self._settle(client, event, room, tasks, refused, tries)

    def _settle(
        self,
        client: Client,
        event: StoredEvent,
        room: asyncio.Semaphore,
        tasks: asyncio.TaskGroup,
        error: PublishRefusedError | ValueError | None,
        tries: int = 0,
    ) -> None:
        """The broker has taken an event, or refused it, or it could not be sent."""
        del self._in_flight[event.seq]
        if isinstance(error, PublishRefusedError) and error.is_temporary and tries < len(AGAIN_S):
            # It keeps its place among those in flight: a broker that can take nothing more is sent nothing more.
            tasks.create_task(self._send_later(client, event, room, tasks, tries))
            return
        if error is None:
            self._backlog.take(event.seq)
        elif isinstance(error, PublishRefusedError):
            self._set_aside(event, str(error), error.code)
        else:
            self._set_aside(event, f"it cannot be sent: {error}", None)
        self._taken.discard(event.seq)
        room.release()

    async def _send_later(
        self, client: Client, event: StoredEvent, room: asyncio.Semaphore, tasks: asyncio.TaskGroup, tries: int
    ) -> None:
        await sleep(self._clock, AGAIN_S[tries])
        await self._send(client, event, room, tasks, tries + 1)

    @property
    def is_under_way(self) -> bool:
        """Whether an event has been sent that is not acknowledged."""
        return bool(self._in_flight)

    def lost(self, error: BaseException | None) -> bool:
        """The connection is over, with an error or without; whether that told which event was the cause."""
        in_flight, self._in_flight = self._in_flight, {}
        self._taken.clear()
        if error is None or not in_flight:
            return False
        (last, event) = max(in_flight.items())
        is_alone = len(in_flight) == 1 and last <= self._suspects_to
        self._suspects_to = max(last, self._suspects_to)
        self.calm.clear()
        if not is_alone:
            return False
        seq, count = self._hang_ups
        self._hang_ups = (last, count + 1 if seq == last else 1)
        code = reason_of(error)
        if self._hang_ups[1] < MAX_HANG_UPS and code not in _ABOUT_A_MESSAGE:
            return False
        if isinstance(error, NoAnswerError):
            # It may be that the broker answers nothing at all for now.
            self._set_aside(event, str(error), code)
        else:
            why = f"the broker ends the connection when it is sent: {error}"
            self._set_aside(event, why, code, ends_connection=True)
        return True

    def _set_aside(self, event: StoredEvent, why: str, code: int | None, *, ends_connection: bool = False) -> None:
        self._backlog.refuse(event.seq, why, ends_connection=ends_connection)
        self._aside.add(event.seq)
        told_at, more = self._notices.get(code, (float("-inf"), 0))
        if self._clock.now().steady - told_at < NOTICE_EVERY_S:
            self._notices[code] = told_at, more + 1
            return
        self._notices[code] = self._clock.now().steady, 0
        topic = self._topic(event.topic)
        rights = f"; may this user write to {topic}?" if code == NOT_AUTHORIZED else ""
        log.error(
            "event-refused", why=f"the broker refuses our event: {why}{rights}", id=event.event_id, topic=topic,
            others_since=more, help="it is set aside; once the cause is mended, reload the gateway to send it again",
        )  # fmt: skip

    async def resend(self, *, everything: bool = False) -> None:
        """Let refused events go again; without `everything`, not those that the broker hung up on."""
        if not self._backlog.state.refused:
            return
        if everything:
            log.info("refused-events-sent-again", events=self._backlog.state.refused)
        self._resent_at = self._clock.now().steady
        await self._backlog.resend(everything=everything)
        self._aside.clear()
        self._from_start = True
        self._backlog.stored.set()

    async def keep_resending(self) -> None:
        """Try refused events again from time to time, until cancelled: what they met may be over by itself."""
        while True:
            if self._clock.now().steady >= self._resent_at + RESEND_EVERY_S:
                await self.resend()
            await sleep(self._clock, RESEND_EVERY_S)
