# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways that the audio of a call may take through the gateway, and what decides it: see sip/calls/media_way.py."""

from dataclasses import dataclass
from enum import StrEnum


class Path(StrEnum):
    """What carries the audio of a pair."""

    RELAY = "relay"
    BRIDGE = "bridge"
    DIRECT = "direct"  # it goes from peer to peer, and past the gateway


class Why(StrEnum):
    """What decided it."""

    SAME_CODEC = "same-codec"  # the reason to relay; and to have it go past us, where both profiles say so
    BOTH_G711 = "both-g711"  # relayed too, each byte of A-law as one of µ-law, or the other way round
    NO_AUDIO = "no-audio"  # a leg has none yet, or any more
    SETTING = "setting"  # `media = "bridge"` in a profile
    CODEC = "another-codec"
    PARAMETERS = "codec-parameters"  # the same codec, and the two ask for other forms of it
    WAITING = "waiting"  # a caller hears an announcement, ringback or what a target sends before its answer
    KEYS = "keys"  # a key is being sent that came in some other way than as an event of the same codec's clock
    NOT_RELAYED = "not-relayed"  # PJSIP has given the stream up meanwhile
    # Why it is relayed all the same where both profiles say `media = "direct"`:
    ENCRYPTED = "encrypted"  # each peer has keys that the other has not
    PAYLOAD_TYPES = "payload-types"  # the two have other numbers for one codec, or other versions of IP
    DECLINED = "declined"  # a peer would not send elsewhere, or keys that come by INFO have to reach it from us


@dataclass(frozen=True, slots=True)
class Decision:
    """The way, and the reason."""

    path: Path
    why: Why


RELAYED = Decision(Path.RELAY, Why.SAME_CODEC)
TRANSLATED = Decision(Path.RELAY, Why.BOTH_G711)
DIRECT = Decision(Path.DIRECT, Why.SAME_CODEC)
_NOT_DIRECT = frozenset({Why.ENCRYPTED, Why.PAYLOAD_TYPES, Why.DECLINED})


def bridged(why: Why) -> Decision:
    """The bridge, for this reason."""
    return Decision(Path.BRIDGE, why)


def relayed(why: Why) -> Decision:
    """The relay, where it is not to be: for this reason."""
    return Decision(Path.RELAY, why)


WAYS = (
    RELAYED,
    TRANSLATED,
    DIRECT,
    *(relayed(why) for why in Why if why in _NOT_DIRECT),
    *(bridged(why) for why in Why if why not in {Why.SAME_CODEC, Why.BOTH_G711, *_NOT_DIRECT}),
)
"""All that there are."""
