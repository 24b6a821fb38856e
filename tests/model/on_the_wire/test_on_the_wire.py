# SPDX-License-Identifier: GPL-2.0-or-later
"""The first ways of those that `make model-on-the-wire` plays a thousand of; and what is broken on purpose is found."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import pytest

from tests.engine import bugs
from tests.model.explore import explore
from tests.model.on_the_wire import choosing, run
from tests.model.on_the_wire.__main__ import SHORT
from tests.model.on_the_wire.broken import BrokenGateway
from tests.model.on_the_wire.playing import DifferenceError, LateError, Play
from tests.model.on_the_wire.script import LeftOut, LeftOutError, written
from tests.model.on_the_wire.stage import Stage

if TYPE_CHECKING:
    from tests.support.processes import Net

DEPTH, WAYS = 5, 80
TALKING = (("call", -1, -1), ("answer", 1, -1), ("refer", 1, -1))
SEEN = [
    pytest.param(number, id=str(one.id))
    for number, one in enumerate(bugs.EACH)
    if one.id != "the transferor is told twice"
]
"""A second final NOTIFY does not come as far as the wire: its subscription is over."""


@cache
def ways() -> choosing.Ways:
    """All that can be played, as far as a small depth."""
    found = choosing.Ways()
    for name, scope in SHORT.items():
        own = choosing.all_ways(name, scope, explore(scope, DEPTH).paths[1:])
        found.found += own.found
        found.left_out += own.left_out
    return found


def test_what_is_for_the_gateway_alone_to_put_in_order_is_left_out() -> None:
    assert len(written("transfer", SHORT["transfer"], (*TALKING, ("answer", 2, -1))).records) == 1
    # The caller hangs up; the target, whom the gateway is about to hang up, refuses.
    with pytest.raises(LeftOutError) as error:
        written("transfer", SHORT["transfer"], (*TALKING, ("hang up", 0, -1), ("refuse", 1, -1)))
    assert error.value.args == (LeftOut.CROSSING,)


def test_a_script_says_what_each_far_end_is_told() -> None:
    script = written("transfer", SHORT["transfer"], (*TALKING, ("ring", 2, -1), ("answer", 2, -1)))
    told = script.steps[-1].told
    [target] = [leg for leg in told if leg.endswith("/1")]
    assert told[target].called == "6500"
    assert told["out-1"].referred == [202]  # type: ignore[index]
    assert told["out-1"].requests == ["NOTIFY 100", "NOTIFY 180", "NOTIFY 200"]  # type: ignore[index]
    assert [(str(one.outcome), str(one.reason)) for one in script.records] == [("completed", "answered")]
    assert script.joined[1] == {"in-1": target, target: "in-1"}


@pytest.mark.thorough
def test_the_first_ways_go_through_all_that_any_does() -> None:
    found = ways().found
    first = choosing.chosen(found, WAYS)
    assert len({(way.scope, way.path) for way in first}) == WAYS
    assert {cell for way in first for cell in way.cells} == {cell for way in found for cell in way.cells}
    assert {one for way in first for one in way.outcomes} == {one for way in found for one in way.outcomes}
    assert first == choosing.chosen(found, WAYS + 20)[:WAYS]


@pytest.mark.sip
@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.keeps("22.1")
async def test_what_the_model_says_is_what_the_wire_shows(own_net: Net) -> None:
    result = await run.play(own_net, choosing.chosen(ways().found, WAYS), SHORT)
    print(*result.lines(), sep="\n")
    assert result.faults == []
    assert result.played == WAYS


@pytest.mark.sip
@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.keeps("22.2")
@pytest.mark.parametrize("bug", SEEN)
async def test_what_is_broken_is_found(own_net: Net, bug: int) -> None:
    async with Stage(own_net, 1, partial(BrokenGateway, bug=bug)) as stage:
        assert await first_difference(stage)


async def first_difference(stage: Stage) -> str:
    """What is wrong with the first way of which the wire shows something else; empty: with none."""
    failing = (way for way in choosing.chosen(ways().found, WAYS) if any("failed" in one for one in way.outcomes))
    for way in failing:
        script = written(way.scope, SHORT[way.scope], way.path)
        one = Play(stage, stage.places[0], script, SHORT[way.scope], patience_s=3)
        try:
            await one.played()
        except DifferenceError as error:
            return str(error)
        except LateError:
            await one.given_up()
    return ""
