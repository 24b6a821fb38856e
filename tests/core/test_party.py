# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of one end of a call when its peer says more in mid call."""

import pytest

from gateway.core.caller import Asserted, CallerId, Party

JAN = Party("+31612312312", "Jan", diverted=("+31208889999",))
HIDDEN = Party("+31612312312", "Jan", private=True, diverted=())
UNKNOWN = Party(None, private=True, diverted=())


def said(*identities: tuple[str, str], private: bool = False, shown: bool = False) -> Asserted:
    return Asserted(tuple(CallerId(*each) for each in identities), private, shown)


CAROL = ("sip:6018@pbx", "Carol")


@pytest.mark.keeps("16.57")
@pytest.mark.parametrize(
    ("before", "told", "after"),
    [
        # Another party, taken whole: nothing of the one before is left, not even whom that one had called.
        (JAN, said(CAROL), Party("6018", "Carol", diverted=())),
        (JAN, said(("sip:6018@pbx", "")), Party("6018", diverted=())),
        (Party("6017", "Bob"), said(CAROL), Party("6018", "Carol")),
        (HIDDEN, said(CAROL), Party("6018", "Carol", diverted=())),
        (JAN, said(CAROL, private=True), Party("6018", "Carol", private=True, diverted=())),
        # The same one, however the number is written.
        (JAN, said(("tel:0612312312", "J. Jansen")), Party("0612312312", "J. Jansen", diverted=("+31208889999",))),
        (JAN, said(("sip:+31612312312@a", "")), JAN),
        (JAN, said(), JAN),
        # Withheld stays withheld, in doubt too; another party, and who says so themselves, may be shown.
        (HIDDEN, said(("sip:+31612312312@a", "Jan")), HIDDEN),
        (HIDDEN, said(("sip:0612312312@a", "Jan")), Party("0612312312", "Jan", private=True, diverted=())),
        (HIDDEN, said(), HIDDEN),
        (UNKNOWN, said(CAROL), Party("6018", "Carol", private=True, diverted=())),
        (UNKNOWN, said(CAROL, shown=True), Party("6018", "Carol", diverted=())),
        (HIDDEN, said(shown=True), Party("+31612312312", "Jan", diverted=())),
        (JAN, said(private=True), Party("+31612312312", "Jan", private=True, diverted=("+31208889999",))),
        (JAN, said(("sip:anonymous@anonymous.invalid", ""), private=True),
         Party("+31612312312", "Jan", private=True, diverted=("+31208889999",))),
    ],
)  # fmt: skip
def test_what_a_peer_says_in_mid_call(before: Party, told: Asserted, after: Party) -> None:
    assert before.then(told, "NL") == after


@pytest.mark.keeps("16.57")
def test_what_is_said_between_the_answer_and_the_transfer_counts() -> None:
    queue = said(("sip:6500@pbx", "Sales"))
    assert queue.then(said(CAROL)).party("6500") == Party("6018", "Carol")
    assert said(CAROL, private=True).then(said(CAROL)).party("6500") == Party("6018", "Carol", private=True)
    assert said(CAROL, private=True).then(said(("sip:6019@pbx", ""))).party("6500") == Party("6019")
    assert said().then(said(private=True)).party("6500") == Party("6500", private=True)
