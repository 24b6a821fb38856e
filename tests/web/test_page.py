# SPDX-License-Identifier: GPL-2.0-or-later
"""The page in a real Chromium, over a gateway that is none: what is seen, by whom, and that texts stay texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.support.browser import chromium, obstacles, watched
from tests.web.serving import Gateway, call_line, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from playwright.async_api import Browser

pytestmark = [pytest.mark.browser]


class Company(Gateway):
    """Has a trunk, a PBX and a broker."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []

    def status(self) -> Mapping[str, Any]:
        up = {"up": True, "because": None}
        return {
            "instance": "pbx-1", "state": "online", "version": "1.0.0", "started_at": "2026-03-02T08:00:00+00:00",
            "problems": self.problems, "restart_needed": [], "trunks": {"hms": up}, "pbx": {"asterisk": up},
            "mqtt": {"configured": True, "connected": True, "because": None},
        }  # fmt: skip


@pytest.fixture
def gateway() -> Company:
    return Company()


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest.mark.keeps("23.6")
async def test_calls_are_seen_as_they_move(browser: Browser, gateway: Gateway) -> None:
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}") as seen:
        page = seen.page
        await expect(page.get_by_role("heading", level=1)).to_have_text("1 call now, no transfer under way")
        line = page.locator(".call")
        await expect(line).to_contain_text("+31201112222")
        gateway.lines = [
            call_line("c1", stage="asked", destination="sales", destination_name="sales", transfer_state="ringing")
        ]
        await expect(line).to_contain_text("rings")
        assert await obstacles(page) == []
