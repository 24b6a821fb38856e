# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever reads the log may be stuck or gone, its disk stand still: nobody waits for that; what is missing is told."""

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path
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


class Disk:
    """Has whoever writes wait while it stands still, and say that it is full while it is."""

    def __init__(self) -> None:
        self.turns = threading.Event()
        self.turns.set()
        self.is_full = False
        self._write = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        assert self.turns.wait(30)
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(descriptor, data)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Disk, Path]]:
    """The disk of a file that the log goes to."""
    monkeypatch.setattr(patient, "_known", {})
    made = Disk()
    monkeypatch.setattr(os, "write", made.write)
    with (tmp_path / "log").open("w") as stream:
        log.configure(stream=stream)
        yield made, tmp_path / "log"
        made.turns.set()
        assert all(lines.go_on(30) for lines in patient._known.values())


def written(path: Path) -> list[str]:
    assert all(lines.go_on(30) for lines in patient._known.values())
    return path.read_text().splitlines()


def test_a_line_is_in_its_file_when_the_next_thing_happens(disk: tuple[Disk, Path]) -> None:
    say(0, 50)
    assert numbers(disk[1].read_text().splitlines()) == list(range(50))


def test_a_disk_that_stands_still_keeps_nobody_waiting_and_gets_all_of_it(disk: tuple[Disk, Path]) -> None:
    still, path = disk
    say(0, 10)
    still.turns.clear()
    say(10, 110)
    assert numbers(path.read_text().splitlines()) == list(range(10))
    still.turns.set()
    assert numbers(written(path)) == list(range(110))
    say(110, 120)
    assert numbers(path.read_text().splitlines()) == list(range(120))  # it is waited for again


def test_lines_that_a_disk_takes_too_late_or_not_at_all_are_counted(
    disk: tuple[Disk, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    still, path = disk
    monkeypatch.setattr(patient, "MOST_WAITING", 100_000)
    still.turns.clear()
    say(0, 50)
    still.turns.set()
    kept = numbers(written(path))
    assert kept == list(range(len(kept)))
    assert 10 < len(kept) < 50
    still.is_full = True
    say(50, 60)
    assert numbers(written(path)) == kept
    still.is_full = False
    say(60, 61)
    *_, notice, said = written(path)
    assert f"log-lines-lost lines={60 - len(kept)}" in notice
    assert numbers([said]) == [60]
