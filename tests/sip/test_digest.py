# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest authentication as a sender meets it: challenged, let in once, and not again with what was overheard."""

from __future__ import annotations

import random
import re
import tracemalloc
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.sip.text import digest
from gateway.sip.text.digest import DigestServer, Verdict, parse_credentials, same_place

if TYPE_CHECKING:
    from collections.abc import Callable

URI = "sip:+31201234567@gw.example"
USER, PASSWORD = "hms", "let me in"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Client:
    """Answers a challenge; computes on its own, straight from RFC 7616 §3.4.1."""

    server: DigestServer
    algorithm: str = "SHA-256"
    username: str = USER
    password: str = PASSWORD

    def challenge(self, *, stale: bool = False) -> dict[str, str]:
        values = [
            value for name, value in self.server.challenges(stale=stale) if f"algorithm={self.algorithm}" in value
        ]
        assert len(values) == 1
        return {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^, ]+))', values[0])}

    def answer(
        self,
        challenge: dict[str, str],
        changes: dict[str, str] | None = None,
        *,
        method: str = "INVITE",
        uri: str = URI,
        nc: int = 1,
    ) -> str:
        def hexdigest(text: str) -> str:
            return (sha256 if self.algorithm == "SHA-256" else md5)(text.encode()).hexdigest()

        user = hexdigest(f"{self.username}:{challenge['realm']}:{self.password}")
        response = hexdigest(f"{user}:{challenge['nonce']}:{nc:08x}:abc:auth:{hexdigest(f'{method}:{uri}')}")
        fields = {
            "username": f'"{self.username}"', "realm": f'"{challenge["realm"]}"', "nonce": f'"{challenge["nonce"]}"',
            "uri": f'"{uri}"', "response": f'"{response}"', "algorithm": self.algorithm, "cnonce": '"abc"',
            "opaque": f'"{challenge["opaque"]}"', "qop": "auth", "nc": f"{nc:08x}", **(changes or {}),
        }  # fmt: skip
        return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items() if value)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> DigestServer:
    return DigestServer("gw.example", b"secret", clock)


def judged(server: DigestServer, *values: str, method: str = "INVITE", uri: str = URI) -> Verdict:
    return server.verify(method, uri, values, USER, PASSWORD)


# --- the arithmetic


