# SPDX-License-Identifier: GPL-2.0-or-later
"""After a peak the gateway becomes small again."""

import resource
from pathlib import Path

import pytest

from gateway.memory import WORTH_IT, Glibc, Peaks

MILLION = 1 << 20


class Heap:
    """An allocator that uses what it is told to."""

    def __init__(self) -> None:
        self.size = 100 * MILLION
        self.trimmed: list[int] = []

    def used(self) -> int:
        return self.size

    def trim(self) -> None:
        self.trimmed.append(self.size)


def test_a_peak_that_is_over_is_given_back_once() -> None:
    heap = Heap()
    peaks = Peaks(heap)
    for size in (100, 150, 400, 380, 376, 300, 300, 299, 280):
        heap.size = size * MILLION
        peaks.look()
    assert heap.trimmed == [300 * MILLION]
    heap.size = 150 * MILLION
    peaks.look()
    assert heap.trimmed == [300 * MILLION, 150 * MILLION]


def test_what_is_in_use_is_never_a_reason() -> None:
    heap = Heap()
    peaks = Peaks(heap)
    for size in range(0, 10 * WORTH_IT, WORTH_IT // 4):
        heap.size = size
        peaks.look()
    assert heap.trimmed == []


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.slow
def test_what_lies_between_blocks_in_use_goes_back_to_the_system() -> None:
    allocator = Glibc.found()
    assert allocator is not None
    peaks = Peaks(allocator)
    blocks: list[bytes | None] = [bytes(20_000) for _ in range(8_000)]
    peaks.look()
    blocks = [block if number % 50 == 0 else None for number, block in enumerate(blocks)]
    before = resident()
    peaks.look()
    assert before - resident() > 100 * MILLION
    assert sum(block is not None for block in blocks) == 160
