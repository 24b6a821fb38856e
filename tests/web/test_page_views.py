# SPDX-License-Identifier: GPL-2.0-or-later
"""A transfer, history, try it and configuration in a real Chromium, over a gateway that is none."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from gateway.core.json_form import transfer_document
from gateway.ports import HistoryPage, HistoryQuery
from tests.report import samples
from tests.support.browser import PHONE, chromium, obstacles, watched
from tests.web.serving import serving
from tests.web.test_page import Company as Whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from playwright.async_api import Browser, Page

    from gateway.ports import FiguresQuery

pytestmark = [pytest.mark.browser]

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>"\'><svg onload=alert(3)>javascript:alert(4)'
SDP = "Content-Type: application/sdp\r\n\r\nv=0\r\n"
VIEWS = ("#/transfers/01T", "#/history", "#/try?number=main-line&target=sales&at=2026-12-24T18:00", "#/configuration")


def leg(call_id: str, side: str, name: str, part: str) -> dict[str, Any]:
    known = {"call_id": call_id, "side": side, "peer": name, "role": None, "messages": 2, "left_out": 0, "late": False}
    return {**known, "name": name, "part": part}


def message(of: int, at: str, *, sent: bool, words: str, text: str) -> dict[str, Any]:
    ends = {"transport": "UDP", "source": "192.0.2.1:5060", "destination": "192.0.2.7:5060", "size": len(text)}
    return {"leg": of, "at": at, "sent": sent, **ends, "again": False, "cut": False, "text": text, "words": words}


def mark(at: str, what: str, text: str, legs: Sequence[int] = ()) -> dict[str, Any]:
    return {"at": at, "what": what, "text": text, "transfer": "01T", "legs": list(legs)}


def at(seconds: float) -> str:
    """So many seconds after the transfer was asked for."""
    return f"{samples.completed('01T').requested_at + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def told(evil: str = "") -> dict[str, Any]:
    """The messages of a transfer, with a text in every field that comes from a peer."""
    return {
        "call": "01C", "transfer": "01T", "kept": True, "because": None, "masked": False,
        "legs": [
            leg("1", "pbx", f"asterisk{evil}", "caller"), leg("2", "trunk", "hms", "transferor"),
            leg("3", "pbx", "asterisk", "target"),
        ],
        "messages": [
            message(1, at(0), sent=False, words=f"REFER to 700{evil}", text=f"REFER x SIP/2.0\r\nX: {evil}\r\n\r\n"),
            message(1, at(0.002), sent=True, words="202 Accepted of REFER", text="SIP/2.0 202 Accepted\r\n\r\n"),
            message(2, at(0.003), sent=True, words="INVITE, SDP", text=f"INVITE sip:6500@pbx SIP/2.0\r\n{SDP}"),
            message(2, at(4), sent=False, words="200 OK of INVITE", text=f"SIP/2.0 200 OK{evil}\r\n\r\n"),
        ],
        "marks": [
            mark(at(0.001), "gate", f"queue sales: 2 of 3 agents free{evil}"),
            mark(at(0.0025), "audio", "asterisk (caller) hears ringback", [0]),
            mark(at(4.001), "audio", "asterisk (caller) and asterisk (target) hear each other", [0, 2]),
            mark(at(4.002), "ended", "completed, answered (200)"),
        ],
    }  # fmt: skip


CONTROLS = "[...document.querySelectorAll('main *')].filter(one => one.tabIndex >= 0 && one.checkVisibility()).length"


class Company(Whole):
    """Has a transfer 01T with its messages, a history of two pages, and two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.evil = ""
        self.masked = False
        self.flood = 0
        self.unfinished = False

    def document(self, which: str) -> dict[str, Any]:
        made = transfer_document(samples.completed(which))
        if self.unfinished:
            made |= dict.fromkeys(("outcome", "reason", "sip_code", "ended_at"))
        if self.evil:
            made |= dict.fromkeys(
                ("caller", "requested_target", "destination", "sentence", "fault", "agent"), self.evil
            )
            made |= {
                "trail": [self.evil],
                "attempts": [{**dict.fromkeys(("destination", "extension", "reason"), self.evil), "sip_code": 200}],
            }
        return made

    async def past_transfer(self, transfer: str) -> Mapping[str, Any] | None:
        return {**self.document(transfer), "events": []} if transfer == "01T" else None

    async def transfer_messages(self, transfer: str) -> Mapping[str, Any] | None:
        made = told(self.evil) | {"masked": self.masked}
        made["messages"] += [
            message(1, at(5 + number / 1000), sent=False, words="OPTIONS", text="OPTIONS x SIP/2.0\r\n\r\n")
            for number in range(self.flood)
        ]
        return made if transfer == "01T" else None

    async def history(self, what: str, query: HistoryQuery) -> HistoryPage:
        self.asked.append((what, query))
        if query.before is None:
            return HistoryPage([self.document("01T"), self.document("01U")], 77 << 20)
        return HistoryPage([self.document("01V")], None)

    async def figures(self, query: FiguresQuery) -> Mapping[str, Any]:
        made = dict(await super().figures(query))
        funnel = {**made["total"], "asked": 8, "accepted": 6, "rang": 4, "answered": 3, "reached": 2, "median_s": 3.2}
        name = self.evil or "sales"
        return {
            **made, "total": funnel, "destinations": [{"number": "main-line", "destination": name, **funnel}],
            "days": [{"day": "2026-03-02", **funnel}],
            "reasons": [{"outcome": "completed", "reason": name, "count": 3}],
        }  # fmt: skip

    async def configuration(self) -> Mapping[str, Any]:
        entries = {
            "gateway.instance": "pbx-1", "history.callers": "masked" if self.masked else "full",
            "mqtt.password_file": None, "numbers[main-line].number": "+31201234567",
            "numbers[main-line].destinations[sales].description": self.evil or "Prices",
        }  # fmt: skip
        keys = [
            {"file": "gateway.toml", "key": key, "value": value, "hidden": value is None}
            for key, value in entries.items()
        ]
        destination = {
            "id": "sales",
            "number": "+31612345678",
            "aliases": [self.evil or "2001"],
            "name": "",
            "hours": None,
        }
        numbers = [{"id": "main-line", "number": "+31201234567", "destinations": [destination]}]
        return {"loaded_at": "2026-03-02T09:30:00.000Z", "keys": keys, "left_out": 0, "numbers": numbers}

    async def check_configuration(self) -> Mapping[str, Any]:
        remark = {"file": "gateway.toml", "key": "http.bind_address", "problem": self.evil or "0.0.0.0: open to all"}
        return {"ok": True, "mistakes": [], "warnings": [remark], "changed": ["history.days"], "restart_needed": []}

    def explain(self, target: str, number: str, at: datetime | None) -> Mapping[str, Any]:
        super().explain(target, number, at)
        decision = {"decision": "refuse", "destination": target, "extension": None, "reason": "holiday"}
        return {
            **decision,
            "sip_code": 480,
            "trail": [self.evil or "closed on 2026-12-24"],
            "sentence": self.evil or None,
        }


