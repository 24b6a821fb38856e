# SPDX-License-Identifier: GPL-2.0-or-later
"""Which assigned number a call belongs to, and which destination a target names."""

import pytest

from gateway.core.model import AssignedNumber, Destination, Peer, PeerKind
from gateway.core.numbers import parse_target
from gateway.core.routing import Routes, hunt

TRUNK, OTHER_TRUNK, PBX = Peer("hms", PeerKind.TRUNK), Peer("vapi", PeerKind.TRUNK), Peer("asterisk", PeerKind.PBX)


def number(name: str, e164: str, trunk: str, *destinations: Destination, answer: str | None = None) -> AssignedNumber:
    return AssignedNumber(
        id=name,
        number=e164,
        trunk=trunk,
        pbx="asterisk",
        destinations={each.id: each for each in destinations},
        answer=answer,
        country="NL",
    )


SALES = Destination(id="sales", extension="6500", number="+31612345678", aliases=("2001", "sip:Sales@example.com"))
SUPPORT = Destination(id="support", extension="6501", number="+31612345679", aliases=("Helpdesk",))
MAIN = number("main-line", "+31201234567", "hms", SALES, SUPPORT, answer="support")
SECOND = number("second-line", "+31201234568", "hms", SUPPORT)
ELSEWHERE = number("elsewhere", "+31201234569", "vapi", SALES)
ROUTES = Routes([MAIN, SECOND, ELSEWHERE])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+31612345678", "sales"),
        ("sip:0612345678@gw", "sales"),
        ("tel:+31612345678;ext=12", "sales"),
        ("2001", "sales"),
        ("sip:2001@anywhere", "sales"),
        ("SIP:SALES@EXAMPLE.COM", "sales"),
        ("sip:helpdesk@gw", "support"),
        ("HELPDESK", "support"),
        ("support", "support"),
        ("+31201234567", "support"),  # the number itself goes where `answer` says
        ("sip:sales@elsewhere.example", "sales"),  # by its id
        ("6500", None),  # what is dialled on the PBX is not what may be asked for
        ("+31699999999", None),
        ("+2001", None),
    ],
)
def test_a_destination_is_found_by_number_alias_or_id(text: str, expected: str | None) -> None:
    found = ROUTES.destination(MAIN, parse_target(text, "NL"))
    assert (found and found.id) == expected


def test_a_number_that_is_configured_no_more_leads_nowhere() -> None:
    assert Routes([SECOND]).destination(MAIN, parse_target("+31612345678", "NL")) is None


def test_a_number_without_answer_takes_no_calls_itself() -> None:
    assert ROUTES.destination(SECOND, parse_target("+31201234568")) is None
    assert ROUTES.is_own(SECOND, parse_target("sip:0201234568@gw", "NL"))


def test_a_call_belongs_to_the_number_that_was_called() -> None:
    assignment = ROUTES.assign(TRUNK, parse_target("sip:+31201234568@gw"), [parse_target("+31201234567")])
    assert assignment.number is SECOND
    assert assignment.line == "number: second-line was called"


def test_else_to_the_number_that_calls() -> None:
    callers = [parse_target("sip:+31201112222@caller"), parse_target("sip:+31201234567@trunk")]
    assignment = ROUTES.assign(TRUNK, parse_target("+31612345679"), callers)
    assert assignment.number is MAIN


def test_else_to_the_only_number_of_the_trunk_that_lists_the_destination() -> None:
    assert ROUTES.assign(TRUNK, parse_target("+31612345678")).number is MAIN
    assert ROUTES.assign(OTHER_TRUNK, parse_target("+31612345678")).number is ELSEWHERE


def test_a_destination_that_two_numbers_list_tells_nothing() -> None:
    assignment = ROUTES.assign(TRUNK, parse_target("+31612345679"))
    assert assignment.number is None
    assert "more than one" in assignment.line


def test_no_peer_gets_at_another_peers_numbers() -> None:
    assert ROUTES.assign(OTHER_TRUNK, parse_target("+31201234567")).number is None
    assert ROUTES.assign(Peer("hms", PeerKind.PBX), parse_target("+31201234567")).number is None
    assert ROUTES.assign(PBX, parse_target("+31201234567")).number is MAIN


def test_a_number_is_found_by_id_or_number() -> None:
    assert ROUTES.number("main-line") is MAIN
    assert ROUTES.number("+31201234567") is MAIN
    assert ROUTES.number("sales") is None


def test_the_hunt_goes_depth_first_and_to_each_once() -> None:
    tree = {"a": ("b", "c"), "b": ("d", "c"), "c": ("e",), "d": ("a",), "e": ()}
    destinations = [Destination(id=name, extension=name, overflow=overflow) for name, overflow in tree.items()]
    line = number("line", "+31201234567", "hms", *destinations)
    assert [each.id for each in hunt(line, line.destinations["a"])] == ["a", "b", "d", "c", "e"]
    assert [each.id for each in hunt(line, line.destinations["c"])] == ["c", "e"]


@pytest.mark.keeps("16.76")
def test_who_is_called_is_the_first_that_is_one_of_the_peers_own() -> None:
    def called(*named: str, peer: Peer = TRUNK) -> str | None:
        found = ROUTES.called(peer, [parse_target(each, "NL") for each in named])
        return found.user if found else None

    assert called("acct77", "+31201234567") == "+31201234567"
    assert called("+31201234568", "+31201234567") == "+31201234568"
    assert called("acct77", "2001") == "2001"
    assert called("acct77", "+31201234569") == "acct77"  # another trunk's
    assert called("acct77", "+31201234569", peer=OTHER_TRUNK) == "+31201234569"
    assert called() is None
