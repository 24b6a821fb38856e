# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest authentication as a sender meets it: challenged, let in once, and not again with what was overheard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.sip.text import digest
from gateway.sip.text.digest import DigestServer, Verdict, parse_credentials, same_place
from tests.sip.digest_client import Client, Clock, judged

if TYPE_CHECKING:
    pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> DigestServer:
    return DigestServer("gw.example", b"secret", clock)


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
