# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted of the requests of platforms, for whoever counts."""

from enum import StrEnum
from typing import Protocol

UNPROVED = "unknown"
"""Stands for the trunk, and for the type, of a request that has not shown who sends it."""
OTHER = "other"
"""Stands for every type, and every tool, that nobody here handles."""


class PlatformResult(StrEnum):
    """What came of a request."""

    ANSWERED = "answered"
    IGNORED = "ignored"  # proved, and of a type that nobody here handles
    FAILED = "failed"  # whoever handles it raised, or took too long
    UNREADABLE = "unreadable"  # proved, and not what the platform's documents say
    NOT_PROVED = "not-proved"  # the signature, or the token, is missing or wrong
    OUT_OF_TIME = "out-of-time"  # signed too long ago, or in the future
    REPLAYED = "replayed"  # seen before
    TOO_MANY = "too-many"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    NOT_FOUND = "not-found"  # no trunk has this path


class PlatformObserver(Protocol):
    """Is told of every request. All labels are from the configuration or from a fixed list."""

    def platform_asked(self, trunk: str, kind: str, result: PlatformResult, seconds: float) -> None:
        """A request was answered, so many seconds after its head had come; `kind` is its type."""

    def tool_called(self, trunk: str, tool: str, result: str) -> None:
        """A tool was called: "available", "unavailable", "listed" or "error"."""
