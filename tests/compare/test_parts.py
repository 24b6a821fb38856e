# SPDX-License-Identifier: GPL-2.0-or-later
"""Each part of the comparison measures both, on a few calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compare import jobs
from tests.compare.parts import PARTS, Bench
from tests.compare.systems import NAMES, Name, system

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.pbx, pytest.mark.broker, pytest.mark.alone]

EXPECTED: dict[str, set[tuple[str, float | None]]] = {
    "transfers": {
        ("5 transfers/s: completed", 100),
        ("5 transfers/s: CPU each", None),
        ("5 transfers/s: REFER → 202, p50", None),
        ("5 transfers/s: REFER → 202, p99", None),
        ("5 transfers/s: REFER → INVITE to the target, p50", None),
        ("5 transfers/s: REFER → INVITE to the target, p99", None),
        ("5 transfers/s: REFER → final NOTIFY, p50", None),
        ("5 transfers/s: REFER → final NOTIFY, p99", None),
    },
    "media": {
        ("4 calls with sound: CPU each", None),
        ("4 calls with sound: delay one way, p50", None),
        ("4 calls with sound: delay one way, p99", None),
        ("4 calls with sound: memory each", None),
    },
    "memory": {("memory after 5 transfers at 5/s", None), ("memory after 10 transfers at 5/s", None)},
}
"""What a part measures of both, and its value where there is only one."""


@pytest.mark.parametrize("part", EXPECTED)
async def test_a_part_measures_both(part: str, own_net: Net) -> None:
    # It is no measurement: the machine may be as busy as it likes.
    bench = Bench(own_net, rounds=1, seconds=2, rates=[5], calls=[4], many=[5, 10], too_late_ms=5000)
    figures = {figure.what: figure for figure in await PARTS[part].play(bench)}
    for what, value in EXPECTED[part]:
        [ours], [theirs] = figures[what].gateway, figures[what].asterisk
        for measured in (ours, theirs):
            assert measured is not None, what
            assert measured > 0 if value is None else measured == value, what


@pytest.mark.parametrize("name", NAMES)
async def test_plain_calls_are_all_answered(name: Name, own_net: Net) -> None:
    async with system(name, own_net) as measured:
        played = await jobs.calls(measured, own_net, per_second=5, count=10)
    assert (played.whole, played.done, played.to_202_ms) == (True, 10, [])


async def test_transfers_that_fail_are_seen(own_net: Net) -> None:
    async with system("gateway", own_net) as measured:
        played = await jobs.transfers(measured, own_net, per_second=5, count=5, target="+31600000000")
    assert (played.done, played.whole, played.codes.split()) == (0, False, ["404"] * 5)
