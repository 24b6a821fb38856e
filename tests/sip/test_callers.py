# SPDX-License-Identifier: GPL-2.0-or-later
"""How callers are read from one INVITE and written into the next; no network."""

import pytest

from gateway.core.model import LegId, Peer, PeerKind
from gateway.ports import DialOrder
from gateway.sip.text.identity import (
    called_uris,
    caller_ids,
    diverted_users,
    hops_left,
    is_private,
    present,
    read_asserted,
)


def order(**more: object) -> DialOrder:
    base = {"leg": LegId("out-1"), "peer": Peer("hms", PeerKind.TRUNK), "user": "6001", "caller": "+31201112222"}
    return DialOrder(**{**base, **more})  # type: ignore[arg-type]  # the fields that a test changes


@pytest.mark.parametrize(
    ("values", "hops"), [([], 70), (["17"], 17), ([" 0 "], 0), (["999"], 255), (["-1"], 70), (["many"], 70)]
)
def test_max_forwards_is_read_with_mistrust(values: list[str], hops: int) -> None:
    assert hops_left(values) == hops


@pytest.mark.keeps("16.73")
@pytest.mark.parametrize(
    ("privacy", "sender", "private"),
    [
        ([], "sip:+31201112222@pbx.example", False),
        (["none"], "sip:+31201112222@pbx.example", False),
        (["history;critical", ""], "sip:+31201112222@pbx.example", False),
        (["session"], "sip:+31201112222@pbx.example", False),
        (["id"], "sip:+31201112222@pbx.example", True),
        (["header; USER ;critical"], "sip:+31201112222@pbx.example", True),
        (["none", "id"], "sip:+31201112222@pbx.example", True),
        (['"ID"'], "sip:+31201112222@pbx.example", True),
        (["none, user"], "sip:+31201112222@pbx.example", True),
        (["full"], "sip:+31201112222@pbx.example", True),
        ([], "<sip:anonymous@anonymous.invalid;user=phone>;tag=1", True),
        ([], '"Anonymous" <sip:Anonymous@10.10.10.2>', True),
        ([], "Anonymous <>", True),
    ],
)
def test_who_withholds_their_number(privacy: list[str], sender: str, private: bool) -> None:
    assert is_private(privacy, caller_ids([sender], ["<tel:+31201112222>"])) is private


@pytest.mark.keeps("16.73")
@pytest.mark.parametrize(
    ("value", "private"),
    [
        ('"Eve" <sip:+31201112222@x>;party=calling;privacy=full;screen=yes', True),
        ('"Eve" <sip:+31201112222@x>;party=calling;privacy="uri";screen=yes', True),
        ("<sip:+31201112222@x>; Privacy = name", True),
        ("<sip:+31201112222@x>;privacy", True),
        ("<sip:+31201112222@x>;privacy=off;screen=yes", False),
        ("<sip:+31201112222@x;privacy=full>;screen=yes", True),  # in the wrong place
        ('"a;privacy=full" <sip:+31201112222@x>', False),
    ],
)
def test_the_older_way_to_withhold_a_number_is_understood(value: str, private: bool) -> None:
    assert is_private([], caller_ids(["<sip:+31201112222@x>"], []), [value]) is private


@pytest.mark.keeps("16.73")
@pytest.mark.parametrize(
    ("field", "private"),
    [
        ("RPID-Privacy: party=calling;privacy=full", True),
        ("RPID-Privacy: privacy=off", False),
        ("P-Preferred-Identity: <sip:anonymous@anonymous.invalid>", True),
        ("P-Preferred-Identity: <sip:+31201113333@x>", False),
    ],
)
def test_other_headers_withhold_a_number_as_well(field: str, private: bool) -> None:
    message = f"INVITE sip:x SIP/2.0\r\nP-Asserted-Identity: <sip:+31201112222@x>\r\n{field}\r\n\r\n"
    assert read_asserted(message).private is private


@pytest.mark.keeps("16.73")
def test_an_identity_that_is_asserted_as_nobody_is_withheld_too() -> None:
    asserted = ["<tel:+31201112222>, <sip:anonymous@anonymous.invalid>"]
    assert is_private([], caller_ids(["<sip:+31201112222@x>"], asserted))


@pytest.mark.keeps("16.74")
def test_diversions_that_are_withheld_stay_here() -> None:
    hidden = "<sip:200@x>;privacy=full, <sip:anonymous@anonymous.invalid>, <sip:300@x>;privacy=off"
    assert diverted_users([hidden], []) == ("300",)
    assert diverted_users([], ["<sip:1@x?Privacy=history>;index=1, <sip:2@x>;index=1.1, <sip:3@x>;index=2"]) == ("2",)
    assert diverted_users(["<sip:200@x>"], [], ["id;history"]) == ()


@pytest.mark.keeps("16.73")
def test_what_is_withheld_does_not_travel_in_another_header() -> None:
    passed = (("Remote-Party-ID", "<sip:+31201112222@x>"), ("P-Preferred-Identity", "<tel:+31201112222>"), ("X-A", "1"))
    assert dict(present(order(headers=passed), "from", "off", "gw").headers).keys() >= {"Remote-Party-ID", "X-A"}
    assert dict(present(order(headers=passed, private=True), "from", "off", "gw").headers) == {
        "X-A": "1", "Max-Forwards": "70",
    }  # fmt: skip


PARTY, TO = "<sip:+31201234501@x>", '"DID" <sip:+31201234502@x>'


@pytest.mark.keeps("16.76")
@pytest.mark.parametrize(
    ("request_uri", "party", "to", "called"),
    [
        ("sip:+31201234567@gw", [PARTY], [TO], ["sip:+31201234567@gw"]),
        ("sip:other@gw", [PARTY], [TO], ["sip:other@gw"]),
        ("tel:+31201234567", [PARTY], [TO], ["tel:+31201234567"]),
        ("sip:acct77@gw:5060;ob", [], [TO], ["sip:+31201234502@x", "sip:acct77@gw:5060;ob"]),
        ("sip:acct77@gw", [PARTY], [TO], ["sip:+31201234501@x", "sip:+31201234502@x", "sip:acct77@gw"]),
        ("sip:Acct%377;a=b@gw", [], [TO], ["sip:+31201234502@x", "sip:Acct%377;a=b@gw"]),
        ("sip:127.0.0.2:5060", [], [TO], ["sip:127.0.0.2:5060", "sip:+31201234502@x"]),
        ("sip:@127.0.0.2", [], [], ["sip:@127.0.0.2"]),
    ],
)
def test_who_is_called_is_told_elsewhere_where_the_request_uri_is_our_contact_or_nobody(
    request_uri: str, party: list[str], to: list[str], called: list[str]
) -> None:
    assert list(called_uris(request_uri, "acct77", party, to)) == called


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
