# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP messages of a call as operators are told them: masked where that is asked for, and why there are none."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.call_messages import GONE, OFF, CallMessages, document, masked_message, moment
from gateway.core.json_form import transfer_document
from gateway.core.model import Peer, PeerKind
from gateway.core.numbers import national_digits
from gateway.core.sip_message import KeptMessages, SipMessage
from gateway.engine.call_book import CallBook, KnownCall, Note
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.report import samples

INVITE = (
    "INVITE sip:+31201234567@gw SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1234567890\r\n"
    'From: "Eve 0612345678" <sip:+31612345678@pbx>;tag=1234567890\r\n'
    "t: <sip:+31201234567@gw>\r\n"
    "Call-ID: 1234567890@pbx\r\n"
    "CSeq: 1234567 INVITE\r\n"
    "Content-Type: application/sdp\r\n"
    "\r\n"
    "o=- 1234567890 1 IN IP4 192.0.2.1\r\n"
    "s=call of 0612345678\r\n"
)


class Sip:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptMessages] = {}
        self.room = (0, 0)

    def keep_messages(self, max_mb: int, calls: int) -> None:
        self.room = (max_mb, calls)

    def messages(self, call_id: str) -> KeptMessages | None:
        return self.kept.get(call_id)

    def forget_messages(self, texts: list[str]) -> frozenset[str]:
        named = [
            leg for leg, kept in self.kept.items() if any(text in one.text for one in kept.messages for text in texts)
        ]
        self.forget_legs(frozenset(named))
        return frozenset(named)

    def forget_legs(self, call_ids: frozenset[str]) -> None:
        for each in call_ids:
            self.kept.pop(each, None)


def message(text: str, seconds: float = 0, **more: Any) -> SipMessage:
    given: dict[str, Any] = {"sent": False, "again": False, "cut": False, **more}
    at, size = BEGIN + timedelta(seconds=seconds), len(text)
    return SipMessage(
        at=at, transport="UDP", source="192.0.2.7:5060", destination="192.0.2.1:5060", size=size, text=text, **given
    )


def config(max_mb: int = 16, callers: str = "full") -> Any:
    messages = SimpleNamespace(max_mb=max_mb, calls=2)
    return SimpleNamespace(messages=messages, history=SimpleNamespace(callers=callers))


@pytest.fixture
def sip() -> Sip:
    return Sip()


@pytest.fixture
def told(sip: Sip) -> CallMessages:
    """With a call 01C of two legs, and its transfer 01T."""
    book = CallBook(VirtualClock(BEGIN))
    made = CallMessages(book, sip)  # type: ignore[arg-type]
    made.configure(config())
    known = KnownCall("01C", "+31612345678")
    for call_id, kind in (("a@pbx", PeerKind.PBX), ("b@trunk", PeerKind.TRUNK)):
        known.add(call_id, Peer("peer", kind))
    known.transfers[samples.requested("01T").transfer] = samples.requested("01T")
    known.notes.append(
        Note(BEGIN + timedelta(seconds=1), "gate", "asked +31612345678", samples.requested("01T").transfer)
    )
    known.notes.append(Note(BEGIN, "gate", "of another", samples.requested("01X").transfer))
    book._calls["01C"] = known
    book._keys |= {"01T": "01C", "a@pbx": "01C", "b@trunk": "01C"}
    sip.kept = {
        "a@pbx": KeptMessages((message(INVITE), message("BYE\r\n\r\n", 3, again=True, cut=True)), 7, late=True),
        "b@trunk": KeptMessages((message("ACK \udcff\r\n\r\n", 2, sent=True),)),
    }
    return made


def test_messages_of_all_legs_stand_in_the_order_of_time(told: CallMessages) -> None:
    gathered = told.of_transfer("01T")
    assert gathered is not None
    made = document(gathered)
    assert [(one["leg"], one["sent"], one["text"].split()[0]) for one in made["messages"]] == [
        (0, False, "INVITE"), (1, True, "ACK"), (0, False, "BYE"),
    ]  # fmt: skip
    assert made["messages"][0]["at"] == moment(BEGIN)
    assert made["messages"][1]["text"] == "ACK ?\r\n\r\n"
    assert [(leg["call_id"], leg["side"], leg["messages"], leg["left_out"], leg["late"]) for leg in made["legs"]] == [
        ("a@pbx", "pbx", 2, 7, True), ("b@trunk", "trunk", 1, 0, False),
    ]  # fmt: skip
    assert [mark["text"] for mark in made["marks"]] == ["asked +31612345678"]
    assert (made["call"], made["transfer"], made["kept"], made["because"]) == ("01C", "01T", True, None)
    whole = told.of_call("01C")
    assert whole is not None
    assert [mark["text"] for mark in document(whole)["marks"]] == ["of another", "asked +31612345678"]
    assert told.of_call("01T") is None


