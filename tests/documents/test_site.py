# SPDX-License-Identifier: GPL-2.0-or-later
"""The site that `make docs` builds: each link leads somewhere, nothing comes from elsewhere, the reference is true."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from gateway.config import json_schema
from gateway.core.outcome import Reason
from scripts.website import configuration
from scripts.website.lists import command_line, metrics, reasons
from scripts.website.messages import addresses, events
from scripts.website.pages import ROOT, navigation

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = (ROOT / configuration.DOCUMENT).read_text()
COUNTED = {"table": "table", "li": "li", "pre": "pre", "h2": "h2", "h3": "h3"}


class Page(HTMLParser):
    """What a page leads to, loads and shows."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.counts: dict[str, int] = dict.fromkeys(COUNTED, 0)
        self._article = 0
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "article":
            self._article += 1
        if self._article and tag in self.counts:
            self.counts[tag] += 1
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if "src" in values:
            self.loaded.append(values["src"])
        if tag == "link" and values.get("rel") not in {"canonical", "prev", "next"}:
            self.loaded.append(values["href"])

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        if tag == "article":
            self._article -= 1


def built(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It, as `make docs` builds it."""
    target = tmp_path_factory.mktemp("docs") / "site"
    done = built("scripts.website", str(target))
    assert (done.returncode, done.stderr) == (0, "")
    return target


@pytest.mark.slow
@pytest.mark.keeps("20.92")
def test_every_link_picture_and_anchor_is_there_and_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 100
    wrong = []
    for path, page in pages.items():
        wrong += [f"{path}: loads {url}" for url in page.loaded if urlsplit(url).netloc]
        for url in page.links + page.loaded:
            link = urlsplit(url)
            if link.scheme or link.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            if not target.is_file():
                wrong.append(f"{path}: {url} is not there")
            elif link.fragment and target in pages and unquote(link.fragment) not in pages[target].anchors:
                wrong.append(f"{path}: {url} has no such anchor")
    styles = [path for path in site.rglob("*.css") if re.search(r"url\(\W?https?:|@import", path.read_text())]
    assert (wrong, styles) == ([], [])
    assert {"gateway.png", "queues.png", "transfers.png"} <= {path.name for path in site.rglob("*.png")}


@pytest.mark.slow
@pytest.mark.keeps("20.92")
def test_every_page_shows_what_its_markdown_says(site: Path) -> None:
    """Two readers of Markdown see the same tables, lists, blocks and headings: it is written so that all do."""
    pages = site.with_name("site-pages")
    reader = MarkdownIt("commonmark").enable("table")
    wrong = []
    for source in sorted(pages.rglob("*.md")):
        text = reader.render(source.read_text())
        name = "index" if source.name == "README.md" else source.stem
        shown = Page(site / source.relative_to(pages).with_name(f"{name}.html")).counts
        expected = {tag: len(re.findall(rf"<{tag}[ >]", text)) for tag in COUNTED}
        if shown != expected:
            wrong.append(f"{source.relative_to(pages)}: {shown}, expected {expected}")
    assert wrong == []


@pytest.mark.slow
def test_search_finds_what_only_the_reference_says(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text()
    assert '"location":"reference/commands.html#hangup"' in index.replace(": ", ":")
    assert "transfer_gateway_outbox_unwritten" in index


@pytest.mark.slow
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "README.md").write_text("# One\n\n[gone](two.md#nowhere), [away](nothing.md), [there](two.md#two)\n")
    (pages / "two.md").write_text("# Two\n")
    (pages / "three.md").write_text("# In no navigation\n")
    placed = [{"One": "README.md"}, {"Two": "two.md"}]
    code = "from scripts.website.__main__ import *; render(Path(sys.argv[1]), Path(sys.argv[2]), eval(sys.argv[3]))"
    command = [sys.executable, "-c", code, str(pages), str(tmp_path / "site"), repr(placed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "'#nowhere'" in done.stderr
    assert "nothing.md" in done.stderr
    assert "three.md" in done.stderr
    assert "#two'" not in done.stderr


@pytest.mark.keeps("20.92")
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("| `drain_timeout_s` | `30` |", "| `drain_timeout_s` | `31` |", "drain_timeout_s is `30`, and `31` in"),
        ("| `instance` | required |", "| `instance` | none |", "instance is required, and none in"),
        ("| `log_numbers` |", "| `log_number` |", "log_numbers is in no table"),
        ("| `log_numbers` |", "| `log_number` |", "log_number is no key"),
        ("### [history]", "### [archive]", "no model is known for [archive]"),
        ("### [history]", "### [archive]", "no table [history]"),
    ],
)
def test_a_key_that_is_described_otherwise_than_it_is_fails_the_build(before: str, after: str, said: str) -> None:
    assert CONFIGURATION.count(before) == 1
    with pytest.raises(configuration.DiffersError) as caught:
        configuration.page(CONFIGURATION.replace(before, after))
    assert said in str(caught.value)


@pytest.mark.keeps("20.92")
def test_the_reference_has_every_key_reason_metric_message_address_and_command() -> None:
    keys = {name for model in json_schema()["$defs"].values() for name in model.get("properties", {})}
    tables = {"base", "gateway", "sip", "mqtt", "http", "platform", "cluster", "webhooks", "history", "messages",
              "hep", "traces", "hours", "numbers", "destinations", "tokens", "mcp_tokens", "queues",
              *("mon", "tue", "wed", "thu", "fri", "sat", "sun")}  # fmt: skip
    page = configuration.page(CONFIGURATION)
    assert [name for name in sorted(keys - tables) if f"| `{name}` |" not in page] == []
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert [reason for reason in Reason if f"| `{reason}` | {reason.sip_code} |" not in reasons(operations)] == []
    assert (
        "| `transfer_gateway_transfers_total` | counter | `number`, `entry`, `destination`, `outcome`, `reason` |"
        in metrics()
    )
    messages = events((ROOT / "docs" / "events.md").read_text())
    assert "## transfer.ended.v1" in messages
    assert re.search(
        r"^\| `returned_to_transferor` \| .* \| whether the caller was given back \|$", messages, re.MULTILINE
    )
    assert "`POST /api/calls/{id}/hangup`" in addresses()
    assert "`--proof MONTH`" in command_line()


def test_a_document_that_nobody_has_placed_is_in_the_navigation_all_the_same() -> None:
    assert navigation(["README.md", "docs/new.md"])[-1] == {"More": ["docs/new.md"]}
    assert navigation(["README.md", "docs/decisions/0001-x.md", "docs/decisions/README.md"])[-1] == {
        "Decisions": ["docs/decisions/README.md", "docs/decisions/0001-x.md"]
    }
