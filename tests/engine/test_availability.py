# SPDX-License-Identifier: GPL-2.0-or-later
"""What the running gateway says before a transfer is promised, and which way the audio of its calls takes."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config import load
from gateway.core.media_way import RELAYED
from gateway.core.model import PbxState, QueueState
from gateway.core.state_sources import StateSource
from gateway.ports import UnknownDestinationError
from tests.bench import Bench
from tests.bench.bench import Source
from tests.config_directory import write


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(load(write(tmp_path_factory.mktemp("configuration"))))


def said(bench: Bench, *asked: str) -> dict[str, Any]:
    """What is said of each destination."""
    document: Any = bench.engine.availability("main-line", *asked)
    return {one["destination"]: one for one in document["destinations"]}


def agents(bench: Bench, available: int) -> None:
    """The PBX tells of two agents of the queue sales, so many of them free."""
    queues = {"sales": QueueState("sales", logged_in=2, available=available, callers=0)}
    state = PbxState("asterisk", StateSource.AMI, bench.clock.now().wall, queues=queues)
    bench.engine.sources = {"asterisk": Source(state)}


def test_what_is_said_is_what_a_transfer_gets(bench: Bench) -> None:
    for free in (2, 0):
        agents(bench, free)
        found = said(bench)
        assert found["sales"]["agents_available"] == free
        for destination, answer in found.items():
            explained = bench.engine.explain(destination, "main-line", None)
            assert answer["available"] == (explained["decision"] == "accept")
            assert answer["reason"] == explained["reason"]


def test_one_destination_is_found_as_a_refer_names_it(bench: Bench) -> None:
    agents(bench, 1)
    for asked in ("sales", "sip:2001@gw"):
        assert list(said(bench, asked)) == ["sales"]
    for asked in ("nobody", "sip:", ""):
        with pytest.raises(UnknownDestinationError):
            bench.engine.availability("main-line", asked)
    with pytest.raises(LookupError):
        bench.engine.availability("nothing")


def test_which_way_the_audio_takes_is_told_of_calls_with_two_legs(bench: Bench) -> None:
    caller, assistant = bench.bridged()
    assert [one.way for one in bench.engine.open_calls().values()] == [None]
    bench.sip.ways = dict.fromkeys((caller, assistant), RELAYED)
    [call] = bench.engine.call_records()
    bench.pass_time(7)
    found = bench.engine.open_calls()[call.call]
    assert (found.way, found.state, round(found.duration_s)) == (RELAYED, "up", 7)
    assert [(leg.side, leg.peer, leg.condition.state) for leg in found.legs] == [
        ("pbx", "asterisk", "up"), ("trunk", "platform", "up"),
    ]  # fmt: skip
