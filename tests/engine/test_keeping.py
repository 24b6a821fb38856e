# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine when callers talk on with the assistant, and their place in the queue is kept past its deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.config import ConfigError, load
from gateway.core.call_line import lines
from gateway.core.model import AnsweredBy, LegId, PbxState, QueueState
from gateway.core.outcome import Outcome, Reason
from gateway.core.state_sources import StateSource
from tests.bench import Bench, play
from tests.bench.bench import Source
from tests.config_directory import HOLDING, MAIN, write, write_whisper
from tests.engine.test_conversations import ASSISTANT

if TYPE_CHECKING:
    from pathlib import Path

ASKED = """
    >> out-1 refers to +31612345678
    << answer 202 accepted
    << notify 100 accepted
    << report requested
    << report accepted
    << dial 6500 at asterisk as T/1
"""
KEPT = """
    >> 28 s pass
    << notify 480 place-kept, final, retry after 30
    << join in-1 out-1
    << report ended failed place-kept
"""
ASKED_AGAIN = """
    >> out-1 refers to +31612345678
    << answer 202 accepted
    << notify 100 accepted
    << report requested
    << report accepted
"""
PUT_THROUGH = """
    << join in-1 T/1
    << notify 200 answered, final
    << report connected
    << report ended completed answered
"""

MakeBench = Callable[..., Bench]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[MakeBench]:
    """Makes a bench whose callers talk on while they wait; when the test is over nothing may be left in it."""
    benches: list[Bench] = []
    write_whisper(tmp_path)

    def make(main: str = HOLDING, waits_s: float | None = None) -> Bench:
        # The office is closed at the bench's time.
        bench = Bench(load(write(tmp_path, main.replace('hours = "office"\n', "").replace("max_wait_s = 90.5\n", ""))))
        queue = QueueState("sales", 1, 0, 1, expected_wait_s=waits_s and 2 * waits_s)  # one more waits twice as long
        state = PbxState("asterisk", StateSource.AMI, bench.clock.now().wall, queues={"sales": queue})
        bench.engine.sources = {"asterisk": Source(state)}
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.pass_time(2)
        bench.finish()
        bench.check()


def proven(bench: Bench) -> None:
    """The PBX has just said something."""
    source = bench.engine.sources["asterisk"]
    assert isinstance(source, Source)
    source.state = replace(source.state, proven_at=bench.clock.now().wall)


def test_callers_talk_on_until_somebody_has_the_call(made: MakeBench) -> None:
    bench = made()
    play(
        bench,
        ASSISTANT
        + ASKED
        + """
    >> T/1 rings
    << notify 180 accepted
    << report ringing
    >> T/1 answers
    >> T/1 is taken by nobody yet
    >> T/1 is taken by agent"""
        + PUT_THROUGH
        + """
    >> 1 s pass
    << hang up out-1 200 answered""",
    )


def test_who_refuses_leaves_them_where_they_are(made: MakeBench) -> None:
    bench = made(HOLDING.replace('overflow = ["support", "voicemail"]\n', ""))
    play(bench, ASSISTANT + ASKED)
    play(
        bench,
        """
    >> T/1 fails with 486
    << notify 486 busy, final
    << join in-1 out-1
    << report ended failed busy""",
    )


@pytest.mark.keeps("21.29")
def test_a_second_request_takes_up_the_place(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + ASKED + KEPT)
    assert bench.sip.pairs[LegId("in-1")] == "out-1"
    play(bench, ASKED_AGAIN + "\n>> T/1 rings\n<< notify 180 accepted\n<< report ringing\n>> T/1 answers")
    play(bench, "\n>> T/1 is taken by agent" + PUT_THROUGH)
    kept, completed = bench.ends()
    assert (kept.outcome, kept.reason, kept.returned_to_transferor) == (Outcome.FAILED, Reason.PLACE_KEPT, True)
    assert (completed.outcome, completed.answered_by) == (Outcome.COMPLETED, AnsweredBy.AGENT)
    assert kept.call_ids["target"] == completed.call_ids["target"] == f"{kept.transfer}/1@test"
    assert "place: kept in the queue of sales, extension 6500, and taken up" in completed.trail


@pytest.mark.keeps("21.29")
def test_an_agent_who_answers_meanwhile_waits_and_is_joined_at_once(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + ASKED + "\n>> T/1 answers\n>> T/1 is taken by nobody yet" + KEPT)
    play(bench, "\n>> T/1 is taken by agent\n<< wait T/1\n>> 19 s pass")
    play(bench, ASKED_AGAIN + PUT_THROUGH)
    completed = bench.ends()[-1]
    assert completed.requested_at <= min(filter(None, (completed.answered_at, completed.human_at)))


