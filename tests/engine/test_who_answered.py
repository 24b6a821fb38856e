# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine when an extension's PBX has answered: it asks by whom, and puts nobody through to voicemail by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.model import PbxState
from gateway.core.outcome import Outcome, Reason
from gateway.core.state_sources import StateSource
from tests.bench import Bench, play
from tests.bench.bench import Source
from tests.config_directory import MAIN, write
from tests.engine.test_conversations import ASSISTANT

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config import Config

REFER = """
    >> out-1 refers to +31612345679
    << answer 202 accepted
    << notify 100 accepted
    << report requested
    << report accepted
    << silence out-1
    << wait in-1
    << dial 6501 at asterisk as T/1
    << wait in-1 for T/1
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Behind `support` there is nobody."""
    return load(write(tmp_path, MAIN.replace('"6501"\noverflow = ["voicemail"]', '"6501"')))


@pytest.fixture
def bench(config: Config) -> Iterator[Bench]:
    """With a PBX that tells who answers; when the test is over nothing may be left in it."""
    bench = Bench(config)
    bench.engine.sources = {"asterisk": Source(PbxState("asterisk", StateSource.AMI, bench.clock.now().wall))}
    yield bench
    bench.finish()


def asked(bench: Bench) -> list[str]:
    """The Call-IDs that the PBX was asked about."""
    source = bench.engine.sources["asterisk"]
    assert isinstance(source, Source)
    return source.asked


def test_a_person_is_put_through_once_the_pbx_has_named_them(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> T/1 answers
        >> T/1 is taken by extension
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        >> 2 s pass
        << hang up out-1 200 answered
        """)  # fmt: skip
    [record] = bench.ends()
    assert asked(bench) == [record.call_ids["target"]]
    assert record.human_at is not None
    assert record.agent is None


def test_which_phone_it_was_is_told_where_that_is_wanted(config: Config) -> None:
    gateway = config.gateway.model_copy(update={"report_agents": True})
    bench = Bench(replace(config, gateway=gateway))
    bench.engine.sources = {"asterisk": Source(PbxState("asterisk", StateSource.AMI, bench.clock.now().wall))}
    play(bench, ASSISTANT + REFER + """
        >> T/1 is taken by extension
        >> T/1 answers
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        """)  # fmt: skip
    assert bench.ends()[0].agent == "PJSIP/6001"
    bench.pass_time(2)
    bench.finish()


def test_keys_for_a_target_come_after_the_person(tmp_path: Path) -> None:
    main = MAIN.replace('"6501"\noverflow = ["voicemail"]', '"6501"\ndigits = "ww12#"')
    bench = Bench(load(write(tmp_path, main)))
    bench.engine.sources = {"asterisk": Source(PbxState("asterisk", StateSource.AMI, bench.clock.now().wall))}
    play(bench, ASSISTANT + REFER + """
        >> T/1 answers
        >> T/1 is taken by extension
        << join in-1 T/1
        << press ww12# on T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        """)  # fmt: skip
    bench.pass_time(2)
    bench.finish()


def test_voicemail_gives_the_caller_back(bench: Bench) -> None:
    play(bench, ASSISTANT + REFER + """
        >> T/1 answers
        >> T/1 is taken by voicemail
        << hang up T/1 480 voicemail
        << notify 480 voicemail, final
        << join in-1 out-1
        << report ended failed voicemail
        """)  # fmt: skip
    assert bench.ends()[0].returned_to_transferor


def test_voicemail_is_no_answer_to_a_trunk_s_invite(bench: Bench) -> None:
    play(bench, """
        >> platform calls +31612345679 as in-1
        << report requested
        << report accepted
        << dial 6501 at asterisk as T/1
        << wait in-1 for T/1
        >> T/1 answers
        >> T/1 is taken by voicemail
        << hang up T/1 480 voicemail
        << hang up in-1 480 voicemail
        << report ended failed voicemail
        """)  # fmt: skip


@pytest.mark.parametrize(
    "what", ["T/1 is taken by application", "T/1 is taken by outside", "it is not known who took T/1", "1.1 s pass"]
)
def test_whatever_else_it_was_the_caller_is_put_through(bench: Bench, what: str) -> None:
    play(bench, ASSISTANT + REFER + f"""
        >> T/1 answers
        >> {what}
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        """)  # fmt: skip
    record = bench.ends()[0]
    assert (record.outcome, record.reason, record.human_at) == (Outcome.COMPLETED, Reason.ANSWERED, None)
    bench.pass_time(2)


def test_nobody_waits_for_a_pbx_that_falls_silent_or_has_nothing_to_say(bench: Bench) -> None:
    joined = """
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
    """
    play(bench, ASSISTANT + REFER + ">> T/1 answers")
    bench.said.clear()
    bench.engine.pbx_changed(PbxState("asterisk", StateSource.AMI, None))
    assert bench.said[0].startswith("join in-1")
    bench.pass_time(2)
    bench.finish()
    mute = Bench(bench.engine._config)
    mute.engine.sources = {"asterisk": Mute(PbxState("asterisk", StateSource.AMI, mute.clock.now().wall))}
    play(mute, ASSISTANT + REFER + ">> T/1 answers" + joined)
    mute.pass_time(2)
    mute.finish()


class Mute(Source):
    """It cannot say who has answered."""

    def identify(self, sip_call_id: str) -> bool:
        return False


def test_whom_an_assistant_has_consulted_is_who_took_that_call(bench: Bench) -> None:
    play(bench, """
        >> platform calls +31612345679 as in-2
        << report requested
        << report accepted
        << dial 6501 at asterisk as T/1
        << wait in-2 for T/1
        >> T/1 answers
        >> T/1 is taken by extension
        << respond in-2 200
        << join in-2 T/1
        << report connected
        << report ended completed answered
        """ + ASSISTANT + """
        >> out-1 refers to +31612345679, to be joined with in-2
        << answer 202 accepted
        << notify 100 accepted
        << report requested
        << report accepted
        << join in-1 T/1
        << notify 200 answered, final
        << report connected
        << report ended completed answered
        """)  # fmt: skip
    first, second = bench.ends()
    assert first.answered_by is second.answered_by
    assert second.human_at is not None
    bench.pass_time(2)
