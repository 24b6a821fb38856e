# SPDX-License-Identifier: GPL-2.0-or-later
"""Every dialect in which an INFO tells of a key, and what is none."""

from __future__ import annotations

import pytest

from gateway.sip.text.info_keys import UnknownKeyError, read_key


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("Signal=1\r\nDuration=160\r\n", "1"),
        ("Signal=1\nDuration=160", "1"),
        ("Signal= 5\r\nDuration= 160\r\n", "5"),
        ("Signal = 5 \r\n Duration = 160\r\n", "5"),
        ("signal=7\r\nduration=100", "7"),
        ("SIGNAL=#", "#"),
        ("Duration=160\r\nSignal=*\r\n", "*"),
        ("\r\nSignal=0\r\n\r\n", "0"),
        ("Signal=b\r\nDuration=160", "B"),
        ("Signal=10\r\nDuration=160", "*"),
        ("Signal=11\r\nDuration=160", "#"),
        ("Signal=12", "A"),
        ("Signal=13", "B"),
        ("Signal=14", "C"),
        ("Signal=15\nDuration=2000", "D"),
        ("Signal=05", "5"),
        ("p=Digit-Collection\r\ny=Digits\r\nd=9\r\ns=success\r\n", "9"),
        ("3", "3"),
        ("3\r\n", "3"),
        (" # ", "#"),
        ("10", "*"),
        ("a", "A"),
    ],
)
def test_each_dialect(body: str, key: str) -> None:
    assert read_key(body) == key


@pytest.mark.parametrize(
    "body",
    [
        "", "\r\n", "Signal=", "Signal=\r\nDuration=160", "Duration=160", "Signal=16", "Signal=100", "Signal=E",
        "Signal=1a", "Signal=12A", "Signal=-1", "Signal=1\r\nSignal=2", "Signal=flash", "!", "12345", "1 2", "1\r\n2",
        "Signal=²", "Signal=٣", "Signal=" + "1" * 8000,
    ],
)  # fmt: skip
def test_what_is_no_key_is_none(body: str) -> None:
    with pytest.raises(UnknownKeyError):
        read_key(body)
