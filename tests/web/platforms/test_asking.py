# SPDX-License-Identifier: GPL-2.0-or-later
"""What HMS asks before and during a call, answered by the gate itself: its tools, and who is to take the call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.core.model import DeviceState, PbxState, QueueState
from gateway.core.platform_calls import PlatformCall
from gateway.core.state_sources import StateSource
from gateway.ports import Operations
from gateway.ports.platform import PlatformResult
from gateway.web.platforms.handlers import TYPES, handlers
from gateway.web.platforms.tools import TOOLS
from tests.bench import Bench
from tests.bench.bench import Source
from tests.support.begun import Begun
from tests.support.platform_client import PlatformClient
from tests.web.platforms.listening import Listening, files

pytestmark = pytest.mark.slow  # a server, and whoever asks it, at sockets

SALES, ANNA = "+31612345678", "+31612345681"
ASSISTANT = {
    "name": "Acme",
    "llm_config": {
        "tools": [
            {"type": "end_call"},
            {
                "type": "transfer_call",
                "destinations": [
                    {"type": "number", "number": SALES, "description": "Prices", "message": "One moment."},
                    {"type": "number", "number": "0612345681", "description": "Anna"},
                ],
            },
        ]
    },
}


NAMES = (SALES, "0612345678", "06-1234 5678", "sales", "SALES", "2001", f"tel:{SALES}", "onze verkoop", "Onze Verkoop ")


class Company:
    """A listener before an engine, whose PBX tells of what a test says."""

    def __init__(self, directory: Path, assistant: dict[str, Any] | None = ASSISTANT) -> None:
        written = files()
        main, spare, _ = written.main["numbers"]
        main["locale"], spare["locale"] = "nl", "en"
        main["destinations"][0] |= {"name": "onze verkoop", "overflow": ["anna"]}
        main["destinations"].insert(
            2, {"id": "closed", "number": "+31612345687", "extension": "6700", "hours": "never"}
        )
        written.main["hours"] = {"never": {"time_zone": "Europe/Amsterdam", "weekly": {}}}
        written.follow("asterisk", 5038, "secret")
        if assistant is not None:
            main["assistant_file"] = "acme.json"
            written.secrets["acme.json"] = json.dumps(assistant)
        self.gateway = Listening(directory, written)
        self.bench = Bench(self.gateway.config())
        operations = cast(Operations, self.bench.engine)
        self.gateway.handlers = dict(handlers(operations, self.gateway.observed, self._report))
        self.staff()

    async def _report(self, report: PlatformCall) -> None:
        raise NotImplementedError

    def staff(self, sales: int = 2, *, anna: DeviceState = DeviceState.IDLE) -> None:
        """So many agents of sales are free, and Anna's phone is in this state."""
        queues = {"sales": QueueState("sales", logged_in=2, available=sales, callers=1)}
        extensions = {"6001": anna}
        state = PbxState("asterisk", StateSource.AMI, self.bench.clock.now().wall, queues=queues, extensions=extensions)
        self.bench.engine.sources = {"asterisk": Source(state)}

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[PlatformClient]:
        async with self.gateway.running() as platform:
            yield platform


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


@pytest.mark.keeps("19.16")
async def test_it_hears_who_is_there_and_why_not_in_the_callers_language(company: Company) -> None:
    asked = [("check_availability", {"destination": name}) for name in (SALES, "closed", "anna")]
    async with company.platform() as platform:
        sales, closed, anna = await platform.call_tools(*asked)
        assert sales == {
            "destination": "sales", "name": "onze verkoop", "number": SALES, "available": True, "leads_to": "sales",
            "reason": "accepted", "sentence": None, "open": True, "holiday": None, "opens_at": None, "closes_at": None,
            "agents_available": 2, "callers_waiting": 1, "expected_wait_s": None,
        }  # fmt: skip
        assert (closed["available"], closed["reason"]) == (False, "outside-hours")
        assert closed["sentence"] == "Closed is gesloten."
        assert anna["available"]
        company.staff(sales=0)
        [sales] = await platform.call_tools(asked[0])
        assert (sales["available"], sales["leads_to"]) == (True, "anna")
        company.staff(sales=0, anna=DeviceState.BUSY)
        [sales] = await platform.call_tools(asked[0])
        assert (sales["available"], sales["reason"]) == (False, "agents-busy")
        assert sales["sentence"] == "Bij onze verkoop is op dit moment iedereen in gesprek."
    results = [result for *_, result in company.gateway.observed.tools]
    assert results == ["available", "unavailable", "available", "available", "unavailable"]


