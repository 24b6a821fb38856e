# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers between two gateways on a network that loses, delays, repeats and reorders what they say."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.config import load
from tests.bench import ASSIGNED, SALES, SUPPORT
from tests.bench.two_gateways import Manner, TwoGateways
from tests.config_directory import PBX, TRUNK, write
from tests.engine import bugs

if TYPE_CHECKING:
    from collections.abc import Callable


LONG_S = 1000

with tempfile.TemporaryDirectory() as _directory:
    CONFIG = load(write(Path(_directory)))
    HANDS_DOWN = load(
        write(Path(_directory), profiles={"platform": TRUNK, "asterisk": 'transfer_mode = "hand-down"\n' + PBX})
    )


def _talking(seed: int, **network: float) -> TwoGateways:
    """A caller talks to the platform through both."""
    world = TwoGateways(CONFIG, seed, **network)
    world.phones.call(world.inner, ASSIGNED)
    world.pass_time(LONG_S)
    return world


NETWORKS = st.fixed_dictionaries(
    {"loss": st.floats(0, 0.35), "repeats": st.floats(0, 0.5), "delay_s": st.floats(0.001, 3)}
)
CODES = st.sampled_from([200, 404, 486, 503])


@pytest.mark.slow
@pytest.mark.keeps("16.62")
@given(seed=st.integers(0, 2**32), network=NETWORKS, code=CODES)
def test_a_transfer_over_a_lossy_network_leaves_nobody_alone(seed: int, network: dict[str, float], code: int) -> None:
    with capture_logs():
        world = _talking(seed, **network)
        caller, assistant = world.phones.ends[0], world.platform.ends[0]
        assume(world.hears(caller) is assistant)  # the call itself may fail, too
        world.phones.usual = Manner(code)
        assistant.refer(SALES)
        world.pass_time(LONG_S)
        heard = world.hears(caller)
        assert heard is not None
        assert heard is assistant or heard.agent is world.phones
        world.check()
        world.finish()


# --- anything, at any moment

MANNERS = st.builds(
    Manner, code=st.sampled_from([200, 200, 200, 404, 480, 486, 603]), in_s=st.floats(0, 40), rings=st.booleans()
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["calls", "refers", "refers", "phone refers", "hangs up", "phone hangs up", "fails", "waits"]),
        st.integers(0, 9),
        st.floats(0, 40),
    ),
    min_size=2,
    max_size=12,
)


def _happen(world: TwoGateways, what: str, which: int, seconds: float) -> None:
    """One thing happens; then some time passes."""
    everybody = world.phones if what.startswith("phone") else world.platform
    ends = [end for end in everybody.ends if end.established and not end.ending]
    match what:
        case "calls" if which:
            world.phones.call(world.inner, ASSIGNED)
        case "calls":
            world.platform.call(world.outer, SALES)
        case "refers" | "phone refers" if ends:
            ends[which % len(ends)].refer((SALES, SUPPORT)[which % 2])
        case "hangs up" | "phone hangs up" if ends:
            ends[which % len(ends)].hang_up()
        case "fails":
            world.network.fail(seconds)
    world.pass_time(seconds)


@dataclass(frozen=True)
class Play:
    """A run: the same one goes the same way each time."""

    seed: int
    network: dict[str, float]
    hands_down: bool
    answers: list[Manner]
    steps: list[tuple[str, int, float]]

    def run(self) -> TwoGateways:
        """Play it, check it, and return what has become of everybody by then."""
        with capture_logs():
            world = TwoGateways(HANDS_DOWN if self.hands_down else CONFIG, self.seed, **self.network)
            world.phones.manners = list(self.answers)
            world.phones.call(world.inner, ASSIGNED)
            world.pass_time(10)
            for step in self.steps:
                _happen(world, *step)
            world.pass_time(LONG_S)
            world.check()
            world.finish()
        return world


PLAYS = st.builds(
    Play,
    seed=st.integers(0, 2**32),
    network=NETWORKS,
    hands_down=st.booleans(),
    answers=st.lists(MANNERS, max_size=6),
    steps=STEPS,
)


@pytest.mark.slow
@pytest.mark.keeps("16.62")
@given(play=PLAYS)
def test_whatever_the_network_does_nobody_is_dropped_and_each_transfer_ends_once(play: Play) -> None:
    play.run()


def test_the_same_seed_goes_the_same_way() -> None:
    play = Play(
        7,
        {"loss": 0.3, "repeats": 0.3, "delay_s": 2.0},
        True,
        [Manner(), Manner(486), Manner(200, 30)],
        [
            ("refers", 0, 30),
            ("calls", 1, 9),
            ("fails", 0, 3),
            ("phone refers", 1, 5),
            ("refers", 1, 20),
            ("waits", 0, 9),
        ],
    )
    once, again = (
        [re.sub("[0-9A-Z]{26}", "T", line) for one in play.run().gateways for line in one.said] for _ in "12"
    )
    assert len(once) > 40
    assert once == again


# --- and it would be noticed if it were not so


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        *bugs.EACH,
        pytest.param(
            "gateway.core.transfer.machine.lose_transferor",
            bugs.take_no_notice,
            id="a BYE of the transferor is not noticed",
        ),
        pytest.param(
            "gateway.core.transfer.succeeding.release_transferor",
            bugs.take_no_notice,
            id="the transferor is left in a dead call",
        ),
    ],
)
def test_the_run_over_two_gateways_finds(
    monkeypatch: pytest.MonkeyPatch, where: str, wrong: Callable[..., None]
) -> None:
    @settings(phases=[Phase.generate])  # the smallest example is of no use here
    @given(play=PLAYS)
    def run(play: Play) -> None:
        play.run()

    monkeypatch.setattr(where, wrong)
    with pytest.raises(AssertionError):
        run()
