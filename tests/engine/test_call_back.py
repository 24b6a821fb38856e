# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine calls callers back: who is free is rung first, then the caller; each promise has one outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.caller import CallerId
from gateway.core.model import AnsweredBy, DeviceState, PbxState, QueueState, TransferId
from gateway.core.outcome import Outcome, Reason
from gateway.core.state_sources import StateSource
from gateway.ports import Author, NotAllowedError
from tests.bench import ASSIGNED, PBX, Bench, play
from tests.bench.bench import Source
from tests.config_directory import MAIN, write, write_whisper

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.record import TransferRecord

EVE = "+31201112222"
PLAN = """callback_prefixes = ["+3120"]
callback_within_s = 3600
callback_attempts = 2
callback_retry_s = 300
"""
PROMISED = f"""
    >> {EVE} is to be called back by support
    << report requested
    << report accepted
"""
RUNG = """
    >> 2.1 s pass
    << dial 6501 at asterisk as T/1
    >> T/1 rings
    << report ringing
"""
CALLED = f"""
    >> T/1 answers
    << dial {EVE} at asterisk as T/caller-1
    << wait T/1 for T/caller-1
"""
JOINED = """
    >> T/caller-1 answers
    << join T/caller-1 T/1
    << report connected
    << report ended completed answered
"""
MakeBench = Callable[..., Bench]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[MakeBench]:
    """Makes a bench on which a caller has called who may be called back; when the test is over nothing may be left."""
    benches: list[Bench] = []
    write_whisper(tmp_path)

    def make(plan: str = PLAN, *, called: bool = True, opens: str = "09:00") -> Bench:
        main = configured(plan).replace('mon = ["09:00', f'mon = ["{opens}')
        bench = Bench(load(write(tmp_path, main)))
        benches.append(bench)
        if called:
            leg = bench.calls_in("in-1", PBX, ASSIGNED)
            bench.answers(bench.dialled)
            bench.pass_time()
            bench.fails(leg, 200)
            bench.pass_time()
        return bench

    yield make
    for bench in benches:
        bench.pass_time(2)
        bench.check()
        bench.finish()


def configured(plan: str) -> str:
    return MAIN.replace('"6501"\noverflow = ["voicemail"]', f'"6501"\n{plan}')


def told(bench: Bench, **state: Mapping[str, object]) -> Source:
    """Have the PBX tell what it knows, from now on."""
    source = Source(PbxState("asterisk", StateSource.AMI, bench.clock.now().wall, timedelta(hours=9), **state))  # type: ignore[arg-type]
    bench.engine.sources = {"asterisk": source}
    return source


def outcome(bench: Bench) -> TransferRecord:
    [record] = bench.ends()
    return record


@pytest.mark.keeps("21.21")
def test_the_agent_is_rung_first_and_then_the_caller(made: MakeBench) -> None:
    bench = made()
    play(bench, PROMISED + RUNG + CALLED + JOINED)
    record = outcome(bench)
    assert (record.entry, record.caller, record.destination, record.caller_calls) == ("callback", EVE, "support", 1)
    assert record.expires_at == record.requested_at + timedelta(hours=1)
    agent, caller = bench.sip.orders[-2:]
    assert (agent.caller, caller.caller) == (EVE, "+31201234567")
    [call] = bench.engine.call_records()
    assert (call.transfer, call.destination, call.caller) == (record.transfer, "support", EVE)
    bench.fails(next(iter(bench.sip.live)), 200)
    assert bench.witness.calls[-1].transfer == record.transfer


@pytest.mark.keeps("21.22")
def test_nobody_is_rung_while_the_caller_still_talks_with_the_assistant(made: MakeBench) -> None:
    bench = made(called=False)
    caller, _ = bench.bridged()
    play(bench, PROMISED.replace(EVE, "in-1") + ">> 30 s pass")
    bench.fails(caller, 200)
    play(bench, RUNG + CALLED + JOINED)


