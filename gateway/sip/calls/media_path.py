# SPDX-License-Identifier: GPL-2.0-or-later
"""The way that the audio of calls takes through the gateway, and all that anybody else knows of it.

Descriptions go out (`offering`, `answering`), descriptions have come in (`settled`, `stopped`), and the pair table says
who hears whom (`changed`, `wait`). Whether the audio is mixed here, relayed or sent around us is the path's own affair:
agent.py chooses one, and no one else imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.core.model import Announcement, LegId
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.pairs import Changed


class MediaPath(Protocol):
    """Carries audio between legs; a leg hears one source at a time, or silence."""

    def offering(self, beside: Leg | None) -> None:
        """The next offer that is made is for a leg that `beside` will hear."""

    def answering(self, leg: Leg, beside: Leg | None) -> None:
        """The offer of a leg is about to be answered; `beside` is who it will hear."""

    def settled(self, leg: Leg) -> None:
        """An offer and its answer have settled the leg's audio, at its beginning or anew."""

    def stopped(self, leg: LegId) -> None:
        """The leg has no audio for the moment; what it was to hear it will hear when it has some again."""

    def has_media(self, leg: LegId) -> bool:
        """Whether the leg has audio."""

    def changed(self, legs: Changed) -> None:
        """The pair table has changed for these legs: let each hear its partner, or silence."""

    def wait(self, leg: LegId, announcement: Announcement | None, legs: Changed) -> None:
        """As `changed`; the leg that waits hears the announcement, then ringback, until its target is to be heard."""

    def forget(self, leg: LegId) -> None:
        """The leg is over, and no one's partner."""

    def stop(self) -> None:
        """Let go of everything; before PJSIP ends."""
