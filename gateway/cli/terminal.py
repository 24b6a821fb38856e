# SPDX-License-Identifier: GPL-2.0-or-later
"""What all commands share: exit codes, what an argument names, and how it is told on the terminal."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import AssignedNumber

DONE, FAILED, USAGE, CONFIGURATION = 0, 1, 2, 78  # 78: EX_CONFIG of sysexits.h


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


def complain(text: str) -> None:
    """Say on standard error what is wrong."""
    print(f"transfer-gateway: {text}" if "\n" not in text else text, file=sys.stderr)


def print_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: its head, and its rows below."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_table(table: Mapping[str, Any], indent: str = "") -> None:
    """Names and values, what stands within another value indented."""
    width = max((len(key) for key in table), default=0)
    for key, value in table.items():
        if isinstance(value, dict) and value:
            print(f"{indent}{key}")
            print_table(value, f"{indent}  ")
        else:
            print(f"{indent}{key:<{width}}  {_cell(value)}")


def _cell(value: object) -> str:
    match value:
        case True | False:
            return "yes" if value else "no"
        case None | {} | []:
            return "-"
        case list():
            return ", ".join(_cell(each) for each in value)
        case dict():
            return " ".join(f"{key}={_cell(each)}" for key, each in value.items())
    return str(value)
