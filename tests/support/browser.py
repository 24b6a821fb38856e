# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Chromium, the machine's own, led by Playwright; and axe, which looks for what keeps people out."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, Request

CHROMIUM = "chromium"
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 740}
_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--font-render-hinting=none", "--force-color-profile=srgb",
]  # fmt: skip
"""Whoever runs as root has no sandbox; nothing but the page is to be asked for."""
PATIENCE_MS = 30_000
"""How long what is to be seen may take on a busy machine."""
expect.set_options(timeout=PATIENCE_MS)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser. Raises RuntimeError where there is none."""
    program = shutil.which(CHROMIUM)
    if program is None:
        raise RuntimeError("there is no chromium on this machine: apt-get install chromium")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=_OPTIONS, timeout=PATIENCE_MS * 2)
        try:
            yield browser
        finally:
            await browser.close()


class Watched:
    """A page, and whatever it has said that it should not."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        """Errors, warnings and refusals of the page's policy, and requests to anybody else."""
        self.dialogs: list[str] = []
        """What a script that should not run has asked."""

    def listen(self, url: str) -> None:
        """Note it all from now on; `url` is where the page is from."""

        def asked(request: Request) -> None:
            if not request.url.startswith((url or "http://127.", "data:", "about:")):
                self.faults.append(f"asks {request.url}")

        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.faults.append(message.text)

        async def dialog(shown: Dialog) -> None:
            self.dialogs.append(shown.message)
            await shown.dismiss()

        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("console", said)
        self.page.on("request", asked)
        self.page.on("dialog", dialog)


@asynccontextmanager
async def watched(
    browser: Browser, url: str, hash_: str = "#/", *, forgiven: str = "", **context: Any
) -> AsyncIterator[Watched]:
    """The gateway's page at `url`, in a window of its own; at the end nothing of it may have gone wrong.

    Faults in which the pattern `forgiven` is found are none of the page's: Chromium tells of each answer that is no
    success, and of servers that do not answer. Without an `url` the test goes there.
    """
    opened = await browser.new_context(
        **{"viewport": WIDE, "locale": "en-GB", "timezone_id": "Europe/Amsterdam", **context}
    )
    try:
        page = await opened.new_page()
        page.set_default_timeout(PATIENCE_MS)
        seen = Watched(page)
        seen.listen(url)
        if url:
            await page.goto(f"{url}/{hash_}")
        yield seen
        faults = [fault for fault in seen.faults if not forgiven or not re.search(forgiven, fault)]
        assert faults == []
        assert seen.dialogs == []
    finally:
        await opened.close()


async def obstacles(page: Page) -> list[str]:
    """What axe-core finds on the page by WCAG 2.2 A and AA and its best practices, each with where it is."""
    results = await Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{one['id']}: {one['help']}: {', '.join(str(node['target']) for node in one['nodes'])}"
        for one in results.response["violations"]
    ]


async def picture(page: Page, name: str) -> None:
    """Keep what is to be seen as docs/pictures/NAME.png, where somebody wants them anew (`make pictures`)."""
    directory = os.environ.get("PICTURES")
    if directory is not None:
        await page.screenshot(path=Path(directory) / f"{name}.png", animations="disabled")
