# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds in every state, and what has to come of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.core.outcome import Outcome
from tests.model.moves import LONG_S

if TYPE_CHECKING:
    from tests.bench import Bench


def always(bench: Bench) -> None:
    """Holds in every state. Raises AssertionError."""
    assert not bench.sip.cut, "the gateway hung up in the middle of a conversation"
    assert not bench.sip.dropped, "the gateway hung up on a caller whose transfer was under way"
    assert not [said for said in bench.said if "gateway-error" in said], "an error of the gateway's own"
    assert not bench.put_through_unasked, "a caller was put through to who had not taken the call"
    calls = bench.engine.calls
    assert calls.per_peer() == Counter(call.begun_by for call in calls if call.begun_by)
    ended = Counter(record.transfer for record in bench.ends())
    assert not [transfer for transfer, count in ended.items() if count > 1], "a transfer has ended twice"
    for handle in bench.handles:
        assert len(handle.answered) <= 1, "a REFER was answered twice"
        assert len(handle.final) <= 1, "a REFER got two final NOTIFYs"
    for call in calls:
        assert len(call.legs) <= 2
        assert sum(one.holds_transferee for one in call.transfers) <= 1, "two transfers hold one caller"


def in_the_end(bench: Bench) -> None:
    """If nobody does anything any more, and those who are called never answer. Raises AssertionError."""
    bench.pass_time(LONG_S)
    while (silent := bench.dialled) is not None:  # PJSIP gives up on a peer that never answers
        bench.fails(silent, 408)
        bench.pass_time(LONG_S)
    for running in bench.engine.transfers:
        if running.machine.calls_back and running.machine.can_be_cancelled:  # or it is tried for an hour
            bench.engine.cancel_transfer(running.id)
            bench.pass_time(LONG_S)
    for leg in [leg for leg, state in bench.sip.live.items() if state == "offered"]:
        bench.fails(leg, 487)
        bench.pass_time(LONG_S)
    always(bench)
    bench.check()
    for handle in bench.handles:
        assert len(handle.answered) == 1, "a REFER was never answered"
        accepted = handle.answered[0] < 300
        wanted = (0, 1) if handle.deaf else (1,) if accepted else (0,)
        assert len(handle.final) in wanted, f"final NOTIFYs: {handle.final}"
        assert handle.ended == 1, "a subscription was left"
    bench.finish()
    for record in bench.ends():
        assert record.outcome is not None
        assert record.outcome is not Outcome.FAILED or record.fault is None
