# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that is under way, as an operator sees it who asks why it does not end."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.media_way import Decision


class LegState(StrEnum):
    """Where a leg is."""

    CALLING = "calling"  # nobody has answered it yet
    RINGING = "ringing"  # … and somebody is asked to
    UP = "up"
    ENDING = "ending"  # we have hung it up, and its peer has not said so yet
    GONE = "gone"  # the SIP stack does not have it any more


@dataclass(frozen=True, slots=True)
class LegCondition:
    """What the user agent knows of a leg."""

    state: LegState
    codec: str | None = None  # as SDP names it; None: no audio was agreed on
    encrypted: bool = False
    media_address: str | None = None  # host and port that our audio goes to
    rtp_age_s: float | None = None  # for how long nothing has come, to some 2 s; None: nobody looks


@dataclass(frozen=True, slots=True)
class OpenLeg:
    """A leg of a call."""

    side: str  # "trunk" | "pbx"
    peer: str  # name of the profile
    call_id: str | None  # SIP Call-ID
    condition: LegCondition


@dataclass(frozen=True, slots=True)
class OpenCall:
    """What is known of a call besides its record."""

    state: str  # core.call.state.CallState
    duration_s: float  # since its INVITE came
    way: Decision | None  # that its audio takes; None: it has no two legs
    legs: tuple[OpenLeg, ...]
