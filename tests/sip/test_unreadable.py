# SPDX-License-Identifier: GPL-2.0-or-later
"""The response to a request that cannot be read is itself one that can be, whatever stood in the request."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.text import malformed

REQUEST = (
    "REFER sip:2001@gw SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.3;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP 127.0.0.4\r\n"
    "f: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\ni: 7@x\r\nCSeq: 2 REFER\r\nContact: <sip:\r\n\r\nbody"
)
LINE = re.compile(r"[A-Za-z-]+: [^\x00-\x1f\x7f]*")
MORE = [("Reason", "SIP;cause=400")]


@pytest.mark.keeps("16.72")
def test_the_lines_that_say_whom_to_answer_are_sent_back() -> None:
    told = malformed.answer(REQUEST, 400, "Contact", MORE).split("\r\n")
    tag = told[4].removeprefix("To: <sip:c@d>;tag=")
    assert tag
    assert told == [
        "SIP/2.0 400 Bad Contact Header", "Via: SIP/2.0/UDP 127.0.0.3;branch=z9hG4bK1", "Via: SIP/2.0/UDP 127.0.0.4",
        "From: <sip:a@b>;tag=1", f"To: <sip:c@d>;tag={tag}", "Call-ID: 7@x", "CSeq: 2 REFER", "Reason: SIP;cause=400",
        "Content-Length: 0", "", "",
    ]  # fmt: skip
    assert malformed.answer(REQUEST, 400, "Contact", MORE).split("\r\n") == told  # a repetition is answered alike


@pytest.mark.keeps("16.189")
@pytest.mark.parametrize(
    ("to", "tagged"),
    [('"x;tag=1" <sip:c@d>', False), ("<sip:c@d;tag=1>", False), ('"x" <sip:c@d>;y="a;tag=1"', False),
     ('"x;y" <sip:c@d>;tag=1', True), ("sip:c@d ; TAG=1", True)],
)  # fmt: skip
def test_a_tag_is_a_parameter_of_the_header_and_no_other_text(to: str, tagged: bool) -> None:
    told = malformed.answer(REQUEST.replace("<sip:c@d>", to), 400, "Contact", []).split("\r\n")
    line = next(line for line in told if line.startswith("To: "))
    assert line.startswith(f"To: {to}")
    assert (line == f"To: {to}") is tagged


def without(*begins: str) -> str:
    return "\r\n".join(line for line in REQUEST.split("\r\n") if not line.startswith(begins))


def test_who_says_nowhere_to_answer_is_not_answered() -> None:
    assert malformed.answer(without("v:", "Via"), 400, "", []) == ""


@pytest.mark.keeps("16.131")
@pytest.mark.parametrize("missing", ["f:", "t:", "i:", "CSeq:"])
def test_what_a_request_lacks_its_answer_lacks(missing: str) -> None:
    told = malformed.answer(without(missing), 400, "", []).split("\r\n")
    assert told[:3] == [
        "SIP/2.0 400 Bad Request",
        "Via: SIP/2.0/UDP 127.0.0.3;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 127.0.0.4",
    ]
    whole = malformed.answer(REQUEST, 400, "", []).split("\r\n")
    names = {"f:": "From", "t:": "To", "i:": "Call-ID", "CSeq:": "CSeq"}
    assert [line.partition(":")[0] for line in told] == [
        name for line in whole if (name := line.partition(":")[0]) != names[missing]
    ]


@pytest.mark.parametrize(
    ("text", "method"),
    [(REQUEST, "REFER"), ("ACK sip:a@b SIP/2.0\r\n", None), ("SIP/2.0 200 OK\r\n", None), ("GET / HTTP/1.1\r\n", None),
     ("", None), ("OPTIONS sip:a b SIP/7.0\r\n", "OPTIONS")],
)  # fmt: skip
def test_only_requests_are_answered(text: str, method: str | None) -> None:
    assert malformed.method_of(text) == method


def test_the_code_tells_what_is_wrong() -> None:
    assert malformed.verdict(REQUEST, whole=True) == 400
    assert malformed.verdict(REQUEST, whole=False) == 513
    assert malformed.verdict(REQUEST.replace("/2.0\r", "/3.0\r", 1), whole=False) == 505


@given(
    st.lists(st.sampled_from(REQUEST.split("\r\n")) | st.text(max_size=60), max_size=12),
    st.sampled_from(["\r\n", "\n", "\r"]), st.text(max_size=50),
)  # fmt: skip
def test_nothing_breaks_out_of_its_line(lines: list[str], newline: str, header: str) -> None:
    told = malformed.answer(newline.join(lines), 400, header, MORE)
    if told:
        start, *rest = told.split("\r\n")
        assert re.fullmatch(r"SIP/2\.0 400 Bad [A-Za-z -]+", start)
        assert rest[-2:] == ["", ""]
        assert all(LINE.fullmatch(line) for line in rest[:-2]), told
