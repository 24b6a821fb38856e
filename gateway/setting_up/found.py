# SPDX-License-Identifier: GPL-2.0-or-later
"""What a PBX was found to have, and what follows from it. Pure.

Nothing in it is trusted: names come as the PBX has them, and whoever writes one into a file asks first whether it can
be written there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

FREEPBX_CONTEXTS = frozenset({"from-internal", "ext-queues"})
"""FreePBX generates both, on every installation; nobody has the two of them by accident."""
_EXTENSION = re.compile(r"[A-Za-z0-9*#+.!-]{1,64}")
"""What can be dialled as it stands; a pattern begins with an underscore."""
SPECIAL = frozenset({"s", "i", "t", "h", "o", "a", "e", "T", "failed", "fax", "hang"})
"""Extensions that Asterisk itself goes to."""


@dataclass(frozen=True, slots=True)
class Place:
    """An extension in a context of the dialplan."""

    context: str
    extension: str


@dataclass(frozen=True, slots=True)
class Line:
    """A step of the dialplan: what happens at an extension."""

    place: Place
    application: str
    data: str

    @property
    def queue(self) -> str:
        """The queue that this step puts the caller into; empty: none."""
        return self.data.partition(",")[0].strip() if self.application.lower() == "queue" else ""

    @property
    def is_dialled(self) -> bool:
        """Whether somebody can dial just this."""
        return bool(_EXTENSION.fullmatch(self.place.extension)) and self.place.extension not in SPECIAL


@dataclass(frozen=True, slots=True)
class FoundQueue:
    """A queue, and who its members are."""

    name: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundHint:
    """An extension of which the PBX tells the state."""

    place: Place
    devices: str  # such as PJSIP/6001&PJSIP/6002


@dataclass(frozen=True, slots=True)
class FoundTransport:
    """Where the PBX takes SIP in."""

    name: str
    protocol: str  # udp, tcp, tls, ws, wss
    address: str  # 0.0.0.0: all
    port: int


@dataclass(frozen=True)
class Found:
    """What was found. What could not be asked for is empty, and `untold` says why."""

    version: str = ""
    queues: tuple[FoundQueue, ...] = ()
    hints: tuple[FoundHint, ...] = ()
    contexts: frozenset[str] = frozenset()
    lines: tuple[Line, ...] = ()  # of the dialplan: those that put callers into queues, or dial a phone
    endpoints: tuple[str, ...] = ()
    transports: tuple[FoundTransport, ...] = ()
    languages: tuple[str, ...] = ()  # of endpoints and channels, the most frequent first
    generated: tuple[str, ...] = ()  # configuration files whose head says that FreePBX writes them
    untold: Mapping[str, str] = field(default_factory=dict)  # what could not be asked for -> why

    @property
    def is_freepbx(self) -> bool:
        """Whether FreePBX writes this Asterisk's configuration."""
        return bool(self.generated) or self.contexts >= FREEPBX_CONTEXTS

    @cached_property
    def queue_places(self) -> Mapping[str, Place]:
        """By queue: where dialling leads to it. Of several that which is named like the queue, else the shortest.

        The shortest, because what comes in from outside lines is longer.
        """
        found: dict[str, Place] = {}
        for line in sorted(self.lines, key=lambda line: _shortest_first(line.place)):
            name = line.queue
            if name and line.is_dialled and (name not in found or line.place.extension == name):
                found[name] = line.place
        return found

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """By extension that can be dialled: the context to dial it in. A hint's comes first: its state is told, too."""
        found: dict[str, Place] = {}
        hinted = [hint.place for hint in self.hints]
        for place in sorted({line.place for line in self.lines if line.is_dialled}, key=_shortest_first):
            found.setdefault(place.extension, place)
        for place in sorted(hinted, key=_shortest_first, reverse=True):
            found[place.extension] = place
        return found

    def hint_contexts(self, extension: str) -> frozenset[str]:
        """The contexts that tell an extension's state."""
        return frozenset(hint.place.context for hint in self.hints if hint.place.extension == extension)

    def transport(self, protocol: str = "udp") -> FoundTransport | None:
        """Where calls over this protocol are taken in; None: not known."""
        fitting = [each for each in self.transports if each.protocol == protocol]
        return min(fitting, key=lambda each: (":" in each.address, each.name), default=None)

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "version": self.version,
            "freepbx": self.is_freepbx,
            "queues": {each.name: list(each.members) for each in self.queues},
            "hints": sorted({each.place.extension for each in self.hints}),
            "contexts": sorted(self.contexts),
            "endpoints": list(self.endpoints),
            "transports": [f"{each.protocol}:{each.address}:{each.port}" for each in self.transports],
            "languages": list(self.languages),
            "untold": dict(self.untold),
        }


def _shortest_first(place: Place) -> tuple[int, str, str]:
    return len(place.extension), place.context, place.extension
