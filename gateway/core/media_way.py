# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways that the audio of a call may take through the gateway, and what decides it: see sip/calls/media_way.py."""

from dataclasses import dataclass
from enum import StrEnum


class Path(StrEnum):
    """What carries the audio of a pair."""

    RELAY = "relay"
    BRIDGE = "bridge"


class Why(StrEnum):
    """What decided it."""

    SAME_CODEC = "same-codec"  # the one reason to relay
    NO_AUDIO = "no-audio"  # a leg has none yet, or any more
    SETTING = "setting"  # `media = "bridge"` in a profile
    CODEC = "another-codec"
    PARAMETERS = "codec-parameters"  # the same codec, and the two ask for other forms of it
    WAITING = "waiting"  # a caller hears an announcement, ringback or what a target sends before its answer
    KEYS = "keys"  # a key is being sent that came in some other way than as an event of the same codec's clock
    NOT_RELAYED = "not-relayed"  # PJSIP has given the stream up meanwhile


@dataclass(frozen=True, slots=True)
class Decision:
    """The way, and the reason."""

    path: Path
    why: Why


RELAYED = Decision(Path.RELAY, Why.SAME_CODEC)


def bridged(why: Why) -> Decision:
    """The bridge, for this reason."""
    return Decision(Path.BRIDGE, why)


WAYS = (RELAYED, *(bridged(why) for why in Why if why is not Why.SAME_CODEC))
"""All that there are."""