@pytest.fixture
def gateway() -> Company:
    return Company()


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


async def is_whole(page: Page) -> None:
    """All parts of a view are there."""
    await expect(page.locator("h1")).to_be_visible()
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)


@pytest.mark.keeps("23.20")
async def test_a_ladder_has_each_message_and_mark_and_each_message_opens(browser: Browser, gateway: Company) -> None:
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", "#/transfers/01T") as seen:
        page = seen.page
        await expect(page.locator(".ladder-head .names")).to_have_text(
            "hms transferorgatewayasterisk callerasterisk target"
        )
        rows = page.locator(".rows > li:not(.gap)")
        known = told()
        events = sorted([*known["messages"], *known["marks"]], key=lambda each: each["at"])
        assert await rows.evaluate_all("rows => rows.map(row => row.dataset.at)") == [each["at"] for each in events]
        await expect(page.locator(".words")).to_have_text([each["words"] for each in known["messages"]])
        await expect(page.locator(".mark.audio .said").last).to_contain_text("hear each other")
        await expect(page.locator(".mark.gate .when")).to_have_text("+0.001 s")
        for place, one in enumerate(known["messages"]):
            await page.locator(".message button").nth(place).click()
            shown = await page.locator(".opened pre").nth(place).text_content()
            assert shown == one["text"].replace("\r\n", "\n")
        links = await page.locator(".panel a[download]").evaluate_all(
            "links => links.map(link => link.getAttribute('href'))"
        )
        assert links == ["api/transfers/01T/messages.pcap", "api/transfers/01T/messages.txt"]
        assert await obstacles(page) == []


