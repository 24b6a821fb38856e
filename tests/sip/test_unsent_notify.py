# SPDX-License-Identifier: GPL-2.0-or-later
"""A NOTIFY that cannot even be sent counts as one that was answered 503; whatever waits for it does not wait."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from gateway.core.outcome import Reason
from gateway.sip.requests import refer
from tests.bench.clock import VirtualClock

if TYPE_CHECKING:
    import pjsua2 as pj


class Request:
    """A REFER that can be accepted, once."""

    def __init__(self, subscription: int) -> None:
        self._subscription = subscription

    def accept(self, *_args: Any) -> int:
        return self._subscription


def pending(subscription: int, unsent: list[int], clock: VirtualClock) -> refer.PendingRefer:
    return refer.PendingRefer(
        cast("pj.SipRequest", Request(subscription)),
        clock,
        lambda *_: None,
        unsent.append,
        subscribe=True,
        with_id=False,
        account=0,
        phrase=lambda sentence: sentence or "",
    )


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 2, 11, 0, tzinfo=UTC))


@pytest.mark.keeps("16.70")
def test_a_notify_that_cannot_be_sent_is_told_of_afterwards(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sip.requests.refer.pj.send_notify", lambda *_: False)
    monkeypatch.setattr("gateway.sip.requests.refer.pj.end_subscription", lambda _: None)
    unsent: list[int] = []
    quiet: list[str] = []
    handle = pending(7, unsent, clock)
    assert handle.answer(202, Reason.ACCEPTED)
    handle.notify(486, Reason.BUSY, final=True)
    handle.when_quiet(lambda: quiet.append("BYE"))
    assert (unsent, quiet) == ([], [])
    clock.advance(0)
    assert unsent == [7]
    assert not handle.notify_answered(503)
    assert (handle.closed, quiet) == (True, ["BYE"])


@pytest.mark.keeps("16.69")
def test_a_refer_that_cannot_be_accepted_says_so(clock: VirtualClock) -> None:
    handle = pending(-1, [], clock)
    assert not handle.answer(202, Reason.ACCEPTED)
    handle.notify(100, Reason.ACCEPTED, final=False)
    assert handle.closed


@pytest.mark.keeps("16.186")
@pytest.mark.parametrize("told", [True, False])
def test_a_subscription_that_got_no_outcome_is_ended_with_500(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    sent: list[tuple[str, str]] = []
    ended: list[int] = []
    monkeypatch.setattr("gateway.sip.requests.refer.pj.send_notify", lambda _, line, state, *_more: note(line, state))
    monkeypatch.setattr("gateway.sip.requests.refer.pj.end_subscription", ended.append)

    def note(line: str, state: str) -> bool:
        sent.append((line, state))
        return True

    handle = pending(7, [], clock)
    assert handle.answer(202, Reason.ACCEPTED)
    if told:
        handle.notify(486, Reason.BUSY, final=True)
    handle.end()
    status = "486 Busy Here" if told else "500 Server Internal Error"
    assert sent == [(f"SIP/2.0 {status}", "terminated;reason=noresource")]
    handle.notify_answered(200)
    assert (ended, len(sent)) == ([7], 1)