@pytest.mark.keeps("20.76")
def test_numbers_are_masked_as_the_history_masks_them(told: CallMessages) -> None:
    for callers in ("masked", "hashed"):
        told.configure(config(callers=callers))
        gathered = told.of_transfer("01T")
        assert gathered is not None
        made = document(gathered)
        assert made["masked"] is True
        assert "612345" not in str(made["messages"])
        assert "612345" not in str(made["marks"])


def test_what_tells_dialogs_apart_is_not_masked() -> None:
    lines = masked_message(INVITE).split("\r\n")
    assert lines[0] == "INVITE sip:+***567@gw SIP/2.0"
    assert lines[2] == 'From: "Eve ***678" <sip:+***678@pbx>;tag=1234567890'
    assert lines[3] == "t: <sip:+***567@gw>"
    assert lines[9] == "s=call of ***678"
    kept = (1, 4, 5, 6, 7, 8)
    assert [lines[place] for place in kept] == [INVITE.split("\r\n")[place] for place in kept]
    assert masked_message("SIP/2.0 200 OK\nFrom: <sip:0612345678@x>\n") == "SIP/2.0 200 OK\nFrom: <sip:***678@x>\n"


def test_it_is_told_why_there_are_none(told: CallMessages, sip: Sip) -> None:
    past = transfer_document(samples.completed("01P"))
    assert told.of_transfer("01P") is None
    made = document(told.of_past("01P", past))
    assert (made["kept"], made["because"], made["messages"]) == (False, GONE, [])
    assert [leg["role"] for leg in made["legs"]] == ["transferor", "transferee", "target"]
    sip.kept["c@pbx"] = KeptMessages((message(INVITE),))
    assert document(told.of_past("01P", past))["kept"] is True
    sip.kept.clear()
    told.configure(config(max_mb=0))
    assert sip.room == (0, 2)
    assert document(told.of_past("01P", past))["because"] == OFF
    assert told.of_transfer("01T") is None


@pytest.mark.keeps("20.76")
def test_a_forgotten_caller_takes_the_other_legs_along(told: CallMessages, sip: Sip) -> None:
    assert told.forget("+31600000000") == 0
    assert told.forget("+31612345678") == 2
    assert sip.kept == {}
    assert told.of_transfer("01T") is None


def test_what_a_caller_s_numbers_have_in_common() -> None:
    assert national_digits("+31612345678") == "612345678"
    assert national_digits("+14125551234") == "4125551234"
    assert national_digits("+") == ""


def test_legs_messages_and_audio_are_told_in_words_and_masked_like_all_else(told: CallMessages, sip: Sip) -> None:
    known = told._book._calls["01C"]
    known.audio.append(Note(BEGIN + timedelta(seconds=2), "audio", "a and b", legs=("b@trunk", "gone@pbx")))
    told.configure(config(callers="masked"))
    gathered = told.of_transfer("01T")
    assert gathered is not None
    made = document(gathered)
    assert [(leg["name"], leg["part"]) for leg in made["legs"]] == [("peer", "leg 1"), ("peer", "leg 2")]
    assert [one["words"] for one in made["messages"]] == ["INVITE, SDP", "ACK", "BYE, again"]
    assert [(mark["what"], mark["legs"]) for mark in made["marks"]] == [("gate", []), ("audio", [1])]
    refer = message("REFER x SIP/2.0\r\nRefer-To: <sip:+31612345678@gw>\r\n\r\n", 4)
    sip.kept["b@trunk"] = KeptMessages((refer,))
    gathered = told.of_transfer("01T")
    assert gathered is not None
    words = next(one["words"] for one in document(gathered)["messages"] if one["words"].startswith("REFER"))
    assert "612345" not in words