@pytest.mark.keeps("23.21")
async def test_a_transfer_is_reached_and_its_messages_opened_by_keyboard(browser: Browser, gateway: Company) -> None:
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", "#/history") as seen:
        page = seen.page
        await is_whole(page)
        await tab_to(page, "a[href='#/transfers/01T']")
        await page.keyboard.press("Enter")
        await expect(page.locator(".ladder")).to_be_visible()
        await tab_to(page, ".message button")
        await page.keyboard.press("Enter")
        await expect(page.locator(".opened pre")).to_contain_text("REFER x")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.tagName") == "PRE"  # which may have to be scrolled


@pytest.mark.keeps("23.21")
@pytest.mark.parametrize("view", VIEWS)
async def test_tab_leads_to_whatever_can_be_pressed_or_written_in(
    browser: Browser, gateway: Company, view: str
) -> None:
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", view) as seen:
        page = seen.page
        await is_whole(page)
        there = await page.evaluate(CONTROLS)
        assert there > 3
        for _ in range(2 * there + 20):  # a moment of time has several parts
            await page.keyboard.press("Tab")
            await page.evaluate("document.activeElement.dataset.reached = 'yes'")
        left = "[...document.querySelectorAll('main *')].filter(one => one.tabIndex >= 0 && one.checkVisibility())"
        assert (
            await page.evaluate(f"{left}.filter(one => one.dataset.reached !== 'yes').map(one => one.outerHTML)") == []
        )


@pytest.mark.keeps("23.33")
async def test_a_transfer_under_way_is_drawn_on_and_what_is_open_stays_open(browser: Browser, gateway: Company) -> None:
    gateway.unfinished = True
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", "#/transfers/01T") as seen:
        page = seen.page
        await expect(page.get_by_role("heading", level=1)).to_contain_text("under way")
        await tab_to(page, ".message button")
        await page.keyboard.press("Enter")
        await expect(page.locator(".opened pre")).to_have_count(1)
        gateway.flood = 2
        await expect(page.locator(".message")).to_have_count(6)
        await expect(page.locator(".opened pre")).to_contain_text("REFER x")
        assert await page.evaluate("document.activeElement.matches('.message button')")
        gateway.unfinished = False
        await expect(page.get_by_role("heading", level=1)).to_contain_text("completed")


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until that has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no Tab leads to {selector}")


@pytest.mark.keeps("23.22")
@pytest.mark.parametrize("view", VIEWS)
async def test_no_text_of_a_peer_becomes_an_element_or_a_program(browser: Browser, gateway: Company, view: str) -> None:
    gateway.evil = EVIL
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", view) as seen:
        page = seen.page
        await is_whole(page)
        await expect(page.locator("main")).to_contain_text("<img src=x onerror=")
        for button in await page.locator(".message button").all():
            await button.click()
        for group in await page.locator("details").all():
            await group.locator("summary").click()
        assert await page.locator("main :is(img, script, iframe, object, embed)").count() == 0
        assert await page.locator("main svg[onload]").count() == 0
        assert await page.locator("a[href^='javascript']").count() == 0


@pytest.mark.keeps("23.23")
async def test_what_history_shows_is_what_the_address_says(browser: Browser, gateway: Company) -> None:
    link = "#/history?since=2026-03-01&until=2026-03-08&destination=sales&outcome=completed&text=agents"
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", link) as seen:
        page = seen.page
        await is_whole(page)
        await expect(page.locator("[data-list=transfers] tbody tr")).to_have_count(2)
        query = next(query for what, query in gateway.asked if what == "transfer")
        assert isinstance(query, HistoryQuery)
        await expect(page.locator("[data-list=transfers] tbody")).to_contain_text(
            samples.completed("01T").caller or "-"
        )
        assert (query.since and query.since.day, query.destination, query.outcome, query.text) == (
            1,
            "sales",
            "completed",
            "agents",
        )
        figures: Any = next(query for what, query in gateway.asked if what == "figures")
        assert (figures.until.day, figures.destination) == (8, "sales")
        await expect(page.locator("[data-step=reached] .number")).to_have_text("2 25\u00a0%")
        await expect(page.locator("[data-figures=destination] tbody")).to_contain_text("sales, main-line")
        days = page.locator("[data-figures=day] tbody a")
        assert await days.get_attribute("href") == (
            "#/history?since=2026-03-02&until=2026-03-03&destination=sales&outcome=completed&text=agents"
        )
        await page.get_by_role("button", name="Show older ones").click()
        await expect(page.locator("[data-list=transfers] tbody tr")).to_have_count(3)
        await expect(page.get_by_role("button", name="Show older ones")).to_have_count(0)
        await expect(page.locator("#asked-destination")).to_have_value("sales")
        await page.locator("#asked-destination").select_option("")
        await page.get_by_label("caller").fill("+31612345678")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(r"caller=%2B31612345678"))
        await expect(page).not_to_have_url(re.compile("destination"))
        assert await obstacles(page) == []