@pytest.mark.keeps("19.16")
@pytest.mark.parametrize(
    "named",
    [SALES, "0612345678", "06-1234 5678", "sales", "SALES", "2001", f"tel:{SALES}", "onze verkoop", "Onze Verkoop "],
)
async def test_a_destination_is_named_by_number_id_alias_or_name(company: Company, named: str) -> None:
    async with company.platform() as platform:
        [found] = await platform.call_tools(("check_availability", {"destination": named}))
    assert found["destination"] == "sales"


@pytest.mark.keeps("19.16")
async def test_all_are_listed_that_the_tool_could_offer(company: Company) -> None:
    async with company.platform() as platform:
        [listed, again] = await platform.call_tools(("list_destinations", {}), ("list_destinations", None))
    assert listed == again
    assert [(one["destination"], one["available"]) for one in listed["destinations"]] == [
        ("sales", True), ("anna", True), ("closed", False),
    ]  # fmt: skip
    assert listed["destinations"][0]["description"] == "Questions about prices, quotes and new products"


@pytest.mark.keeps("19.16")
@pytest.mark.parametrize("named", [SALES, "closed", "anna", "nobody"])
async def test_what_it_hears_is_what_a_refer_gets(company: Company, named: str) -> None:
    """The gate's own answer for the same target; tests/sip and tests/e2e ask by REFER."""
    async with company.platform() as platform:
        for sales, anna in ((2, DeviceState.IDLE), *((0, state) for state in DeviceState)):
            company.staff(sales, anna=anna)
            [said] = await platform.call_tools(("check_availability", {"destination": named}))
            explained = company.bench.engine.explain(named, "main-line", None)
            if named == "nobody":
                assert explained["reason"] == "unknown-destination"
                assert "error" in said
                continue
            assert said["available"] == (explained["decision"] == "accept")
            assert (said["reason"], said["sentence"]) == (explained["reason"], explained["sentence"])


WRONG: dict[str, Any] = {
    "another-tool": (("transfer_now", {}), "there is no tool transfer_now; there are check_availability and list_"),
    "no-tool": ((None, {}), "there is no tool ; there are"),
    "no-arguments": (("check_availability", None), "destination: is missing; give the number of one of these"),
    "arguments-are-text": (("check_availability", '{"destination": "sales"}'), "arguments: must be an object"),
    "arguments-are-a-list": (("list_destinations", []), "arguments: must be an object"),
    "an-empty-destination": (("check_availability", {"destination": " "}), "destination: is missing"),
    "a-number": (("check_availability", {"destination": 31612345678}), "destination: is missing"),
    "an-unknown-one": (("check_availability", {"destination": "mars"}), 'there is no destination "mars"; give'),
    "a-long-one": (("check_availability", {"destination": "m" * 9999}), f'there is no destination "{"m" * 60}";'),
    "a-scheme": (("check_availability", {"destination": "http://x"}), 'there is no destination "http://x"; give'),
}  # fmt: skip


@pytest.mark.keeps("19.17")
@pytest.mark.parametrize(("call", "problem"), WRONG.values(), ids=WRONG)
async def test_a_mistake_is_told_so_that_a_model_can_mend_it(company: Company, call: Any, problem: str) -> None:
    with capture_logs() as logs:
        async with company.platform() as platform:
            wrong, right = await platform.call_tools(call, ("check_availability", {"destination": "sales"}))
    assert wrong["error"].startswith(problem)
    assert right["available"]
    if "these" in wrong["error"]:
        assert wrong["destinations"][0] == {"destination": "sales", "name": "onze verkoop", "number": SALES}
    assert [result for *_, result in company.gateway.observed.tools] == ["error", "available"]
    # What a model says may be what a caller told it.
    told = [line for line in logs if line["event"] == "tool-called"]
    assert not [line for line in told if "mars" in str(line) or "http" in str(line)]
    assert told[0]["reason"] in ("unknown-tool", "bad-arguments", "unknown-destination")


