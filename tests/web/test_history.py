# SPDX-License-Identifier: GPL-2.0-or-later
"""What the HTTP API makes of a question to the history."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.core.json_form import call_document, transfer_document
from gateway.ports import FiguresQuery, HistoryQuery
from tests.report import samples
from tests.web.serving import RIGHT, Client, Gateway, serving


def asked(gateway: Gateway) -> tuple[object, ...]:
    return gateway.asked[-1]


async def test_filters_become_a_question_and_the_answer_leads_to_the_next_page() -> None:
    gateway = Gateway()
    gateway.next = 1_772_443_800_123 << 20 | 77
    query = (
        "limit=10&since=2026-03-01&until=2026-03-02T09:30:00%2B01:00&number=main-line&destination=sales"
        "&outcome=refused&reason=queue-unstaffed&caller=%2B31612345678&text=no+agent"
    )
    async with serving(gateway) as ask:
        status, page = await ask(f"/api/transfers?{query}")
        assert (status, page["transfers"]) == (200, [transfer_document(samples.completed("01A"))])
        assert asked(gateway) == (
            "transfer",
            HistoryQuery(
                limit=10,
                since=datetime(2026, 3, 1, tzinfo=UTC),
                until=datetime(2026, 3, 2, 9, 30, tzinfo=timezone(timedelta(hours=1))),
                number="main-line",
                destination="sales",
                outcome="refused",
                reason="queue-unstaffed",
                caller="+31612345678",
                text="no agent",
            ),
        )
        status, page = await ask(f"/api/transfers?cursor={page['next']}")
        assert asked(gateway) == ("transfer", HistoryQuery(before=gateway.next))
        gateway.next = None
        _, page = await ask("/api/transfers?cursor=")
        assert page["next"] is None
        assert asked(gateway) == ("transfer", HistoryQuery())


async def test_calls_are_asked_in_the_same_way() -> None:
    gateway = Gateway()
    async with serving(gateway) as ask:
        status, page = await ask("/api/calls?reason=peer-gone&caller=+31612345678&limit=5000")
        assert (status, page) == (200, {"calls": [call_document(samples.call())], "next": None})
        # As it is written by hand, the plus is a blank.
        assert asked(gateway) == ("call", HistoryQuery(limit=1000, reason="peer-gone", caller="+31612345678"))


async def test_what_was_asked_before_is_answered_as_before() -> None:
    gateway = Gateway()
    async with serving(gateway) as ask:
        assert list((await ask("/api/transfers"))[1]) == ["transfers"]
        assert list((await ask("/api/transfers?limit=1"))[1]) == ["transfers"]
        assert list((await ask("/api/calls?limit=1"))[1]) == ["calls"]
    assert gateway.asked == []


async def test_a_transfer_that_is_over_comes_with_its_events() -> None:
    gateway = Gateway()
    async with serving(gateway) as ask:
        assert (await ask("/api/transfers/01Z"))[1]["events"] == []
        assert "events" not in (await ask("/api/transfers/01A"))[1]
        assert (await ask("/api/transfers/nobody"))[0] == 404


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("cursor=nonsense", "cursor"),
        ("cursor=%C3%A9", "cursor"),
        ("cursor=__________8", "cursor"),
        ("since=yesterday", "since"),
        ("until=9999-01-01", "until"),
        ("since=", "since"),
        ("outcome=good", "outcome"),
        ("reason=hung-up", "reason"),
        ("text=%21%21", "text"),
        (f"caller={'1' * 201}", "caller"),
        ("limit=ten&cursor=", "limit"),
    ],
)
async def test_what_makes_no_question_is_told(query: str, why: str) -> None:
    gateway = Gateway()
    async with serving(gateway) as ask:
        status, body = await ask(f"/api/transfers?{query}")
    assert (status, body["error"]["code"]) == (400, "bad-request")
    assert body["error"]["message"].startswith(f"{why}: ")
    assert gateway.asked == []


@pytest.mark.parametrize("query", ["outcome=completed", "text=agent", "reason=answered"])
async def test_what_calls_do_not_have_is_not_asked_of_them(query: str) -> None:
    async with serving(Gateway()) as ask:
        assert (await ask(f"/api/calls?{query}"))[0] == 400


async def test_a_history_that_cannot_be_read_is_said_to_be_one() -> None:
    gateway = Gateway()
    gateway.disk_fails = True
    async with serving(gateway) as ask:
        for path in ("/api/transfers?cursor=", "/api/calls?cursor=", "/api/transfers/01A"):
            status, body = await ask(path)
            assert (status, body["error"]["code"]) == (503, "unreadable")


async def test_a_caller_is_forgotten_for_who_has_the_token() -> None:
    gateway = Gateway()
    async with serving(gateway) as ask:
        body = {"caller": "+31612345678"}
        assert (await ask("/api/forget", "POST", json=body))[0] == 401
        assert gateway.asked == []
        answer = await ask("/api/forget", "POST", json=body, headers=RIGHT)
        assert (answer[0], answer[1]["erased"]) == (200, {"history_transfers": 2})
        assert asked(gateway) == ("forget", "+31612345678")
        for wrong in ({}, {"caller": ""}, {"caller": 31612345678}, {"caller": "1" * 201}, {"caller": ";"}):
            status, error = await ask("/api/forget", "POST", json=wrong, headers=RIGHT)
            assert (status, error["error"]["code"]) == (400, "bad-request")
        gateway.disk_fails = True
        status, error = await ask("/api/forget", "POST", json=body, headers=RIGHT)
        assert (status, error["error"]["code"]) == (503, "unreadable")
        assert "ask again" in error["error"]["message"]


async def test_figures_are_of_the_last_seven_days_or_of_the_span_that_is_asked_for(
    ask: Client, gateway: Gateway
) -> None:
    status, found = await ask("/api/figures")
    assert (status, found["total"]["asked"], found["days"]) == (200, 0, [])
    _, query = gateway.asked[-1]
    assert (query.until, query.until - query.since) == (samples.START, timedelta(days=7))  # type: ignore[attr-defined]
    await ask("/api/figures?since=2026-03-01&until=2026-03-02T09:00:00+01:00&number=%2B31201234567&destination=sales")
    _, query = gateway.asked[-1]
    assert query == FiguresQuery(
        datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, 8, tzinfo=UTC), "+31201234567", "sales"
    )


@pytest.mark.parametrize(
    "query",
    [
        "since=2024-01-01&until=2026-01-01",
        "since=2026-03-02&until=2026-03-02",
        "until=soon",
        "by=day",
        "number=" + "1" * 201,
    ],
)
async def test_figures_of_no_such_span_are_refused(ask: Client, query: str) -> None:
    status, found = await ask(f"/api/figures?{query}")
    assert (status, found["error"]["code"]) == (400, "bad-request")


async def test_figures_that_cannot_be_made_are_told(ask: Client, gateway: Gateway) -> None:
    gateway.disk_fails = True
    assert (await ask("/api/figures"))[0] == 503
