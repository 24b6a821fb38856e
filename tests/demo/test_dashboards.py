# SPDX-License-Identifier: GPL-2.0-or-later
"""While the demo runs a browser is shown the dashboards; where they cannot be put together it says so and goes on."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.demo.__main__ import _dashboards as line
from tests.demo.dashboards import WAIT, Dashboards, missing
from tests.deploy.asking import dashboards
from tests.documents.readme_event import alike, shown
from tests.support.processes import Child, eventually

if TYPE_CHECKING:
    from tests.support.prometheus import Prometheus

ROOT = Path(__file__).parents[2]
PUT_TOGETHER_S = 300
"""What the page is made of is fetched once for this machine, which a busy one takes minutes for."""
BAR = re.compile(r"(\w+) (\d+)")
CHROMIUM = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1440,1900",
)  # fmt: skip


class Answering:
    """Stands for a Prometheus that has one series for everything."""

    async def query(self, _expression: str) -> list[dict[str, Any]]:
        return [{"metric": {}, "value": [0, "4"]}]

    async def query_range(self, _expression: str, start: float, end: float, step_s: float) -> list[dict[str, Any]]:
        return [{"metric": {}, "values": [[start, "4"], [end, str(step_s)]]}]


class Silent(Answering):
    """… that has gone."""

    async def query(self, _expression: str) -> list[dict[str, Any]]:
        raise ConnectionRefusedError("gone")


def serving(prometheus: Any, script: str) -> Dashboards:
    as_if: Prometheus = prometheus
    return Dashboards(as_if, ("sh", "-c", script))


async def got(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def until(url: str, status: int, words: str) -> None:
    async def shown() -> bool:
        return await got(url) == (status, words)

    await eventually(shown, words)


async def test_the_page_is_there_as_soon_as_it_is_put_together(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("the page")
    (tmp_path / "draw.js").write_text("draw()")
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done; echo {tmp_path}"
    async with serving(Answering(), wait) as shown:
        status, text = await got(shown.url)
        assert (status, "put together" in text, shown.fault) == (200, True, "")
        assert (await got(f"{shown.url}draw.js"))[0] == 404
        (tmp_path / "go").touch()
        await until(shown.url, 200, "the page")
        assert await got(f"{shown.url}draw.js") == (200, "draw()")
        assert (await got(f"{shown.url}recorded.js"))[1].startswith("window.LIVE")
        assert shown.url in line(shown)


@pytest.mark.parametrize("board", dashboards())
async def test_each_dashboard_has_an_answer_for_each_query_of_each_panel(board: str) -> None:
    async with serving(Answering(), "exit 1") as shown:
        recorded = json.loads((await got(f"{shown.url}recorded.json?board={board}"))[1])
    assert recorded["start"] <= recorded["end"]
    panels = [panel for panel in recorded["dashboards"][board]["panels"] if panel["type"] != "row"]
    assert [len(one) for one in recorded["shown"][board]] == [len(panel["targets"]) for panel in panels]
    assert all(series["values"][0][1] == "4" for one in recorded["shown"][board] for [series] in one)


async def test_the_demo_goes_on_where_they_cannot_be_put_together() -> None:
    async with serving(Silent(), "echo npm: no network >&2; exit 1") as shown:
        await until(shown.url, 503, "The dashboards could not be put together: npm: no network")
        assert line(shown) == "dashboards  not shown here, for they could not be put together: npm: no network"
        assert await got(f"{shown.url}recorded.json") == (502, "Prometheus does not answer: gone")
        assert (await got(f"{shown.url}recorded.json?board=none"))[0] == 404


def test_without_npm_the_demo_says_so_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert line(None) == "dashboards  not shown here: npm is not here (apt-get install nodejs npm)"


async def test_nothing_of_what_puts_them_together_outlives_the_demo(tmp_path: Path) -> None:
    async with serving(Answering(), f"sleep 600 & echo $! > {tmp_path}/pid; wait"):

        async def begun() -> str:
            return written(tmp_path / "pid")

        pid = await eventually(begun, "its pid")
        assert runs(pid)

    async def ended() -> bool:
        return not runs(pid)

    await eventually(ended, "its end")


def written(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def runs(pid: str) -> bool:
    return re.search(r"^State:\s+[^ZX]", written(Path("/proc", pid, "status")), re.MULTILINE) is not None


@pytest.mark.pbx
@pytest.mark.broker
@pytest.mark.thorough
@pytest.mark.timeout(120 + PUT_TOGETHER_S)
@pytest.mark.keeps("16.206")
@pytest.mark.keeps("20.109")
async def test_a_newcomer_sees_the_funnel_of_the_demo_in_a_browser(tmp_path: Path) -> None:
    demo = Child("demo", [sys.executable, "-m", "tests.demo"], tmp_path / "log", cwd=ROOT)

    async def played() -> bool:
        return "All of it stays up" in demo.log.read_text()

    try:
        await demo.ready(played, 100)
        said = demo.log.read_text()
        assert "All of them did what they should." in said
        sent = said[said.index("{", said.index("\nThe first of them as it came over MQTT\n")) :]
        assert alike(shown()) == alike(json.JSONDecoder().raw_decode(sent)[0]["data"])
        [prometheus] = re.findall(r"^prometheus  (\S+)", said, re.MULTILINE)
        assert "transfer_gateway_build_info" in (await got(f"{prometheus}/api/v1/label/__name__/values"))[1]
        if missing():
            assert f"\ndashboards  not shown here: {missing()}\n" in said
            return
        url = re.findall(r"^dashboards  (\S+) shows the funnel", said, re.MULTILINE)[0]
        page = await eventually(lambda: put_together(url), "the page", timeout_s=PUT_TOGETHER_S)
        if "draw.js" not in page:  # it was never put together here before, and a test may have no network to do it now
            assert re.match("The dashboards could not be put together: .", page)
            return
        assert (await got(f"{url}draw.js"))[0] == 200
        funnel = await eventually(lambda: drawn(url), "a funnel of four")
        assert [*funnel] == ["asked", "accepted", "rang", "answered", "person"]
        counts = list(funnel.values())
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] >= 1
    finally:
        demo.signal(signal.SIGINT)
        assert await demo.wait() == 0


async def put_together(url: str) -> str:
    page = (await got(url))[1]
    return "" if page == WAIT else page


async def drawn(url: str) -> dict[str, int]:
    """The funnel as a browser shows it, or, where there is none, as it is sent to one; empty until all are there."""
    if shutil.which("chromium"):
        found = {name: int(count) for name, count in BAR.findall(await asyncio.to_thread(text_in_chromium, url))}
    else:
        recorded = json.loads((await got(f"{url}recorded.json"))[1])
        panels = [panel for panel in recorded["dashboards"]["transfers"]["panels"] if panel["type"] != "row"]
        [(panel, shown)] = [
            pair for pair in zip(panels, recorded["shown"]["transfers"], strict=True) if pair[0]["title"] == "Funnel"
        ]
        names = [target["legendFormat"] for target in panel["targets"]]
        found = {name: int(series["values"][0][1]) for name, [series] in zip(names, shown, strict=True)}
    return found if found.get("asked", 0) >= 4 else {}


def text_in_chromium(url: str) -> str:
    """What stands on the panel *Funnel* of the page, once it has been drawn and drawn anew."""
    with tempfile.TemporaryDirectory() as profile:
        command = [*CHROMIUM, f"--user-data-dir={profile}", "--virtual-time-budget=8000", "--dump-dom", url]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    words = re.sub(r"<[^>]+>", " ", re.sub(r"<style.*?</style>", "", done.stdout, flags=re.DOTALL))
    return " ".join(words.split()).partition("Funnel ")[2].partition(" Outcomes")[0]
