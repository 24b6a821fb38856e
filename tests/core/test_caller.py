# SPDX-License-Identifier: GPL-2.0-or-later
"""By which identity a caller is known, and what says that they withhold it."""

import pytest

from gateway.core.caller import CallerId, is_withheld, known_caller

JAN = "+31612312312"


@pytest.mark.keeps("16.75")
@pytest.mark.parametrize(
    ("identities", "number", "name"),
    [
        ([("sip:+31612312312@a", "Jan")], JAN, "Jan"),
        # Name and number of one identity, whatever the other says.
        ([("sip:acct-7731@a", ""), ("sip:+31612312312@a", "Jan")], JAN, "Jan"),
        ([("sip:acct-7731@a", "Account"), ("sip:+31612312312@a", "")], JAN, ""),
        ([("sip:+31612312312@a", ""), ("sip:+31201112222@a", "Main office")], JAN, ""),
        ([("sip:+31612312312@a", ""), ("sip:+31612312312@b", "Jan")], JAN, "Jan"),
        ([("sip:+31612312312@a", ""), ("tel:+31-612312312", ""), ("sip:0612312312@b", "Jan")], JAN, "Jan"),
        # A phone number, else digits, else a word; From, the first, of equals.
        ([("sip:7731@a", "Account"), ("tel:+31612312312", "Jan")], JAN, "Jan"),
        ([("sip:7731@a", ""), ("sip:6001@a", "Jan")], "7731", ""),
        ([("sip:acct@a", ""), ("sip:6001@a", "Jan")], "6001", "Jan"),
        ([("sip:acct@a", "A"), ("sip:bob@a", "Bob")], "acct", "A"),
        ([("sip:0612312312@a", "Jan")], JAN, "Jan"),
        # Nobody is nobody.
        ([("sip:anonymous@anonymous.invalid", "Anonymous"), ("tel:+31612312312", "Jan")], JAN, "Jan"),
        ([("sip:+31612312312@a", "Anonymous")], JAN, ""),
        ([("sip:Anonymous@10.10.10.2", "Anonymous")], None, None),
        ([("mailto:jan@example.com", "Jan")], None, None),
        ([], None, None),
    ],
)
def test_an_identity_is_taken_whole(identities: list[tuple[str, str]], number: str | None, name: str | None) -> None:
    caller = known_caller([CallerId(*each) for each in identities], "NL")
    assert (caller.number if caller else None, caller.name if caller else None) == (number, name)


@pytest.mark.keeps("16.73")
@pytest.mark.parametrize(
    "uri",
    [
        "sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid;user=phone",
        "SIPS:Anonymous@ANONYMOUS.INVALID",
        "sip:anonymous@anonymous.invalid:5060;transport=tcp", "sip:anonymous@anonymous.invalid.", "tel:anonymous",
        "sip:anonymous:x@anonymous.invalid", "sip:anonymous;phone-context=x@10.10.10.2", "sip:%41nonymous@a",
        "sip:Anonymous@10.10.10.2", "sip:anonymous@[2001:db8::1]", "sip:unavailable@unknown.invalid",
        "sip:restricted@carrier.example", "sip:Unknown@a", "sip:private@a", "sip:withheld@a",
        "sip:c8oqz84zk7z@privacy.invalid",
        "sip:anonym@carrier.example", "sip:Anoniem@a",
        "sip:anonymous.invalid", "sip:anonymous", "sip:@anonymous.invalid",
        "sip:anonymous@anonymous.invalid;method=BYE",
        "sip:anonymous@anonymous.invalid:none", "sip:+31612312312@anonymous.invalid",
        "sip:anonymous%40anonymous.invalid@10.0.0.1", "sip:Anonymous.Caller@a", "sip:private_number@a",
        "sip:id-blocked@a", "sip:hidden@a", "sip:anonymous1@a", "sip:c8oqz84zk7z@invalid",
    ],
)  # fmt: skip
def test_a_uri_that_withholds_its_caller(uri: str) -> None:
    assert is_withheld(CallerId(uri))
    assert is_withheld(CallerId(uri, "Jan"))


@pytest.mark.keeps("16.73")
@pytest.mark.parametrize(
    "name",
    [
        "Anonymous",
        "anonymous",
        "ANONYMOUS",
        " Anonymous  caller ",
        "Restricted",
        "Unavailable",
        "Anoniem",
        "Anonym",
        "ANÓNIMO",
        '"Anonymous"',
        "'anonymous'",
        "Anonymous (+31612312312)",
        "No Caller ID",
        "Caller ID blocked",
        "Anonymous call",
        "Private Call",
        "CLI withheld",
        "Numéro masqué",
        "Nume\u0301ro masque\u0301",
        "Nummer unterdrückt",
    ],
)
def test_a_name_that_withholds_its_caller(name: str) -> None:
    assert is_withheld(CallerId("sip:+31612312312@carrier.example", name))


@pytest.mark.keeps("16.73")
@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("sip:+31612312312@carrier.example", "Jan"), ("sip:6001@pbx", ""), ("sip:anon@pbx", ""),
        ("sip:acct-7731@a", ""),
        ("sip:+31612312312@a", "Unknown"), ("sip:+31612312312@a", "Private Bank"),
        ("sip:+31612312312@invalid.example", ""),
        ("sip:jan@a", "The Anonymous Society"), ("sip:+31612312312@a", "Number Ten"), ("sip:private.bank@a", ""),
        ("sip:+31612312312@a", "Hidden Valley 2"), ("sip:+31612312312@a", "User 6001"),
    ],
)  # fmt: skip
def test_who_shows_themselves_is_shown(uri: str, name: str) -> None:
    assert not is_withheld(CallerId(uri, name))
