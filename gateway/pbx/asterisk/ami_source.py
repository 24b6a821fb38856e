# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of an Asterisk's queues and extensions, kept current through its manager interface (AMI).

An event changes the snapshot at once, without asking back. What events don't tell (a reloaded queue, a lost message)
is found by comparing our counts with the PBX's own at every heartbeat and by reading everything anew from time to time.
The AMI user needs `read = agent,call` and `write = reporting`; `system` in `read` tells of a shutdown sooner.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from gateway.core.model import AnsweredBy, PbxState
from gateway.pbx.asterisk.after_restart import AfterRestart, uptime_s
from gateway.pbx.asterisk.ami_codec import AmiError, Message
from gateway.pbx.asterisk.ami_connection import ActionRefusedError, Connection, UnreadableError
from gateway.pbx.asterisk.ami_reader import AmiReader, event_class_of
from gateway.pbx.asterisk.answers import Answers
from gateway.pbx.asterisk.caller_tracking import CallerTracking
from gateway.pbx.asterisk.failures import Failures, why
from gateway.pbx.asterisk.known_state import KnownState
from gateway.pbx.asterisk.refusals import Refusals
from gateway.pbx.asterisk.snapshot import Effect, Snapshot
from gateway.pbx.steady_clock import SteadyClock
from gateway.ports import Clock, PbxListener, sleep, time_limit

log = structlog.get_logger()

# Within these classes the AMI user's `eventfilter` keeps the rest away; setting a filter from here would need a right
# (write = system) with which the PBX can be restarted.
_EVENT_CLASSES = "agent,call,system"


@dataclass(frozen=True, slots=True)
class AmiTiming:
    """Seconds."""

    login_s: float = 5.0  # from the connection's start to being logged in; Asterisk thinks 1 s about a wrong secret
    settle_s: float = 5.0  # from a PBX's start until it counts as known (after_restart.py)
    missing_s: float = 60.0  # … and until nobody more is waited for: the usual longest qualify_frequency
    resync_s: float = 30.0  # between two readings of everything
    doubt_s: float = 0.2  # at least, between two readings because something did not fit
    starting_s: float = 0.5  # between two readings while the PBX has no queues yet, for missing_s at most
    tell_s: float = 0.01  # at least, between two counts that nobody asked for
    look_s: float = 0.05  # at least, between two looks at what came
    retry_min_s: float = 0.5  # before the first attempt to reconnect; doubled each time
    retry_max_s: float = 5.0
    refused_retry_s: float = 30.0  # after a refused login


