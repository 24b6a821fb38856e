# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway, with its calls across SWIG and its SQL statements counted: `python -m tests.compare.counted run …`.

$COUNTS_FILE names the file of counters. Nothing of the gateway is known here but that it reaches PJSIP through the
module _pjsua2, is called back by methods whose names begin with "on", and opens its files by sqlite3.connect. With
$COUNTED_WORSE nine statements more are carried out with each, so that a test can see that this is noticed.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.compare.counters import Counter, Counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def count_calls_to_pjsua2(counters: Counters) -> None:
    """Put a counting function in front of each of the module's. Before pjsua2 is imported, which takes them over."""
    import _pjsua2  # type: ignore[import-not-found]  # noqa: PLC0415

    for name, function in list(vars(_pjsua2).items()):
        # SWIG's own C code calls what deletes an object, past Python.
        if callable(function) and not isinstance(function, type) and not name.startswith(("delete_", "_")):
            setattr(_pjsua2, name, counting(function, counters, Counter.CALLS_TO_PJSUA2))


def count_calls_from_pjsua2(counters: Counters) -> None:
    """The same for what PJSIP calls, in all classes that have been defined by now."""
    import pjsua2  # noqa: PLC0415

    bases = [each for each in vars(pjsua2).values() if isinstance(each, type) and not issubclass(each, type)]
    for each in {one for base in bases for one in (base, *descendants(base))}:
        for name, method in list(vars(each).items()):
            if name.startswith("on") and callable(method):
                setattr(each, name, counting(method, counters, Counter.CALLS_FROM_PJSUA2))


def descendants(base: type) -> Iterator[type]:
    """Its subclasses, and theirs."""
    each: type
    for each in base.__subclasses__():
        yield each
        yield from descendants(each)


def counting(function: Callable[..., Any], counters: Counters, counter: Counter) -> Callable[..., Any]:
    """The function, counted."""

    @functools.wraps(function)
    def counted(*arguments: Any, **named: Any) -> Any:
        counters.add(counter)
        return function(*arguments, **named)

    return counted


class Worse(sqlite3.Connection):
    """A connection that carries out ten statements where it is given one."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        for number in range(9):
            super().execute(f"SELECT {number}").fetchall()
        return super().execute(*arguments)


def count_statements(counters: Counters, kind: type[sqlite3.Connection]) -> None:
    """Count what each connection to SQLite is told to carry out, BEGIN and COMMIT among it."""
    connect = sqlite3.connect

    def trace(statement: str) -> None:
        # What SQLite makes of one by itself, for triggers and indexes of words, comes as a comment.
        if not statement.startswith("--"):
            counters.add(Counter.SQL_STATEMENTS)

    @functools.wraps(connect)
    def counted(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, factory=kind, **named)
        connection.set_trace_callback(trace)
        return connection

    sqlite3.connect = counted  # type: ignore[assignment]


def main() -> None:
    """Count, and be the gateway."""
    counters = Counters(Path(os.environ["COUNTS_FILE"]))
    count_calls_to_pjsua2(counters)
    count_statements(counters, Worse if "COUNTED_WORSE" in os.environ else sqlite3.Connection)
    import gateway.sip.agent  # noqa: F401, PLC0415  # has all classes defined that PJSIP calls
    from gateway.cli import main as run  # noqa: PLC0415

    count_calls_from_pjsua2(counters)
    ctypes.CDLL(None).find_who_allocates()
    sys.exit(run())


if __name__ == "__main__":
    main()