@pytest.mark.keeps("21.22")
def test_nobody_is_rung_before_somebody_is_free(made: MakeBench) -> None:
    bench = made()
    source = told(bench, extensions={"6501": DeviceState.IN_USE})
    play(bench, PROMISED + ">> 600 s pass")
    source.state = replace(source.state, extensions={"6501": DeviceState.IDLE})
    play(bench, """
        >> 2.1 s pass
        << dial 6501 at asterisk as T/1
        >> T/1 answers
        >> T/1 is taken by extension
        """ + CALLED.partition("answers\n")[2] + JOINED)  # fmt: skip


@pytest.mark.keeps("21.22")
@pytest.mark.parametrize(("agents", "waiting", "rung"), [(1, 0, True), (1, 1, False), (2, 1, True)])
def test_an_agent_for_whom_others_wait_is_not_taken_from_them(
    made: MakeBench, agents: int, waiting: int, rung: bool
) -> None:
    bench = made(PLAN + 'queue = "help"\nmin_available = 0')
    queue = QueueState("help", logged_in=3, available=agents, callers=waiting)
    told(bench, queues={"help": queue})
    bench.call_back(EVE, "support")
    bench.pass_time(5)
    assert (bench.dialled is not None) is rung
    bench.engine.cancel_transfer(bench.engine.transfers[0].id)


@pytest.mark.keeps("21.22")
def test_a_queue_that_answers_itself_is_no_agent(made: MakeBench) -> None:
    bench = made(PLAN + 'queue = "help"')
    told(bench, queues={"help": QueueState("help", logged_in=1, available=1, callers=0)})
    play(bench, PROMISED + """
        >> 2.1 s pass
        << dial 6501 at asterisk as T/1
        >> T/1 answers
        >> 3 s pass
        >> T/1 is taken by agent
        """ + CALLED.partition("answers\n")[2] + JOINED)  # fmt: skip
    assert outcome(bench).answered_by is AnsweredBy.AGENT


@pytest.mark.keeps("21.21")
def test_who_answers_hears_the_whisper_and_takes_it_by_a_key(made: MakeBench) -> None:
    bench = made(PLAN + 'whisper = "whisper.wav"\naccept = "1"')
    play(bench, PROMISED + RUNG + """
        >> T/1 answers
        << whisper to T/1: whisper.wav
        >> T/1 presses 1
        """ + CALLED.partition("answers\n")[2] + JOINED)  # fmt: skip
    assert outcome(bench).accepted_at is not None


@pytest.mark.keeps("21.24")
def test_an_agent_who_does_not_answer_is_rung_again_later(made: MakeBench) -> None:
    bench = made()
    play(bench, PROMISED + RUNG + """
        >> 25 s pass
        << hang up T/1 480 no-answer
        >> 59 s pass
        >> 2 s pass
        << dial 6501 at asterisk as T/2
        >> T/2 fails with 486
        >> 61 s pass
        << dial 6501 at asterisk as T/3
        """)  # fmt: skip
    play(bench, (CALLED + JOINED).replace("T/1", "T/3"))
    assert [one.reason for one in outcome(bench).attempts] == [Reason.NO_ANSWER, Reason.BUSY, Reason.ANSWERED]


@pytest.mark.keeps("21.22")
def test_a_voicemail_calls_nobody(made: MakeBench) -> None:
    bench = made(PLAN + 'voicemail = "keep"')
    told(bench, extensions={"6501": DeviceState.IDLE})
    play(bench, PROMISED + RUNG + """
        >> T/1 answers
        >> T/1 is taken by voicemail
        << hang up T/1 480 voicemail
        >> the transfer is cancelled
        << report ended failed cancelled
        """)  # fmt: skip


