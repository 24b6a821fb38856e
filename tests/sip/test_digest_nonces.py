# SPDX-License-Identifier: GPL-2.0-or-later
"""What was overheard opens nothing: a nonce and its counts are good once, for a while, and for who made it."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.text import digest
from gateway.sip.text.digest import DigestServer, Verdict
from tests.sip.digest_client import Client, Clock, judged

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> DigestServer:
    return DigestServer("gw.example", b"secret", clock)


def test_a_request_is_let_in_once(server: DigestServer) -> None:
    client = Client(server)
    answer = client.answer(client.challenge())
    assert [judged(server, answer) for _ in range(3)] == [Verdict.GRANTED, Verdict.STALE, Verdict.STALE]


def test_a_nonce_may_be_used_again_with_a_higher_count(server: DigestServer) -> None:
    client = Client(server)
    challenge = client.challenge()
    assert {judged(server, client.answer(challenge, nc=nc)) for nc in (1, 2, 3, 500, 0xFFFFFFFF)} == {Verdict.GRANTED}


def test_counts_may_come_out_of_order_but_once_each(server: DigestServer) -> None:
    client = Client(server)
    challenge = client.challenge()
    counts = list(range(1, 61))
    random.Random(1).shuffle(counts)
    for expected in (Verdict.GRANTED, Verdict.STALE):
        assert {judged(server, client.answer(challenge, nc=nc)) for nc in counts} == {expected}


@given(st.lists(st.integers(0, 200) | st.integers(0, 0xFFFFFFFF), max_size=60))
def test_no_count_is_ever_taken_twice(counts: list[int]) -> None:
    server = DigestServer("gw.example", b"secret", Clock())
    client = Client(server)
    challenge = client.challenge()
    taken = [nc for nc in counts if judged(server, client.answer(challenge, nc=nc)) is Verdict.GRANTED]
    assert len(taken) == len(set(taken))
    assert 0 not in taken
    highest = 0
    for nc in counts:
        if nc > highest:
            assert nc in taken  # a fresh one is never held for a replay
            highest = nc


def test_a_count_far_behind_is_not_trusted(server: DigestServer) -> None:
    client = Client(server)
    challenge = client.challenge()
    assert judged(server, client.answer(challenge, nc=100)) is Verdict.GRANTED
    assert judged(server, client.answer(challenge, nc=37)) is Verdict.GRANTED
    assert judged(server, client.answer(challenge, nc=36)) is Verdict.STALE


def test_a_wrong_password_does_not_use_up_a_count(server: DigestServer) -> None:
    client = Client(server)
    challenge = client.challenge()
    assert judged(server, Client(server, password="x").answer(challenge)) is Verdict.WRONG
    assert judged(server, client.answer(challenge)) is Verdict.GRANTED


def test_a_nonce_expires(server: DigestServer, clock: Clock) -> None:
    client = Client(server)
    challenge = client.challenge()
    clock.now += digest.NONCE_LIFETIME_S
    assert judged(server, client.answer(challenge)) is Verdict.GRANTED
    clock.now += 0.001
    assert judged(server, client.answer(challenge, nc=2)) is Verdict.STALE
    again = client.challenge(stale=True)
    assert again["stale"] == "true"
    assert judged(server, client.answer(again)) is Verdict.GRANTED


def test_a_nonce_is_good_for_who_made_it_alone(clock: Clock) -> None:
    one, other = (DigestServer("gw.example", secret, clock) for secret in (b"one", b"other"))
    third = DigestServer("elsewhere", b"one", clock)
    challenge = Client(one).challenge()
    opaque = Client(other).challenge()["opaque"]
    assert judged(other, Client(other).answer({**challenge, "opaque": opaque})) is Verdict.STALE
    mixed = {**Client(third).challenge(), "nonce": challenge["nonce"]}
    assert judged(third, Client(third).answer(mixed)) is Verdict.STALE


SPOILT: dict[str, Callable[[str], str]] = {
    "shorter": lambda nonce: nonce[:-1],
    "longer": lambda nonce: nonce + "A",
    "padded": lambda nonce: nonce + "=",
    "older": lambda nonce: nonce[:8] + ("A" if nonce[8] != "A" else "B") + nonce[9:],
    "not base64": lambda nonce: nonce[:5] + "." + nonce[5:],
    "empty": lambda nonce: "",
    "not ASCII": lambda nonce: "é",
    "repeated": lambda nonce: nonce * 20,
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_nonce_that_was_changed_is_none_of_ours(server: DigestServer, how: str) -> None:
    client = Client(server)
    challenge = client.challenge()
    changed = {**challenge, "nonce": SPOILT[how](challenge["nonce"])}
    assert judged(server, client.answer(changed)) is Verdict.STALE
    assert judged(server, client.answer(challenge)) is Verdict.GRANTED


def test_many_nonces_take_little_memory_and_none_is_accepted_twice(clock: Clock) -> None:
    server = DigestServer("gw.example", b"secret", clock, capacity=10)
    client = Client(server)
    answers = []
    for _ in range(100):
        clock.now += 0.01
        answers.append(client.answer(client.challenge()))
        assert judged(server, answers[-1]) is Verdict.GRANTED
    assert {judged(server, answer) for answer in answers} == {Verdict.STALE}
    assert len(server._used) == 10


def test_challenging_costs_no_memory(server: DigestServer) -> None:
    tracemalloc.start()
    try:
        server.challenges()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            server.challenges()
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()
