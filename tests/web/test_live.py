# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on, as it is told to who looks: whole at first, then what is new, and to nobody who does not read."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.web import live
from gateway.web.live_document import MOST_CALLS
from tests.bench.jumping_loop import JumpingLoop
from tests.web.serving import call_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientResponse

    from gateway.ports import UnderWay
    from tests.web.serving import Client, Gateway

event_loop = JumpingLoop
EVENTS = {"Accept": "text/event-stream"}


class Looking:
    """A browser that looks."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def event(self) -> tuple[str, Any]:
        """The next event: its name, and what it says."""
        lines = []
        while line := (await self.response.content.readline()).decode().rstrip("\n"):
            lines.append(line)
        if not lines:
            return "", None
        name, data = lines
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    async def change(self, part: str) -> Any:
        """The next change of a part."""
        while True:
            name, said = await self.event()
            assert name == "change"
            if part in said:
                return said[part]


@asynccontextmanager
async def looking(ask: Client) -> AsyncIterator[Looking]:
    async with ask._session.get(f"{ask._base}/api/live", headers=EVENTS) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        yield Looking(response)


@pytest.mark.keeps("23.4")
async def test_all_at_first_then_what_is_new(ask: Client, gateway: Gateway) -> None:
    async with looking(ask) as viewer:
        name, said = await viewer.event()
        assert (name, [call["call"] for call in said["calls"]], said["counts"]["calls"]) == ("all", ["c1"], 1)
        assert said == await once(ask)
        gateway.lines = [call_line("c2"), call_line("c1", stage="asked", transfer_state="ringing")]
        change = await viewer.change("calls")
        assert [(call["call"], call["stage"]) for call in change["set"]] == [("c2", "assistant"), ("c1", "asked")]
        assert change["gone"] == []
        gateway.lines = gateway.lines[:1]
        assert await viewer.change("calls") == {"set": [], "gone": ["c1"]}
        gateway.conditions["not-draining"] = False
        assert (await viewer.change("gateway"))["missing"] == ["not-draining"]
        gateway.free = 0
        [number] = await viewer.change("numbers")
        assert [(each["destination"], each["reason"]) for each in number["refused"]] == [("sales", "agents-busy")]


async def once(ask: Client) -> Any:
    status, said = await ask("/api/live")
    assert status == 200
    return said


@pytest.mark.keeps("23.4")
async def test_whoever_comes_later_knows_the_same(ask: Client, gateway: Gateway) -> None:
    async with looking(ask) as first:
        await first.event()
        gateway.lines = [call_line("c2")]
        await first.change("calls")
        async with looking(ask) as second:
            _, said = await second.event()
            assert [call["call"] for call in said["calls"]] == ["c2"]
            gateway.lines = []
            assert await second.change("calls") == await first.change("calls") == {"set": [], "gone": ["c2"]}


async def test_who_hears_nothing_new_hears_that_it_is_told_still(ask: Client) -> None:
    async with looking(ask) as viewer:
        await viewer.event()
        name, said = await viewer.event()
        assert (name, list(said)) == ("change", ["at"])


@pytest.mark.keeps("23.5")
async def test_so_many_calls_and_no_more(ask: Client, gateway: Gateway) -> None:
    gateway.lines = [call_line(f"c{place}") for place in range(500)]
    said = await once(ask)
    assert len(said["calls"]) == MOST_CALLS


@pytest.mark.keeps("23.5")
async def test_so_many_viewers_and_no_more(ask: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_VIEWERS", 2)
    async with looking(ask) as first, looking(ask) as second:
        await first.event()
        await second.event()
        status, said = await ask("/api/live", headers=EVENTS)
        assert (status, said["error"]["code"], ask.headers["Retry-After"]) == (503, "too-many-viewers", "30")


@pytest.mark.keeps("23.5")
async def test_a_viewer_who_does_not_read_is_dropped_and_the_others_go_on(ask: Client, gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ask.port, limit=1)
    writer.write(b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
    async with looking(ask) as viewer:
        await viewer.event()
        for turn in range(40):
            gateway.lines = [call_line(f"{turn}-{place}", caller="9" * 4000) for place in range(MOST_CALLS)]
            change = await viewer.change("calls")
            assert change["set"][0]["call"] == f"{turn}-0"
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(40 * MOST_CALLS * 4000)
    writer.close()


async def test_where_it_cannot_be_put_together_those_who_look_are_let_go_and_may_ask_anew(
    ask: Client, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with looking(ask) as viewer:
        await viewer.event()
        with monkeypatch.context() as patched:
            patched.setattr(gateway, "under_way", None)
            while (await viewer.event())[0]:
                pass
    async with looking(ask) as viewer:
        assert (await viewer.event())[0] == "all"


async def test_a_number_that_a_reload_takes_out_meanwhile_has_no_destinations(ask: Client, gateway: Gateway) -> None:
    gateway.numbers = lambda: ["main-line", "nobody"]  # type: ignore[method-assign]
    known, unknown = (await once(ask))["numbers"]
    assert (known["destinations"], unknown) == (
        2, {"number": "nobody", "called": None, "destinations": 0, "refused": []},
    )  # fmt: skip


async def test_a_head_has_no_end_to_wait_for(ask: Client) -> None:
    async with ask._session.head(f"{ask._base}/api/live", headers=EVENTS) as response:
        assert (response.status, response.content_type) == (200, "application/json")


@pytest.mark.keeps("23.5")
async def test_where_much_is_to_be_seen_it_is_looked_at_less_often(
    ask: Client, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of the processor on which a look takes 40 ms: a fiftieth of two seconds."""
    ticks = iter(range(10**6))
    monkeypatch.setattr("time.thread_time", lambda: next(ticks) * 0.01)
    looks: list[float] = []
    under_way = gateway.under_way

    def looked(most: int) -> UnderWay:
        looks.append(asyncio.get_running_loop().time())
        return under_way(most)

    monkeypatch.setattr(gateway, "under_way", looked)
    async with looking(ask) as viewer:
        for _ in range(4):
            await viewer.event()
    pauses = [after - before for before, after in itertools.pairwise(looks)][1:]
    assert pauses
    assert min(pauses) > live.LOOK_S * 0.9
    assert max(pauses) > 0.02 / live.SHARE
