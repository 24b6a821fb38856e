# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person is asked, what is proposed, and what their answers become; at a terminal: tests/test_cli_init.py."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from gateway.setting_up.found import Found, FoundQueue
from gateway.setting_up.questions import Interview
from tests.setting_up.pbxs import FREEPBX, NUMBER, PLAIN, SALES, planned, read


class Scripted:
    """A `Person` who answers by how a question begins; each answer once, the last one ever after, else the proposal."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {key.replace("_", " "): list(given) for key, given in answers.items()}
        self.proposals: dict[str, str] = {}
        self.said: list[str] = []

    def ask(self, question: str, proposal: str = "") -> str:
        self.proposals[question.strip()] = proposal
        for beginning, given in self.answers.items():
            if question.strip().startswith(beginning):
                return (given.pop(0) if len(given) > 1 else given[0]) or proposal
        return proposal

    def ask_secret(self, question: str) -> str:
        return self.ask(question)

    def say(self, text: str) -> None:
        self.said.append(text.strip())


def asked(found: Found, **answers: list[str]) -> tuple[dict[str, Any], Scripted]:
    """The table that comes of it, and the person."""
    needed = {"Addresses": ["203.0.113.10"], "Its_number": [NUMBER]}
    person = Scripted(**{**needed, **answers})
    return Interview(person, found, {"NL": "Europe/Amsterdam"}.__getitem__).whole(), person


def test_who_has_nothing_to_add_takes_what_is_proposed() -> None:
    table, person = asked(PLAIN)
    assert table == {
        "gateway": {"country": "NL", "locale": "nl"},
        "platform": {"name": "generic", "addresses": ["203.0.113.10"], "outbound": ""},
        "numbers": [
            {
                "number": NUMBER,
                "destinations": [{"queue": "sales", "id": "sales"}, {"queue": "support", "id": "support"}],
            }
        ],
    }
    assert 'Queue "sales" (Anna, Bert), dialled as 6500' in person.said
    assert planned(PLAIN, table).locale == "nl"


def test_hours_secrets_and_extensions() -> None:
    table, _ = asked(
        FREEPBX,
        Platform=["hms"],
        User_name=["us"],
        Password=["", "pa55"],
        Hours=["09:00-17:00"],
        Closed=["no"],
        An_extension=["6001", ""],
        Short_name=["Anna", "6001", "desk", "anna"],
        When=["Who asks for Anna"],
    )
    assert table["platform"]["password_file"] == SecretStr("pa55")
    assert table["hours"]["office"] == {
        "time_zone": "Europe/Amsterdam",
        "weekly": {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")},
    }
    [queue, anna] = table["numbers"][0]["destinations"]
    assert (queue["queue"], queue["hours"]) == ("6500", "office")
    assert anna == {"extension": "6001", "id": "anna", "description": "Who asks for Anna", "hours": "office"}
    assert read(table).platform.username == "us"


def test_a_queue_may_be_left_out_but_not_everything() -> None:
    table, person = asked(
        Found(queues=(FoundQueue("sales"),)),
        Number=["-", SALES],
        An_extension=["", "112", "6001", ""],
    )
    assert [each.get("extension") for each in table["numbers"][0]["destinations"]] == ["6001"]
    assert "At least one queue or extension is needed." in person.said
    assert any("is an emergency number" in each for each in person.said)
    assert person.proposals["Short name, of lower-case letters, digits and hyphens"] == ""


def test_what_cannot_be_meant_is_asked_for_again() -> None:
    _, person = asked(
        PLAIN,
        Platform=["hsm", "hms"],
        Addresses=["", "0.0.0.0/0", "203.0.113.300", "203.0.113.0/28, 2001:db8::1"],
        Where_calls=["example", "sip:example.net"],
        Its_number=["020", "0031201234567", NUMBER],
        Hours=["9-17", "17:00-17:00", ""],
        Number=[NUMBER, SALES, SALES, ""],
    )
    told = [each for each in person.said if each.startswith("It ")]
    assert len(told) == 11
    assert "It is taken already." in told
    assert 'It must be hours such as "09:00-17:30"; is "9-17".' in told
    assert any(each.endswith('; did you mean "+31201234567"?') for each in told)
    known = "'hms', 'livekit', 'jambonz', 'twilio', 'vapi' or 'generic'"
    assert f'It must be {known}, is "hsm".' in told


def test_places_are_proposed_once_the_rest_is_known() -> None:
    table, person = asked(PLAIN)
    answers = {"Address_by": ["192.0.2.6"], "SIP_port": ["0", "x", "5090"], "SIP_address": ["pbx", ""]}
    person.answers |= {key.replace("_", " "): given for key, given in answers.items()}
    whole = Interview(person, PLAIN, str).places(table, planned(PLAIN, table))
    assert whole["gateway"] == {"country": "NL", "locale": "nl", "address": "192.0.2.6", "port": 5090}
    assert whole["pbx"] == {"address": "sip:192.0.2.5:5060"}
    assert person.proposals["SIP port of the gateway"] == "5080"
