# SPDX-License-Identifier: GPL-2.0-or-later
"""The AMI codec: whatever arrives, in whatever pieces, gives the same messages or a bounded refusal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pbx.asterisk.ami_codec import MAX_LINE, MAX_MESSAGE, Decoder, Message, NotAmiError, UnsendableError, encode

GREETING = b"Asterisk Call Manager/11.0.0\r\n"
PONG = b"Response: Success\r\nActionID: 7\r\nPing: Pong\r\nTimestamp: 1795358213.413806\r\n\r\n"
PAUSE = b"Event: QueueMemberPause\r\nPrivilege: agent,all\r\nQueue: sales\r\nPaused: 1\r\nPausedReason: \r\n\r\n"


def decode(data: bytes) -> list[Message]:
    return Decoder().feed(GREETING + data)


def test_responses_and_events_are_told_apart() -> None:
    pong, pause = decode(PONG + PAUSE)
    assert (pong.response, pong.event, pong.get("ActionID")) == ("Success", "", "7")
    assert (pause.response, pause.event, pause.get("queue")) == ("", "QueueMemberPause", "sales")
    assert pause.get("PausedReason", "absent") == ""
    assert pause.get("Nothing", "absent") == "absent"


def test_an_event_with_a_field_called_response_is_an_event() -> None:
    (message,) = decode(b"Event: OriginateResponse\r\nResponse: Failure\r\n\r\n")
    assert message.event == "OriginateResponse"
    assert message.response == ""


def test_doubled_keys_are_kept_and_the_first_counts() -> None:
    (message,) = decode(b"Event: E\r\nVariable: a=1\r\nVariable: b=2\r\n\r\n")
    assert message.all("variable") == ("a=1", "b=2")
    assert message.get("Variable") == "a=1"


def test_a_value_keeps_its_colons_and_spaces() -> None:
    (message,) = decode(b"Event: E\r\nCallerIDName:  Jan: de Vries \r\n\r\n")
    assert message.get("CallerIDName") == " Jan: de Vries "


def test_numbers_are_checked() -> None:
    (message,) = decode(
        b"Event: E\r\nA: -1\r\nB: 12\r\nC: 1_0\r\nD: \r\nE: 99999999999999999999\r\nF: \xd9\xa3\r\n\r\n"
    )
    assert [message.number(key) for key in "ABCDEF"] == [-1, 12, None, None, None, None]


def test_bytes_that_are_no_utf8_do_no_harm() -> None:
    broken, pause = decode(b"Event: E\r\nCallerIDName: J\xf6rg\r\n\r\n" + PAUSE)
    assert broken.get("CallerIDName") == "J\N{REPLACEMENT CHARACTER}rg"
    assert pause.event == "QueueMemberPause"


@pytest.mark.parametrize(
    "banner",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02",
        b"Asterisk Call Mangler\r\n",
        b"\r\n",
        GREETING[:-2] + 300 * b"1",
    ],
)
def test_another_service_is_recognised(banner: bytes) -> None:
    with pytest.raises(NotAmiError, match="no manager interface"):
        Decoder().feed(banner)


@pytest.mark.parametrize(
    "excess",
    [
        b"Event: Big\r\nX: " + (MAX_LINE + 1) * b"x" + b"\r\n\r\n",
        b"Event: Big\r\n" + (MAX_MESSAGE // 1000 + 1) * (b"X: " + 997 * b"x" + b"\r\n") + b"\r\n",
        (MAX_LINE * 3) * b"x" + b"\r\nY: 1\r\n\r\n",
        b"Bogus: 1\r\n\r\n",
        b"no colon at all\r\n\r\n",
    ],
    ids=["line", "message", "endless first line", "neither response nor event", "no fields"],
)
@pytest.mark.parametrize("piece", [1000, 1 << 20])
def test_what_is_too_long_or_no_message_is_dropped_and_the_next_one_read(excess: bytes, piece: int) -> None:
    decoder = Decoder()
    wire = GREETING + excess + PAUSE
    messages = [m for at in range(0, len(wire), piece) for m in decoder.feed(wire[at : at + piece])]
    assert [m.event for m in messages] == ["QueueMemberPause"]
    assert decoder.dropped == 1


def test_an_endless_line_takes_no_memory() -> None:
    decoder = Decoder()
    decoder.feed(GREETING)
    for _ in range(100):
        assert decoder.feed(b"x" * 65536) == []
    assert len(decoder._buffer) <= MAX_LINE + 1


words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30)
keys = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True)
bodies = st.lists(st.tuples(keys, words), max_size=5)
messages_on_wire = st.lists(st.tuples(st.sampled_from(["Event", "Response"]), words, bodies), max_size=5)


@pytest.mark.thorough
@settings(deadline=None)
@given(messages_on_wire, st.data())
def test_pieces_make_no_difference(parts: list[tuple[str, str, list[tuple[str, str]]]], data: st.DataObject) -> None:
    expected = [((kind, name), *body) for kind, name, body in parts]
    wire = GREETING + b"".join("".join(f"{k}: {v}\r\n" for k, v in fields).encode() + b"\r\n" for fields in expected)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=20)))
    decoder = Decoder()
    got = [m for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True) for m in decoder.feed(wire[a:b])]
    assert [m.fields for m in got] == expected
    assert decoder.dropped == 0


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=20))
def test_noise_never_raises_after_the_greeting(pieces: list[bytes]) -> None:
    whole = Decoder()
    whole.feed(GREETING)
    in_pieces = Decoder()
    in_pieces.feed(GREETING)
    got = [m for piece in pieces for m in in_pieces.feed(piece)]
    assert got == whole.feed(b"".join(pieces))


@pytest.mark.thorough
@settings(deadline=None)
@given(keys, st.lists(st.tuples(keys, words), max_size=5))
def test_an_action_reads_back_as_it_was_meant(action: str, fields: list[tuple[str, str]]) -> None:
    wire = encode(action, "1", [(k, v.replace("\0", "")) for k, v in fields])
    assert wire.endswith(b"\r\n\r\n")
    assert wire.count(b"\n") == len(fields) + 3
    assert b"\n\r\n" not in wire[:-3]


@pytest.mark.parametrize("value", ["a\r\nAction: Command", "a\nb", "a\rb", "a\0b", "x" * 1024])
def test_nothing_can_be_smuggled_into_an_action(value: str) -> None:
    with pytest.raises(UnsendableError, match="can't be sent"):
        encode("Getvar", "1", [("Channel", value)])


@pytest.mark.parametrize("key", ["", "A b", "A:b", "A\r\nB", "Ä"])
def test_a_key_is_a_plain_word(key: str) -> None:
    with pytest.raises(UnsendableError, match="can't be sent"):
        encode("Getvar", "1", [(key, "x")])
