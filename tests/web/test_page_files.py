# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of the page: what a browser gets, and what it may do with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from gateway.web.page.files import STATIC, files

if TYPE_CHECKING:
    from tests.web.serving import Client

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
MOST = 150_000  # bytes, all files together
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|setHTML"
    r"|\beval\b|new Function|javascript:|setAttribute\(.style|\.cssText|import\s*\("
)
"""Whatever reads markup or program from a text."""


@pytest.mark.keeps("23.1")
async def test_a_browser_gets_the_page_and_a_program_the_addresses(ask: Client) -> None:
    async with ask._session.get(f"{ask._base}/", headers=BROWSER) as response:
        assert (response.status, response.content_type, response.charset) == (200, "text/html", "utf-8")
        assert response.headers["Vary"] == "Accept"
        assert '<script type="module" src="page/app.js">' in await response.text()
    assert (await ask("/"))[1]["name"] == "transfer-gateway"


@pytest.mark.keeps("23.1")
@pytest.mark.parametrize("name", files())
async def test_each_file_has_its_type_and_may_load_nothing_of_anybody_else(ask: Client, name: str) -> None:
    async with ask._session.get(f"{ask._base}/page/{name}") as response:
        assert response.status == 200
        kind = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
        assert response.content_type == kind[name.rpartition(".")[2]]
        headers = response.headers
        body = await response.read()
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-cache"
    assert body == (STATIC / name).read_bytes()
    async with ask._session.get(f"{ask._base}/page/{name}", headers={"If-None-Match": headers["ETag"]}) as again:
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", headers["ETag"])


@pytest.mark.parametrize(
    "name", ["files.py", "..%2ffiles.py", "%2e%2e%2f__init__.py", "app.js%00", "app", "%2fetc%2fpasswd"]
)
async def test_nothing_else_is_to_be_had_there(ask: Client, name: str) -> None:
    async with ask._session.get(URL(f"{ask._base}/page/{name}", encoded=True)) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "not-found")


@pytest.mark.keeps("23.2")
def test_all_of_it_is_small() -> None:
    assert sum(len(file.body) for file in files().values()) <= MOST


@pytest.mark.keeps("23.3")
@pytest.mark.parametrize("name", [name for name in files() if name.endswith(".js")])
def test_no_file_makes_markup_or_program_of_a_text(name: str) -> None:
    found = MARKUP.findall((STATIC / name).read_text())
    assert not found, f"{name}: texts become elements by dom.js alone"


def test_every_file_is_asked_for_by_the_page_and_every_file_that_is_asked_for_is_there() -> None:
    asked, left = {"index.html"}, ["index.html"]
    while left:
        text = files()[left.pop()].body.decode()
        for name in {
            *re.findall(r'from "\./([^"]+)"', text),
            *re.findall(r'(?:href|src)="page/([^"]+)"', text),
        } - asked:
            asked.add(name)
            left.append(name)
    assert asked == set(files())