@pytest.mark.keeps("21.28")
def test_an_agent_for_whom_nobody_comes_is_let_go(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + ASKED + "\n>> T/1 answers" + KEPT)
    play(bench, "\n>> T/1 is taken by agent\n<< wait T/1\n>> 20 s pass\n<< hang up T/1 480 no-answer")
    # Whoever asks now begins at the end of the queue.
    play(bench, ASKED_AGAIN + "<< dial 6500 at asterisk as U/1")


@pytest.mark.keeps("21.28")
def test_a_place_that_nobody_takes_up_is_given_up(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + ASKED + KEPT + "\n>> 60 s pass\n<< hang up T/1 480 no-answer")
    assert bench.sip.pairs[LegId("in-1")] == "out-1"
    assert len(bench.ends()) == 1


@pytest.mark.keeps("21.29")
def test_a_command_takes_it_up_and_waits_without_a_deadline(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + ASKED + KEPT)
    [call] = bench.engine.call_records()
    bench.engine.transfer_call(call.call, "sales")
    bench.pass_time(500)
    assert bench.sip.pairs[LegId("in-1")] == "out-1"
    bench.answers(bench.dialled)
    play(
        bench,
        """
    >> T/1 is taken by agent
    << join in-1 T/1
    << report connected
    << report ended completed answered""",
    )


@pytest.mark.keeps("21.28")
def test_the_sentence_says_when_somebody_will_be_free(made: MakeBench) -> None:
    bench = made(waits_s=20.0)
    play(bench, ASSISTANT + ASKED)
    bench.pass_time(27)
    proven(bench)
    play(bench, KEPT.replace("28 s", "1 s").replace("after 30", "after 20"))
    [record] = bench.ends()
    assert (
        record.sentence == "Somebody at sales will be free in about a minute; the place in the queue is kept for now."
    )


@pytest.mark.keeps("21.28")
def test_another_destination_gives_it_up(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + ASKED + KEPT)
    play(
        bench,
        """
    >> out-1 refers to +31612345670
    << answer 404 unknown-destination
    << report requested
    << report ended refused unknown-destination
    >> out-1 refers to +31612345679
    << hang up T/1 480 no-answer
    << answer 202 accepted
    << notify 100 accepted
    << report requested
    << report accepted
    << dial 6501 at asterisk as V/1
    >> V/1 answers
    >> V/1 is taken by extension
    << whisper to V/1: whisper.wav
    >> V/1 presses 1
    << join in-1 V/1
    << notify 200 answered, final
    << report connected
    << report ended completed answered""",
    )


@pytest.mark.keeps("21.28")
def test_the_place_is_the_caller_s_and_nobody_else_s(made: MakeBench) -> None:
    """The caller's side transfers the assistant, to the very same destination."""
    bench = made()
    play(bench, ASSISTANT + ASKED + KEPT)
    play(
        bench,
        """
    >> in-1 refers to +31612345678
    << hang up T/1 480 no-answer
    << answer 202 accepted
    << notify 100 accepted
    << report requested
    << report accepted
    << dial 6501 at asterisk as U/1""",
    )


@pytest.mark.keeps("21.28")
@pytest.mark.parametrize(
    "what",
    [
        "in-1 hangs up\n<< hang up T/1 480 no-answer\n<< hang up out-1 200 answered",
        "out-1 hangs up\n<< hang up in-1 200 answered\n>> 1 s pass\n<< hang up T/1 480 no-answer",
        (
            "the call is ended by command"
            "\n<< hang up T/1 480 no-answer\n<< hang up in-1 200 answered\n<< hang up out-1 200 answered"
        ),
        "the transfer is cancelled\n<< hang up T/1 480 no-answer",
        "T/1 fails with 503",
    ],
)
def test_what_ends_the_place(made: MakeBench, what: str) -> None:
    bench = made()
    play(bench, ASSISTANT + ASKED + KEPT + f"\n>> {what}")
    assert bench.engine.transfers == []
    assert len(bench.ends()) == 1


@pytest.mark.keeps("21.28")
def test_the_end_of_the_gateway_ends_it(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + ASKED + KEPT)
    play(bench, "\n>> the gateway drains for 1 s\n>> 1 s pass\n<< hang up T/1 480 no-answer")


def test_a_place_counts_and_is_shown(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + ASKED + KEPT)
    assert bench.engine.calls.per_destination() == {"sales": 1}
    [line] = lines(list(bench.engine.calls), 9)
    assert (line.stage, line.transfer_state) == ("assistant", "kept")
    bench.bridged("in-2")
    bench.said.clear()
    bench.refer(LegId("out-2"))
    assert bench.engine.transfers[-1].record.attempts[0].reason is Reason.AT_CAPACITY
    bench.answers(bench.dialled)


def test_it_needs_a_queue_and_somebody_to_talk_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='hold_place_s needs a queue, and while_waiting = "assistant"'):
        load(write(tmp_path, MAIN.replace('queue = "sales"', 'queue = "sales"\nhold_place_s = 60')))
