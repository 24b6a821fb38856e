# SPDX-License-Identifier: GPL-2.0-or-later
"""What is reported of a call that is over says how each of its legs was heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.config import load
from gateway.core.record import LegMedia
from tests.bench import Bench
from tests.config_directory import write

if TYPE_CHECKING:
    from pathlib import Path

HEARD = LegMedia(
    packets_received=500, packets_lost=1, packets_discarded=0, jitter_ms=1.5, jitter_max_ms=4.0, packets_sent=510,
    packets_sent_lost=None, round_trip_ms=None, mos=4.3,
)  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(load(write(tmp_path)))


def talk(bench: Bench) -> tuple[Any, Any]:
    """A caller who was transferred, and who they talk to."""
    caller, assistant = bench.bridged()
    bench.refer(assistant)
    target = bench.dialled
    bench.answers(target)
    bench.pass_time(10)
    return caller, target


def test_each_leg_that_had_audio_is_told_of_with_its_side_and_call_id(bench: Bench) -> None:
    caller, target = talk(bench)
    bench.sip.counted = {caller: HEARD, target: HEARD}
    bench.fails(caller, 200)
    bench.pass_time()
    reported = bench.witness.calls[-1]
    assert [leg.side for leg in reported.media] == ["pbx", "pbx"]
    assert {leg.call_id for leg in reported.media} >= {f"{caller}@test"}
    assert {leg.packets_received for leg in reported.media} == {500}


def test_a_leg_of_which_nothing_was_counted_is_left_out(bench: Bench) -> None:
    caller, target = talk(bench)
    bench.sip.counted = {target: HEARD}
    bench.fails(caller, 200)
    bench.pass_time()
    assert len(bench.witness.calls[-1].media) == 1


def test_a_count_that_fails_keeps_no_call_from_being_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    caller, _target = talk(bench)

    def fails(_leg: object) -> LegMedia | None:
        raise RuntimeError("no such stream")

    monkeypatch.setattr(bench.sip, "media", fails)
    bench.fails(caller, 200)
    bench.pass_time()
    assert bench.witness.calls[-1].media == ()
    assert not bench.sip.live
