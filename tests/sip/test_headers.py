# SPDX-License-Identifier: GPL-2.0-or-later
"""Header values as senders write them, as they should not, and as nobody would by accident."""

import re
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.call.turn import TRANSFER_HEADER
from gateway.core.numbers import TargetError, parse_target
from gateway.core.outcome import Reason
from gateway.sip.text import headers
from gateway.sip.text.headers import HeaderError, NameAddr, ReferTo, parse_name_addr, parse_refer_to

MOBILE = "+31612345678"
ALLOWED = ("User-to-User", "X-*")
UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

wire = st.text(st.characters() | st.sampled_from('<>";,@?&=%:+\\ \t\r\n\x00sip'), max_size=80)
"""What may stand in a header: any character, those that mean something often; bytes that are not UTF-8 too."""


@pytest.mark.parametrize(
    ("value", "user", "key"),
    [
        ("<sip:+31612345678@gw.example>", MOBILE, MOBILE),
        ("sip:+31612345678@gw.example;x=y", MOBILE, MOBILE),
        ("tel:+31612345678;ext=12", MOBILE, f"{MOBILE};ext=12"),
        ("<tel:+31612345678>", MOBILE, MOBILE),
        ("<tel:2001;phone-context=pbx.example>", "2001", "2001;phone-context=pbx.example"),
        ("tel:2001;phone-context=pbx.example", "2001", "2001;phone-context=pbx.example"),
        ('"Sales" <sip:+31612345678@gw;user=phone>', MOBILE, MOBILE),
        ('"Sales, \\"urgent\\" <5>" <sip:2001@gw>', "2001", "2001"),
        ("Sales team <sip:2001@gw>", "2001", "2001"),
        ("Verkäufe <sip:2001@gw>", "2001", "2001"),
        ("<sip:+31612345678;ext=12@gw;user=phone>", MOBILE, f"{MOBILE};ext=12"),
        ("sip:+31612345678;ext=12@gw;user=phone", MOBILE, f"{MOBILE};ext=12"),
        ("<sip:2001@pbx;transport=tcp>", "2001", "2001"),
        ("<sip:2001>", "2001", "2001"),
        ("sip:2001;x=y", "2001", "2001"),
        ("SIP:2001@gw", "2001", "2001"),
        ("sips:2001@gw", "2001", "2001"),
        ("+14125551234", "+14125551234", "+14125551234"),
        ("2001", "2001", "2001"),
        ("500", "500", "500"),
        ("sip:7777@127.0.0.1", "7777", "7777"),
        ("<sip:2001@[::1]:5060>", "2001", "2001"),
        ("<sip:2001@gw>;x=y", "2001", "2001"),
        ('<sip:2001@gw> ; x="a,b"', "2001", "2001"),
        ("< sip:2001@gw >", "2001", "2001"),
        ("<sip:a,b@gw>", "a,b", "a,b"),
        ("<sip:what?now@gw>", "what?now", "what?now"),
        ("<sip:2001@gw;method=INVITE?X-A=1>", "2001", "2001"),
        ("<tel:+31612345678?X-A=a@b>", MOBILE, MOBILE),
        ("<sip:2001?X-A=1>", "2001", "2001"),
    ],
)
def test_every_form_of_refer_to_names_its_target(value: str, user: str, key: str) -> None:
    target = parse_target(parse_refer_to([value]).uri)
    assert target.user == user
    assert key in target.keys


def test_an_extension_never_becomes_a_phone_number() -> None:
    for value in ("500", "<sip:500@gw>", "<tel:500>", "<sip:500>"):
        target = parse_target(parse_refer_to([value]).uri, "NL")
        assert target.e164 is None
        assert "+500" not in target.keys