@pytest.mark.keeps("21.24")
@pytest.mark.parametrize(("code", "said"), [(486, "busy"), (404, "unreachable"), (480, "unreachable")])
def test_a_caller_who_is_not_reached_is_called_so_often_and_no_more(made: MakeBench, code: int, said: str) -> None:
    bench = made()
    play(bench, PROMISED + RUNG + CALLED + f"""
        >> T/caller-1 fails with {code}
        << hang up T/1 480 caller-unreachable
        >> 298 s pass
        >> 3 s pass
        << dial 6501 at asterisk as T/2
        >> T/2 answers
        << dial {EVE} at asterisk as T/caller-2
        << wait T/2 for T/caller-2
        >> 25.1 s pass
        << hang up T/caller-2 480 no-answer
        << hang up T/2 480 caller-unreachable
        << report ended failed caller-unreachable
        """)  # fmt: skip
    record = outcome(bench)
    assert record.caller_calls == 2
    assert f"call back: the caller was not reached: {said} ({code})" in record.trail


@pytest.mark.keeps("21.24")
@pytest.mark.parametrize("code", [603, 403])
def test_a_caller_who_declines_is_not_called_again(made: MakeBench, code: int) -> None:
    play(made(), PROMISED + RUNG + CALLED + f"""
        >> T/caller-1 fails with {code}
        << hang up T/1 480 caller-unreachable
        << report ended failed caller-unreachable
        """)  # fmt: skip


@pytest.mark.keeps("21.24")
def test_an_agent_who_hangs_up_meanwhile_has_the_caller_called_no_more(made: MakeBench) -> None:
    bench = made()
    play(bench, PROMISED + RUNG + CALLED + """
        >> T/caller-1 rings
        >> T/1 hangs up
        << hang up T/caller-1 603 declined
        >> 61 s pass
        << dial 6501 at asterisk as T/2
        >> T/2 answers
        << dial +31201112222 at asterisk as T/caller-2
        << wait T/2 for T/caller-2
        >> T/caller-2 answers
        << join T/caller-2 T/2
        << report connected
        << report ended completed answered
        """)  # fmt: skip


@pytest.mark.keeps("21.24")
@pytest.mark.parametrize("at", ["", RUNG, RUNG + CALLED])
def test_it_can_be_cancelled_until_the_two_are_joined(made: MakeBench, at: str) -> None:
    bench = made()
    play(bench, PROMISED + at)
    bench.said.clear()
    bench.engine.cancel_transfer(bench.engine.transfers[0].id)
    assert bench.said[-1] == "report ended failed cancelled"
    bench.pass_time(4000)
    assert outcome(bench).trail[-1].startswith("cancelled: by command")


@pytest.mark.keeps("21.24")
def test_it_ends_when_its_time_is_over(made: MakeBench) -> None:
    bench = made()
    told(bench, extensions={"6501": DeviceState.UNAVAILABLE})
    play(bench, PROMISED + """
        >> 3599 s pass
        >> 2 s pass
        << report ended failed expired
        """)  # fmt: skip


def test_an_attempt_is_played_out_when_the_time_is_over(made: MakeBench) -> None:
    bench = made()
    source = told(bench, extensions={"6501": DeviceState.BUSY})
    play(bench, PROMISED + ">> 3595 s pass")
    source.state = replace(source.state, extensions={"6501": DeviceState.IDLE})
    play(bench, RUNG + """
        >> 10 s pass
        >> T/1 fails with 486
        << report ended failed expired
        """)  # fmt: skip


@pytest.mark.keeps("21.22")
def test_hours_are_waited_for(made: MakeBench) -> None:
    """It is noon; the destination opens at three."""
    bench = made(PLAN.replace("3600", "86400") + 'hours = "office"', opens="15:00")
    play(bench, PROMISED + """
        >> 10790 s pass
        >> 12 s pass
        << dial 6501 at asterisk as T/1
        >> the transfer is cancelled
        << hang up T/1 487 cancelled
        << report ended failed cancelled
        """)  # fmt: skip


@pytest.mark.keeps("21.24")
def test_a_destination_that_closes_for_the_rest_of_the_time_ends_it(made: MakeBench) -> None:
    """It closes at half past five, and the time is over before Friday."""
    bench = made(PLAN.replace("3600", "86400") + 'hours = "office"')
    told(bench, extensions={"6501": DeviceState.BUSY})
    play(bench, PROMISED + """
        >> 19790 s pass
        >> 12 s pass
        << report ended failed closed
        """)  # fmt: skip


