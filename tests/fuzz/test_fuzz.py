# SPDX-License-Identifier: GPL-2.0-or-later
"""The same mistakes for the same seed. The fuzzer itself is `make fuzz`."""

from __future__ import annotations

from tests.fuzz.mutator import LONGEST, Mutator

MESSAGE = b"INVITE sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nContent-Length: 5\r\n\r\nv=0\r\n"


def test_the_same_seed_makes_the_same_mistakes() -> None:
    one, other = Mutator(7), Mutator(7)
    made = [one.message(MESSAGE) for _ in range(500)]
    assert made == [other.message(MESSAGE) for _ in range(500)]
    assert len(set(made)) > 200
    assert max(map(len, made)) <= LONGEST
