# SPDX-License-Identifier: GPL-2.0-or-later
"""What the engine does about whatever happens to the legs of a call, in whole conversations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.outcome import Reason
from tests.bench import PBX, Bench, play
from tests.config_directory import MAIN, write

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config import Config

ASSISTANT = """
    >> asterisk calls +31201234567 as in-1
    << dial +31201234567 at platform as out-1
    << wait in-1 for out-1
    >> out-1 answers
    << respond in-1 200
    << join in-1 out-1
"""
REFER = """
    >> out-1 refers to +31612345678
    << answer 202 accepted
    << notify 100 accepted
    << report requested
    << report accepted
    << silence out-1
    << wait in-1
    << dial 6500 at asterisk as T/1
    << wait in-1 for T/1
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return load(write(tmp_path_factory.mktemp("configuration")))


@pytest.fixture
def bench(config: Config) -> Iterator[Bench]:
    """When the test is over nothing may be left in it."""
    bench = Bench(config)
    yield bench
    bench.finish()


def test_a_call_to_the_assistant_and_its_end(bench: Bench) -> None:
    play(bench, """
        >> asterisk calls +31201234567 as in-1
        << dial +31201234567 at platform as out-1
        << wait in-1 for out-1
        >> out-1 rings
        << respond in-1 180
        >> out-1 has early media
        << respond in-1 183
        >> out-1 answers
        << respond in-1 200
        << join in-1 out-1
        >> in-1 hangs up
        << hang up out-1 200 answered
        """)  # fmt: skip


def test_an_assistant_that_is_busy(bench: Bench) -> None:
    play(bench, """
        >> asterisk calls +31201234567 as in-1
        << dial +31201234567 at platform as out-1
        << wait in-1 for out-1
        >> out-1 fails with 486
        << hang up in-1 486 busy
        """)  # fmt: skip


def test_a_transfer_from_the_refer_to_the_bye(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> T/1 rings
        << notify 180 accepted
        << report ringing
        >> T/1 answers
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        >> 0.9 s pass
        >> 0.2 s pass
        << hang up out-1 200 answered
        >> in-1 hangs up
        << hang up T/1 200 answered
        """)  # fmt: skip


def test_a_hunt_that_ends_with_the_caller_back_at_the_assistant(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> T/1 fails with 486
        << dial 6501 at asterisk as T/2
        << wait in-1 for T/2
        >> 25 s pass
        << hang up T/2 480 no-answer
        << dial 190 at asterisk as T/3
        << wait in-1 for T/3
        >> 25 s pass
        << hang up T/3 480 no-answer
        << notify 480 no-answer, final
        << join in-1 out-1
        << report ended failed no-answer
        """)  # fmt: skip


def test_a_caller_whom_nobody_can_take_back_goes_to_the_fallback(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> out-1 hangs up
        >> T/1 fails with 404
        << dial 6501 at asterisk as T/2
        << wait in-1 for T/2
        >> T/2 fails with 404
        << dial 190 at asterisk as T/3
        << wait in-1 for T/3
        >> T/3 answers
        << join in-1 T/3
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        """)  # fmt: skip


def test_a_caller_who_hangs_up_while_the_target_rings(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> in-1 hangs up
        << hang up T/1 487 caller-hung-up
        << notify 487 caller-hung-up, final
        << report ended abandoned caller-hung-up
        >> 1 s pass
        << hang up out-1 487 caller-hung-up
        """)  # fmt: skip


def test_a_second_refer_is_refused_and_the_first_goes_on(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> out-1 refers to +31612345679
        << answer 491 transfer-pending
        << report requested
        << report ended refused transfer-pending
        >> T/1 answers
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        """)  # fmt: skip


def test_a_call_that_is_ended_by_command_ends_whatever_it_is_at(bench: Bench) -> None:
    play(bench, ASSISTANT + """
        >> the call is ended by command
        << hang up in-1 200 answered
        << hang up out-1 200 answered
        """)  # fmt: skip


def test_a_call_that_is_ended_by_command_takes_its_transfer_along(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> the call is ended by command
        << hang up T/1 487 cancelled
        << notify 487 cancelled, final
        << report ended failed cancelled
        << hang up in-1 200 answered
        << hang up out-1 200 answered
        """)  # fmt: skip
    [record] = bench.ends()
    assert record.trail[-1] == "call ended: by command"


