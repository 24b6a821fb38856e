# SPDX-License-Identifier: GPL-2.0-or-later
"""The highest rate at which nothing fails, found as RFC 7502 finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STEP = 5
"""Of the answer, in calls a second: the granularity."""
BACK_OFF = 0.05
"""How much is taken off when the longer run at the rate that was found fails: the calibration."""
LIMIT = {"transfers": 400, "calls": 800}
"""How many a second are tried at most."""

PROCEDURE = (
    "A rate is tried, after RFC 7502; while nothing fails it grows by half, then the middle between the highest rate "
    f"that was good and the lowest that was not is tried, until they are no more than {STEP} a second apart. What was "
    f"found has to stand a run of twice the length, or {BACK_OFF:.0%} of it is taken off until it does. Each try meets "
    "one that was just started. A try is good when every call is answered and ends as its caller wants, every transfer "
    "has its final NOTIFY with 200, and nothing is left 30 s later; messages may be repeated. No more than "
    f"{LIMIT['transfers']} transfers or {LIMIT['calls']} calls a second are tried."
)


async def highest(is_good: Callable[[int, int], Awaitable[bool]], *, first: int, limit: int) -> int:
    """The highest good rate up to `limit`, or 0. `is_good(rate, length)` tries one, `length` times as long as usual."""
    good, bad, rate = 0, limit + 1, first
    while bad - good > STEP:
        if await is_good(rate, 1):
            good = rate
        else:
            bad = rate
        rate = min(good * 3 // 2, limit) if bad > limit else (good + bad) // 2
    while good and not await is_good(good, 2):
        good = int(good * (1 - BACK_OFF))
    return good