@pytest.mark.keeps("21.23")
def test_what_does_not_open_in_time_is_not_promised(made: MakeBench) -> None:
    bench = made(PLAN + 'hours = "!office"')
    record = bench.call_back(EVE, "support")
    assert (record.outcome, record.reason) == (Outcome.REFUSED, Reason.OUTSIDE_HOURS)


@pytest.mark.keeps("21.23")
def test_a_destination_that_does_not_say_so_calls_nobody_back(made: MakeBench) -> None:
    bench = made()
    assert bench.call_back(EVE, "sales").reason is Reason.FORBIDDEN_TARGET
    assert bench.call_back(EVE, "nobody").reason is Reason.UNKNOWN_DESTINATION
    bench.pass_time(100)
    assert bench.sip.live == {}


@pytest.mark.keeps("21.23")
@pytest.mark.parametrize(
    ("uri", "name", "reason"),
    [
        ("sip:anonymous@anonymous.invalid", "Anonymous", Reason.CALLER_WITHHELD),
        ("sip:6001@far", "Anna", Reason.CALLER_WITHHELD),
        ("sip:+4930123456@far", "Ernst", Reason.FORBIDDEN_TARGET),
        ("sip:112@far", "", Reason.CALLER_WITHHELD),
        ("sip:+31201234567@far", "", Reason.FORBIDDEN_TARGET),
    ],
)
def test_only_a_presented_number_that_is_configured_is_called(
    made: MakeBench, uri: str, name: str, reason: Reason
) -> None:
    bench = made(called=False)
    bench.calls_in("in-1", PBX, ASSIGNED, CallerId(uri, name))
    bench.answers(bench.dialled)
    record = bench.call_back("in-1", "support")
    assert (record.outcome, record.reason) == (Outcome.REFUSED, reason)


@pytest.mark.keeps("21.23")
def test_a_caller_is_promised_one_at_a_time(made: MakeBench) -> None:
    bench = made()
    bench.call_back(EVE, "support")
    again = bench.call_back(EVE, "support")
    assert (again.outcome, again.reason) == (Outcome.REFUSED, Reason.TRANSFER_PENDING)
    bench.engine.cancel_transfer(bench.engine.transfers[0].id)
    assert bench.call_back(EVE, "support").outcome is None
    bench.engine.cancel_transfer(bench.engine.transfers[0].id)


@pytest.mark.keeps("21.23")
def test_only_so_many_are_promised_in_an_hour(made: MakeBench) -> None:
    bench = made(PLAN + "callback_per_hour = 2")
    for _ in range(2):
        bench.call_back(EVE, "support")
        bench.engine.cancel_transfer(bench.engine.transfers[0].id)
    assert bench.call_back(EVE, "support").reason is Reason.AT_CAPACITY
    caller, _ = bench.bridged("in-9")
    bench.pass_time(3600)
    assert bench.call_back("in-9", "support").outcome is None
    bench.engine.cancel_transfer(bench.engine.transfers[-1].id)
    bench.fails(caller, 200)


@pytest.mark.keeps("21.22")
def test_who_waits_longest_is_called_first_and_one_at_a_time(made: MakeBench) -> None:
    bench = made()
    second = bench.calls_in("in-2", PBX, ASSIGNED, CallerId("sip:+31201113333@far"))
    bench.answers(bench.dialled)
    bench.fails(second, 200)
    source = told(bench, extensions={"6501": DeviceState.BUSY})
    first = bench.call_back(EVE, "support")
    other = bench.call_back("+31201113333", "support")
    bench.pass_time(30)
    source.state = replace(source.state, extensions={"6501": DeviceState.IDLE})
    bench.pass_time(5)
    assert [order.leg for order in bench.sip.orders if order.user == "6501"] == [f"{first.transfer}/1"]
    bench.engine.cancel_transfer(first.transfer)
    bench.pass_time(5)
    assert bench.dialled == f"{other.transfer}/1"
    bench.engine.cancel_transfer(other.transfer)


