# SPDX-License-Identifier: GPL-2.0-or-later
"""Refusals as callers hear them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.core.outcome import Outcome, Reason
from gateway.core.sentence import LOCALES, sentence

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOW = datetime(2026, 3, 4, 7, 0, tzinfo=UTC)  # a Wednesday, eight o'clock in Amsterdam


@pytest.mark.parametrize(
    ("opens", "english", "dutch"),
    [
        ("2026-03-04T09:00", "Sales is closed until 09:00.", "Sales is gesloten tot 09:00 uur."),
        ("2026-03-05T09:00", "Sales is closed until tomorrow at 09:00.", "Sales is gesloten tot morgen 09:00 uur."),
        ("2026-03-09T08:30", "Sales is closed until Monday at 08:30.", "Sales is gesloten tot maandag 08:30 uur."),
        (
            "2026-04-13T09:00",
            "Sales is closed until Monday 13 April at 09:00.",
            "Sales is gesloten tot maandag 13 april 09:00 uur.",
        ),
        (None, "Sales is closed.", "Sales is gesloten."),
    ],
)
def test_closed_until(opens: str | None, english: str, dutch: str) -> None:
    opens_at = datetime.fromisoformat(opens).replace(tzinfo=AMSTERDAM) if opens else None
    for locale, told in (("en", english), ("nl", dutch)):
        assert sentence(Reason.OUTSIDE_HOURS, locale, name="sales", now=NOW, opens_at=opens_at) == told


def test_today_is_the_day_it_is_where_the_destination_is() -> None:
    late = datetime(2026, 3, 4, 23, 30, tzinfo=UTC)  # half past midnight on Thursday in Amsterdam
    opens_at = datetime(2026, 3, 5, 9, 0, tzinfo=AMSTERDAM)
    told = sentence(Reason.HOLIDAY, "en", name="sales", now=late, opens_at=opens_at)
    assert told == "Sales is closed today, until 09:00."


@pytest.mark.parametrize(
    ("wait_s", "told"),
    [
        (241.0, "De wachttijd voor verkoop is ongeveer 5 minuten, dat is te lang."),
        (60.0, "De wachttijd voor verkoop is ongeveer een minuut, dat is te lang."),
        (None, "De wachttijd voor verkoop is op dit moment te lang."),
    ],
)
def test_the_wait_is_told_in_minutes(wait_s: float | None, told: str) -> None:
    assert sentence(Reason.WAIT_TOO_LONG, "nl", name="verkoop", now=NOW, wait_s=wait_s) == told


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("reason", Reason)
def test_there_is_a_sentence_for_everything_that_goes_wrong(locale: str, reason: Reason) -> None:
    fine = reason.outcome in (Outcome.COMPLETED, Outcome.ABANDONED)
    for name in ("front desk", None):
        told = sentence(reason, locale, name=name, now=NOW)
        assert (told is None) is fine
        assert told is None or (told[0].isupper() and told.endswith(".") and "{" not in told and "None" not in told)
