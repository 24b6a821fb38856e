# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine when who answers hears a whisper, and takes the call by a key, before the caller is put through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.model import PbxState
from gateway.core.outcome import Outcome, Reason
from gateway.core.state_sources import StateSource
from tests.bench import Bench, play
from tests.bench.bench import Source
from tests.config_directory import MAIN, PBX, TRUNK, write
from tests.engine.test_conversations import ASSISTANT
from tests.support import tones

if TYPE_CHECKING:
    from pathlib import Path

REFER = """
    >> out-1 refers to +31612345679
    << answer 202 accepted
    << notify 100 accepted
    << report requested
    << report accepted
    << silence out-1
    << wait in-1
    << dial 6501 at asterisk as T/1
    << wait in-1
"""
ANSWERED = """
    >> T/1 answers
    << whisper to T/1: whisper.wav
"""
TAKEN = """
    >> T/1 presses 1
    << join in-1 T/1
    << notify 200 answered, final
    << report connected
    << report ended completed answered
"""
GIVEN_BACK = """
    << notify {code} {reason}, final
    << join in-1 out-1
    << report ended failed {reason}
"""

MakeBench = Callable[..., Bench]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[MakeBench]:
    """Makes a bench whose `support` asks who answers; when the test is over nothing may be left in it."""
    benches: list[Bench] = []
    tones.write_wav(tmp_path / "whisper.wav", tones.tone(440, 2))

    def make(keys: str = 'accept = "1"\ndecline = "2"', overflow: str = "", names: bool = False) -> Bench:
        lines = f'"6501"\nwhisper = "whisper.wav"\n{keys}\n{overflow}'
        main = MAIN.replace('"6501"\noverflow = ["voicemail"]', lines)
        bench = Bench(load(write(tmp_path, main)))
        if names:
            state = PbxState("asterisk", StateSource.AMI, bench.clock.now().wall)
            bench.engine.sources = {"asterisk": Source(state)}
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.pass_time(2)
        bench.finish()


def test_a_key_joins_the_two(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + REFER + ANSWERED + TAKEN)
    [record] = bench.ends()
    assert record.accepted_at == record.human_at is not None
    assert record.whispered_at == record.answered_at


@pytest.mark.parametrize("key", ["2", "7"])
def test_who_declines_is_let_go_and_the_caller_is_back(made: MakeBench, key: str) -> None:
    play(made(), ASSISTANT + REFER + ANSWERED + f"""
        >> T/1 presses {key}
        << hang up T/1 603 declined
        """ + GIVEN_BACK.format(code=603, reason="declined"))  # fmt: skip


def test_a_whisper_without_a_key_is_heard_to_its_end(made: MakeBench) -> None:
    play(made(keys=""), ASSISTANT + REFER + ANSWERED + """
        >> T/1 presses 7
        >> 1.9 s pass
        >> 0.2 s pass
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        """)  # fmt: skip


def test_nobody_takes_the_call_and_the_next_is_rung(made: MakeBench) -> None:
    bench = made(overflow='overflow = ["voicemail"]')
    play(bench, ASSISTANT + REFER + ANSWERED + """
        >> 11.9 s pass
        >> 0.2 s pass
        << hang up T/1 480 no-answer
        << dial 190 at asterisk as T/2
        << wait in-1 for T/2
        >> T/2 answers
        << join in-1 T/2
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        """)  # fmt: skip
    [record] = bench.ends()
    assert [one.reason for one in record.attempts] == [Reason.NO_ANSWER, Reason.ANSWERED]
    assert (record.whispered_at, record.accepted_at) == (None, None)  # of who has the caller


def test_who_hangs_up_has_declined(made: MakeBench) -> None:
    play(made(), ASSISTANT + REFER + ANSWERED + """
        >> T/1 hangs up
        """ + GIVEN_BACK.format(code=603, reason="declined"))  # fmt: skip


def test_a_caller_who_hangs_up_meanwhile(made: MakeBench) -> None:
    play(made(), ASSISTANT + REFER + ANSWERED + """
        >> in-1 hangs up
        << hang up T/1 487 caller-hung-up
        << notify 487 caller-hung-up, final
        << report ended abandoned caller-hung-up
        """)  # fmt: skip