@pytest.mark.parametrize(
    ("value", "uri", "embedded"),
    [
        (
            "<sip:+1555@gw?User-to-User=00FA1B2C%3Bencoding%3Dhex>",
            "sip:+1555@gw",
            [("User-to-User", "00FA1B2C;encoding=hex")],
        ),
        ("<sip:2001@gw?X-Call-ID=a&X-Topic=billing>", "sip:2001@gw", [("X-Call-ID", "a"), ("X-Topic", "billing")]),
        (
            "<sip:2001@gw?Replaces=cid%40h%3Bto-tag%3Da%3Bfrom-tag%3Db%3Bearly-only&Require=replaces>",
            "sip:2001@gw",
            [("Replaces", "cid@h;to-tag=a;from-tag=b;early-only"), ("Require", "replaces")],
        ),
        ("<sip:2001@gw;method=INVITE?X-A=1>", "sip:2001@gw;method=INVITE", [("X-A", "1")]),
        ("sip:2001@gw?X-A=1;x=y", "sip:2001@gw", [("X-A", "1")]),
        ("<tel:+31612345678?X-A=a@b>", "tel:+31612345678", [("X-A", "a@b")]),
        ("<sip:2001@gw?X-A=a+b%20c%C3%A9&X-B>", "sip:2001@gw", [("X-A", "a+b cé"), ("X-B", "")]),
        ("<sip:2001@gw?X-A=1%0D%0AVia:%20x&X-B=2&bad name=3&=4&%0A=5>", "sip:2001@gw", [("X-B", "2")]),
        ("<sip:2001@gw?X-A=%FF>", "sip:2001@gw", [("X-A", "\ufffd")]),
        ("<sip:2001@gw?>", "sip:2001@gw", []),
    ],
)  # fmt: skip
def test_embedded_headers_are_taken_out_and_decoded(value: str, uri: str, embedded: list[tuple[str, str]]) -> None:
    assert parse_refer_to([value]) == ReferTo(uri, tuple(embedded))


@pytest.mark.parametrize("value", ["+14125551234", "2001", "sales", "tel", "2001@gw"])
def test_what_has_no_scheme_is_taken_and_called_malformed(value: str) -> None:
    assert parse_refer_to([value]) == ReferTo(value, malformed=True)


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["<sip:2001@gw>", "<sip:2002@gw>"],
        ["<sip:2001@gw>, <sip:2002@gw>"],
        ["<sip:2001@gw>;x=y, <sip:2002@gw>"],
        ["sip:2001@gw, sip:2002@gw"],
        ["sip:2001@gw, <sip:2002@gw>"],
        [""],
        ["<>"],
        ["< >"],
        ["<?X-A=1>"],
        ["<sip:2001@gw"],
        ["sip:2001@gw>"],
        ['"Sales <sip:2001@gw>'],
        ["<sip:2001@gw> or so"],
        ["<sip:<2001@gw>"],
        ["<sip:2001\r\n@gw>"],
        ["<sip:2001\x00@gw>"],
        ["<sip:2001\u0085@gw>"],
        ["<sip:\udcff@gw>"],
        [f"<sip:{'1' * headers.MAX_VALUE}@gw>"],
    ],
)
def test_a_refer_to_that_is_not_one_address_is_refused(values: list[str]) -> None:
    with pytest.raises(HeaderError):
        parse_refer_to(values)


@pytest.mark.parametrize(
    "value",
    ["<http://example.com>", "http://example.com", "<mailto:a@b>", "<urn:service:sos>", "<sip:2001@gw;method=BYE>",
     "<sip:2001@gw;METHOD=refer?X-A=1>", "<sip:20%0A01@gw>", "<sip:@gw>", "<sip:>", "<tel:>"],
)  # fmt: skip
def test_what_cannot_be_called_is_a_bad_request(value: str) -> None:
    with pytest.raises(TargetError) as refused:
        parse_target(parse_refer_to([value]).uri)
    assert refused.value.reason is Reason.BAD_REQUEST


@given(st.lists(wire, max_size=2))
@example(['<sip:"' * 1000])
@example(['"' + '\\"' * 4000])
@example(["<" * 8000])
def test_any_refer_to_is_read_or_refused_and_nothing_unfit_gets_out(values: list[str]) -> None:
    try:
        read = parse_refer_to(values)
    except HeaderError:
        return
    assert read.uri
    assert len(read.uri) <= headers.MAX_VALUE
    for text in (read.uri, *(part for pair in read.embedded for part in pair)):
        assert not UNFIT.search(text)
    assert not set(read.uri) & set("<>")


