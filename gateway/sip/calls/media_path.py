# SPDX-License-Identifier: GPL-2.0-or-later
"""The way that the audio of calls takes through the gateway, and all that anybody else knows of it.

SDP in, SDP out, who hears whom. A path is told for whom a description of ours is made next (`offering`, `answering`),
sees each one that goes out (`sent`) or has come in (`received`) and may put another in its place, learns what the two
have come to (`negotiated`, `stopped`), and is told by the pair table who hears whom (`changed`, `wait`). Whether the
audio is mixed here, relayed or sent around us is its own affair: agent.py is given one, and no one else imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import Config
    from gateway.core.media_way import Decision
    from gateway.core.model import Announcement, LegId
    from gateway.core.record import LegMedia
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.pairs import Changed


class MediaPath(Protocol):
    """Carries audio between legs; a leg hears one source at a time, or silence."""

    reads_descriptions: bool
    """Whether `sent` and `received` are asked: each description is written out and read once more for them."""

    def configure(self, config: Config) -> None:
        """Take the profiles, at the start and whenever they change."""

    def tell(self, changed: Callable[[LegId, Decision | None, Decision | None], None]) -> None:
        """Have it told of each leg which way its audio had, and has; None: it has no partner."""

    def tell_misplaced(self, misplaced: Callable[[LegId], None]) -> None:
        """Have it told of a leg whose peer is to be offered another place for its audio (`is_misplaced`)."""

    def is_misplaced(self, leg: LegId) -> bool:
        """Whether the leg's peer was told to send its audio to where it is no longer, or not yet, to go."""

    def offering_again(self, leg: LegId) -> None:
        """The next offer for this leg is a re-INVITE of our own accord."""

    def declined(self, leg: LegId, code: int) -> None:
        """The leg's peer has refused that offer: what was agreed before stands."""

    def goes_past(self, leg: LegId) -> bool:
        """Whether the leg's peer was told to send its audio to somebody else."""

    def offering(self, leg: LegId, beside: Leg | None) -> None:
        """The next offer that is made is for this leg, which is being dialled; `beside` will hear it."""

    def answering(self, leg: Leg, beside: Leg | None) -> None:
        """The offer of a leg is about to be answered; `beside` is who it will hear."""

    def sent(self, leg: LegId, description: str, *, answers: bool) -> str:
        """What goes to the leg's peer in the place of this description of ours, an offer or the answer to one.

        It has as many lines of media (RFC 3264 §6). Their formats may still change their order in an answer, and the
        numbers in `o=` are counted by what is sent.
        """

    def received(self, leg: LegId, description: str, *, answers: bool) -> str:
        """What is believed in the place of this description of the leg's peer, which has passed every check.

        An offer comes here before the answer to it goes through `sent`. An answer may come several times, in 183, in
        200 and in whatever is sent again, until it is taken; the same one is to become the same each time.
        """

    def negotiated(self, leg: Leg) -> None:
        """The leg's audio was negotiated by an offer and its answer, at its beginning or anew."""

    def stopped(self, leg: LegId) -> None:
        """The leg has no audio for the moment; what it was to hear it will hear when it has some again."""

    def has_media(self, leg: LegId) -> bool:
        """Whether the leg has audio."""

    def packets(self, leg: LegId) -> int:
        """How many packets of audio the leg has brought so far; 0 for one that is gone."""

    def activity(self, leg: LegId) -> int:
        """A number that changes with every RTP or RTCP packet that the leg's peer sends; -1 without any media."""

    def counted(self, leg: Leg) -> LegMedia | None:
        """What was counted of a leg's audio, over all that was negotiated so far; None where it never had any."""

    def decided(self, leg: LegId) -> Decision | None:
        """Which way the audio of the leg and its partner takes, and why; None where it has no partner."""

    def keys_follow(self, leg: LegId) -> None:
        """The leg is about to be sent a key as telephone events (RFC 4733) by its own stream."""

    def changed(self, legs: Changed) -> None:
        """The pair table has changed for these legs: let each hear its partner, or silence."""

    def wait(self, leg: LegId, announcement: Announcement | None, legs: Changed) -> None:
        """As `changed`; the leg that waits hears the announcement, then ringback, until its target is to be heard."""

    def whisper(self, leg: LegId, sounds: Sequence[Announcement], legs: Changed) -> None:
        """As `changed`; the leg, which has no partner, hears the sounds once, until it has one; none: silence."""

    def tell_tones(self, pressed: Callable[[LegId, str], None]) -> None:
        """Have it told of each key that comes as a tone, once it is up again."""

    def listen_for_tones(self, leg: LegId, keys: str) -> None:
        """The leg, which has no partner, may give these keys as tones in its audio, until it has one."""

    def forget(self, leg: LegId) -> None:
        """The leg is over, and no one's partner; or it has not come to be, after its offer was received."""

    def stop(self) -> None:
        """Let go of everything; before PJSIP ends."""
