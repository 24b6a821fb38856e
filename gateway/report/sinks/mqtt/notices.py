# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told to the broker and not worth keeping: the status, queue snapshots, replies.

Where the broker will not have one of a kind, the log says so once. A kind on which it ends the connection is left out
for a while, so that events arrive; and where the broker retains nothing, all goes without. A connection that is refused
is tried without the will the next time.
"""

import structlog
from aiomqtt import Will
from paho.mqtt.properties import Properties

from gateway.ports import Clock
from gateway.report.sinks.mqtt.connection import Client
from gateway.report.sinks.mqtt.hang_ups import LEFT_OUT_S, HangUps
from gateway.report.sinks.mqtt.refusals import (
    RETAIN_NOT_SUPPORTED,
    PublishRefusedError,
    may_be_about_will,
    reason_of,
)

log = structlog.get_logger(__name__)


class Notices:
    """See the module. Topics are relative to `base`, and begin with their kind."""

    def __init__(self, base: str, clock: Clock) -> None:
        self._base = base
        self._clock = clock
        self._has_will = True  # … the connection that is there, or the next
        self._is_doubted = False  # whether the will was the cause
        self._no_will_until = float("-inf")
        self._hang_ups = HangUps(clock)
        self._refused_kinds: set[str] = set()
        self.may_retain = True

    async def send(
        self,
        client: Client,
        topic: str,
        body: bytes,
        *,
        qos: int,
        retain: bool = False,
        about: Properties | None = None,
        is_whole: bool = False,
    ) -> None:
        """Publish, or leave it; `is_whole`: the topic is not relative. Raises aiomqtt.MqttError once it is lost."""
        kind, full = topic.partition("/")[0], topic if is_whole else f"{self._base}/{topic}"
        if not self._hang_ups.may_send(kind, awaits_answer=qos > 0):
            return
        try:
            await client.publish(full, body, qos=qos, retain=retain and self.may_retain, properties=about)
            if qos:
                self._hang_ups.taken()
        except PublishRefusedError as error:
            self._hang_ups.taken()
            self.tell_refused(kind, f"{error}; may this user write to {full}?")

    def may_ask_for(self, kind: str) -> bool:
        """Whether the broker may be asked for a kind of message now; it counts as asked then, until `answered`."""
        return self._hang_ups.may_send(kind, awaits_answer=True)

    def answered(self) -> None:
        """The broker has answered."""
        self._hang_ups.taken()

    def will(self, will: Will) -> Will | None:
        """The will for the next connection, if it is to have one."""
        self._has_will = self._has_will and self._clock.now().steady >= self._no_will_until
        return will if self._has_will else None

    def connected(self) -> bool:
        """The broker has taken the connection; False: it has to be made anew, with the will this time.

        That it was refused before may have had another cause, such as a password that is right by now.
        """
        now = self._clock.now().steady
        if self._has_will or now < self._no_will_until:
            self._has_will, self._is_doubted = True, False
            return True
        self._has_will = self._is_doubted = not self._is_doubted
        if self._is_doubted:
            return False
        self._no_will_until = now + LEFT_OUT_S
        self.tell_refused("will", "the broker takes no connection with our will: nobody is told if we are lost")
        return True

    def tell_refused(self, kind: str, why: str) -> None:
        """Say in the log, once, that the broker will not have a kind of message."""
        if kind not in self._refused_kinds:
            self._refused_kinds.add(kind)
            log.warning("message-refused", kind=kind, why=why)

    def lost(self, error: BaseException, *, events_in_flight: bool) -> bool:
        """The connection has ended; whether that told which kind is the cause, so that the next one goes without."""
        self._has_will = not (self._has_will and may_be_about_will(error))
        left_out = self._hang_ups.lost(events_in_flight=events_in_flight)
        if left_out is not None:
            self.tell_refused(left_out, f"the broker ends the connection when it is sent: {error}")
        return left_out is not None

    def retains_after(self, error: BaseException | None) -> bool:
        """Whether the next connection may ask the broker to retain; not, and at once, where this one ended on that."""
        could, self.may_retain = self.may_retain, error is None or reason_of(error) != RETAIN_NOT_SUPPORTED
        if could and not self.may_retain:
            self.tell_refused("retained", "the broker retains nothing: the status and queues are sent without")
        # Twice in a row it was not the retaining: time for a pause.
        return self.may_retain or not could