@given(wire)
def test_any_refer_to_that_is_read_is_a_target_or_refused(value: str) -> None:
    try:
        target = parse_target(parse_refer_to([f"<sip:{value}>"]).uri, "NL")
    except (HeaderError, TargetError):
        return
    for text in (target.text, target.user, target.host or "", *target.keys):
        assert not UNFIT.search(text)


@given(wire.map(lambda text: text.encode("utf-8", "replace").decode()))
def test_whatever_is_embedded_comes_out_as_it_went_in_or_not_at_all(value: str) -> None:
    embedded = parse_refer_to([f"<sip:2001@gw?X-A={quote(value, safe='')}>"]).embedded
    assert embedded in ((("X-A", value.strip()),), ())
    assert bool(embedded) is not bool(UNFIT.search(value.strip()))


# --- what may travel on


def test_only_what_the_list_names_travels_on() -> None:
    given_headers = [
        ("X-Summary", "billing"),
        ("user-to-user", "00FA;encoding=hex"),
        ("Subject", "hello"),
        ("x-lower", "1"),
        ("X-Summary", "a second one"),
        ("X-Empty", " "),
    ]
    assert headers.allowed(given_headers, ALLOWED) == {
        "X-Summary": "billing",
        "User-to-User": "00FA;encoding=hex",  # spelled as the list spells it
        "x-lower": "1",
    }
    assert headers.allowed(given_headers, ()) == {}


def test_a_compact_name_is_as_good_as_the_long_one() -> None:
    assert headers.allowed([("b", "<sip:bot@x>"), ("s", "hello")], ["Referred-By", "Subject"]) == {
        "Referred-By": "<sip:bot@x>",
        "Subject": "hello",
    }


@pytest.mark.parametrize(
    "name",
    ["From", "to", "VIA", "Route", "Record-Route", "Contact", "Authorization", "Proxy-Authorization", "Call-ID", "CSeq",
     "Replaces", "Join", "Require", "Max-Forwards", "Content-Length", "Event", "Refer-To", "f", "t", "v", "m", "i", "l",
     "r", "o", "x", "k", TRANSFER_HEADER],
)  # fmt: skip
def test_what_makes_or_routes_a_request_is_never_copied_whatever_the_list_says(name: str) -> None:
    assert headers.allowed([(name, "1")], ["*", name]) == {}


@pytest.mark.parametrize("value", ["a\r\nVia: b", "a\nb", "a\x00", "a\x85b", "a\u2028b", "\udcff"])
def test_a_value_that_could_break_out_stays_here(value: str) -> None:
    assert headers.allowed([("X-A", value), ("X-B", "1")], ["X-*"]) == {"X-B": "1"}


def test_a_name_that_is_none_stays_here() -> None:
    assert headers.allowed([("X-A\r\nVia", "1"), ("X A", "1"), ("X-É", "1"), ("", "1")], ["*"]) == {}


