# SPDX-License-Identifier: GPL-2.0-or-later
"""Challenges that nobody here knows do not hide the one that can be answered (RFC 8760 §2.4)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from tests.sip.bed import ANNA, PORT, TARGET_HZ, Bed, Pair, Stage
from tests.sip.test_trunks import REGISTRAR, answer, gateway_with, nth
from tests.support.peer import Peer
from tests.support.peer_call import Call
from tests.support.processes import Net
from tests.support.sip_message import Message
from tests.support.wire import Streams, Wire

pytestmark = pytest.mark.sip

CREDENTIALS = {"username": "gw", "password": "battery staple"}
PAIRS = {"udp": Pair(pbx=CREDENTIALS), "tcp": Pair(pbx={"transport": "tcp", **CREDENTIALS})}
SIP = {"tcp_port": PORT}

WWW, PROXY = "WWW-Authenticate", "Proxy-Authenticate"
BASIC = 'Basic realm="pbx"'
BEARER = 'Bearer realm="pbx, or else", authz_server="https://as.example/a,b?c=d", scope="a b", error="invalid_token"'
TOKEN = "Negotiate YIIGeQYGKwYBBQUCoIIGbTCC+/=="


def digest(nonce: str, algorithm: str = "MD5", realm: str = "pbx", qop: str = "auth") -> str:
    """A challenge, told apart by its nonce."""
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}, qop="{qop}"'


def listed(*challenges: str) -> list[tuple[str, str]]:
    """Several challenges in one header field, as HTTP has them (RFC 9110 §11.6.1)."""
    return [(WWW, ", ".join(challenges))]


def each(*challenges: str) -> list[tuple[str, str]]:
    """A header field for each (RFC 3261 §20.44)."""
    return [(WWW, one) for one in challenges]


CASES = {
    "basic-first": (listed(BASIC, digest("one")), ["one"]),
    "basic-last": (listed(digest("one"), BASIC), ["one"]),
    "bearer": (listed(BEARER, digest("one"), BASIC), ["one"]),
    "bare-scheme": (listed("Negotiate", digest("one")), ["one"]),
    "token68": (listed(digest("one"), TOKEN, "NTLM"), ["one"]),
    "two-digests": (listed(digest("one", "SHA-256"), digest("two")), ["one"]),
    "two-digests-the-weak-one-on-top": (listed(digest("one"), digest("two", "SHA-256")), ["one"]),
    "unknown-algorithm-on-top": (listed(digest("one", "SHA3-512"), digest("two")), ["two"]),
    "unknown-algorithm-by-itself": (each(digest("one", "SHA3-512"), BASIC, digest("two")), ["two"]),
    "unknown-qop": (listed(digest("one", qop="auth-ext"), digest("two")), ["two"]),
    "two-realms": (listed(digest("one", realm="a"), BASIC, digest("two", realm="b")), ["one", "two"]),
    "fields-of-several": ([*listed(BASIC, TOKEN), *listed(BEARER, digest("one")), *each(digest("two"))], ["one"]),
    "of-both-kinds": ([(PROXY, BASIC), (PROXY, f"{digest('one', realm='a')}, {BASIC}"), (WWW, digest("two"))],
                      ["one", "two"]),
    "own-fields": (each(BASIC, BEARER, TOKEN, "Negotiate", digest("one"), "Unheard-Of a=b"), ["one"]),
    "cut-short": (each('Digest realm="pbx", nonce="on', digest("two")), ["two"]),
    "without-nonce": (listed('Digest realm="pbx"', digest("two")), ["two"]),
    "nothing": ([(WWW, ""), *each(digest("one"))], ["one"]),
    "not-a-token": (each("Digest realm=pbx, nonce=abc/def==, algorithm=MD5", digest("two", realm="b")),
                    ["abc/def==", "two"]),
    "in-capitals": ([("WWW-AUTHENTICATE", 'BASIC realm=x,DIGEST Realm = "pbx" ,NONCE="one",Algorithm=md5')], ["one"]),
    "folded": ([(WWW, f"{BASIC},\r\n\t{digest('one')},\r\n {BEARER}")], ["one"]),
    "commas-and-quotes": (listed(r'Basic realm="a \", Digest realm=\"b"', digest("one", realm=r"a \"b\", c")), ["one"]),
}  # fmt: skip


@pytest.fixture(params=["udp", "tcp"])
async def at(bed: Bed, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    wire: Wire | None = Streams() if request.param == "tcp" else None
    async with Stage(bed, request.param, pbx=wire) as opened:
        yield opened


async def dialled(at: Stage) -> tuple[Call, Call]:
    """An assistant has their caller put through: the assistant, and the call to the target."""
    _, assistant = await at.conversation()
    assert (await assistant.refer(ANNA)).code == 202
    target = await at.pbx.wait_call()
    target.answers["INVITE"] = None
    return assistant, target


def nonces(request: Message) -> list[str]:
    """Which challenges a request answers."""
    given = [*request.all("Authorization"), *request.all("Proxy-Authorization")]
    return [found[1] for value in given if (found := re.search(r'nonce="([^"]*)"', value))]


@pytest.mark.keeps("16.80")
@pytest.mark.parametrize("case", CASES)
async def test_the_topmost_digest_that_is_known_is_answered_for_an_invite(at: Stage, case: str) -> None:
    challenges, answered = CASES[case]
    assistant, target = await dialled(at)
    target.reject(407 if challenges[0][0] == PROXY else 401, headers=challenges)
    again = await target.wait_request("INVITE")
    assert sorted(nonces(again)) == answered
    target.incoming = again
    await target.answer(hz=TARGET_HZ)
    assert (await assistant.notifies())[-1].sipfrag == 200
    await assistant.hang_up()
    await target.hang_up()


@pytest.mark.keeps("16.80")
@pytest.mark.parametrize("challenges", [each(BASIC), listed(TOKEN, BEARER), each('Digest realm="pbx", nonce="on')])
async def test_what_nobody_here_can_answer_is_a_failure_at_once(at: Stage, challenges: list[tuple[str, str]]) -> None:
    assistant, target = await dialled(at)
    target.reject(401, headers=challenges)
    assert (await assistant.notifies())[-1].sipfrag == 401
    assert not [one for one in target.requests if one.method == "INVITE"]
    await assistant.hang_up()


@pytest.mark.keeps("16.80")
@pytest.mark.parametrize("case", ["basic-first", "two-digests", "unknown-algorithm-on-top", "fields-of-several"])
async def test_the_topmost_digest_that_is_known_is_answered_for_a_register(own_net: Net, case: str) -> None:
    challenges, answered = CASES[case]
    async with Peer(own_net.trunk) as trunk:
        trunk.answers["REGISTER"] = None
        async with gateway_with(own_net, **REGISTRAR):
            answer(trunk, await nth(trunk, "REGISTER", 1), 401, *challenges)
            second = await nth(trunk, "REGISTER", 2)
            assert nonces(second.message) == answered
            answer(trunk, second, 200, ("Contact", second.message["Contact"]), ("Expires", "300"))
            trunk.answers["REGISTER"] = 200
