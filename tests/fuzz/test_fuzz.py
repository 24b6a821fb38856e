# SPDX-License-Identifier: GPL-2.0-or-later
"""A minute of what `make fuzz` plays for ten, ten seconds with a kill, and what the fuzzer itself has to get right."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fuzz.mutator import LONGEST, Mutator
from tests.fuzz.sanitized import ROOT

MESSAGE = b"INVITE sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nContent-Length: 5\r\n\r\nv=0\r\n"
SEED, SECONDS, KILLED_SECONDS = 20261129, 60, 10


def test_the_same_seed_makes_the_same_mistakes() -> None:
    one, other = Mutator(7), Mutator(7)
    made = [one.message(MESSAGE) for _ in range(500)]
    assert made == [other.message(MESSAGE) for _ in range(500)]
    assert len(set(made)) > 200
    assert max(map(len, made)) <= LONGEST


@pytest.mark.sip
@pytest.mark.alone
@pytest.mark.timeout(1800)  # the build counts too
@pytest.mark.keeps("16.116")
def test_a_minute_of_mistakes_from_every_side() -> None:
    assert _fuzzed(SECONDS) == 0


@pytest.mark.sip
@pytest.mark.alone
@pytest.mark.timeout(1800)
@pytest.mark.keeps("22.69")
def test_ten_seconds_of_them_with_a_kill() -> None:
    assert _fuzzed(KILLED_SECONDS, "--recover") == 0


def _fuzzed(seconds: int, *more: str) -> int:
    """Its exit code. As `make fuzz` does: in a network of its own."""
    command = [sys.executable, "-m", "tests.fuzz", "--seed", str(SEED), "--seconds", str(seconds), *more]
    return subprocess.call(command, cwd=ROOT, stdin=subprocess.DEVNULL)
