# SPDX-License-Identifier: GPL-2.0-or-later
"""A minute of broken input from every side, and the same mistakes for the same seed."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.mutator import LONGEST, Mutator
from tests.fuzz.run import Run

SEED = int(os.environ.get("FUZZ_SEED", "20261128"))
MESSAGE = b"INVITE sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nContent-Length: 5\r\n\r\nv=0\r\n"


def test_the_same_seed_makes_the_same_mistakes() -> None:
    one, other = Mutator(7), Mutator(7)
    made = [one.message(MESSAGE) for _ in range(500)]
    assert made == [other.message(MESSAGE) for _ in range(500)]
    assert len(set(made)) > 200
    assert max(map(len, made)) <= LONGEST


@pytest.mark.sip
@pytest.mark.timeout(900)
async def test_a_minute_of_broken_input_from_every_side_harms_nobody() -> None:
    result = await Run(SEED).play(60)
    assert result.faults == [], "\n".join(result.faults)
    assert result.transfers > 5
