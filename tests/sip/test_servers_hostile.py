# SPDX-License-Identifier: GPL-2.0-or-later
"""Name servers that lie, loop, pour or are silent: all is bounded, and every question of PJSIP's is answered."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from gateway.clock import LoopClock
from gateway.sip.stack import servers
from gateway.sip.stack.servers import MAX_ASKED, MAX_KNOWN, MAX_SERVERS, Servers
from tests.support.names import NameServer
from tests.support.processes import free_port

pytestmark = pytest.mark.sip

HOST = "127.0.0.1"


class Asked:
    """A resolver at work, and what it has told PJSIP, by question."""

    def __init__(self, names: NameServer) -> None:
        self.names = names
        self.servers = Servers([f"{HOST}:{names.port}"], 4, LoopClock())
        self.told: dict[int, list[str]] = {}
        self._news = asyncio.Event()

    def resolved(self, query: int, found: list[str]) -> None:
        self.told[query] = found
        self._news.set()

    async def answer(self, host: str, *, port: int = 0, query: int = 1, within: float = 15) -> list[str]:
        self.servers.resolve(query, host, port, "udp")
        await self.until(lambda: query in self.told, within)
        return self.told[query]

    async def until(self, condition: Callable[[], bool], within: float = 15) -> None:
        async with asyncio.timeout(within):
            while not condition():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    async with NameServer(HOST, free_port(), {}) as names:
        made = Asked(names)
        monkeypatch.setattr("pjsua2.resolved", made.resolved)
        yield made
        made.servers.stop()


@pytest.mark.keeps("16.101")
async def test_hundreds_of_services_are_a_few(asked: Asked) -> None:
    asked.names.records = {("_sip._udp.x.example", "SRV"): [f"1 1 5060 s{n}.x.example." for n in range(300)]}
    asked.names.records |= {(f"s{n}.x.example", "A"): [f"127.1.{n // 200}.{n % 200 + 1}"] for n in range(300)}
    assert len(await asked.answer("x.example")) == MAX_SERVERS
    assert len(asked.names.asked) <= 2 + MAX_SERVERS


@pytest.mark.keeps("16.101")
async def test_hundreds_of_addresses_are_a_few(asked: Asked) -> None:
    asked.names.records = {("x.example", "A"): [f"127.1.0.{n}" for n in range(1, 250)]}
    assert len(await asked.answer("x.example", port=5060)) == MAX_SERVERS


@pytest.mark.keeps("16.101")
@pytest.mark.parametrize(
    ("naptr", "srv"),
    [
        (None, "1 1 0 s.x.example."),
        (None, "1 1 5060 ."),
        (None, "1 1 5060 _sip._udp.x.example."),
        (None, "1 1 5060 nowhere.x.example."),
        ('1 1 "S" "SIP+D2U" "" .', "1 1 5060 ."),
        ('1 1 "\\255\\254" "\\255SIP+D2U" "\\000" s.x.example.', "1 1 0 s.x.example."),
        ('1 1 "S" "SIP+D2U" "" x.example.', "1 1 0 s.x.example."),
        ('1 1 "A" "SIP+D2U" "" s.x.example.', "1 1 0 s.x.example."),
    ],
)
async def test_services_that_lead_nowhere_are_no_servers(asked: Asked, naptr: str | None, srv: str) -> None:
    asked.names.records = {("_sip._udp.x.example", "SRV"): [srv], ("s.x.example", "A"): ["127.1.0.1"]}
    if naptr:
        asked.names.records["x.example", "NAPTR"] = [naptr]
    assert await asked.answer("x.example") == []


@pytest.mark.keeps("16.101")
@pytest.mark.parametrize("address", ["0.0.0.0", "255.255.255.255", "224.0.1.75", "239.255.255.250"])
async def test_an_address_of_nobody_or_everybody_is_no_server(asked: Asked, address: str) -> None:
    asked.names.records = {("x.example", "A"): [address, "127.1.0.1"]}
    assert await asked.answer("x.example", port=5060) == ["127.1.0.1 5060"]
    asked.names.records = {("y.example", "A"): [address]}
    assert await asked.answer("y.example", port=5060, query=2) == []


@pytest.mark.keeps("16.101")
async def test_one_service_that_is_not_answered_leaves_the_others(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.servers._names.lifetime = 0.3
    asked.names.records = {("_sip._udp.x.example", "SRV"): ["1 1 5060 dead.example.", "2 1 5060 s.x.example."]}
    asked.names.records["s.x.example", "A"] = ["127.1.0.1"]
    asked.names.silent.add("dead.example")
    assert await asked.answer("x.example") == ["127.1.0.1 5060"]


@pytest.mark.keeps("16.101")
async def test_one_name_takes_no_longer_than_it_may(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "ALL_LOOK_UPS_S", 0.5)
    asked.names.records = {("_sip._udp.x.example", "SRV"): [f"{n} 1 5060 s{n}.dead.example." for n in range(1, 8)]}
    asked.names.records["_sip._udp.x.example", "SRV"].append("0 1 5060 s.x.example.")
    asked.names.records["s.x.example", "A"] = ["127.1.0.1"]
    asked.names.silent.add("dead.example")
    # What was found by then is what there is.
    assert await asked.answer("x.example", within=2) == ["127.1.0.1 5060"]


def looping(query: dns.message.Message) -> bytes:
    answer = dns.message.make_response(query)
    name = query.question[0].name
    for one, other in ((name, "a.loop.example."), ("a.loop.example.", name.to_text())):
        answer.answer.append(dns.rrset.from_text(one, 60, "IN", "CNAME", other))
    return answer.to_wire()


def chain(query: dns.message.Message) -> bytes:
    answer = dns.message.make_response(query)
    names = [query.question[0].name.to_text(), *(f"c{n}.example." for n in range(200))]
    for one, other in itertools.pairwise(names):
        answer.answer.append(dns.rrset.from_text(one, 60, "IN", "CNAME", other))
    return answer.to_wire()


def of_another(query: dns.message.Message) -> bytes:
    answer = dns.message.make_response(query)
    answer.answer.append(dns.rrset.from_text("bank.example.", 60, "IN", "A", "127.66.6.6"))
    return answer.to_wire()


def not_asked_for(query: dns.message.Message) -> bytes:
    other = dns.message.make_query("bank.example.", "A")
    other.id = query.id
    return of_another(other)


def cut(query: dns.message.Message) -> bytes:
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.TC
    return answer.to_wire()


FORGED = {
    "loop": looping,
    "chain": chain,
    "of another": of_another,
    "not asked for": not_asked_for,
    "cut, and no TCP": cut,
    "empty": lambda _: b"",
    "short": lambda query: query.to_wire()[:7],
    "rubbish": lambda query: query.to_wire()[:2] + b"\xff" * 500,
    "pointer to itself": lambda query: query.to_wire()[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + b"\xc0\x0c\0\1\0\1",
    "counts": lambda query: query.to_wire()[:4] + b"\xff" * 8 + query.to_wire()[12:],
}


@pytest.mark.keeps("16.102")
@pytest.mark.parametrize("forged", FORGED)
async def test_an_answer_that_is_none_is_not_believed(asked: Asked, forged: str) -> None:
    asked.servers._names.lifetime = 0.5
    asked.names.forge = FORGED[forged]
    assert await asked.answer("x.example") == []
    asked.names.forge = None
    asked.names.records = {("y.example", "A"): ["127.1.0.1"]}
    assert await asked.answer("y.example", query=2) == ["127.1.0.1 5060"]


STRANGE = [
    "x" * 300, ".".join(["y" * 60] * 5), "a" * 64 + ".example", "..", "", ".", "\udcff\udcfe.example",
    "\N{SNOWMAN}.example", "a\0b.example", "*.example", "a b.example", "xn--\udc80", "[::1", "-", "1.2.3.4.5",
    "\\256.example", "_sip._udp",
]  # fmt: skip


@pytest.mark.keeps("16.102")
@pytest.mark.parametrize("host", STRANGE, ids=range(len(STRANGE)))
async def test_a_name_of_any_kind_is_answered(asked: Asked, host: str) -> None:
    asked.servers._names.lifetime = 0.5
    assert await asked.answer(host) == []
    assert await asked.answer(host, port=5060, query=2) == []


@pytest.mark.keeps("16.102")
async def test_names_without_end_are_not_kept(asked: Asked) -> None:
    total = MAX_KNOWN + 50
    for query in range(total):
        assert await asked.answer(f"n{query}.example", port=5060, query=query) == []
    assert len(asked.servers._known) == MAX_KNOWN
    assert asked.servers._asking == {}


@pytest.mark.keeps("16.102")
async def test_no_more_are_asked_for_at_once_than_may_be(asked: Asked) -> None:
    asked.names.silent.add("example")
    asked.servers._names.lifetime = 1.0
    for query in range(MAX_ASKED + 20):
        asked.servers.resolve(query, f"n{query}.example", 5060, "udp")
    # Refused at once, the last of them.
    assert len(asked.told) == 20
    await asked.until(lambda: len(asked.told) == MAX_ASKED + 20)
    assert asked.servers._asking == {}