@pytest.mark.keeps("19.17")
@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("+31201234599", "this call is for +31201234599, for which"),  # another trunk's
        ("+31201111111", "this call is for +31201111111, for which"),
        (None, "this call names no number that was called, for which"),
    ],
)
async def test_a_call_for_no_number_of_the_trunk_learns_nothing(
    company: Company, number: str | None, problem: str
) -> None:
    async with company.platform() as platform:
        platform.number = number
        for result in await platform.call_tools(
            ("list_destinations", {}), ("check_availability", {"destination": "sales"})
        ):
            assert result["error"].startswith(problem)


CALLS: dict[str, Any] = {
    "none": None,
    "empty": [],
    "an-object": {},
    "too-many": [{"id": str(one), "function": {"name": "list_destinations", "arguments": {}}} for one in range(26)],
    "without-id": [{"function": {"name": "list_destinations", "arguments": {}}}],
    "a-number-as-id": [{"id": 1, "function": {"name": "list_destinations", "arguments": {}}}],
    "no-object": ["list_destinations"],
}


@pytest.mark.keeps("19.17")
@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
async def test_calls_that_cannot_be_told_apart_get_one_error(company: Company, calls: Any) -> None:
    async with company.platform() as platform:
        answer = await platform.post(platform.event("tool-calls", tool_call_list=calls))
    assert answer.status == 200
    assert set(answer.json) == {"error"}
    assert not company.gateway.observed.tools


@pytest.mark.keeps("19.18")
async def test_the_assistant_offers_what_is_open(company: Company) -> None:
    def offered(answer: dict[str, Any]) -> list[str]:
        tools = answer["assistant"]["llm_config"]["tools"]
        return [one["number"] for tool in tools if tool["type"] == "transfer_call" for one in tool["destinations"]]

    async with company.platform() as platform:
        assert await platform.ask_assistant() == {"assistant": ASSISTANT}
        company.staff(anna=DeviceState.BUSY)
        answer = await platform.ask_assistant()
        assert offered(answer) == [SALES]
        assert answer["assistant"]["name"] == "Acme"
        company.staff(sales=0, anna=DeviceState.BUSY)
        assert (await platform.ask_assistant())["assistant"]["llm_config"]["tools"] == [{"type": "end_call"}]
        company.staff(sales=0)  # and so the overflow takes them
        assert offered(await platform.ask_assistant()) == [SALES, "0612345681"]
    assert company.gateway.observed.asked[0] == ("hms", "assistant-request", PlatformResult.ANSWERED)


@pytest.mark.keeps("19.18")
async def test_a_saved_assistant_is_overridden_as_the_file_says(tmp_path: Path) -> None:
    told = {"assistant_id": "a-1", "assistant_override": {"llm_config": ASSISTANT["llm_config"]}}
    company = Company(tmp_path, told)
    company.staff(anna=DeviceState.BUSY)
    async with company.platform() as platform:
        answer = await platform.ask_assistant()
    assert answer["assistant_id"] == "a-1"
    [_, tool] = answer["assistant_override"]["llm_config"]["tools"]
    assert [one["number"] for one in tool["destinations"]] == [SALES]


@pytest.mark.keeps("19.18")
@pytest.mark.parametrize("number", ["+31201234567", "+31201234599", "+31201111111", None])
async def test_where_there_is_none_the_platforms_own_stays_in_force(tmp_path: Path, number: str | None) -> None:
    company = Company(tmp_path, None)
    async with company.platform() as platform:
        platform.number = number
        assert await platform.ask_assistant() == {}


@pytest.mark.keeps("19.18")
async def test_what_fails_here_leaves_it_in_force_too(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(number: str) -> None:
        raise RuntimeError(number)

    monkeypatch.setattr(company.bench.engine, "assistant", fails)
    async with company.platform() as platform:
        assert await platform.ask_assistant() == {}
    assert company.gateway.observed.asked == [("hms", "assistant-request", PlatformResult.FAILED)]


async def test_an_answer_takes_far_less_than_a_second(company: Company) -> None:
    async with company.platform() as platform:
        calls = [("check_availability", {"destination": "sales"})] * 25
        began = Begun()
        await platform.call_tools(*calls)
        assert began.took_s < 1


def test_every_type_that_is_handled_has_its_name_in_the_metrics(company: Company) -> None:
    assert {kind for _, kind in company.gateway.handlers} == set(TYPES)
    assert set(TOOLS) == {"check_availability", "list_destinations"}
