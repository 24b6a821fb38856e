# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose call is taken, and what is said to whose is not; what cannot be dialled; what operators ask and command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.model import LegId, PbxState, QueueState
from gateway.core.outcome import Outcome, Reason
from gateway.core.state_sources import StateSource
from gateway.ports import Author, NotAllowedError, NotSent, NotSentError, TooLateError
from tests.bench import ASSIGNED, PBX, SALES, SUPPORT, TRUNK, Bench, play
from tests.bench.bench import Source
from tests.config_directory import PBX as PBX_PROFILE
from tests.config_directory import TRUNK as TRUNK_PROFILE
from tests.config_directory import write

if TYPE_CHECKING:
    from pathlib import Path

NOT_OURS = "sip:+31205555555@gw"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(load(write(tmp_path)))


def test_whose_call_would_be_taken(bench: Bench) -> None:
    def asked(peer: object, called: str) -> Reason | None:
        return bench.engine.inquire(PBX if peer is PBX else TRUNK, (called,), ())

    assert asked(PBX, ASSIGNED) is None
    assert asked(TRUNK, SALES) is None
    assert asked(TRUNK, NOT_OURS) is Reason.NOT_ASSIGNED
    assert asked(PBX, NOT_OURS) is Reason.NOT_ASSIGNED
    assert asked(PBX, SALES) is Reason.UNKNOWN_DESTINATION
    assert not bench.said


def test_no_call_is_taken_beyond_the_limit_nor_while_the_gateway_drains(bench: Bench) -> None:
    assert bench.engine.admit(PBX) is None
    for number in range(10):
        bench.calls_in(f"in-{number}", PBX, ASSIGNED)
    assert bench.engine.admit(PBX) is Reason.AT_CAPACITY
    for leg in list(bench.sip.live):
        bench.sip.end(leg, 486)
    bench.pass_time()
    assert bench.engine.admit(PBX) is None
    ended = []
    bench.engine.drain(10, lambda: ended.append(True))
    assert bench.engine.admit(PBX) is Reason.AT_CAPACITY
    assert ended


@pytest.mark.keeps("16.180")
def test_the_last_calls_are_kept_for_whoever_has_few(bench: Bench) -> None:
    for number in range(8):
        bench.calls_in(f"in-{number}", PBX, ASSIGNED)
    bench.calls_in("in-8", TRUNK, SALES)
    assert bench.engine.admit(PBX) is Reason.AT_CAPACITY  # eight of ten, and another peer has calls as well
    assert bench.engine.admit(TRUNK) is None
    bench.calls_in("in-9", TRUNK, SALES)
    assert bench.engine.admit(TRUNK) is Reason.AT_CAPACITY  # all ten


@pytest.mark.keeps("16.180")
def test_who_has_called_lately_has_a_part_of_the_last_calls(bench: Bench) -> None:
    bench.calls_in("in-0", TRUNK, SALES)
    bench.sip.end(LegId("in-0"), 487)
    bench.pass_time()
    for number in range(1, 10):
        bench.calls_in(f"in-{number}", PBX, ASSIGNED)
    assert bench.engine.admit(PBX) is Reason.AT_CAPACITY
    assert bench.engine.admit(TRUNK) is None
    bench.clock.advance(3599)
    assert bench.engine.admit(PBX) is Reason.AT_CAPACITY
    bench.clock.advance(1)
    assert bench.engine.admit(PBX) is None


def test_the_wait_for_the_last_call_ends_with_it(bench: Bench) -> None:
    caller, _ = bench.bridged()
    ended = []
    bench.engine.drain(100, lambda: ended.append(True))
    bench.pass_time(50)
    assert not ended
    bench.fails(caller, 200)
    bench.pass_time()
    assert ended == [True]
    assert bench.clock.waiting == 0


def test_a_call_for_nobody_here_is_404(bench: Bench) -> None:
    play(bench, """
        >> asterisk calls +31205555555 as in-1
        << hang up in-1 404 not-assigned
        """)  # fmt: skip
    bench.finish()


