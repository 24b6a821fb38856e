# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP URIs are parted as RFC 3261 §19.1 has them, and as senders write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.uri import SipUri, addr_spec, is_sip, read_sip_uri, split_headers

# RFC 3261 §19.1.3 and §25.1, and what is seen on the wire.
PARTS = {
    "sip:alice@atlanta.com": ("alice", "atlanta.com", None, (), ""),
    "sip:alice:secretword@atlanta.com;transport=tcp": ("alice", "atlanta.com", None, (("transport", "tcp"),), ""),
    "sips:alice@atlanta.com?subject=project%20x&priority=urgent": (
        "alice", "atlanta.com", None, (), "subject=project%20x&priority=urgent",
    ),
    "sip:+1-212-555-1212:1234@gateway.com;user=phone": (
        "+1-212-555-1212", "gateway.com", None, (("user", "phone"),), "",
    ),
    "sips:1212@gateway.com": ("1212", "gateway.com", None, (), ""),
    "sip:alice@192.0.2.4:5070": ("alice", "192.0.2.4", 5070, (), ""),
    "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com": (
        "", "atlanta.com", None, (("method", "REGISTER"),), "to=alice%40atlanta.com",
    ),
    "sip:alice;day=tuesday@atlanta.com": ("alice", "atlanta.com", None, (), ""),
    "sip:2001@[2001:db8::1]:5061;lr;x": ("2001", "[2001:db8::1]", 5061, (("lr", ""), ("x", "")), ""),
    "sip:what?ever@host?Replaces=a%40b": ("what?ever", "host", None, (), "Replaces=a%40b"),
    "sip:2001@host?Replaces=call@elsewhere": ("2001", "host", None, (), "Replaces=call@elsewhere"),
    "sip:anna@example.com@proxy;lr": ("anna@example.com", "proxy", None, (("lr", ""),), ""),
    "SIP:GW": ("", "GW", None, (), ""),
    "sip:": ("", "", None, (), ""),
}  # fmt: skip


@pytest.mark.parametrize("text", PARTS)
def test_each_part_is_found(text: str) -> None:
    uri = read_sip_uri(text)
    assert uri is not None
    assert (uri.user, uri.host, uri.port, uri.parameters, uri.headers) == PARTS[text]
    assert uri.secure is text.startswith("sips:")


@pytest.mark.parametrize("text", ["tel:+31201234567", "2001", "", "sip", "sipx:a@b", "mailto:sip:a@b"])
def test_other_schemes_are_none(text: str) -> None:
    assert read_sip_uri(text) is None
    assert not is_sip(text)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("sip:a@b", 5060),
        ("sips:a@b", 5061),
        ("sip:a@b;transport=TLS", 5061),
        ("sip:a@b:5080;transport=tls", 5080),
        ("sip:transport=tls@b", 5060),
    ],
)
def test_the_port_that_is_not_written(text: str, port: int) -> None:
    uri = read_sip_uri(text)
    assert uri is not None
    assert uri.effective_port == port


@pytest.mark.parametrize("text", ["sip:a@b:c", "sip:a@b:123456", "sip:a@[::1", "sip:a@b:5060:5061"])
def test_a_host_that_cannot_be_told_from_its_port_is_none(text: str) -> None:
    uri = read_sip_uri(text)
    assert uri is not None
    assert uri.host is None
    assert uri.port is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [  # RFC 3261 §19.1.4, but for parameters
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com", "sip:carol@chicago.com:5060", True),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", True),
        ("sip:ALICE@AtLanTa.CoM", "sip:alice@AtLanTa.CoM", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000", False),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com", False),
    ],
)
def test_who_is_named_and_where(one: str, other: str, same: bool) -> None:
    first, second = read_sip_uri(one), read_sip_uri(other)
    assert first is not None
    assert second is not None
    assert first.is_same_place(second) is same


def test_a_uri_without_brackets_ends_before_the_parameters_of_its_header() -> None:
    assert addr_spec("sip:alice;day=tuesday@atlanta.com;tag=1") == "sip:alice;day=tuesday@atlanta.com"
    assert addr_spec("sip:atlanta.com;tag=1") == "sip:atlanta.com"
    assert addr_spec("tel:+31201234567;ext=5") == "tel:+31201234567;ext=5"


PIECES = st.sampled_from(
    ["sip:", "sips:", "tel:", "a", "@", ";", "?", ":", "=", "[::1]", ":5060", "%40", "&", "\x00", "é"]
)


def whole(uri: SipUri) -> str:
    return uri.without_headers + (f"?{uri.headers}" if uri.headers else "")


@given(st.lists(PIECES, max_size=12).map("".join) | st.text())
def test_whatever_is_read_nothing_is_lost_and_nothing_raises(text: str) -> None:
    uri = read_sip_uri(text)
    plain, headers = split_headers(text)
    assert text in (plain, f"{plain}?{headers}")
    if uri is not None:
        assert text.rstrip("?").startswith(whole(uri).rstrip("?"))
        at = "" if uri.userinfo is None else f"{uri.userinfo}@"
        assert uri.without_headers == f"{uri.scheme}:{at}{uri.place}"
        assert uri.place.startswith(uri.hostport)
        assert addr_spec(text) == addr_spec(addr_spec(text))