def test_an_assistant_that_hangs_up_meanwhile_leaves_the_caller_to_who_takes_the_call(made: MakeBench) -> None:
    play(made(), ASSISTANT + REFER + ANSWERED + """
        >> out-1 hangs up
        >> T/1 presses 1
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        """)  # fmt: skip


def test_a_command_takes_the_caller_back_from_who_is_asked(made: MakeBench) -> None:
    play(made(), ASSISTANT + REFER + ANSWERED + """
        >> the transfer is cancelled
        << hang up T/1 487 cancelled
        """ + GIVEN_BACK.format(code=487, reason="cancelled"))  # fmt: skip


def test_a_call_that_is_ended_by_command_ends_for_who_is_asked_too(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + REFER + ANSWERED)
    bench.engine.hang_up_call(bench.engine.call_records()[0].call)
    bench.pass_time()
    assert not bench.sip.live
    [record] = bench.ends()
    assert record.reason is Reason.CANCELLED


def test_the_end_of_the_gateway_gives_the_caller_back(made: MakeBench) -> None:
    bench = made()
    play(bench, ASSISTANT + REFER + ANSWERED + """
        >> the gateway drains for 3 s
        >> 3.1 s pass
        << hang up T/1 503 gateway-stopped
        << notify 503 gateway-stopped, final
        << join in-1 out-1
        << report ended interrupted gateway-stopped
        """)  # fmt: skip


def test_a_reload_changes_nothing_for_who_is_asked(made: MakeBench, tmp_path: Path) -> None:
    bench = made()
    play(bench, ASSISTANT + REFER + ANSWERED)
    bench.engine.reconfigure(load(write(tmp_path)))
    play(bench, TAKEN)


def test_a_deadline_that_passes_meanwhile_gives_the_caller_back(made: MakeBench, tmp_path: Path) -> None:
    bench = made()
    profiles = {"platform": TRUNK + "deadline_s = 5\n", "asterisk": PBX}
    main = (tmp_path / "gateway.toml").read_text()
    bench.engine.reconfigure(load(write(tmp_path, main, profiles=profiles)))
    play(bench, ASSISTANT + REFER + ANSWERED + """
        >> 5 s pass
        << hang up T/1 480 no-answer
        """ + GIVEN_BACK.format(code=480, reason="no-answer"))  # fmt: skip


def test_an_invite_has_its_answer_when_the_call_is_taken(made: MakeBench) -> None:
    play(made(), """
        >> platform calls +31612345679 as in-1
        << report requested
        << report accepted
        << dial 6501 at asterisk as T/1
        << wait in-1
        >> T/1 rings
        << respond in-1 180
        << report ringing
        >> T/1 answers
        << whisper to T/1: whisper.wav
        >> T/1 presses 1
        << respond in-1 200
        << join in-1 T/1
        << report connected
        << report ended completed answered
        """)  # fmt: skip


def test_a_late_word_of_the_pbx_that_it_was_voicemail_ends_the_asking(made: MakeBench) -> None:
    bench = made(names=True)
    play(bench, ASSISTANT + REFER + """
        >> T/1 answers
        >> 1.1 s pass
        << whisper to T/1: whisper.wav
        >> T/1 is taken by voicemail
        << hang up T/1 480 voicemail
        """ + GIVEN_BACK.format(code=480, reason="voicemail"))  # fmt: skip
    assert bench.ends()[0].outcome is Outcome.FAILED


def test_who_was_named_by_the_pbx_is_asked_at_once(made: MakeBench) -> None:
    play(made(names=True), ASSISTANT + REFER + """
        >> T/1 is taken by extension
        """ + ANSWERED + TAKEN)  # fmt: skip


def test_keys_come_too_late_once_another_is_rung(made: MakeBench) -> None:
    bench = made(overflow='overflow = ["voicemail"]')
    play(bench, ASSISTANT + REFER + ANSWERED)
    asked = next(iter(bench.sip.whispered_to))
    bench.presses(asked, "2")
    bench.engine.leg_pressed(asked, "1")
    assert bench.dialled is not None
    bench.answers(bench.dialled)
    bench.pass_time(2)
    [record] = bench.ends()
    assert record.destination == "voicemail"
