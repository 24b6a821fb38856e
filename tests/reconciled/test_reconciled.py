# SPDX-License-Identifier: GPL-2.0-or-later
"""Half a minute of what `make reconciled` plays for ten, and that no reason is forgotten."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from gateway.core.outcome import Outcome, Reason
from tests.reconciled.counts import Book, differences, table
from tests.reconciled.kinds import LEFT_OUT, REJECTED, WITH_PEERS, WITH_SIPP, WITHOUT_PBX, key
from tests.reconciled.platform import in_turn
from tests.reconciled.run import Run

if TYPE_CHECKING:
    from tests.support.processes import Net

TRANSFERS, SECONDS = 100, 30


def test_every_reason_is_brought_about_or_left_out_for_a_reason() -> None:
    with_sipp = {one.reason for one in (*WITH_SIPP, *WITHOUT_PBX)}
    assert with_sipp | WITH_PEERS.keys() | REJECTED.keys() | LEFT_OUT.keys() == set(Reason)
    assert not (with_sipp | WITH_PEERS.keys()) & (REJECTED.keys() | LEFT_OUT.keys())
    assert {reason.outcome for reason in with_sipp | WITH_PEERS.keys()} == set(Outcome)


def test_each_kind_is_asked_for_by_its_share() -> None:
    shares = sum(one.share for one in WITH_SIPP)
    asked = Counter(one.number + one.header for one in islice(in_turn(WITH_SIPP), 3 * shares))
    assert asked == {one.number + one.header: 3 * one.share for one in WITH_SIPP}


def test_one_count_that_differs_is_found() -> None:
    busy, silent = key(Reason.BUSY), key(Reason.NO_ANSWER)
    books = [Book("MQTT", Counter({busy: 3, silent: 1})), Book("report", Counter({busy: 3}))]
    assert differences(books) == ["failed/no-answer: {'MQTT': 1, 'report': 0}"]
    assert list(table(books))[1:] == [
        "failed   busy          3       3",
        "failed   no-answer     1       0",
        "         all           4       3",
    ]
    assert differences([books[0], books[0]]) == []


@pytest.mark.pbx
@pytest.mark.broker
@pytest.mark.alone
@pytest.mark.timeout(240)
@pytest.mark.keeps("16.210")
async def test_everybody_who_counts_comes_to_the_same(own_net: Net) -> None:
    result = await Run(own_net, transfers=TRANSFERS, seconds=SECONDS).play()
    print(*result.lines(), sep="\n")
    assert result.faults == []
