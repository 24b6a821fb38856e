# SPDX-License-Identifier: GPL-2.0-or-later
"""How callers are read from one INVITE and written into the next; no network."""

import pytest

from gateway.core.model import LegId, Peer, PeerKind
from gateway.ports import DialOrder
from gateway.sip.identity import diverted_users, hops_left, is_private, present


def order(**more: object) -> DialOrder:
    base = {"leg": LegId("out-1"), "peer": Peer("hms", PeerKind.TRUNK), "user": "6001", "caller": "+31201112222"}
    return DialOrder(**{**base, **more})  # type: ignore[arg-type]  # the fields that a test changes


@pytest.mark.parametrize(
    ("values", "hops"), [([], 70), (["17"], 17), ([" 0 "], 0), (["999"], 255), (["-1"], 70), (["many"], 70)]
)
def test_max_forwards_is_read_with_mistrust(values: list[str], hops: int) -> None:
    assert hops_left(values) == hops


@pytest.mark.parametrize(
    ("privacy", "sender", "private"),
    [
        ([], "sip:+31201112222@pbx.example", False),
        (["none"], "sip:+31201112222@pbx.example", False),
        (["session"], "sip:+31201112222@pbx.example", False),
        (["id"], "sip:+31201112222@pbx.example", True),
        (["header; USER ;critical"], "sip:+31201112222@pbx.example", True),
        ([], "sip:anonymous@anonymous.invalid", True),
    ],
)
def test_who_withholds_his_number(privacy: list[str], sender: str, private: bool) -> None:
    assert is_private(privacy, sender) is private


def test_diversions_are_read_in_either_form() -> None:
    diversion = ['"A, B" <sip:200@x;user=phone>;reason=no-answer, <tel:+31208889999;x=y>', "<sip:300@x>"]
    assert diverted_users(diversion, []) == ("200", "+31208889999", "300")
    assert diverted_users([], ["<sip:1@x>;index=1,<sip:2@x>;index=1.1", "<sip:3@x>;index=1.1.1"]) == ("2", "1")
    assert diverted_users(["nonsense", "<http://x>"], []) == ()


def test_what_the_allow_list_let_through_does_not_double_what_is_made() -> None:
    passed = (("P-Asserted-Identity", "<sip:+31201112222@pbx.inside.example>"), ("X-Note", "1"))
    made = present(order(headers=passed, max_forwards=12), "asserted", "off", "gw.example")
    assert made.headers == (
        ("X-Note", "1"),
        ("P-Asserted-Identity", "<sip:+31201112222@gw.example>"),
        ("Max-Forwards", "12"),
    )


def test_a_caller_without_a_number_is_not_asserted() -> None:
    made = present(order(caller=None, private=True), "asserted", "off", "gw.example")
    assert made.local == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert dict(made.headers) == {"Privacy": "id", "Max-Forwards": "70"}