def test_a_platform_that_is_not_called_is_404(tmp_path: Path) -> None:
    trunk = TRUNK_PROFILE.replace('outbound = "sip:203.0.113.10:5060"', 'outbound = ""')
    bench = Bench(load(write(tmp_path, profiles={"platform": trunk, "asterisk": PBX_PROFILE})))
    assert bench.engine.inquire(PBX, (ASSIGNED,), ()) is Reason.NOT_ASSIGNED
    bench.calls_in("in-1", PBX, ASSIGNED)
    assert bench.said == ["hang up in-1 404 not-assigned"]
    bench.pass_time()
    bench.finish()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotSentError(NotSent.NO_ROOM, "no port is left"), "hang up in-1 503 at-capacity, again after 10 s"),
        (NotSentError(NotSent.REFUSED, "no route"), "hang up in-1 502 unreachable"),
    ],
)
def test_an_assistant_that_cannot_be_dialled(bench: Bench, error: NotSentError, said: str) -> None:
    bench.sip.no_way = error
    bench.calls_in("in-1", PBX, ASSIGNED)
    assert bench.said[-1] == said
    bench.pass_time()
    bench.finish()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotSentError(NotSent.NO_ROOM, "no port is left"), Reason.AT_CAPACITY),
        (NotSentError(NotSent.REFUSED, "no route"), Reason.PBX_ERROR),
    ],
)
def test_targets_that_cannot_be_dialled_give_the_caller_back(bench: Bench, error: NotSentError, reason: Reason) -> None:
    caller, assistant = bench.bridged()
    bench.sip.no_way = error
    bench.refer(assistant)
    bench.pass_time()
    [record] = bench.ends()
    assert (record.outcome, record.reason, record.returned_to_transferor) == (reason.outcome, reason, True)
    assert bench.sip.pairs == {caller: assistant, assistant: caller}
    bench.finish()


def test_a_leg_whose_call_is_gone_is_replaced_by_nobody(bench: Bench) -> None:
    play(bench, """
        >> asterisk calls +31201234567 as in-1, in the place of in-9
        << hang up in-1 491 transfer-pending
        """)  # fmt: skip


def test_a_refer_on_a_leg_of_no_call_is_refused_and_told_once(bench: Bench) -> None:
    bench.sip.live[LegId("in-7")] = "up"
    handle = bench.refer(LegId("in-7"))
    assert handle.answered == [Reason.NOT_BRIDGED.sip_code]
    [record] = bench.ends()
    assert (record.outcome, record.reason) == (Reason.NOT_BRIDGED.outcome, Reason.NOT_BRIDGED)
    assert record.call_ids["transferor"] == "in-7@test"


def test_what_is_not_under_way_can_be_neither_transferred_nor_cancelled(bench: Bench) -> None:
    with pytest.raises(LookupError):
        bench.engine.transfer_call("nothing", "sales")
    with pytest.raises(LookupError):
        bench.engine.cancel_transfer("nothing")
    _, assistant = bench.bridged()
    bench.refer(assistant)
    bench.answers(bench.dialled)
    [running] = bench.engine.transfers
    with pytest.raises(TooLateError):
        bench.engine.cancel_transfer(running.id)


@pytest.mark.keeps("20.27")
def test_it_is_too_late_to_cancel_once_the_caller_is_put_through(bench: Bench) -> None:
    caller, assistant = bench.bridged()
    bench.refer(assistant)
    [running] = bench.engine.transfers
    [call] = bench.engine.call_records()
    bench.answers(bench.dialled)
    bench.pass_time(5)
    assert bench.engine.transfers == []
    for which in (running.id, call.call):
        with pytest.raises(TooLateError):
            bench.engine.cancel_transfer(which)
    with pytest.raises(NotAllowedError):
        bench.engine.cancel_transfer(running.id, None, Author("shop", frozenset({"other-line"})))
    bench.fails(caller, 200)
    bench.pass_time(1)
    with pytest.raises(LookupError):
        bench.engine.cancel_transfer(running.id)


