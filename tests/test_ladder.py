# SPDX-License-Identifier: GPL-2.0-or-later
"""The ladder of `why`: lanes where they fit, words where they do not, and nothing that a terminal would obey."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.cli.ladder import ASCII, LINES, ladder, signs_for
from gateway.cli.message_words import lines_of, words_of
from gateway.cli.why import drawn, whole

BEGIN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SDP = "Content-Type: application/sdp\r\n\r\nv=0\r\n"


def at(seconds: float) -> str:
    return (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def leg(call_id: str, side: str | None, role: str | None, **more: Any) -> dict[str, Any]:
    peer = {"trunk": "hms", "pbx": "asterisk"}.get(side or "")
    given = {"messages": 1, "left_out": 0, "late": False, **more}
    return {"call_id": call_id, "side": side, "peer": peer, "role": role, **given}


def message(leg: int, seconds: float, sent: bool, text: str, **more: Any) -> dict[str, Any]:
    ends = {"transport": "UDP", "source": "192.0.2.1:5060", "destination": "192.0.2.7:5060", "size": len(text)}
    return {"leg": leg, "at": at(seconds), "sent": sent, **ends, "again": False, "cut": False, "text": text, **more}


def mark(seconds: float, what: str, text: str) -> dict[str, Any]:
    return {"at": at(seconds), "what": what, "text": text, "transfer": "01T"}


TOLD: dict[str, Any] = {
    "call": "01C", "transfer": "01T", "kept": True, "because": None, "masked": False,
    "legs": [leg("1", "pbx", "transferee"), leg("2", "trunk", "transferor"), leg("3", "pbx", "target")],
    "messages": [
        message(0, -2, False, f"INVITE sip:x SIP/2.0\r\nTo: <sip:x>\r\n{SDP}"),
        message(1, 0, False, "REFER sip:x SIP/2.0\r\nRefer-To: <sip:+31612345678@gw>\r\n\r\n"),
        message(1, 0.002, True, "SIP/2.0 202 Accepted\r\nCSeq: 2 REFER\r\n\r\n"),
        message(2, 0.003, True, f"INVITE sip:6500@pbx SIP/2.0\r\nTo: <sip:6500@pbx>\r\n{SDP}"),
        message(1, 1, True, "NOTIFY sip:x SIP/2.0\r\nContent-Type: message/sipfrag\r\n\r\nSIP/2.0 200 OK\r\n"),
    ],
    "marks": [mark(0.001, "gate", "queue sales: 2 of 3 agents free"), mark(1.5, "ended", "completed, answered (200)")],
}  # fmt: skip


def test_a_ladder_has_a_lane_for_each_leg_on_its_side_of_the_gateway() -> None:
    lines = list(ladder(TOLD, BEGIN, 120))
    assert lines[0].split() == ["hms", "gateway", "asterisk", "asterisk"]
    assert lines[1].split() == ["transferor", "caller", "target"]
    drawn_lines = {line[:12].strip(): line for line in lines[3:]}
    assert list(drawn_lines) == ["-2.000 s", "+0.000 s", "+0.001 s", "+0.002 s", "+0.003 s", "+1.000 s", "+1.500 s"]
    places = [place for place, sign in enumerate(lines[2]) if sign == "│"]
    assert len(places) == 4
    assistant, gateway, caller, target = places
    refer = drawn_lines["+0.000 s"]
    assert refer[assistant + 1 : gateway].strip("─ ") == "REFER to +31612345678 ──▶".strip("─ ")
    assert refer[gateway - 1] == "▶"
    assert drawn_lines["+0.002 s"][assistant + 1] == "◀"
    assert drawn_lines["-2.000 s"][gateway + 1] == "◀"
    invite = drawn_lines["+0.003 s"]
    assert (invite[gateway], invite[target - 1], invite[target]) == ("│", "▶", "│")
    assert "INVITE, SDP" in invite[gateway:target]
    assert caller < target
    assert drawn_lines["+0.001 s"] == "   +0.001 s  ■ gate: queue sales: 2 of 3 agents free"
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("width", [99, 60, 20])
def test_below_a_hundred_columns_it_is_told_in_words(width: int) -> None:
    lines = list(ladder(TOLD, BEGIN, width))
    assert lines[0] == "   -2.000 s  asterisk caller → gateway: INVITE, SDP"[: max(width, 40)]
    assert lines[1].startswith("   +0.000 s  hms transferor → gateway: R"[: max(width, 40)])
    assert max(map(len, lines)) <= max(width, 40)


def test_so_it_is_where_the_lanes_do_not_fit() -> None:
    many = [leg(str(number), "pbx", "target") for number in range(8)]
    told = {**TOLD, "legs": many, "messages": [message(number, number, True, "BYE x") for number in range(8)]}
    lines = list(ladder(told, BEGIN, 120))
    assert "asterisk target 8: BYE" in "\n".join(lines)
    assert "│" not in "".join(lines)
    assert "│" in "".join(ladder(told, BEGIN, 250))


def test_where_lines_cannot_be_written_it_is_ascii() -> None:
    assert (signs_for("utf-8"), signs_for("ascii"), signs_for(None), signs_for("nonsense")) == (
        LINES,
        ASCII,
        ASCII,
        ASCII,
    )
    text = "\n".join(ladder(TOLD, BEGIN, 100, ASCII))
    assert text.isascii()
    assert "- 202 Accepted" in text
    assert ".. " in text  # what does not fit


def test_what_is_missing_is_said() -> None:
    told = {
        **TOLD,
        "legs": [leg("1", "pbx", None, late=True), *TOLD["legs"][1:2], leg("3", None, "target", left_out=9)],
    }
    lines = list(ladder(told, BEGIN, 120))
    assert "  the first messages of asterisk leg had to make room for other calls" in lines
    assert "  9 messages of peer target are left out: there were too many" in lines


def test_nothing_of_a_message_reaches_the_terminal_as_a_command() -> None:
    evil = "SIP/2.0 200 \x1b]0;owned\x07\u202e\r\nCSeq: 1 IN\x9bVITE\r\n\r\n"
    told = {**TOLD, "messages": [message(1, 0, False, evil)], "marks": [mark(0, "gate", "a\x1bb\rc")]}
    for width in (120, 60):
        assert all(line.isprintable() for line in ladder(told, BEGIN, width))
    assert all(line.isprintable() for line in whole(told))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("INVITE x SIP/2.0\r\nTo: <sip:x>;tag=1\r\n" + SDP, "re-INVITE, SDP"),
        ("INVITE x SIP/2.0\r\nt: <sip:x>\r\nc: application/sdp\r\n\r\n", "INVITE, SDP"),
        ("SIP/2.0 183 Session Progress\r\nCSeq: 1 INVITE\r\n" + SDP, "183 Session Progress of INVITE, SDP"),
        ("SIP/2.0 100 Trying\r\n", "100 Trying"),
        ("REFER x SIP/2.0\r\nr: <tel:+31612345678>\r\n\r\n", "REFER to +31612345678"),
        ("REFER x SIP/2.0\r\n\r\n", "REFER"),
        ("NOTIFY x SIP/2.0\n\nSIP/2.0 100 Trying\n", "NOTIFY: SIP/2.0 100 Trying"),
        ("INFO x SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\n", "INFO, application/dtmf-relay"),
        ("BYE x SIP/2.0\r\n\r\n", "BYE"),
        ("", ""),
    ],
)
def test_a_message_in_words(text: str, words: str) -> None:
    assert words_of({"text": text, "again": False}) == words
    assert words_of({"text": text, "again": True}) == f"{words}, again"


def test_messages_are_printed_whole() -> None:
    cut = message(0, 0, True, "BYE x SIP/2.0\r\nX: y\r\n\r\n", again=True, cut=True, size=7000)
    assert list(whole({"messages": [cut]})) == [
        "",
        "2026-03-02T09:30:00.000000Z UDP 192.0.2.1:5060 -> 192.0.2.7:5060, again, cut: 7000 bytes on the wire",
        "  BYE x SIP/2.0",
        "  X: y",
    ]
    assert list(lines_of("a\nb\r\n")) == ["a", "b"]


def test_why_there_is_no_ladder() -> None:
    asked = {"requested_at": at(0)}
    assert list(drawn(asked, None, "no gateway answers", 120)) == [
        "",
        "the SIP messages are not there: no gateway answers",
    ]
    gone = {**TOLD, "kept": False}
    assert list(drawn(asked, gone, "they made room", 120))[1] == "the SIP messages are not there: they made room"
    masked = list(drawn(asked, {**TOLD, "masked": True}, "", 120))
    assert masked[1] == "the SIP messages, phone numbers masked"
