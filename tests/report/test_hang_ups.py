# SPDX-License-Identifier: GPL-2.0-or-later
"""A kind of message on which the broker hangs up is left out for a while, and tried again after it."""

from datetime import UTC, datetime

from gateway.report.sinks.mqtt.connection import ANSWER_S
from gateway.report.sinks.mqtt.hang_ups import ANSWERED_S, LEFT_OUT_S, MAX_HANG_UPS, SOON_S, HangUps
from tests.bench.clock import VirtualClock

BEGIN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def hung_up_on(hang_ups: HangUps, kind: str, clock: VirtualClock, after_s: float = 0.1) -> str | None:
    """A connection ends so long after a message of this kind; what is left out from then on."""
    assert hang_ups.may_send(kind)
    clock.advance(after_s)
    return hang_ups.lost(events_in_flight=False)


def test_a_kind_is_left_out_after_some_hang_ups_in_a_row_and_tried_again_later() -> None:
    clock = VirtualClock(BEGIN)
    hang_ups = HangUps(clock)
    assert [hung_up_on(hang_ups, "queues", clock) for _ in range(MAX_HANG_UPS)] == [None, None, "queues"]
    assert not hang_ups.may_send("queues")
    assert hang_ups.may_send("status")
    clock.advance(LEFT_OUT_S - 1)
    assert not hang_ups.may_send("queues")
    clock.advance(1)
    assert hang_ups.may_send("queues")


def test_a_connection_that_ends_later_ends_for_another_reason() -> None:
    clock = VirtualClock(BEGIN)
    hang_ups = HangUps(clock)
    assert [hung_up_on(hang_ups, "queues", clock, SOON_S + 0.1) for _ in range(9)] == [None] * 9


def test_what_is_never_answered_ends_its_connection_later() -> None:
    clock = VirtualClock(BEGIN)
    hang_ups = HangUps(clock)
    left_out = []
    for _ in range(MAX_HANG_UPS):
        assert hang_ups.may_send("status", awaits_answer=True)
        clock.advance(ANSWER_S)
        left_out.append(hang_ups.lost(events_in_flight=False))
    assert left_out == [None, None, "status"]
    assert ANSWERED_S > ANSWER_S


def test_what_the_broker_has_answered_is_no_suspect() -> None:
    clock = VirtualClock(BEGIN)
    hang_ups = HangUps(clock)
    for _ in range(9):
        assert hang_ups.may_send("status")
        hang_ups.taken()
        assert hang_ups.lost(events_in_flight=False) is None
    assert hang_ups.may_send("status")
