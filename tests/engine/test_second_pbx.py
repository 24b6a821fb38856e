# SPDX-License-Identifier: GPL-2.0-or-later
"""Destinations on another PBX than their number's: the gate asks that one, and callers are put through there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.model import DeviceState, PbxState
from gateway.core.outcome import Outcome, Reason
from gateway.core.state_sources import StateSource
from tests.bench import Bench, play
from tests.bench.bench import Source
from tests.config_directory import MAIN, PBX, TRUNK, write
from tests.engine.test_conversations import ASSISTANT, REFER

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config import Config

ELSEWHERE = 'extension = "6501"\noverflow = ["voicemail"]\npbx = "branch"'
"""`support`, at the branch."""
SAME_EXTENSION = MAIN.replace('extension = "6501"\noverflow = ["voicemail"]', 'extension = "6500"\npbx = "branch"')


def configured(directory: Path, main: str) -> Config:
    """The configuration with a second PBX, `branch`."""
    branch = PBX.replace("127.0.0.1:5070", "127.0.0.9:5070")
    return load(write(directory, main, profiles={"platform": TRUNK, "asterisk": PBX, "branch": branch}))


def followed(bench: Bench, **extensions: dict[str, DeviceState]) -> None:
    """Have these PBXs tell their state, and that of these extensions."""
    now = bench.clock.now().wall
    bench.engine.sources = {
        name: Source(replace(PbxState(name, StateSource.AMI, now), extensions=known))
        for name, known in extensions.items()
    }


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A gateway whose `support` is at the branch; when the test is over nothing may be left in it."""
    bench = Bench(configured(tmp_path, MAIN.replace('extension = "6501"\noverflow = ["voicemail"]', ELSEWHERE)))
    yield bench
    bench.finish()


PUT_THROUGH = """
    << notify 200 answered, final
    << report connected
    << report ended completed answered
"""
RELEASED = """
    >> 2 s pass
    << hang up out-1 200 answered
"""
HUNT = """
    >> T/1 fails with 486
    << dial 6501 at branch as T/2
    << wait in-1 for T/2
"""


@pytest.mark.keeps("21.40")
def test_a_hunt_goes_on_at_another_pbx_and_comes_back(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + HUNT + """
        >> T/2 fails with 486
        << dial 190 at asterisk as T/3
        << wait in-1 for T/3
        >> T/3 answers
        << join in-1 T/3
        """ + PUT_THROUGH + RELEASED)  # fmt: skip
    [record] = bench.ends()
    assert record.pbx == "asterisk"
    assert [attempt.destination for attempt in record.attempts] == ["sales", "support", "voicemail"]
    assert "overflow: support, extension 6501 on branch" in record.trail


@pytest.mark.keeps("21.40")
def test_the_pbx_that_is_dialled_is_asked_who_answers(bench: Bench) -> None:
    followed(bench, asterisk={}, branch={})
    play(bench, ASSISTANT + REFER + HUNT + """
        >> T/2 answers
        >> T/2 is taken by extension
        << join in-1 T/2
        """ + PUT_THROUGH + RELEASED)  # fmt: skip
    [record] = bench.ends()
    asked = {name: source.asked for name, source in bench.engine.sources.items() if isinstance(source, Source)}
    assert asked == {"asterisk": [], "branch": [record.call_ids["target"]]}
    assert record.pbx == "branch"
    assert record.human_at is not None


@pytest.mark.keeps("21.40")
def test_nobody_waits_for_what_only_the_other_pbx_would_tell(bench: Bench) -> None:
    followed(bench, asterisk={})
    play(bench, ASSISTANT + REFER + HUNT + """
        >> T/2 answers
        << join in-1 T/2
        """ + PUT_THROUGH + RELEASED)  # fmt: skip
    [record] = bench.ends()
    assert record.human_at is None


@pytest.mark.keeps("21.41")
def test_the_gate_asks_the_pbx_of_the_destination(bench: Bench) -> None:
    idle, gone = {"6501": DeviceState.IDLE}, {"6501": DeviceState.UNAVAILABLE}
    followed(bench, asterisk=idle, branch=gone)
    trail = bench.engine.explain("support", "main-line", None)["trail"]
    assert "destination: support, extension 6501 on branch" in trail
    assert f"overflow: support is refused ({Reason.QUEUE_UNSTAFFED}); next is voicemail, 190" in trail


@pytest.mark.keeps("21.42")
def test_one_extension_at_two_pbxs_is_two_targets(tmp_path: Path) -> None:
    bench = Bench(configured(tmp_path, SAME_EXTENSION))
    play(bench, ASSISTANT + REFER + """
        >> T/1 fails with 486
        << dial 6500 at branch as T/2
        << wait in-1 for T/2
        >> in-1 hangs up
        << hang up T/2 487 caller-hung-up
        << notify 487 caller-hung-up, final
        << report ended abandoned caller-hung-up
        >> 1 s pass
        << hang up out-1 487 caller-hung-up
        """)  # fmt: skip
    [record] = bench.ends()
    assert record.outcome is Outcome.ABANDONED
    bench.finish()


@pytest.mark.keeps("21.42")
def test_the_fallback_at_another_pbx_is_rung_though_its_extension_was_tried_here(tmp_path: Path) -> None:
    main = MAIN.replace('extension = "190"', 'extension = "6501"\npbx = "branch"')
    bench = Bench(configured(tmp_path, main.replace('6501"\noverflow = ["voicemail"]', '6501"')))
    play(bench, ASSISTANT + REFER + """
        >> out-1 hangs up
        >> T/1 fails with 404
        << dial 6501 at asterisk as T/2
        << wait in-1 for T/2
        >> T/2 fails with 404
        << dial 6501 at branch as T/3
        << wait in-1 for T/3
        >> T/3 answers
        << join in-1 T/3
        """ + PUT_THROUGH)  # fmt: skip
    bench.finish()