def test_a_transfer_that_is_cancelled_gives_the_caller_back(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> the transfer is cancelled
        << hang up T/1 487 cancelled
        << notify 487 cancelled, final
        << join in-1 out-1
        << report ended failed cancelled
        """)  # fmt: skip


def test_a_fresh_invite_is_told_by_its_own_responses(bench: Bench) -> None:
    play(bench, """
        >> platform calls +31612345678 as in-1
        << report requested
        << report accepted
        << dial 6500 at asterisk as T/1
        << wait in-1 for T/1
        >> T/1 rings
        << respond in-1 180
        << report ringing
        >> T/1 has early media
        << respond in-1 183
        >> T/1 answers
        << respond in-1 200
        << join in-1 T/1
        << report connected
        << report ended completed answered
        >> T/1 hangs up
        << hang up in-1 200 answered
        """)  # fmt: skip


def test_an_attended_transfer_joins_the_far_ends_of_two_calls(bench: Bench) -> None:
    play(bench, ASSISTANT + """
        >> asterisk calls +31201234567 as in-2
        << dial +31201234567 at platform as out-2
        << wait in-2 for out-2
        >> out-2 answers
        << respond in-2 200
        << join in-2 out-2
        >> out-1 refers to +31612345678, to be joined with out-2
        << answer 202 accepted
        << notify 100 accepted
        << report requested
        << report accepted
        << join in-1 in-2
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        >> 1 s pass
        << hang up out-1 200 answered
        << hang up out-2 200 answered
        >> in-2 hangs up
        << hang up in-1 200 answered
        """)  # fmt: skip


def test_a_target_that_transfers_the_caller_on_at_once_and_hangs_up(bench: Bench) -> None:
    # The first transfer still waits for the BYE of its own transferor; the second one learns that its is gone.
    play(bench, ASSISTANT + REFER + """
        >> T/1 answers
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        >> T/1 refers to +31612345679
        << answer 202 accepted
        << notify 100 accepted
        << report requested
        << report accepted
        << silence T/1
        << wait in-1
        << dial 6501 at asterisk as U/1
        << wait in-1 for U/1
        >> T/1 hangs up
        >> U/1 fails with 500
        << dial 190 at asterisk as U/2
        << wait in-1 for U/2
        >> U/2 fails with 500
        << notify 500 pbx-error, final
        << hang up in-1 500 pbx-error
        << report ended failed pbx-error
        """)  # fmt: skip
    bench.pass_time(1)
    bench.check()


@pytest.mark.keeps("16.67")
@pytest.mark.parametrize("joins", ["out-1", "in-1"])
def test_a_call_is_no_consultation_of_its_own(bench: Bench, joins: str) -> None:
    play(bench, ASSISTANT + f"""
        >> out-1 refers to +31612345678, to be joined with {joins}
        << answer 400 bad-request
        << report requested
        << report ended refused bad-request
        """)  # fmt: skip
    bench.check()


def test_a_leg_in_the_place_of_another(bench: Bench) -> None:
    play(bench, ASSISTANT + """
        >> platform calls +31201234567 as in-2, in the place of out-1
        << respond in-2 200
        << join in-1 in-2
        << hang up out-1 487 answered
        >> in-2 hangs up
        << hang up in-1 200 answered
        """)  # fmt: skip


def test_a_gateway_that_stops_gives_every_transfer_its_outcome(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> the gateway drains for 10 s
        >> 9 s pass
        >> 1 s pass
        << hang up T/1 503 gateway-stopped
        << notify 503 gateway-stopped, final
        << join in-1 out-1
        << report ended interrupted gateway-stopped
        """)  # fmt: skip


@pytest.mark.keeps("22.35")
def test_a_gateway_of_a_cluster_that_stops_takes_no_call_and_still_transfers_those_it_has(tmp_path: Path) -> None:
    nodes = 'nodes = { test-1 = "sip:192.0.2.21" }'
    directory = write(tmp_path, f'{MAIN}\n[cluster]\nsecret_file = "cluster.secret"\n{nodes}\n')
    (directory / "cluster.secret").write_text("what the nodes share\n")
    bench = Bench(load(directory))
    play(bench, ASSISTANT + """
        >> the gateway drains for 10 s
        """ + REFER)  # fmt: skip
    assert bench.engine.admit(PBX) is Reason.AT_CAPACITY
    bench.pass_time(10)
    bench.finish()


def test_a_conversation_that_goes_otherwise_is_shown_as_a_diff(bench: Bench) -> None:
    with pytest.raises(AssertionError) as raised:
        play(bench, """
            >> asterisk calls +31201234567 as in-1
            << dial +31201234567 at platform as out-1
            << respond in-1 180
            """)  # fmt: skip
    assert "-<< respond in-1 180\n+<< wait in-1 for out-1" in str(raised.value)
