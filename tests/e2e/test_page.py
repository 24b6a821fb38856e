# SPDX-License-Identifier: GPL-2.0-or-later
"""The page in a real Chromium while a real Asterisk's caller is put through: what is seen is what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.e2e.scene import ANNA_HZ, CALLER, CALLER_HZ, hang_up, scene
from tests.support.browser import chromium, obstacles, picture, watched
from tests.support.company import NUMBER, settings

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk

pytestmark = [pytest.mark.pbx, pytest.mark.browser]

SALES = "+31612345678"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.mark.keeps("23.12")
async def test_a_caller_is_seen_from_the_assistant_to_the_queue_to_a_person(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(pbx) as play, chromium() as browser, watched(browser, play.gateway.url) as seen:
        page = seen.page
        await play.gateway.queue("sales", available=1)
        free = page.get_by_role("row", name="sales").get_by_role("cell").first
        await expect(free).to_have_text("1")
        await expect(page.get_by_text("support: nobody is logged in")).to_be_visible()
        await expect(page.get_by_text("Nobody is calling.")).to_be_visible()
        station = page.locator("li.call .here")

        caller, assistant = await play.talk()
        await expect(station).to_contain_text("talks")
        await expect(station).to_contain_text("main-line")
        await expect(page.locator("li.call")).to_contain_text(CALLER)
        assert await play.refer(assistant, SALES) == 202
        await expect(station).to_contain_text("sales")
        await anna.event("CALL_INCOMING")
        await expect(station).to_contain_text("being called")
        await expect(page.get_by_role("heading", level=1)).to_have_text("1 call now, 1 transfer under way")
        assert await obstacles(page) == []
        await picture(page, "now")

        await anna.pick_up()
        await expect(station).to_contain_text("agent")
        await anna.hears(CALLER_HZ)
        await expect(page.get_by_role("row", name="sales").get_by_role("cell").nth(1)).to_have_text("1")
        [transfer] = await play.gateway.ended()
        link = page.get_by_role("link", name=f"Transfer of {CALLER}")
        await expect(link).to_have_attribute("href", f"#/transfers/{transfer['transfer']}")
        await hang_up(caller)
        await anna.event("CALL_CLOSED")
        await expect(page.get_by_text("Nobody is calling.")).to_be_visible()


@pytest.mark.keeps("23.11")
async def test_what_a_caller_and_an_assistant_put_into_their_headers_is_text(pbx: Asterisk) -> None:
    files = settings(pbx.net, pbx=pbx)
    where = (pbx.net.gateway, 5060)
    async with scene(pbx, files=files) as play, chromium() as browser, watched(browser, play.gateway.url) as seen:
        caller = play.line.invite(
            f"sip:{NUMBER}@{where[0]}", play.gateway.sip,
            from_=f'"{HOSTILE}" <sip:%3Cimg%20src=x%20onerror=alert(3)%3E@{where[0]}>', hz=CALLER_HZ,
        )  # fmt: skip
        assistant = await play.assistant.wait_call()
        await assistant.answer()
        await caller.answered()
        page = seen.page
        await expect(page.locator("li.call")).to_contain_text("<img src=x onerror=alert(3)>")
        headers = ("User-to-User", HOSTILE), ("Referred-By", f'"{HOSTILE}" <sip:x@y>')
        refused = await assistant.refer(f"<sip:%3Csvg%2Fonload=alert(4)%3E@{where[0]}>", *headers)
        assert refused.code >= 400
        [transfer] = await play.gateway.ended()
        for address in (f"transfers/{transfer['transfer']}", "history", "try", "configuration", ""):
            await page.goto(f"{play.gateway.url}/#/{address}")
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert await page.locator("main img, main script, main iframe").count() == 0
        await hang_up(caller)
