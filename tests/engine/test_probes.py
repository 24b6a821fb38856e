# SPDX-License-Identifier: GPL-2.0-or-later
"""Short calls that test a destination, on the bench."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.model import LegId
from gateway.ports import NotSent, NotSentError
from tests.bench import Bench
from tests.config_directory import MAIN, write
from tests.test_config_sounds import wav

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.ports import ProbeResult

PROBE = LegId("probe-1")


class Probed(Bench):
    """A bench on which one destination is called for a moment."""

    def __init__(self, directory: Path, *, main: str = MAIN, no_way: NotSentError | None = None) -> None:
        super().__init__(load(write(directory, main=main)))
        self.results: list[ProbeResult] = []
        self.sip.no_way = no_way
        self.engine.probe_call("main-line", "sales", self.results.append)

    def result(self) -> ProbeResult:
        """What came of it; nothing is left afterwards, and nobody was told of a transfer or a call."""
        [result] = self.results
        self.pass_time()
        assert not self.sip.live
        assert self.clock.waiting == 0
        assert not self.witness.told
        assert not self.witness.calls
        return result


def test_whoever_answers_is_hung_up_after_a_moment(tmp_path: Path) -> None:
    bench = Probed(tmp_path)
    [order] = bench.sip.orders
    assert (order.user, order.caller, order.headers) == ("6500", "+31201234567", (("X-Transfer-Probe", "sales"),))
    bench.pass_time(2)
    bench.rings(PROBE)
    bench.pass_time(1)
    bench.answers(PROBE)
    bench.pass_time(0.9)
    assert not bench.results
    bench.pass_time(0.1)
    result = bench.result()
    assert (result.reached, result.code, result.text, result.seconds) == (True, 200, "answered", 3.0)


def test_the_announcement_is_said_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "test.wav").write_bytes(wav(seconds=3))
    main = MAIN.replace('instance = "test-1"', 'instance = "test-1"\nprobe_announcement = "test.wav"')
    bench = Probed(tmp_path, main=main)
    bench.answers(PROBE)
    assert any(said.startswith(f"wait {PROBE} hears ") for said in bench.said)
    bench.pass_time(2.9)
    assert not bench.results
    bench.pass_time(0.2)
    assert bench.result().reached


def test_whoever_hangs_up_first_was_reached(tmp_path: Path) -> None:
    bench = Probed(tmp_path)
    bench.answers(PROBE)
    bench.fails(PROBE, 200)
    assert bench.result().reached


@pytest.mark.parametrize(("code", "text"), [(486, "busy (486)"), (404, "unreachable (404)"), (603, "declined (603)")])
def test_a_refusal_is_told_by_its_code(tmp_path: Path, code: int, text: str) -> None:
    bench = Probed(tmp_path)
    bench.fails(PROBE, code)
    result = bench.result()
    assert (result.reached, result.code, result.text) == (False, code, text)


@pytest.mark.parametrize(("rings", "text"), [(True, "rang, and nobody answered"), (False, "nobody answered")])
def test_nobody_is_waited_for_longer_than_it_may_ring(tmp_path: Path, rings: bool, text: str) -> None:
    bench = Probed(tmp_path)
    if rings:
        bench.rings(PROBE)
    bench.pass_time(25)
    result = bench.result()
    assert (result.reached, result.code, result.text, result.seconds) == (False, None, text, 25.0)


def test_what_cannot_be_called_is_said(tmp_path: Path) -> None:
    result = Probed(tmp_path, no_way=NotSentError(NotSent.REFUSED, "no route to the PBX")).result()
    assert (result.reached, result.text) == (False, "can't be called: no route to the PBX")


def test_what_is_not_there_cannot_be_called(tmp_path: Path) -> None:
    bench = Bench(load(write(tmp_path)))
    with pytest.raises(LookupError, match="no assigned number"):
        bench.engine.probe_call("nothing", "sales", print)
    with pytest.raises(LookupError, match="no destination nothing"):
        bench.engine.probe_call("main-line", "nothing", print)