class AmiSource:
    """A `PbxSource`. `run` does the work until it is cancelled; `state` and `up` tell the result at any time."""

    def __init__(
        self,
        *,
        pbx: str,
        host: str,
        port: int,
        username: str,
        secret: str,
        queues: Collection[str],
        extensions: Collection[str],
        listener: PbxListener,
        max_age: timedelta = timedelta(seconds=10),
        extension_context: str | None = None,
        outside_lines: Collection[str] = (),
        clock: Clock,
        timing: AmiTiming = AmiTiming(),
    ) -> None:
        """`extension_context`: the dialplan context that holds the hints; None: wherever they are.

        `outside_lines`: interfaces that lead out of the PBX, such as PJSIP/provider.
        """
        self._pbx = pbx
        self._address = host, port
        self._credentials = username, secret
        self._listener = listener
        self._clock = clock
        self._ages = SteadyClock(clock)
        self._timing = timing
        self._log = log.bind(pbx=pbx)
        self._snapshot = Snapshot(queues, extensions, extension_context)
        self._after_restart = AfterRestart(timing.settle_s, timing.missing_s)
        # A heartbeat that is sent a third of the way and may take the rest proves every healthy PBX fresh.
        self._heartbeat_s = max_age.total_seconds() / 3
        self._answer_s = max_age.total_seconds() - self._heartbeat_s
        self._refusals = Refusals(self._log)
        self._reader = AmiReader(self._snapshot, self._answer_s, self._took, self._ages, self._log, self._refusals)
        self._connection: Connection | None = None
        self._tracking: CallerTracking | None = None
        self._answers: Answers | None = None
        self._outside = frozenset(outside_lines)
        self._wake = asyncio.Event()
        self._doubtful = False
        self._known = KnownState(
            pbx,
            self._snapshot,
            self._after_restart,
            lambda: self._reader.withheld,
            listener.pbx_changed,
            max_age=max_age,
            clock=clock,
            ages=self._ages,
            tell_s=timing.tell_s,
            log=self._log,
        )
        self._failures = Failures(
            self._log,
            username=username,
            retry_min_s=timing.retry_min_s,
            retry_max_s=timing.retry_max_s,
            refused_s=timing.refused_retry_s,
        )

    @property
    def state(self) -> PbxState:
        """The newest snapshot; waiting times and `proven_at` are those of now."""
        return self._known.now

    @property
    def up(self) -> bool:
        """Whether we are logged in, the PBX tells something and proved to be alive within `max_age`."""
        return self._connection is not None and self._known.alive

    @property
    def failure(self) -> str:
        """See ports.FollowedPbx."""
        return self._failures.last

    def identify(self, sip_call_id: str) -> bool:
        """See ports.PbxSource."""
        return self._answers is not None and self._answers.identify(sip_call_id)

    def reconfigure(self, queues: Collection[str], extensions: Collection[str]) -> None:
        """Watch these queues and extensions from now on; new ones are unknown until the PBX told of them."""
        self._snapshot.watch(queues, extensions)
        self._doubt()
        self._changed()

    async def run(self) -> None:
        """Connect, keep the snapshot current and reconnect, until cancelled."""
        while True:
            try:
                await self._session()
            except AmiError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 -- a fault of ours must not silence the PBX for ever
                self._failures.fault(error)
                failure = UnreadableError("its answers were not understood")
            self._known.become_unknown(why(failure))
            self._snapshot.forget()
            self._failures.failed(failure)
            await sleep(self._clock, self._failures.retry_s(failure))

    @property
    def _now(self) -> float:
        return self._clock.now().steady

    async def _session(self) -> None:
        host, port = self._address
        username, secret = self._credentials
        connection = await Connection.open(
            host,
            port,
            username,
            secret,
            events=_EVENT_CLASSES,
            clock=self._clock,
            within=self._timing.login_s,
            on_event=self._event,
            on_data=self._known.prove,
            on_fault=self._failures.fault,
        )
        answers = Answers(
            connection,
            self._answer_s,
            self._call_answered,
            self._answerer_unknown,
            self._refusals,
            clock=self._clock,
            now=self._ages,
            outside=self._outside,
        )
        tracking = CallerTracking(
            connection,
            self._answer_s,
            self._agent_connected,
            self._caller_lost,
            self._refusals,
            answers,
            self._call_answered,
            self._caller_queued,
        )
        self._reader.connected()
        try:
            self._known.prove()
            self._connection, self._tracking, self._answers = connection, tracking, answers
            connection.lost.add_done_callback(lambda _: self._wake.set())
            await self._greet(connection)
            await self._follow(connection)
        finally:
            self._known.be_silent()
            self._connection = self._tracking = self._answers = None
            tracking.close()
            answers.close()
            connection.close()

    async def _greet(self, connection: Connection) -> None:
        boot = uptime = None
        action = "Ping"
        try:
            pong = (await connection.action(action, within=self._answer_s)).response
            action = "CoreStatus"
            core = (await connection.action(action, within=self._answer_s)).response
            self._refusals.granted(action)
        except ActionRefusedError as error:
            self._refusals.refused(action, error)
        else:
            date, time = core.get("CoreStartupDate"), core.get("CoreStartupTime")
            boot, uptime = f"{date} {time}", uptime_s(date, time, pong.get("Timestamp"))
        self._after_restart.connected(boot, uptime, self._now)
        self._log.info("pbx-connected")

    async def _follow(self, connection: Connection) -> None:
        beat_at, read_at = self._now + self._heartbeat_s, self._now
        patient_until = self._now + self._timing.missing_s
        ready = False
        while not connection.lost.done():
            if self._now >= read_at:
                self._doubtful = False
                ready = await self._reader.read(connection, patient=self._now < patient_until)
                if ready:
                    self._failures.over()
                else:
                    self._after_restart.started(0.0, self._now)
                read_at = self._now + (self._timing.resync_s if ready else self._timing.starting_s)
            elif self._now >= beat_at:
                await self._reader.heartbeat(connection)
                beat_at = self._now + self._heartbeat_s
            self._known.settle(ready)
            self._wake.clear()
            if self._doubtful:
                read_at = min(read_at, self._now + self._timing.doubt_s)
            try:
                next_at = min(beat_at, read_at, self._after_restart.next_change(self._now))
                async with time_limit(self._clock, next_at - self._now):
                    await self._wake.wait()
            except TimeoutError:
                pass
            else:
                # However much comes, the rest of the gateway has its turn.
                with suppress(TimeoutError):
                    async with time_limit(self._clock, self._timing.look_s):
                        await asyncio.wait({connection.lost})
        raise connection.lost.result()

    def _event(self, event: Message) -> None:
        at = self._ages()
        tracking = self._tracking
        if (event_class := event_class_of(event.event)) is not None:
            self._reader.heard(event_class)
        if self._answers is not None:
            self._answers.take(event, at)
        match event.event:
            case "QueueCallerJoin" if tracking:
                tracking.joined(event, at)
            case "BlindTransfer" if tracking:
                tracking.moved(event)
            case "QueueCallerAbandon" | "Hangup" if tracking:
                tracking.ended(event, at)
            case "AgentConnect" if tracking:
                tracking.answered(event, at)
            case "DialEnd" if tracking:
                tracking.picked_up(event, at)
            case "FullyBooted":
                self._after_restart.started(event.number("Uptime") or 0.0, self._now)
                self._doubt()
            case "Reload":
                self._doubt()
            case "Shutdown" if self._connection:
                self._connection.close("the PBX is shutting down")
        self._took(self._snapshot.apply(event, at))

    def _agent_connected(self, call_id: str, agent: str, at: datetime) -> None:
        self._listener.agent_connected(self._pbx, call_id, agent, self._ages.on_the_wall(at))

    def _call_answered(self, call_id: str, by: AnsweredBy | None, name: str, at: datetime) -> None:
        self._listener.call_answered(self._pbx, call_id, by, name, self._ages.on_the_wall(at))

    def _answerer_unknown(self, call_id: str) -> None:
        self._listener.answerer_unknown(self._pbx, call_id)

    def _caller_queued(self, call_id: str, queue: str, place: int, at: datetime) -> None:
        self._listener.caller_queued(self._pbx, call_id, queue, place, self._ages.on_the_wall(at))

    def _caller_lost(self, transfer: str, cause: int, at: datetime) -> None:
        self._listener.caller_lost(self._pbx, transfer, cause, self._ages.on_the_wall(at))

    def _took(self, effect: Effect) -> None:
        if effect is Effect.DOUBTFUL:
            self._doubt()
        if effect is not Effect.NONE:
            self._changed()

    def _doubt(self) -> None:
        self._doubtful = True
        self._wake.set()

    def _changed(self) -> None:
        if not self._known.change():
            self._wake.set()
