# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets as senders write them, and the keys they are looked up by."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.numbers import MAX_TEXT, TargetError, e164, lookup_keys, parse_target
from gateway.core.outcome import Reason

MOBILE = "+31612345678"


@pytest.mark.parametrize(
    "text",
    [
        MOBILE,
        "+31 6 1234-5678",
        "+31(6)12345678",
        "0612345678",
        "0031612345678",
        "31612345678",
        "sip:+31612345678@gw.example",
        "<sip:+31612345678@gw.example>",
        "SIP:+31612345678@GW.EXAMPLE:5060;transport=tcp",
        "sips:+31612345678@gw.example",
        "sip:%2B31612345678@gw.example",
        "sip:0612345678@gw.example;user=phone",
        "sip:+31612345678:secret@gw.example",
        "sip:+31612345678;ext=12@gw.example;user=phone",
        "sip:+31612345678@gw.example?User-to-User=00FA1B2C%3Bencoding%3Dhex",
        "sip:+31612345678@gw.example;method=INVITE?X-A=a@b",
        "tel:+31612345678",
        "tel:+31-6-12345678;ext=12",
        "tel:612345678;phone-context=+31",
    ],
)
def test_a_phone_number_is_found_by_its_e164_form_however_it_is_written(text: str) -> None:
    target = parse_target(text, "NL")
    assert target.e164 == MOBILE
    assert MOBILE in target.keys


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("500", "500"),
        ("sip:500@pbx", "500"),
        ("sip:500", "500"),
        ("sip:500:5060", "500"),
        ("tel:2001;phone-context=pbx.example", "2001"),
        ("sip:2001@pbx;transport=tcp", "2001"),
        ("sip:Sales@example.com", "Sales"),
        ("sales", "sales"),
        ("+500", "+500"),
        ("sip:2001@[::1]:5060", "2001"),
        ("sip:2001@gw?Replaces=cid%40h%3Bto-tag%3Da%3Bfrom-tag%3Db&Require=replaces", "2001"),
    ],
)
def test_an_extension_or_a_name_stays_what_it_is(text: str, user: str) -> None:
    target = parse_target(text, "NL")
    assert target.user == user
    assert target.e164 is None
    assert user.lower() in target.keys


def test_500_and_plus_500_are_not_the_same() -> None:
    assert not set(parse_target("500", "NL").keys) & set(parse_target("+500", "NL").keys)


def test_the_most_exact_key_comes_first() -> None:
    assert parse_target("sip:+31201234567;ext=12@gw", "NL").keys == (
        "sip:+31201234567;ext=12@gw",
        "+31201234567;ext=12",
        "sip:+31201234567@gw",
        "+31201234567",
    )
    assert parse_target("tel:2001;phone-context=PBX.example").keys == ("2001;phone-context=pbx.example", "2001")


def test_an_alias_with_a_host_or_an_extension_stands_for_nothing_wider() -> None:
    assert lookup_keys("sip:Sales@Example.com") == ("sip:sales@example.com",)
    assert lookup_keys("tel:+31201234567;ext=12") == ("+31201234567;ext=12",)
    assert set(lookup_keys("0612345678", "NL")) == {MOBILE, "0612345678"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "<>",
        "sip:",
        "tel:",
        "sip:@gw",
        "sip:2001@",
        "http://example.com/",
        "mailto:sales@example.com",
        "urn:service:sos",
        "sip:2001@gw;method=BYE",
        "sip:2001@gw\r\nX-Evil: 1",
        "sip:20%0d%0a01@gw",
        "sip:2001%00@gw",
        "sip:%ff%fe@gw",
        "2001\x00",
        "sip:2001@gw:x",
        "sip:2001@gw evil:5060:1",
        "1" * 129,
        "sip:2001@gw?" + "x" * MAX_TEXT,
    ],
)
def test_what_nobody_can_be_called_by_is_a_bad_request(text: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse_target(text, "NL")
    assert caught.value.reason is Reason.BAD_REQUEST


def test_without_a_country_only_international_numbers_are_phone_numbers() -> None:
    assert e164("0612345678") is None
    assert e164("+14125551234") == "+14125551234"


@given(st.text(alphabet="0123456789", min_size=1, max_size=6), st.sampled_from(["NL", "US", "DE", "SG", None]))
def test_few_digits_never_become_a_phone_number(digits: str, country: str | None) -> None:
    target = parse_target(digits, country)
    assert target.e164 is None
    assert target.keys == (digits,)


@given(st.integers(min_value=600_000_000, max_value=699_999_999), st.sampled_from(["0", "0031", "+31", "31"]))
def test_every_dialling_form_of_a_valid_number_means_the_same(national: int, prefix: str) -> None:
    expected = f"+31{national}"
    written = e164(f"{prefix}{national}", "NL")
    if phonenumbers.is_valid_number(phonenumbers.parse(expected)):
        assert written == expected
    else:
        assert written in (None, expected)


@given(st.text(max_size=60), st.sampled_from(["", "sip:", "tel:", "sip:a@", "<sip:"]), st.sampled_from(["NL", None]))
def test_any_text_is_a_target_with_keys_or_a_target_error(text: str, prefix: str, country: str | None) -> None:
    try:
        target = parse_target(prefix + text, country)
    except TargetError:
        return
    assert target.keys
    assert all(key == key.lower() and key.strip() for key in target.keys)
    assert not any(ord(char) < 0x20 for key in target.keys for char in key)


@given(st.text(alphabet="abcdefgh0123456789.-_", min_size=1, max_size=20).filter(lambda text: text.strip(".-_")))
def test_what_is_configured_is_found_by_the_same_text(alias: str) -> None:
    for written in (alias, f"sip:{alias}@pbx.example", f"tel:{alias}"):
        assert lookup_keys(written, "NL")[0] in parse_target(written, "NL").keys