@pytest.mark.parametrize(
    ("algorithm", "realm", "password", "nonce", "cnonce", "expected"),
    [
        # RFC 7616 §3.9.1
        ("MD5", "http-auth@example.org", "Circle of Life", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
         "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "http-auth@example.org", "Circle of Life", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
         "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
         "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        # RFC 2617 §3.5
        ("MD5", "testrealm@host.com", "Circle Of Life", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b",
         "6629fae49393a05397450978507c4ef1"),
    ],
)  # fmt: skip
def test_the_examples_of_the_rfcs(
    algorithm: str, realm: str, password: str, nonce: str, cnonce: str, expected: str
) -> None:
    uri = "/dir/index.html"
    given_fields = {"method": "GET", "uri": uri, "nonce": nonce, "nc": "00000001", "cnonce": cnonce}
    assert digest.response(algorithm, "Mufasa", realm, password, **given_fields) == expected
    value = (
        f'Digest username="Mufasa", realm="{realm}", uri="{uri}", algorithm={algorithm}, nonce="{nonce}", nc=00000001, '
        f'cnonce="{cnonce}", qop=auth, response="{expected}"'
    )
    other = DigestServer(realm, b"secret", Clock())
    # The password is right, the nonce is not ours: exactly what `stale` is for.
    assert other.verify("GET", uri, [value], "Mufasa", password) is Verdict.STALE
    assert other.verify("GET", uri, [value], "Mufasa", "Circle of Death") is Verdict.WRONG
    assert other.verify("PUT", uri, [value], "Mufasa", password) is Verdict.WRONG


# --- the challenge


def test_a_challenge_names_the_best_algorithm_first(server: DigestServer) -> None:
    (first, better), (second, weaker) = server.challenges()
    assert first == second == "WWW-Authenticate"
    form = r'Digest realm="gw.example", nonce="[A-Za-z0-9_-]+", opaque="[0-9a-f]+", qop="auth", algorithm={}'
    assert re.fullmatch(form.format("SHA-256"), better)
    assert re.fullmatch(form.format("MD5"), weaker)


def test_a_proxy_challenges_by_its_own_header(server: DigestServer) -> None:
    assert {name for name, _ in server.challenges(proxy=True)} == {"Proxy-Authenticate"}


def test_no_two_challenges_have_the_same_nonce(server: DigestServer) -> None:
    client = Client(server)
    assert len({client.challenge()["nonce"] for _ in range(100)}) == 100


def test_a_realm_stays_inside_its_quotes() -> None:
    (_, value), _ = DigestServer('a"b\\c', b"secret", Clock()).challenges()
    parsed = parse_credentials(value)
    assert parsed is not None
    assert parsed["realm"] == 'a"b\\c'


# --- who knows the password


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_who_knows_the_password_is_let_in(server: DigestServer, algorithm: str) -> None:
    client = Client(server, algorithm)
    assert judged(server, client.answer(client.challenge())) is Verdict.GRANTED


@pytest.mark.parametrize("method", ["INVITE", "REFER"])
def test_any_method_can_be_asked_for(server: DigestServer, method: str) -> None:
    client = Client(server)
    assert judged(server, client.answer(client.challenge(), method=method), method=method) is Verdict.GRANTED


def test_no_credentials_are_missing(server: DigestServer) -> None:
    assert judged(server) is Verdict.MISSING


def test_credentials_for_others_are_passed_over(server: DigestServer) -> None:
    client = Client(server)
    own = client.answer(client.challenge())
    others = ['Digest username="hms", realm="elsewhere", response="00"', "Basic aG1zOng=", "Digest", "?", ""]
    assert judged(server, *others) is Verdict.MISSING
    assert judged(server, *others, own) is Verdict.GRANTED


def test_a_wrong_password_or_user_is_wrong(server: DigestServer) -> None:
    for client in (Client(server, password="let me out"), Client(server, username="HMS")):
        assert judged(server, client.answer(client.challenge())) is Verdict.WRONG
    client = Client(server)
    assert judged(server, client.answer(client.challenge(), {"username": '"other"'})) is Verdict.WRONG


def test_credentials_are_good_for_their_method_alone(server: DigestServer) -> None:
    client = Client(server)
    assert judged(server, client.answer(client.challenge(), method="INVITE"), method="REFER") is Verdict.WRONG


def test_credentials_are_good_for_their_uri_alone(server: DigestServer) -> None:
    client = Client(server)
    answer = client.answer(client.challenge(), uri="sip:+31900123456@gw.example")
    assert judged(server, answer) is Verdict.MISDIRECTED
    swapped = client.answer(client.challenge(), uri="sip:+31900123456@gw.example").replace(
        "+31900123456", "+31201234567"
    )
    assert judged(server, swapped) is Verdict.WRONG


@pytest.mark.parametrize(
    ("field", "value"),
    [("qop", ""), ("qop", "auth-int"), ("cnonce", ""), ("cnonce", '""'), ("nc", ""), ("nc", "1"), ("nc", "0000000g"),
     ("algorithm", "SHA-512"), ("algorithm", "MD5-sess"), ("opaque", '"other"'), ("realm", '"other"')],
)  # fmt: skip
def test_what_is_not_what_was_asked_for_is_challenged(server: DigestServer, field: str, value: str) -> None:
    client = Client(server)
    assert judged(server, client.answer(client.challenge(), {field: value})) is Verdict.MISSING


def test_small_liberties_are_borne(server: DigestServer) -> None:
    client = Client(server, "MD5")
    for changes in ({"algorithm": ""}, {"algorithm": '"md5"'}, {"opaque": ""}, {"qop": '"auth"'}):
        assert judged(server, client.answer(client.challenge(), changes)) is Verdict.GRANTED
    answer = client.answer(client.challenge())
    assert judged(server, answer.replace("Digest ", "digest   ").replace(", ", " ,").replace("realm=", "REALM = ")) is (
        Verdict.GRANTED
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:a@gw", "sip:a@GW", True),
        ("sip:a@gw", "sip:a@gw:5060", True),
        ("sips:a@gw", "sips:a@gw:5061", True),
        ("sip:a@gw", "sip:a@gw;transport=tcp", True),
        ("sip:%2B31@gw", "sip:+31@gw", True),
        ("sip:a,b@gw", "sip:a,b@gw", True),
        ("sip:a@[::1]", "sip:a@[::1]:5060", True),
        ("tel:+31", "tel:+31", True),
        ("sip:a@gw", "sip:b@gw", False),
        ("sip:a@gw", "sip:A@gw", False),
        ("sip:a@gw", "sip:a@gw2", False),
        ("sip:a@gw", "sip:a@gw:5070", False),
        ("sip:a@gw", "sips:a@gw", False),
        ("sip:a@gw", "sip:gw", False),
        ("sip:a@gw", "", False),
    ],
)
def test_which_uris_are_the_same_place(one: str, other: str, same: bool) -> None:
    assert same_place(one, other) is same


# --- what was overheard


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


# --- garbage


@given(st.text(st.characters() | st.sampled_from('Digest realm="gw.example",=\\ '), max_size=100))
def test_any_text_is_read_or_not(text: str) -> None:
    server = DigestServer("gw.example", b"secret", Clock())
    for value in (text, f"Digest {text}", f'Digest realm="gw.example", {text}', f'Digest a="{text}'):
        parse_credentials(value)
        assert judged(server, value) in (Verdict.MISSING, Verdict.WRONG)


@given(
    st.sampled_from(["username", "nonce", "uri", "response", "cnonce", "opaque", "qop", "nc", "algorithm"]),
    st.text(st.characters(exclude_characters='\\"'), max_size=40),
)
def test_garbage_in_any_one_field_opens_nothing(field: str, text: str) -> None:
    server = DigestServer("gw.example", b"secret", Clock())
    client = Client(server)
    challenge = client.challenge()
    right = parse_credentials(client.answer(challenge))
    assert right is not None
    assume(text.lower() != right[field].lower())
    verdict = judged(server, client.answer(challenge, {field: f'"{text}"'}))
    assert verdict in (Verdict.MISSING, Verdict.WRONG)


@pytest.mark.parametrize(
    "value",
    ["Digest " + "a" * 3000, "Digest " + '"' * 2000, 'Digest a="' + "\\" * 2000, "Digest a=b, a=c", "Digest a",
     "Digest =b", "Digest a=", 'Digest a="b" c="d"', "Bearer a=b", "Digest   ", "Digest \x00"],
)  # fmt: skip
def test_what_cannot_be_read_is_nothing(value: str) -> None:
    assert parse_credentials(value) is None


def test_quoted_values_may_hold_commas_and_quotes() -> None:
    assert parse_credentials('Digest username="a, b\\"c\\\\", uri="sip:a,b@gw", nc=00000001') == {
        "username": 'a, b"c\\',
        "uri": "sip:a,b@gw",
        "nc": "00000001",
    }
