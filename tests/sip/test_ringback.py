# SPDX-License-Identifier: GPL-2.0-or-later
"""What one who waits hears, from moment to moment: announcement, ringback, or the target itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.core.model import Announcement
from gateway.sip.calls.ringback import GRACE_S, OFTEN_S, QUIET_S, SELDOM_S, Ringback

WELCOME = Announcement("welcome.wav", timedelta(seconds=3), before=False)


class Sounds:
    """Names for sounds; counts how many ringbacks were begun."""

    def __init__(self) -> None:
        self.rings = 0
        self.readable = True

    def announcement(self, announcement: Announcement) -> str | None:
        """See ringback.Sounds."""
        return announcement.file if self.readable else None

    def ringback(self) -> str | None:
        """See ringback.Sounds."""
        self.rings += 1
        return f"ring {self.rings}"


def waiting(announcement: Announcement | None = None) -> tuple[Ringback[str], Sounds]:
    sounds = Sounds()
    ringback = Ringback(sounds)
    ringback.turn_to(announcement)
    return ringback, sounds


def test_a_target_that_only_rings_leaves_the_ringback() -> None:
    ringback, _ = waiting()
    assert [ringback.sound(now) for now in (0.0, 10.0, 30.0)] == ["ring 1"] * 3


def test_the_announcement_comes_first_and_ends_by_itself() -> None:
    ringback, _ = waiting(WELCOME)
    assert ringback.sound(5.0) == "welcome.wav"  # begun when there is somebody to hear it
    assert ringback.sound(7.9) == "welcome.wav"
    assert ringback.sound(8.0) == "ring 1"


def test_an_announcement_that_cannot_be_played_is_passed_over() -> None:
    ringback, sounds = waiting(WELCOME)
    sounds.readable = False
    assert ringback.sound(0.0) == "ring 1"


def test_a_description_without_sound_does_not_silence_the_ringback() -> None:
    ringback, _ = waiting()
    ringback.sound(0.0)
    ringback.listen(0, 1.0)
    assert ringback.sound(1.0) == "ring 1"


@pytest.mark.keeps("12.1")
def test_the_target_is_heard_as_soon_as_it_sends() -> None:
    ringback, _ = waiting()
    ringback.sound(0.0)
    ringback.listen(0, 1.0)
    ringback.listen(3, 1.2)
    assert ringback.sound(1.2) is None


@pytest.mark.keeps("12.1")
def test_the_ringback_comes_back_when_the_target_falls_silent() -> None:
    ringback, _ = waiting()
    ringback.sound(0.0)
    ringback.listen(3, 1.0)
    ringback.listen(3, 2.0)
    assert ringback.sound(1.0 + QUIET_S - 0.01) is None
    assert ringback.sound(1.0 + QUIET_S) == "ring 2"


def test_who_hears_nothing_yet_waits_a_moment_for_a_target_that_announces_audio() -> None:
    ringback, sounds = waiting()
    ringback.listen(0, 1.0)
    assert ringback.sound(1.0) is None
    assert sounds.rings == 0
    assert ringback.sound(1.0 + GRACE_S) == "ring 1"


def test_a_ringback_goes_on_from_one_target_to_the_next() -> None:
    ringback, sounds = waiting()
    ringback.sound(0.0)
    ringback.turn_to(None)
    ringback.listen(0, 4.0)
    assert ringback.sound(4.0) == "ring 1"
    assert sounds.rings == 1


def test_the_next_target_has_to_be_heard_itself() -> None:
    ringback, _ = waiting()
    ringback.listen(500, 1.0)
    assert ringback.sound(1.0) is None
    ringback.turn_to(None)
    assert ringback.sound(1.1) == "ring 1"
    ringback.listen(2, 2.0)
    assert ringback.sound(2.0) is None


def test_a_target_is_looked_at_often_in_its_first_second_and_seldom_later() -> None:
    ringback, _ = waiting()
    ringback.listen(0, 1.0)
    assert ringback.look_at == 1.0 + OFTEN_S
    ringback.listen(0, 2.5)
    assert ringback.look_at == 2.5 + SELDOM_S
    ringback.listen(9, 3.0)
    assert ringback.look_at == 3.0 + SELDOM_S