@pytest.mark.keeps("23.24")
async def test_the_gate_is_asked_about_christmas_eve(browser: Browser, gateway: Company) -> None:
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", "#/try") as seen:
        page = seen.page
        await page.get_by_label("to", exact=True).fill("sales")
        await page.get_by_role("button", name="Christmas Eve at six").click()
        await expect(page.locator("#answer ~ .answer-line")).to_contain_text("refused")
        target, number, moment = next(each for each in gateway.asked if each[0] == "sales")
        assert isinstance(moment, datetime)
        assert (target, number, moment.tzinfo) == ("sales", "main-line", None)  # by the clock of the hours
        assert (moment.month, moment.day, moment.hour) == (12, 24, 18)
        assert moment > datetime.now()  # noqa: DTZ005 -- the browser's, as it is given
        await expect(page.locator("main")).to_contain_text("holiday (480)")
        assert await obstacles(page) == []


@pytest.mark.keeps("23.25")
async def test_the_configuration_is_shown_with_what_check_says(browser: Browser, gateway: Company) -> None:
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", "#/configuration") as seen:
        page = seen.page
        await is_whole(page)
        await expect(page.locator("main")).to_contain_text("http.bind_address: 0.0.0.0: open to all")
        await expect(page.locator("main")).to_contain_text("history.days")
        await page.get_by_label("Keys and values with").fill("sales")
        shown = page.locator("details:visible")
        await expect(shown).to_have_count(1)
        await expect(shown).to_contain_text("Prices")
        await page.get_by_label("Keys and values with").fill("password")
        await expect(page.locator("details:visible")).to_contain_text("set, and not shown")
        assert await obstacles(page) == []


@pytest.mark.keeps("23.26")
@pytest.mark.parametrize("view", VIEWS)
async def test_each_view_fits_a_phone_and_the_dark(browser: Browser, gateway: Company, view: str) -> None:
    shape: dict[str, Any] = {"viewport": PHONE, "color_scheme": "dark"}
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", view, **shape) as seen:
        await is_whole(seen.page)
        assert await seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert await obstacles(seen.page) == []


@pytest.mark.keeps("23.31")
async def test_callers_are_masked_where_the_history_has_them_masked(browser: Browser, gateway: Company) -> None:
    gateway.masked = True
    caller = samples.completed("01T").caller
    assert caller
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", "#/history") as seen:
        await is_whole(seen.page)
        await expect(seen.page.locator("[data-list=transfers] tbody")).to_contain_text(f"{caller[:3]}…{caller[-2:]}")
        await seen.page.locator("a[href='#/transfers/01T']").click()
        await expect(seen.page.locator("main")).to_contain_text(f"{caller[:3]}…{caller[-2:]}")
        assert caller not in await seen.page.content()


@pytest.mark.keeps("23.32")
async def test_of_a_flood_of_messages_the_first_are_drawn_and_the_rest_when_asked_for(
    browser: Browser, gateway: Company
) -> None:
    gateway.flood = 700
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", "#/transfers/01T") as seen:
        rows = seen.page.locator(".rows > li:not(.gap)")
        await expect(rows).to_have_count(400)
        await seen.page.get_by_role("button", name="Show 308 more").click()
        await expect(rows).to_have_count(708)


async def test_what_is_not_there_any_more_is_said(browser: Browser, gateway: Company) -> None:
    async with serving(gateway) as ask:
        url = f"http://127.0.0.1:{ask.port}"
        async with watched(browser, url, "#/try") as seen:
            await seen.page.goto(f"{url}/#/transfers/01NONE")
            await expect(seen.page.get_by_role("alert")).to_contain_text("no transfer 01NONE")
            assert all("404" in fault for fault in seen.faults)
            seen.faults.clear()  # the browser's own line for an answer of 404
