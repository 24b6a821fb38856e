# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever reads the log may be stuck, or gone: nobody waits for that, and what is missing is told."""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from typing import TextIO

import pytest
import structlog

from gateway import log
from gateway.log import patient
from tests.log.test_log import restored

__all__ = ["restored"]
pytestmark = pytest.mark.keeps("16.161")
LONG = "y" * 6000  # more than a pipe takes at once


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, TextIO]]:
    """A pipe of one page that the log goes to: its reading end, and the stream."""
    monkeypatch.setattr(patient, "_known", {})
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writing, "w") as stream:
        log.configure(stream=stream)
        yield reading, stream
        os.set_blocking(reading, False)
    os.close(reading)


def say(first: int, last: int) -> None:
    """Log numbered lines; fails where somebody has to wait."""
    logger = structlog.get_logger("x")

    def lines() -> None:
        for number in range(first, last):
            logger.info("said", number=number, text=LONG)

    speaking = threading.Thread(target=lines, daemon=True)
    speaking.start()
    speaking.join(10)
    assert not speaking.is_alive(), "the log waits for its reader"


def read(reading: int) -> list[str]:
    """The whole lines that can be read, while the log goes on."""
    os.set_blocking(reading, False)
    text = b""
    done = False
    while not done:
        done = all(lines.go_on() for lines in patient._known.values())
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(reading, 65536):
                text += piece
    return text.decode().splitlines()


def numbers(lines: list[str]) -> list[int]:
    return [int(line.partition("number=")[2].split()[0]) for line in lines if "number=" in line]


def test_a_reader_that_is_stuck_keeps_nobody_waiting_and_gets_all_of_it(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    say(0, 50)
    log.configure(stream=stream)  # as a reload does
    say(50, 100)
    lines = read(reading)
    assert numbers(lines) == list(range(100))
    assert all(LONG in line for line in lines)


def test_lines_beyond_what_is_kept_are_counted(pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    reading, _ = pipe
    monkeypatch.setattr(patient, "MOST_WAITING", 100_000)
    say(0, 50)
    kept = numbers(read(reading))
    assert kept == list(range(len(kept)))
    assert 10 < len(kept) < 50
    say(50, 51)
    notice, said = read(reading)
    assert "log-lines-lost" in notice
    assert f"lines={50 - len(kept)}" in notice
    assert numbers([said]) == [50]


def test_a_reader_that_is_gone_is_missed_by_nobody(pipe: tuple[int, TextIO]) -> None:
    reading, _ = pipe
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, reading)
    os.close(nothing)
    say(0, 50)
