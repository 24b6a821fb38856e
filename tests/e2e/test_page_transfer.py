# SPDX-License-Identifier: GPL-2.0-or-later
"""A transfer by a real Asterisk, looked at afterwards in a real Chromium, beside what went over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.e2e.scene import ANNA_HZ, CALLER, CALLER_HZ, hang_up, scene
from tests.support.browser import chromium, obstacles, picture, watched
from tests.support.sniffer import Sniffer
from tests.web.test_messages import packets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from playwright.async_api import Page

    from tests.conftest import Phones
    from tests.e2e.scene import Scene
    from tests.support.asterisk import Asterisk

pytestmark = [pytest.mark.pbx, pytest.mark.browser]

SALES = "+31612345678"
ROWS = "rows => rows.map(row => [row.dataset.leg, row.dataset.sent, row.querySelector('pre').textContent])"


async def put_through(play: Scene, phones: Phones) -> str:
    """A caller is put through to Anna, who hears them; all of it is over: the transfer's id."""
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    await play.gateway.queue("sales", available=1)
    caller, assistant = await play.talk()
    assert await play.refer(assistant, SALES) == 202
    await anna.event("CALL_INCOMING")
    await anna.pick_up()
    await anna.hears(CALLER_HZ)
    [transfer] = await play.gateway.ended()
    await assistant.wait_request("BYE")
    await hang_up(caller)
    await anna.event("CALL_CLOSED")
    await play.quiet()
    return str(transfer["transfer"])


def as_shown(messages: Iterable[bytes]) -> list[str]:
    """As a browser shows the text of a message."""
    return [each.decode().replace("\r\n", "\n") for each in messages]


async def opened(page: Page) -> list[tuple[int, bool, str]]:
    """All messages of the ladder, each opened: whose leg, whether the gateway sent it, and its text."""
    buttons = page.locator(".message button")
    for button in await buttons.all():
        await button.click()
    await expect(page.locator(".opened pre")).to_have_count(await buttons.count())
    return [(int(leg), sent == "true", text) for leg, sent, text in await page.locator(".message").evaluate_all(ROWS)]


@pytest.mark.keeps("23.29")
async def test_the_ladder_of_a_transfer_is_what_went_over_the_wire(
    pbx: Asterisk, phones: Phones, tmp_path: Path
) -> None:
    async with scene(pbx) as play, Sniffer(play.gateway.sip[1]) as wire, chromium() as browser:
        transfer = await put_through(play, phones)
        told = await play.gateway.get(f"/api/transfers/{transfer}/messages")
        async with watched(browser, play.gateway.url) as seen:
            page = seen.page
            await page.get_by_role("link", name="History").click()
            row = page.locator("[data-list=transfers] tbody tr")
            await expect(row).to_contain_text(CALLER)
            await expect(page.locator("[data-step=reached] .number")).to_have_text("1 100\u00a0%")
            await picture(page, "history")
            await row.get_by_role("link").click()
            await expect(page.get_by_role("heading", level=1)).to_contain_text("sales: completed")
            await expect(page.locator(".ladder-head .names")).to_have_text(
                "hms transferorgatewayasterisk callerasterisk target"
            )
            assert await obstacles(page) == []
            refer = page.locator(".message button", has_text="REFER to")
            await refer.click()
            await refer.evaluate("button => button.scrollIntoView({block: 'center'})")
            await picture(page, "transfer")
            await refer.click()

            shown = await opened(page)
            assert len(shown) == len(told["messages"]) > 20
            for place, leg in enumerate(told["legs"]):
                ours = [text for of, sent, text in shown if of == place and sent]
                theirs = [text for of, sent, text in shown if of == place and not sent]
                assert ours == as_shown(wire.of(leg["call_id"], sent_by=play.gateway.sip))
                assert theirs == as_shown(wire.of(leg["call_id"], sent_to=play.gateway.sip))

            record = await play.gateway.get(f"/api/transfers/{transfer}")
            gate = page.locator(".mark.gate .said")
            await expect(gate).to_have_text([f"gate: {line}" for line in record["trail"]])
            audio = page.locator(".mark.audio .said")
            await expect(
                audio.filter(has_text="asterisk (caller) and asterisk (target) hear each other")
            ).to_have_count(1)
            await expect(audio.filter(has_text="the gateway relays the audio").first).to_be_visible()

            async with page.expect_download() as download:
                await page.get_by_role("link", name="for Wireshark (pcap)").click()
            file = tmp_path / "transfer.pcap"
            await (await download.value).save_as(file)
            kept = [payload for *_, payload in packets(file.read_bytes())]
            assert sorted(kept) == sorted(each for leg in told["legs"] for each in wire.of(leg["call_id"]))


@pytest.mark.keeps("23.30")
async def test_the_gate_says_on_the_page_what_it_says_to_an_assistant(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(pbx) as play, chromium() as browser, watched(browser, play.gateway.url, "#/try") as seen:
        page = seen.page
        await play.gateway.queue("sales", available=1)
        await page.get_by_label("to", exact=True).fill(SALES)
        await page.get_by_role("button", name="Explain").click()
        await expect(page.locator(".answer-line")).to_contain_text("accepted")
        said = await page.locator(".trail li").all_text_contents()
        assert said == (await play.gateway.get(f"/api/explain?number=main-line&target={SALES[1:]}"))["trail"]
        await page.get_by_role("button", name="Christmas Eve at six").click()
        await expect(page.locator(".answer-line")).to_contain_text("12-24 18:00")

        await page.get_by_role("link", name="Configuration").click()
        await expect(page.locator("details").first).to_be_visible()
        for group in await page.locator("details").all():
            await group.locator("summary").click()
        text = await page.locator("main").inner_text()
        assert "numbers[main-line].destinations[sales]" in text
        secrets = [file.read_text().strip() for file in play.gateway.directory.rglob("*.secret")]
        assert secrets
        assert [secret for secret in secrets if secret in text] == []