@pytest.mark.keeps("21.26")
def test_a_command_that_comes_twice_promises_once(made: MakeBench) -> None:
    bench = made()
    first = bench.engine.call_back(EVE, "support", "c-1")
    assert bench.engine.call_back(EVE, "support", "c-1") is first
    with pytest.raises(NotAllowedError):
        bench.engine.call_back(EVE, "support", "c-2", Author("other", frozenset({"elsewhere"})))
    with pytest.raises(LookupError):
        bench.engine.call_back("+31209999999", "support")
    bench.engine.cancel_transfer(first.transfer)


def test_the_refused_transfer_of_a_call_names_its_caller(made: MakeBench) -> None:
    bench = made(called=False)
    caller, assistant = bench.bridged()
    bench.refer(assistant, "sip:+31699999999@gw")
    [refused] = bench.ends()
    bench.fails(caller, 200)
    record = bench.call_back(refused.transfer, "support")
    assert (record.caller, record.outcome) == (EVE, None)
    bench.engine.cancel_transfer(record.transfer)


def test_a_reload_that_takes_the_permission_away_ends_it(made: MakeBench, tmp_path: Path) -> None:
    bench = made()
    told(bench, extensions={"6501": DeviceState.BUSY})
    bench.call_back(EVE, "support")
    bench.pass_time(10)
    bench.engine.reconfigure(load(write(tmp_path, MAIN)))
    bench.pass_time(3)
    assert outcome(bench).reason is Reason.CANCELLED


@pytest.mark.keeps("21.25")
@pytest.mark.parametrize("at", ["", RUNG, RUNG + CALLED])
def test_a_gateway_that_stops_keeps_what_it_has_promised(made: MakeBench, at: str) -> None:
    bench = made()
    play(bench, PROMISED + at)
    _, promised = bench.witness.told[-1]
    bench.engine.drain(0.0, lambda: None)
    bench.pass_time(30)
    assert bench.ends() == []
    assert not bench.engine.transfers
    assert not bench.sip.live
    later = made(called=False)
    later.engine.keep_call_backs([promised])
    later.pass_time(2.1)
    assert later.dialled == f"{promised.transfer}/1"
    later.answers(later.dialled)
    later.answers(later.dialled)
    assert outcome(later).reason is Reason.ANSWERED
    bench.witness.told.clear()


def test_what_is_not_known_any_more_is_ended(made: MakeBench) -> None:
    bench = made()
    record = bench.call_back(EVE, "support")
    bench.engine.forget_caller(EVE)
    assert outcome(bench).reason is Reason.CANCELLED
    with pytest.raises(LookupError):
        bench.call_back(EVE, "support")
    later = made(called=False)
    later.engine.keep_call_backs(
        [replace(record, number="gone"), replace(record, transfer=TransferId("X"), caller=None)]
    )
    assert [one.reason for one in later.ends()] == [Reason.CANCELLED] * 2
    later.witness.told.clear()


def test_a_call_that_is_ended_by_command_is_not_made_again(made: MakeBench) -> None:
    bench = made()
    play(bench, PROMISED + RUNG + CALLED + """
        >> the call is ended by command
        << hang up T/1 487 cancelled
        << report ended failed cancelled
        << hang up T/caller-1 487 cancelled
        """)  # fmt: skip


@pytest.mark.keeps("21.24")
def test_an_agent_who_hangs_up_as_the_caller_answers_is_tried_again(made: MakeBench) -> None:
    bench = made()
    play(bench, PROMISED + RUNG + CALLED)
    del bench.sip.live[bench.engine.transfers[0].machine.target]  # its BYE is on the way
    play(bench, """
        >> T/caller-1 answers
        << hang up T/caller-1 502 pbx-error
        >> 61 s pass
        << dial 6501 at asterisk as T/2
        >> the transfer is cancelled
        << hang up T/2 487 cancelled
        << report ended failed cancelled
        """)  # fmt: skip
