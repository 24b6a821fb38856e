# SPDX-License-Identifier: GPL-2.0-or-later
"""What all commands share: exit codes, what an argument names, and how it is said that something is wrong."""

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING

from gateway.cli.output import BAD, painted, shown

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import AssignedNumber

DONE, FAILED, USAGE, CONFIGURATION = 0, 1, 2, 78  # 78: EX_CONFIG of sysexits.h
RESTARTED = 75  # gateway.restarting.EXIT_CODE
INTERRUPTED = 130  # 128 and SIGINT, as shells count


class UsageError(Exception):
    """An argument that the parser could not know to be wrong."""


def load_config(options: argparse.Namespace, *, secrets: bool = True) -> "Config":
    """The configuration that the options name. Raises ConfigError."""
    from gateway.config import load  # noqa: PLC0415

    return load(options.config, secrets=secrets)


def number_of(config: "Config", text: str | None) -> "AssignedNumber":
    """The assigned number that is meant by `--number`. Raises UsageError where there is none, or a choice."""
    known = ", ".join(number.id for number in config.numbers)
    if text is None:
        if len(config.numbers) == 1:
            return config.numbers[0]
        raise UsageError(f"--number is needed, one of: {known}")
    number = config.routes.number(text)
    if number is None:
        raise UsageError(f"--number {text} is not assigned; known are: {known}")
    return number


def complain(text: str, style: str = BAD) -> None:
    """Say on standard error what is wrong: a line, or several that stand for themselves."""
    lines = text.split("\n")
    name = "transfer-gateway: " if len(lines) == 1 else ""
    with contextlib.suppress(OSError):  # nobody can be told that nobody can be told
        for line in lines:
            print(f"{painted(name, style, sys.stderr)}{shown(line)}", file=sys.stderr)
