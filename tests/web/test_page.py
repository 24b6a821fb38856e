# SPDX-License-Identifier: GPL-2.0-or-later
"""The page in a real Chromium, over a gateway that is none: what is seen, by whom, and that texts stay texts."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from gateway.ports import UnderWay
from tests.support.browser import PHONE, chromium, obstacles, watched
from tests.support.processes import eventually, free_port
from tests.web.serving import TOKEN, Gateway, call_line, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.browser]

FOCUSED = "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"


class Company(Gateway):
    """Has a trunk, a PBX and a broker."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.pbx_up = True

    def status(self) -> Mapping[str, Any]:
        up = {"up": True, "because": None, "since": "2026-03-02T08:30:00.000Z"}
        why = None if self.pbx_up else "nobody answers at 192.0.2.7:5038"
        return {
            "instance": "pbx-1", "state": "online", "version": "1.0.0", "started_at": "2026-03-02T08:00:00+00:00",
            "problems": self.problems, "restart_needed": [], "trunks": {"hms": up, "spare": {"up": None}},
            "pbx": {"asterisk": {"up": self.pbx_up, "because": why}},
            "mqtt": {"configured": True, "connected": True, "because": None, "since": "2026-03-02T09:26:00.000Z"},
        }  # fmt: skip


@pytest.fixture
def gateway() -> Company:
    return Company()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@asynccontextmanager
async def shown(browser: Browser, gateway: Gateway, hash_: str = "#/", **context: Any) -> AsyncIterator[Page]:
    """The page, once it is told what goes on."""
    async with serving(gateway) as ask, watched(browser, f"http://127.0.0.1:{ask.port}", hash_, **context) as seen:
        await expect(seen.page.locator("#connection")).to_have_text("live")
        yield seen.page


async def here(page: Page) -> str:
    """What stands at the station to which the only caller has come."""
    return " ".join((await page.locator(".call .here").inner_text()).split())


@pytest.mark.keeps("23.6")
async def test_calls_are_seen_as_they_move(browser: Browser, gateway: Gateway) -> None:
    async with shown(browser, gateway) as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text("1 call now, no transfer under way")
        station = page.locator("li.call .here")
        await expect(station).to_have_text("main-linetalks, 0:00")
        asked = call_line("c1", stage="asked", destination="sales", destination_name="sales", transfer="01A")
        for line, words in (
            (asked._replace(transfer_state="dialling"), "salesbeing called, 0:00"),
            (asked._replace(transfer_state="ringing"), "salesrings, 0:00"),
            (asked._replace(stage="waiting", transfer_state="connected"), "saleswaits, 0:00"),
            (asked._replace(stage="person", answered_by="agent"), "agenttalks, 0:00"),
        ):
            gateway.lines = [line]
            await expect(station).to_have_text(words)
            await expect(page.locator("li.call")).to_contain_text("+31201112222")
        await expect(page.get_by_role("link", name="Transfer of +31201112222")).to_have_attribute(
            "href", "#/transfers/01A"
        )
        gateway.lines = []
        await expect(page.get_by_text("Nobody is calling.")).to_be_visible()


@pytest.mark.keeps("23.6")
@pytest.mark.parametrize(
    "context", [{}, {"color_scheme": "dark"}, {"viewport": PHONE, "has_touch": True}], ids=["light", "dark", "phone"]
)
async def test_nothing_keeps_anybody_out(browser: Browser, gateway: Company, context: dict[str, Any]) -> None:
    gateway.lines = [
        call_line("c1"), call_line("c2", stage="asked", destination="sales", transfer_state="ringing", transfer="01A"),
        call_line("c3", stage="person", destination="sales", answered_by="agent", caller=None),
    ]  # fmt: skip
    gateway.free, gateway.pbx_up, gateway.problems = 0, False, ["PBX asterisk: nobody answers"]
    async with shown(browser, gateway, **context) as page:
        await expect(page.locator("li.call")).to_have_count(3)
        await expect(page.get_by_text("sales: all agents are busy")).to_be_visible()
        for words in (
            "Trunk hms up for 60 min",
            "Trunk spare is not asked",
            "Broker up for 4 min",
            "PBX asterisk down heard now nobody answers at 192.0.2.7:5038",
        ):
            await expect(page.get_by_role("listitem").filter(has_text=words)).to_be_visible()
        assert await obstacles(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_label("Token")).to_be_focused()
        assert await obstacles(page) == []


def done(gateway: Gateway) -> list[tuple[object, ...]]:
    """What it was asked to do, besides telling."""
    return [asked for asked in gateway.asked if asked != ("main-line", None)]


