# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources of a PBX's state, and what each is able to tell: the one place that says so.

Code that depends on what a source can tell asks for the ability, never for a name. A new source is a line here, with
the name that the configuration knows it by, and a package in `gateway.pbx` (`gateway/pbx/sources.py` makes it).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Ability(StrEnum):
    """Something that a source tells."""

    QUEUES = "queues"  # each queue's agents and callers
    EXTENSIONS = "extensions"  # the state of each phone
    WHO_ANSWERED = "who-answered"  # that a person took a call, and when
    MOVED_CALLERS = "moved-callers"  # what becomes of a caller whom the PBX moved by itself


@dataclass(frozen=True, slots=True)
class Traits:
    """What is peculiar to a source."""

    tells: frozenset[Ability] = frozenset()
    login: bool = False  # it needs a user name and a password of its own
    over_sip: bool = False  # it is had as calls are, by the PBX's address and credentials, in a running gateway alone
    named: bool = False  # the trail names it, as it tells less than the PBX itself knows


class StateSource(StrEnum):
    """Where the state of queues and extensions comes from: `[queues] source` of a PBX's profile."""

    traits: Traits

    def __new__(cls, name: str, traits: Traits = Traits()) -> Self:
        """A member is its name, as the configuration and events have it."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.traits = traits
        return member

    NONE = "none"
    AMI = "ami", Traits(frozenset(Ability), login=True)
    DIALOG_INFO = "dialog-info", Traits(frozenset({Ability.EXTENSIONS}), over_sip=True, named=True)

    def tells(self, *abilities: Ability) -> bool:
        """Whether the source has all these abilities."""
        return self.traits.tells.issuperset(abilities)


def that_tell(*abilities: Ability) -> tuple[StateSource, ...]:
    """The sources that have all these abilities."""
    return tuple(source for source in StateSource if source.tells(*abilities))