def test_what_would_not_fit_into_the_invite_stays_here() -> None:
    long = "é" * (headers.MAX_CONTEXT_VALUE // 2)
    passed = headers.allowed(
        [("X-Too-Long", long + "e"), ("X-1", long), ("X-2", long[:-9]), ("X-3", long), ("X-4", "1")], ["*"]
    )
    assert list(passed) == ["X-1", "X-2", "X-4"]


@given(st.lists(st.tuples(wire | st.sampled_from(["X-A", "Via", "b", "User-to-User"]), wire)), st.lists(wire))
def test_whatever_travels_on_is_fit_for_a_header(pairs: list[tuple[str, str]], patterns: list[str]) -> None:
    passed = headers.allowed(pairs, [*patterns, "*"])
    for name, value in passed.items():
        assert re.fullmatch(r"[A-Za-z0-9!%*_+`'~.-]+", name)
        assert name.lower() not in headers.NEVER_COPIED
        assert value.strip()
        assert not UNFIT.search(value)
    assert sum(len(name) + len(value.encode()) for name, value in passed.items()) <= headers.MAX_CONTEXT


# --- whole messages


def test_fields_are_read_as_they_stand_and_unfolded() -> None:
    message = "REFER sip:a@b SIP/2.0\r\nX-A : 1\r\nX-B: 2\r\n\t and 3\r\nno header\r\nX-A:\r\n\r\nX-Body: 4\r\n"
    assert headers.header_fields(message) == [("X-A", "1"), ("X-B", "2 and 3"), ("X-A", "")]


def test_bare_line_feeds_end_lines_too() -> None:
    assert headers.header_fields("REFER sip:a@b SIP/2.0\nX-A: 1\n\nX-B: 2\n") == [("X-A", "1")]


@given(wire)
def test_any_text_can_be_searched_for_fields(text: str) -> None:
    for name, value in headers.header_fields(text):
        assert "\n" not in name + value


# --- identities


@pytest.mark.parametrize(
    ("value", "uri", "name"),
    [
        ('"Eve Example" <sip:+31201112222@x>;tag=abc', "sip:+31201112222@x", "Eve Example"),
        ('"Eve \\"E\\" <x>" <sip:eve@x>', "sip:eve@x", 'Eve "E" <x>'),
        ("Eve <sip:eve@x>", "sip:eve@x", "Eve"),
        ("<sip:eve@x;user=phone>;tag=abc", "sip:eve@x;user=phone", ""),
        ("sip:eve@x;tag=abc", "sip:eve@x", ""),
        ("sip:+31;ext=1@x;tag=abc", "sip:+31;ext=1@x", ""),
        ('"Eve" <sip:eve@x>, <tel:+31201112222>', "sip:eve@x", "Eve"),
        ("<tel:+31201112222>;reason=unconditional", "tel:+31201112222", ""),
        ("", "", ""),
        ('"Eve\r\n" <sip:e\x00ve@x>', "sip:eve@x", "Eve"),
        ("Ev\udcffe <sip:eve@x>", "sip:eve@x", "Eve"),
        (f'"{"x" * 500}" <sip:eve@x>', "sip:eve@x", "x" * headers.MAX_NAME),
    ],
)
def test_who_calls_is_read(value: str, uri: str, name: str) -> None:
    assert parse_name_addr(value) == NameAddr(uri, name)


@given(wire)
def test_any_identity_can_be_read_and_holds_nothing_unfit(value: str) -> None:
    read = parse_name_addr(value)
    assert not UNFIT.search(read.uri + read.name)
    assert len(read.name) <= headers.MAX_NAME


@given(wire)
def test_a_name_stays_inside_its_quotes(name: str) -> None:
    written = headers.name_addr(name, "sip:eve@x")
    assert not UNFIT.search(written)
    read = parse_name_addr(written)
    assert read.uri == "sip:eve@x"
    assert read.name == re.sub(UNFIT, "", name).strip()[: headers.MAX_NAME].strip()


@pytest.mark.parametrize("uri", ["", "sip:a@b>\r\n", "sip:a b@c", "sip:a@b>;tag=1", 'sip:"@b', "sip:\udcff@b"])
def test_a_uri_that_would_break_the_brackets_is_not_written(uri: str) -> None:
    with pytest.raises(HeaderError):
        headers.name_addr("Eve", uri)


@given(wire)
def test_any_user_becomes_one_user_part(user: str) -> None:
    escaped = headers.user_part(user)
    assert re.fullmatch(r"[A-Za-z0-9_.!~*'()&=+$,;?/-]*|(?:%[0-9A-F]{2}|[A-Za-z0-9_.!~*'()&=+$,;?/-])*", escaped)


# --- responses


def test_a_refusal_says_why() -> None:
    assert headers.reason_header(480, Reason.QUEUE_UNSTAFFED) == ("Reason", 'SIP;cause=480;text="queue-unstaffed"')


def test_the_tags_that_are_not_supported_are_named() -> None:
    supported = frozenset({"norefersub"})
    assert headers.unsupported(["nosub, 100rel", "norefersub", "NoReferSub"], supported) == ["nosub", "100rel"]
    assert headers.unsupported(["", " , "], supported) == []
    assert headers.unsupported(["a\r\nVia: b", "(", "a\r\nVia: b"], supported) == ["aViab", "unreadable"]