@pytest.mark.keeps("23.9")
async def test_by_keyboard_alone_somebody_signs_in_and_calls_a_transfer_off(browser: Browser, gateway: Company) -> None:
    gateway.lines = [call_line("c1", stage="asked", destination="sales", transfer_state="ringing", transfer="01A")]
    async with shown(browser, gateway, forgiven="401") as page:

        async def tab_to(name: str) -> None:
            for _ in range(30):
                await page.keyboard.press("Tab")
                if name == await page.evaluate(FOCUSED):
                    return
            raise AssertionError(f"no way to {name}")

        await page.keyboard.press("Tab")
        await expect(page.get_by_text("Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        await page.evaluate("document.activeElement.blur()")
        await expect(page.get_by_role("button", name="Call off")).to_have_count(0)
        await tab_to("Sign in")
        await page.keyboard.press("Enter")
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text(["", "none of the tokens"])
        await page.keyboard.type(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Sign out token_file")).to_be_focused()
        await tab_to("Call off: +31201112222")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Call off the transfer of +31201112222?")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_have_text("The transfer is called off.")
        assert done(gateway) == [("c1", None)]
        await tab_to("End call: +31201112222")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert done(gateway) == [("c1", None)]
        await page.get_by_role("button", name="End call: +31201112222").click()
        await page.get_by_role("button", name="End call", exact=True).click()
        await expect(page.get_by_role("status")).to_have_text("The call is ended.")
        assert done(gateway) == [("c1", None), ("hangup", "c1")]
        assert [given.author for given in gateway.given] == ["token_file"] * 2
        await page.get_by_role("button", name="Sign out token_file").click()
        await expect(page.get_by_role("button", name="End call")).to_have_count(0)


class Churning(Company):
    """A hundred calls are shown, a quarter of which are others at each look, and the rest somewhere else."""

    def under_way(self, most: int) -> UnderWay:
        self.looks += 1
        stages = ("asked", "waiting", "person", "assistant")
        shown = [
            call_line(
                f"c{self.looks * 25 + place:06}", stage=stages[(self.looks + place) % 4], transfer=f"{self.looks}",
                destination="sales", destination_name="sales", transfer_state="ringing", answered_by="agent",
            )
            for place in range(most)
        ]  # fmt: skip
        return UnderWay(500, 50, shown)

    looks = 0


@pytest.mark.keeps("23.14")
async def test_many_calls_that_move_cost_the_browser_little_and_leave_nothing_behind(browser: Browser) -> None:
    churning = Churning()
    async with shown(browser, churning) as page:
        await expect(page.locator("li.call")).to_have_count(100)
        chromium_itself = await page.context.new_cdp_session(page)
        await chromium_itself.send("Performance.enable", {"timeDomain": "threadTicks"})

        async def found() -> dict[str, float]:
            await chromium_itself.send("HeapProfiler.collectGarbage")
            told = await chromium_itself.send("Performance.getMetrics")
            return {one["name"]: one["value"] for one in told["metrics"]}

        async def looked(times: int) -> bool:
            return churning.looks >= times

        before, looks = await found(), churning.looks
        await eventually(lambda: looked(looks + 10), "ten looks", timeout_s=60)
        after, last = await found(), churning.looks

        async def kept_nothing() -> bool:
            return (await found())["Nodes"] < before["Nodes"] * 1.5

        await eventually(kept_nothing, "no more elements than before", timeout_s=30)
    # Of the thread that draws: what other processes take does not count.
    took = sum(after[name] - before[name] for name in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration"))
    assert took / (last - looks) < 0.2


async def test_what_is_closed_says_until_when(browser: Browser, gateway: Company) -> None:
    gateway.at = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)  # a Monday, of which the page's clock has 10:30 in Amsterdam
    async with shown(browser, gateway) as page:
        await expect(page.get_by_text("sales: closed until Tuesday 10:00")).to_be_visible()


@pytest.mark.keeps("23.5")
async def test_of_many_calls_some_are_shown_and_all_are_counted(browser: Browser, gateway: Gateway) -> None:
    gateway.lines = [call_line(f"c{place:03}") for place in range(500)]
    async with shown(browser, gateway) as page:
        await expect(page.get_by_role("heading", level=1)).to_contain_text("500 calls now")
        await expect(page.locator("li.call")).to_have_count(100)
        await expect(page.get_by_text("and 400 calls more, which are not shown")).to_be_visible()


@pytest.mark.keeps("23.10")
async def test_a_gateway_that_goes_away_is_seen_to_be_and_found_again(browser: Browser, gateway: Company) -> None:
    port = free_port()
    async with watched(browser, "", forgiven="ERR_") as seen:
        connection = seen.page.locator("#connection")
        async with serving(gateway, port=port):
            await seen.page.goto(f"http://127.0.0.1:{port}/")
            await expect(connection).to_have_text("live")
        await expect(connection).to_contain_text("no word since")
        gateway.lines = []
        async with serving(gateway, port=port):
            await expect(connection).to_have_text("live")
            await expect(seen.page.get_by_text("Nobody is calling.")).to_be_visible()


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\"'><svg/onload=alert(3)>",
    "javascript:alert(4)",
    "{{constructor.constructor('alert(5)')()}}",
    "\u202egnp.exe\u0000\r\n\r\n<b>x",
    "\udcff\ud800",
    "x" * 5000,
)


OURS = set(
    "a button div h1 h2 li p section span strong table tbody td th thead tr ul".split()  # noqa: SIM905 -- read at once
)
"""Elements that the page itself makes."""


@pytest.mark.keeps("23.11")
async def test_whatever_a_peer_says_can_do_nothing_but_be_read(browser: Browser, gateway: Company) -> None:
    gateway.problems = list(HOSTILE)
    gateway.lines = [
        call_line(
            f"{place}{stage}{text}", caller=text, begun_by=text, destination=text, destination_name=text, transfer=text,
            answered_by=text, stage=stage, transfer_state=text, number=text,
        )
        for place, text in enumerate(HOSTILE) for stage in ("asked", "person", "assistant")
    ]  # fmt: skip
    async with shown(browser, gateway, forgiven="404") as page:
        await expect(page.locator("li.call")).to_have_count(len(gateway.lines))
        said = await page.locator("main").inner_text()
        for text in HOSTILE[:5]:
            assert text in said
        # Elements of ours alone: none that a text has made.
        tags = set(await page.evaluate("[...document.querySelectorAll('main *')].map((each) => each.localName)"))
        assert tags <= OURS
        for link in await page.locator("main a").all():
            assert (await link.get_attribute("href") or "").startswith("#/transfers/")
        await page.locator("main a").first.click()
        await expect(page.locator("h1")).not_to_contain_text("now")
