# SPDX-License-Identifier: GPL-2.0-or-later
"""Who or what answers the calls that come to an Asterisk, by the dialog's Call-ID.

A channel that rings in is asked for its Call-ID at once. That a phone took its call is what DialEnd says: of this
channel, or of a Local channel that was dialled for it, which has the same Linkedid. A call that is answered without
one is asked about: the application that the channel is in then is what has answered. Nothing is concluded from silence.

Queues tell of their agents by themselves (caller_tracking.py): while a caller is in one, nothing is told here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from datetime import datetime

from gateway.core.model import AnsweredBy
from gateway.pbx.asterisk.ami_codec import AmiError, Message
from gateway.pbx.asterisk.ami_connection import ActionRefusedError, Connection
from gateway.pbx.asterisk.refusals import Refusals, is_without_right
from gateway.ports import Clock, sleep

MAX_CALLS = 2_000  # that are remembered
MAX_ASKED = 200  # questions at once; of what comes beyond nothing is known
MAX_LEGS = 32  # Local channels, and lines, of one call
LOOK_S = 1.0  # how long it is looked who has answered …
SILENT_S = 0.2  # … of a PBX that has told nothing of any call so far
LOOK_AGAIN_S = 0.03
BEHIND_S = 10.0  # how long it is looked where a caller goes who has left a queue …
LOOK_BEHIND_S = 0.25
INBOUND = "4"  # ChannelState: the channel rings in (ast_channel_state, AST_STATE_RING)

VOICEMAIL = ("voicemail", "minivm")  # how the names of its applications begin
LOOKING = frozenset({"queue", "followme"})
"""Applications that answer, and look for a person then."""
PASSING = frozenset(
    ("", "answer", "dial", "retrydial", "execif", "gosub", "gosubif", "goto", "gotoif", "macro", "mset", "noop",
     "progress", "return", "ringing", "set", "stackpop", "verbose")
)  # fmt: skip
"""Applications that end at once, or of which DialEnd tells."""

Told = Callable[[str, AnsweredBy | None, str, datetime], None]


@dataclass(slots=True)
class _Call:
    channel: str  # its name or unique id
    asked: asyncio.Task[str | None]  # the Call-ID
    halves: list[str] = field(default_factory=list)  # the far halves of Local channels that have answered for it
    lines: set[str] = field(default_factory=set)  # unique ids of channels that were dialled out of the PBX
    queued: bool = False
    in_doubt: bool = False  # whoever asks was told that a person is still looked for
    known: tuple[AnsweredBy, str] | None = None  # who has answered, as was told


class Answers:
    """The calls of one connection.

    `told(call_id, by, name, at)` and `unknown(call_id)` are called as `call_answered` and `answerer_unknown` of
    `PbxListener`.
    """

    def __init__(
        self,
        connection: Connection,
        within: float,
        told: Told,
        unknown: Callable[[str], None],
        refusals: Refusals,
        *,
        clock: Clock,
        now: Callable[[], datetime],
        outside: Collection[str],
    ) -> None:
        """`within`: seconds for each answer; `outside`: interfaces that lead out of the PBX, such as PJSIP/provider."""
        self._connection = connection
        self._within = within
        self._told = told
        self._unknown = unknown
        self._refusals = refusals
        self._clock = clock
        self._now = now
        self._outside = frozenset(outside)
        self._calls: dict[str, _Call] = {}  # by the channel's unique id, oldest first
        self._unique: dict[str, str] = {}  # of the channel with this Call-ID
        self._asked = 0
        self._sees_calls = False  # the PBX tells of new channels
        self._hears_answers = False  # … and of who answers what is dialled
        self._deaf = False  # it does not, though calls are answered
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Ask and tell nothing more."""
        for task in (*(call.asked for call in self._calls.values()), *self._tasks):
            task.cancel()

    def call_id_of(self, unique: str) -> asyncio.Task[str | None] | None:
        """The question for the Call-ID of a channel, where it was asked."""
        call = self._calls.get(unique)
        return call.asked if call is not None else None

    # --- what the PBX says

    def take(self, event: Message, at: datetime) -> None:
        """Take an event, of any kind, that came at `at`."""
        match event.event:
            case "Newchannel":
                self._rings_in(event)
            case "DialBegin":
                self._dials(event)
            case "DialEnd":
                self._hears_answers, self._deaf = True, False
                if event.get("DialStatus") == "ANSWER":
                    self._picked_up(event, at)
            case "QueueCallerJoin" | "QueueCallerLeave":
                self._queues(event)
            case "Hangup":
                self._forget(event.get("Uniqueid"))

    def _queues(self, event: Message) -> None:
        call = self._calls.get(event.get("Uniqueid"))
        if call is None:
            return
        joins = event.event == "QueueCallerJoin"
        if call.queued and not joins and call.in_doubt and len(self._tasks) < MAX_ASKED:
            self._later(self._look_behind(call))
        call.queued = joins

    def by(self, event: Message) -> AnsweredBy:
        """By whom a call is answered of which this DialEnd tells."""
        call = self._calls.get(event.get("Linkedid"))
        line = call is not None and event.get("DestUniqueid") in call.lines
        return AnsweredBy.OUTSIDE if line or self._leads_outside(event) else AnsweredBy.EXTENSION

    def _leads_outside(self, event: Message) -> bool:
        """Whether a DialBegin, or a DialEnd, is of a channel that leads out of the PBX.

        To dial a number at an endpoint (`PJSIP/0612345678@provider`) is to have that endpoint carry it on; a phone is
        dialled by its name alone, or by the contacts that it registered (`6001/sip:6001@192.0.2.7`).
        """
        if interface_of(event.get("DestChannel")) in self._outside:
            return True
        number, at, _ = event.get("DialString").partition("@")
        return bool(at) and "sip:" not in number.lower()

    def _rings_in(self, event: Message) -> None:
        self._sees_calls = True
        unique, channel = event.get("Uniqueid"), event.get("Channel")
        begins = event.get("ChannelState") == INBOUND and event.get("Linkedid") == unique
        if begins and channel.startswith("PJSIP/"):
            self._begin(unique, channel)

    def _begin(self, unique: str, channel: str) -> _Call | None:
        if self._asked >= MAX_ASKED or not unique:
            return None
        call = self._calls[unique] = _Call(channel, asyncio.create_task(self._ask_call_id(unique, channel)))
        self._asked += 1
        call.asked.add_done_callback(self._was_answered)
        if len(self._calls) > MAX_CALLS:
            self._forget(next(iter(self._calls)))
        return call

    def _was_answered(self, _task: asyncio.Task[str | None]) -> None:
        self._asked -= 1

    def _forget(self, unique: str) -> None:
        call = self._calls.pop(unique, None)
        if call is not None and call.asked.done() and not call.asked.cancelled() and (known := call.asked.result()):
            self._unique.pop(known, None)

    def _dials(self, event: Message) -> None:
        call = self._calls.get(event.get("Linkedid"))
        if call is None or is_local(event.get("DestChannel")) or len(call.lines) >= MAX_LEGS:
            return
        if self._leads_outside(event):
            call.lines.add(event.get("DestUniqueid"))

    def _picked_up(self, event: Message, at: datetime) -> None:
        call, channel = self._call_of(event), event.get("DestChannel")
        if call is None or call.queued or call.known:
            return
        if is_local(channel):
            if len(call.halves) < MAX_LEGS:
                call.halves.append(f"{channel.removesuffix(';1')};2")
            return
        by, name = call.known = self.by(event), interface_of(channel)
        self._later(self._tell(call, by, name, at))

    def _call_of(self, event: Message) -> _Call | None:
        """The call that a DialEnd belongs to; one that was not seen to begin is asked about now."""
        root = event.get("Linkedid")
        if (known := self._calls.get(root)) is not None:
            return known
        if root == event.get("Uniqueid"):
            # A channel of another kind has no Call-ID, and Asterisk logs an error when it is asked for one.
            return self._begin(root, event.get("Channel")) if event.get("Channel").startswith("PJSIP/") else None
        return None if self._sees_calls else self._begin(root, root)

    # --- what the PBX is asked

    def identify(self, call_id: str) -> bool:
        """The PBX has answered the call with this Call-ID: find out by whom, and tell it. False: that is no use."""
        if self._deaf or len(self._tasks) >= MAX_ASKED:
            return False
        self._later(self._look(call_id))
        return True

    async def _look(self, call_id: str) -> None:
        begun = self._clock.now().steady
        while True:
            call = self._calls.get(self._unique.get(call_id, ""))
            if call is not None:
                found = await self._application(call)
                if found is None:
                    break
                meant = call.known if found.lower() in PASSING else _meant(found)
                if meant is not None:
                    call.in_doubt = meant[0] is None
                    self._told(call_id, *meant, self._now())
                    return
            if self._clock.now().steady - begun >= (LOOK_S if self._tells else SILENT_S):
                self._heard_nothing()
                break
            await sleep(self._clock, LOOK_AGAIN_S)
        self._unknown(call_id)

    async def _look_behind(self, call: _Call) -> None:
        """A caller has left a queue: for an agent, of whom others tell, or because nobody came, and for voicemail then.

        They stay in the queue's application while they talk with an agent, and for a moment after they have left it.
        """
        call_id, begun = await call.asked, self._clock.now().steady
        while self._clock.now().steady - begun < BEHIND_S:
            await sleep(self._clock, LOOK_BEHIND_S)
            if call_id is None or call.queued or self._calls.get(self._unique.get(call_id, "")) is not call:
                return
            found = await self._application(call)
            if found is None or found.lower() in LOOKING:
                return
            by, name = _meant(found)
            if by is AnsweredBy.VOICEMAIL:
                self._told(call_id, by, name, self._now())
                return

    @property
    def _tells(self) -> bool:
        """Whether the PBX has told of a call."""
        return self._sees_calls or self._hears_answers

    def _heard_nothing(self) -> None:
        """A call was answered, and no event has told by whom: where none ever came, callers wait for none again."""
        if not self._hears_answers and not self._deaf:
            self._deaf = True
            self._refusals.untold("DialEnd")

    async def _application(self, call: _Call) -> str | None:
        """What the call has come to: empty: that is not decided yet; None: it cannot be asked for."""
        for channel in (*reversed(call.halves), call.channel):
            try:
                application = await self._application_of(channel)
            except ActionRefusedError as error:
                if is_without_right(error):
                    self._refusals.refused("Status", error)
                    return None
                continue  # a channel that has gone by now is no news
            except AmiError:
                return None
            if application.lower() not in PASSING:
                return application
        return ""

    async def _application_of(self, channel: str) -> str:
        reply = await self._connection.action("Status", within=self._within, Channel=channel)
        return next((item.get("Application") for item in reply.items), "")

    async def _ask_call_id(self, unique: str, channel: str) -> str | None:
        try:
            reply = await self._connection.action(
                "Getvar", within=self._within, Channel=channel, Variable="CHANNEL(pjsip,call-id)"
            )
        except ActionRefusedError as error:
            if is_without_right(error):
                self._refusals.refused("Getvar", error)
            return None
        except AmiError:
            return None
        call_id = reply.response.get("Value")
        if call_id and unique in self._calls:
            self._unique[call_id] = unique
        return call_id or None

    async def _tell(self, call: _Call, by: AnsweredBy, name: str, at: datetime) -> None:
        if (call_id := await call.asked) is not None:
            self._told(call_id, by, name, at)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def is_local(channel: str) -> bool:
    """Whether a channel is one half of a Local channel: what it leads to is told of by others."""
    return channel.startswith("Local/")


def interface_of(channel: str) -> str:
    """PJSIP/6001 of the channel PJSIP/6001-0000002a."""
    return channel.rpartition("-")[0]


def _meant(application: str) -> tuple[AnsweredBy | None, str]:
    """What it means that a call is in this application when it is answered."""
    name = "".join(letter for letter in application[:40] if letter.isascii() and (letter.isalnum() or letter == "_"))
    if name.lower().startswith(VOICEMAIL):
        return AnsweredBy.VOICEMAIL, name
    return (None if name.lower() in LOOKING else AnsweredBy.APPLICATION), name
