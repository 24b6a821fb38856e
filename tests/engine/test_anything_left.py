# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever an earlier process has left of calls: each has one end, and none of them keeps the gateway from starting."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import load
from gateway.core.caller import Party
from gateway.core.kept_call import MOST, KeptCall, KeptDialog, KeptLeg
from gateway.core.model import AnsweredBy, PeerKind
from gateway.ports import NotSent, NotSentError
from gateway.report import event
from tests.bench.sip import FakeSip
from tests.config_directory import write
from tests.engine.test_calls_kept import Notes, Process

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.kept_call import RecoveryOrder
    from gateway.core.model import LegId

pytestmark = pytest.mark.keeps("22.66")

TEXT = st.text(max_size=20)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # see there
DIALOGS = st.builds(
    KeptDialog, call_id=TEXT, local_tag=TEXT, remote_tag=TEXT, local=TEXT, remote=TEXT, target=TEXT,
    local_cseq=st.integers(), remote_cseq=st.integers(), routes=st.tuples(TEXT), origin_id=st.integers(),
    origin_version=st.integers(), codec=TEXT,
)  # fmt: skip
LEGS = st.builds(
    KeptLeg, peer=st.sampled_from(("asterisk", "platform", "gone")), kind=st.sampled_from(PeerKind),
    party=st.none() | st.builds(Party, TEXT, TEXT), dialog=DIALOGS,
)  # fmt: skip
CALLS = st.builds(
    KeptCall, call=st.text(min_size=1, max_size=5), number=st.sampled_from(("main-line", "main-line", "gone")),
    begun_by=TEXT, caller=st.none() | TEXT, max_forwards=st.integers(0, 255), began_at=TIMES, connected_at=TIMES,
    transfer=st.none() | st.text(min_size=1, max_size=64), destination=st.none() | st.sampled_from(("sales", "gone")),
    answered_by=st.none() | st.sampled_from(AnsweredBy), legs=st.tuples(LEGS, LEGS), kept_at=TIMES,
    attempts=st.integers(0, 5),
)  # fmt: skip
LEFT = st.lists(CALLS, max_size=3, unique_by=lambda one: one.call)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    directory = write(tmp_path_factory.mktemp("configuration"))
    main = directory / "gateway.toml"
    main.write_text(main.read_text().replace("[sip]\n", "[sip]\nrecover_calls = true\n", 1))
    return load(directory)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=100)
@given(left=LEFT, ways=st.lists(st.sampled_from(("answers", "refuses", "not tried")), min_size=6, max_size=6))
def test_each_has_one_end(config: Config, left: list[KeptCall], ways: list[str]) -> None:
    process = Process(config, Notes())
    process.notes.rows.update((one.call, one) for one in left)
    bench = process.bench
    becomes: dict[LegId, str] = {}

    def recover(order: RecoveryOrder) -> None:
        assert order.dialog.local_cseq <= MOST
        becomes[order.leg] = ways[len(becomes)]
        if becomes[order.leg] == "not tried":
            raise NotSentError(NotSent.REFUSED, "there is no way")
        FakeSip.recover(bench.sip, order)

    with mock.patch.object(bench.sip, "recover", recover):
        bench.engine.take_up(left)
    for leg, way in becomes.items():
        process.know(leg)
        if way == "answers":
            bench.answers(leg)
        else:
            bench.fails(leg, 481)
    bench.pass_time(10)
    bench.check()
    bench.finish()
    assert not process.notes.rows
    told = Counter(record.call for record in bench.witness.calls)
    # An event where somebody was put through, and a count of the metrics always.
    assert told == {one.call: 1 if one.destination is None else 2 for one in left}
    for record in bench.witness.calls:
        _, unfit = event.write(event.call_event("here", record, datetime.now(UTC)))
        assert unfit is None


def test_what_has_become_a_peer_of_another_kind_is_over(config: Config) -> None:
    process = Process(config, Notes())
    leg = KeptLeg(peer="asterisk", kind=PeerKind.TRUNK, party=None, dialog=KeptDialog(
        call_id="a@test", local_tag="ours", remote_tag="theirs", local="<sip:a@x>", remote="<sip:b@x>", local_cseq=1,
        remote_cseq=1, target="sip:b@x",
    ))  # fmt: skip
    at = datetime(2026, 3, 2, tzinfo=UTC)
    call = KeptCall(
        call="01A", number="main-line", begun_by="asterisk", caller=None, max_forwards=70, began_at=at, connected_at=at,
        transfer=None, destination=None, answered_by=None, legs=(leg, leg), kept_at=at,
    )  # fmt: skip
    process.notes.rows[call.call] = call
    process.bench.engine.take_up([call])
    assert not process.bench.sip.recovered
    assert not process.notes.rows
