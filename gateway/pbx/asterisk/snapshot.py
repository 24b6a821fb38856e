# SPDX-License-Identifier: GPL-2.0-or-later
"""Asterisk's queues and extensions as its AMI events and lists tell them. Pure: time comes in with each message.

Counts are those of Asterisk's own QueueSummary, kept member by member, so that an event changes them at once:

    LoggedIn    members whose device is not invalid (4) and not unavailable (5); paused and busy ones count
    Available   of those, not paused and idle (1), or of unknown state (0), which Asterisk rings too
    Callers     those who joined and did not leave

As in QueueSummary, an agent in wrap-up and one whose penalty keeps a caller from them count as available: AMI tells
neither a queue's wrap-up time nor a caller's penalty limits. What it tells of each agent goes along, for those who
know better.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto

from gateway.core.model import DeviceState, QueueState
from gateway.pbx.asterisk.after_restart import Presence, Watched
from gateway.pbx.asterisk.ami_codec import Message
from gateway.pbx.asterisk.ami_queue import Member, Queue, talk_s_of

_DEVICE = {
    "NOT_INUSE": DeviceState.IDLE,
    "INUSE": DeviceState.IN_USE,
    "BUSY": DeviceState.BUSY,
    "UNAVAILABLE": DeviceState.UNAVAILABLE,
    "RINGING": DeviceState.RINGING,
    "RINGINUSE": DeviceState.IN_USE,
    "ONHOLD": DeviceState.ON_HOLD,
}

# A hint's status is a set of bits; of several devices, the one that matters most to a new call speaks.
_HINT_BITS = (
    (2, DeviceState.BUSY),
    (1, DeviceState.IN_USE),
    (8, DeviceState.RINGING),
    (16, DeviceState.ON_HOLD),
    (4, DeviceState.UNAVAILABLE),
)


# More than any call centre has; a PBX that goes beyond is not believed.
MAX_MEMBERS = 1_000
MAX_CALLERS = 1_000
MAX_CONTEXTS = 16  # in which an extension has hints
MAX_PARTS = 16  # of a hint
LONGEST_WAIT_S = 7 * 86_400

_MEMBER_EVENTS = frozenset(
    f"QueueMember{what}" for what in ("Status", "Added", "Pause", "Penalty", "Removed")
)  # each tells all of the member


class Effect(Enum):
    """What a message did to the snapshot."""

    NONE = auto()
    CHANGED = auto()
    DOUBTFUL = auto()  # it does not fit what is known: read everything anew


class Snapshot:
    """The queues and extensions that are watched. A queue or extension that nothing is known of is absent."""

    def __init__(self, queues: Iterable[str], extensions: Iterable[str], context: str | None = None) -> None:
        """`context`: where the extensions' hints are; None: wherever a hint of that name is."""
        self._context = context
        self._queues: dict[str, Queue] = {}  # by name in lower case: Asterisk matches queues so
        self._hints: dict[str, dict[str, DeviceState]] = {}  # by extension, then context
        self._phones: dict[str, frozenset[str]] = {}  # devices of hints that combine several, by extension
        self._devices: dict[str, DeviceState] = {}  # by name, such as PJSIP/6001
        self._device_names: frozenset[str] | None = None  # that are watched; None: to be found out anew
        self.asks_queues = True  # whether the PBX tells a queue that it is asked for
        self.watch(queues, extensions)

    def watch(self, queues: Iterable[str], extensions: Iterable[str]) -> None:
        """Watch these from now on, forgetting all others."""
        self.queues = {name.lower(): name for name in sorted(queues)}
        self.extensions = frozenset(extensions)
        for known, watched in (
            (self._queues, self.queues),
            (self._hints, self.extensions),
            (self._phones, self.extensions),
        ):
            for name in known.keys() - watched:
                del known[name]
        self._device_names = None
        for device in self._devices.keys() - self._watched_devices():
            del self._devices[device]

    def forget(self) -> None:
        """Know nothing any more."""
        self._queues.clear()
        self._hints.clear()
        self._phones.clear()
        self._device_names = None
        self._devices.clear()

    # What is known

    def queue_states(self, now: datetime) -> dict[str, QueueState]:
        """Each known queue, by the name it is watched under."""
        return {name: self._queues[key].state(name, now) for key, name in self.queues.items() if key in self._queues}

    def extension_states(self) -> dict[str, DeviceState]:
        """Each extension of known state: by its hint, else by the PJSIP device of the same name.

        Of several devices in one hint Asterisk tells what matters most, and idle matters more than away: with
        `PJSIP/6001&Custom:DND6001`, as FreePBX writes it, an extension would be idle whose phone is unplugged.
        """
        states = {}
        for extension in sorted(self.extensions):
            told = set(self._hints.get(extension, {}).values())
            if not told and own_device(extension) in self._devices:
                told = {self._devices[own_device(extension)]}
            phones = {self._devices.get(phone) for phone in self._phones.get(extension, ())}
            if told and phones == {DeviceState.UNAVAILABLE}:
                told = {DeviceState.UNAVAILABLE}
            # Hints in several contexts that disagree tell nothing.
            if len(told) == 1:
                states[extension] = told.pop()
        return states

    def unknown_queues(self) -> frozenset[str]:
        """Watched queues that the PBX does not have."""
        return frozenset(name for key, name in self.queues.items() if key not in self._queues)

    def devices_to_ask(self) -> tuple[str, ...]:
        """Devices of which hints don't tell enough: of extensions without one, and the phones of those of several."""
        without = {own_device(extension) for extension in self.extensions - self._hints.keys()}
        return tuple(sorted(without.union(*self._phones.values())))

    def _watched_devices(self) -> frozenset[str]:
        if self._device_names is None:
            self._device_names = frozenset(map(own_device, self.extensions)).union(*self._phones.values())
        return self._device_names

    @property
    def hints(self) -> Mapping[str, Mapping[str, DeviceState]]:
        """The hints as they were read last, by extension, then context."""
        return self._hints

    def presence(self) -> dict[Watched, Presence]:
        """Whose phones are there, for each known queue (its members' interfaces) and extension."""
        everybody: dict[Watched, Presence] = {}
        for name, queue in self._queues.items():
            here = frozenset(interface for interface, member in queue.members.items() if member.reachable)
            everybody["queue", self.queues[name]] = Presence(here, frozenset(queue.members) - here)
        for name, state in self.extension_states().items():
            here = frozenset() if state is DeviceState.UNAVAILABLE else frozenset({name})
            everybody["extension", name] = Presence(here, frozenset({name}) - here)
        return everybody

    def agrees(self, summary: Iterable[Message]) -> bool:
        """Whether the PBX's QueueSummary events say what we say, for every watched queue."""
        theirs = {m.get("Queue").lower(): m for m in summary}
        for key in self.queues:
            ours, told = self._queues.get(key), theirs.get(key)
            if ours is None or told is None:
                if ours is not None or told is not None:
                    return False
                continue
            if ours.counts() != (told.number("LoggedIn"), told.number("Available"), told.number("Callers")):
                return False
        return True

    # What the PBX says

    def load_queue(self, name: str, items: Sequence[Message], at: datetime) -> Effect:
        """Replace a queue by what QueueStatus listed of it at `at`; nothing listed: the PBX has no such queue."""
        key = name.lower()
        if key not in self.queues:
            return Effect.NONE
        before = self._queues.pop(key, None)
        queue: Queue | None = None
        for item in items:
            if item.get("Queue").lower() != key:
                continue
            if item.event == "QueueParams":
                queue = Queue.read(item, before)
            elif queue is not None and item.event == "QueueMember":
                member = Member.read(item)
                if member is None:
                    return Effect.CHANGED
                queue.members[item.get("Location")] = member
            elif queue is not None and item.event == "QueueEntry":
                waited = timedelta(seconds=min(max(0, item.number("Wait") or 0), LONGEST_WAIT_S))
                unique = item.get("Uniqueid")
                known = before.callers.get(unique) if before else None
                queue.callers[unique] = known or at - waited
        if queue is not None and (len(queue.members) > MAX_MEMBERS or len(queue.callers) > MAX_CALLERS):
            queue = None
        if queue is not None:
            self._queues[key] = queue
        return Effect.NONE if queue == before else Effect.CHANGED

    def load_hints(self, items: Iterable[Message]) -> Effect:
        """Replace the hints by what ExtensionStateList listed."""
        before, phones = self._hints, self._phones
        self._hints, self._phones, self._device_names = {}, {}, None
        for item in items:
            self._hint(item)
        return Effect.NONE if (self._hints, self._phones) == (before, phones) else Effect.CHANGED

    def load_device(self, device: str, state: str) -> Effect:
        """Take the state of a device, such as PJSIP/6001: NOT_INUSE, UNAVAILABLE and so on."""
        known = _DEVICE.get(state) if device in self._watched_devices() else None
        if known is self._devices.get(device):
            return Effect.NONE
        if known is None:
            del self._devices[device]
        else:
            self._devices[device] = known
        return Effect.CHANGED

    def apply(self, event: Message, at: datetime) -> Effect:
        """Take one event, of any kind, that came at `at`."""
        match event.event:
            case "ExtensionStatus":
                return self._hint(event)
            case "DeviceStateChange":
                return self.load_device(event.get("Device"), event.get("State"))
            case name if name in _MEMBER_EVENTS:
                return self._queue_event(event, self._member_event)
            case "AgentComplete":
                return self._queue_event(event, self._talk_event)
            case "QueueCallerJoin" | "QueueCallerLeave":
                return self._queue_event(event, lambda queue, event: self._caller_event(queue, event, at))
            case _:
                return Effect.NONE

    def _queue_event(self, event: Message, apply: Callable[[Queue, Message], Effect]) -> Effect:
        key = event.get("Queue").lower()
        if key not in self.queues:
            return Effect.NONE
        queue = self._queues.get(key)
        if queue is None:
            # A queue that did not exist when we asked, and now does.
            return Effect.DOUBTFUL if self.asks_queues else Effect.NONE
        return apply(queue, event)

    @staticmethod
    def _member_event(queue: Queue, event: Message) -> Effect:
        interface = event.get("Interface")
        before = queue.members.get(interface)
        if event.event == "QueueMemberRemoved":
            queue.members.pop(interface, None)
            return Effect.CHANGED if before else Effect.NONE
        member = Member.read(event)
        if member is None or (before is None and len(queue.members) >= MAX_MEMBERS):
            return Effect.DOUBTFUL
        queue.members[interface] = member
        return Effect.NONE if member == before else Effect.CHANGED

    @staticmethod
    def _talk_event(queue: Queue, event: Message) -> Effect:
        talk_s = talk_s_of(event)
        if talk_s is None:
            return Effect.NONE
        queue.talk = queue.talk.then(talk_s)
        return Effect.CHANGED

    @staticmethod
    def _caller_event(queue: Queue, event: Message, at: datetime) -> Effect:
        unique = event.get("Uniqueid")
        before = len(queue.callers)
        if event.event == "QueueCallerJoin" and before >= MAX_CALLERS:
            return Effect.DOUBTFUL
        if event.event == "QueueCallerJoin":
            queue.callers.setdefault(unique, at)
        else:
            queue.callers.pop(unique, None)
        if event.number("Count") != len(queue.callers):
            return Effect.DOUBTFUL
        return Effect.NONE if before == len(queue.callers) else Effect.CHANGED

    def _hint(self, event: Message) -> Effect:
        extension, context, status = event.get("Exten"), event.get("Context"), event.number("Status")
        if extension not in self.extensions or (self._context is not None and context != self._context):
            return Effect.NONE
        state = _hint_state(status)
        known = self._hints.get(extension, {})
        before = known.get(context)
        if before is None and len(known) >= MAX_CONTEXTS:
            return Effect.NONE
        if state is not None:
            self._hints.setdefault(extension, {})[context] = state
            self._note_phones(extension, event.get("Hint"))
        elif before is not None:
            del self._hints[extension][context]
            if not self._hints[extension]:
                del self._hints[extension]
                self._phones.pop(extension, None)
        return Effect.NONE if state is before else Effect.CHANGED

    def _note_phones(self, extension: str, hint: str) -> None:
        """Remember the phones of a hint of several devices: `PJSIP/6001&Custom:DND6001,CustomPresence:6001`."""
        parts = hint.partition(",")[0].split("&")
        phones = frozenset(part for part in parts if "/" in part) if 1 < len(parts) <= MAX_PARTS else frozenset()
        if hint and phones != self._phones.get(extension, frozenset()):
            self._phones[extension], self._device_names = phones, None


def own_device(extension: str) -> str:
    """The device of an extension that has no hint."""
    return f"PJSIP/{extension}"


def _hint_state(status: int | None) -> DeviceState | None:
    if status is None or status < 0:
        return None
    return next((state for bit, state in _HINT_BITS if status & bit), DeviceState.IDLE)