def test_a_transfer_is_cancelled_by_its_calls_id_too(bench: Bench) -> None:
    caller, assistant = bench.bridged()
    bench.refer(assistant)
    [call] = bench.engine.call_records()
    bench.engine.cancel_transfer(call.call, "command-1")
    assert bench.sip.pairs[caller] == assistant
    bench.engine.cancel_transfer(call.call, "command-1")  # the same command moves nobody again
    assert [record.reason for record in bench.ends()] == [Reason.CANCELLED]


def test_what_the_gate_would_say_now(bench: Bench) -> None:
    assert bench.engine.explain("sales", "main-line", None)["decision"] == "accept"
    with pytest.raises(LookupError):
        bench.engine.explain("sales", "nothing", None)


class HandedDown:
    """A PBX that moves its callers by itself, with somebody free in the queue."""

    def __init__(self, directory: Path) -> None:
        profile = 'transfer_mode = "hand-down"\n' + PBX_PROFILE
        self.bench = Bench(load(write(directory, profiles={"platform": TRUNK_PROFILE, "asterisk": profile})))
        queues = {"sales": QueueState("sales", logged_in=2, available=2, callers=0)}
        state = PbxState("asterisk", StateSource.AMI, self.bench.clock.now().wall, queues=queues)
        self.bench.engine.sources = {"asterisk": Source(state)}
        self.caller, self.assistant = self.bench.bridged()
        self.bench.said.clear()

    def told(self, code: int, *, accepted: bool = True) -> None:
        """The PBX says how it gets on."""
        self.bench.engine.hand_down_told(self.caller, code, accepted)


def test_a_pbx_that_moves_the_caller_by_itself(tmp_path: Path) -> None:
    scene = HandedDown(tmp_path)
    bench = scene.bench
    bench.refer(scene.assistant)
    assert f"hand {scene.caller} down to 6500" in bench.said
    scene.told(180)
    scene.told(200)
    bench.fails(scene.caller, 200)
    bench.pass_time(1)
    bench.pass_time()
    assert not bench.ends() or bench.ends()[0].reason is Reason.ANSWERED
    for transfer in bench.engine.transfers:
        bench.engine.agent_connected("asterisk", transfer.id, "Anna", bench.clock.now().wall)
    [record] = bench.ends()
    assert (record.outcome, record.reason) == (Outcome.COMPLETED, Reason.ANSWERED)
    bench.pass_time(10)
    bench.check()
    bench.finish()


def test_a_caller_who_is_lost_on_the_way(tmp_path: Path) -> None:
    scene = HandedDown(tmp_path)
    bench = scene.bench
    bench.refer(scene.assistant)
    scene.told(200)
    bench.fails(scene.caller, 200)
    [running] = bench.engine.transfers
    bench.engine.caller_lost("asterisk", running.id, 16, bench.clock.now().wall)
    [record] = bench.ends()
    assert record.outcome is Outcome.ABANDONED
    bench.pass_time(10)
    bench.finish()


@pytest.mark.parametrize("heard", [0, 20])
def test_a_move_that_fails_is_followed_by_listening_for_the_caller(tmp_path: Path, heard: int) -> None:
    scene = HandedDown(tmp_path)
    bench = scene.bench
    bench.refer(scene.assistant)
    scene.told(486)
    bench.sip.packets[scene.caller] = heard
    bench.pass_time(0.6)
    if heard:
        assert bench.dialled is not None  # the next destination
    else:
        assert bench.ends()
    bench.pass_time(1000)
    bench.check()
    bench.finish()


def test_a_pbx_that_cannot_even_be_asked(tmp_path: Path) -> None:
    scene = HandedDown(tmp_path)
    scene.bench.sip.no_way = NotSentError(NotSent.REFUSED, "no route")
    scene.bench.refer(scene.assistant, SUPPORT)
    scene.bench.refer(scene.assistant)
    scene.bench.pass_time(1000)
    scene.bench.check()
    scene.bench.finish()
