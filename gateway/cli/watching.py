# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `watch`: what a running gateway does, looked at again and again, drawn or as JSON."""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gateway.cli.looks import Look, look, missed, sections
from gateway.cli.output import BAD, Line, print_json, print_page, print_rows
from gateway.cli.status import verdict
from gateway.cli.terminal import DONE, FAILED, UsageError, complain, load_config
from gateway.remote import RemoteError

if TYPE_CHECKING:
    from gateway.cli.drawing import Screen
    from gateway.config import ConfigError, HttpSettings

SHARE = 0.05
"""The most of the time that looking may take: a gateway that answers slowly has other things to do."""
_ENDED_BY = (signal.SIGTERM, signal.SIGHUP)
_ENDING_KEYS = frozenset(b"qQ\x04")  # the last is Ctrl-D


def watch(options: argparse.Namespace) -> int:
    """Look until somebody ends it; with --once, FAILED where something is not well."""
    eye = _Eye(options)
    if options.once:
        return _once(eye, as_json=options.json)
    if options.json:
        return _every(eye, options.interval)
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError(
            "watch draws on a terminal, and this is none; --once looks once, --json prints a line each time"
        )
    try:
        from gateway.cli.drawing import Screen  # noqa: PLC0415 - needs rich, which nothing else does
    except ModuleNotFoundError as error:
        complain(f"watch draws with {error.name}, which is not installed: pip install 'transfer-gateway[watch]'")
        return FAILED
    bell = _Bell()
    with _signals(bell), _keys(), Screen(options.interval) as screen:
        return _drawn(eye, screen, bell, options.interval)


class _Eye:
    """Looks at the gateway that the configuration names, which may have another port after it was away."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._http, self.mistakes = _http(options)

    def look(self) -> Look:
        """Raises RemoteError."""
        try:
            return look(self._http)
        except RemoteError:
            with contextlib.suppress(Exception):  # while it is edited, it may be anything
                self._http, self.mistakes = _http(self._options)
            raise


def _http(options: argparse.Namespace) -> tuple[HttpSettings, ConfigError | None]:
    """Where the gateway answers, and whatever mistakes the configuration has besides. Raises ConfigError."""
    from gateway.config import ConfigError, http_settings  # noqa: PLC0415

    try:
        return load_config(options, secrets=False).http, None
    except ConfigError as error:
        try:
            return http_settings(options.config), error
        except ConfigError:
            raise error from None


def _once(eye: _Eye, *, as_json: bool) -> int:
    try:
        found = eye.look()
    except RemoteError as error:
        if as_json:
            print_json(missed(datetime.now(UTC), str(error)))
        raise eye.mistakes or error from None
    problems = found.status.get("problems", [])
    code = FAILED if problems or eye.mistakes else DONE
    if eye.mistakes:
        complain(f"the configuration on disk has mistakes:\n{eye.mistakes}")
    if as_json:
        print_json(found.document())
        return code
    print_page([verdict(found.status), *(Line(f"  ! {problem}", BAD) for problem in problems)], 0)
    for each in sections(found):
        if each.rows or each.total:
            print()
            print_rows(each.head, each.rows)
    return code


def _every(eye: _Eye, interval_s: float) -> int:
    while True:
        at, begun = datetime.now(UTC), time.monotonic()
        try:
            print_json(eye.look().document())
        except RemoteError as error:
            print_json(missed(at, str(error)))
        sys.stdout.flush()
        time.sleep(_pause_s(interval_s, time.monotonic() - begun))


def _pause_s(interval_s: float, took_s: float) -> float:
    """How long to wait after a look that took so long."""
    return max(interval_s - took_s, took_s / SHARE - took_s, 0.0)


def _drawn(eye: _Eye, screen: Screen, bell: _Bell, interval_s: float) -> int:
    """Draw each look, and again when the window changes, until q is pressed; keys count while a look takes long."""
    looks: queue.SimpleQueue[Look | str] = queue.SimpleQueue()
    found: Look | None = None
    gone_since, why = None, ""
    due: float | None = 0.0  # None: a look is under way
    begun = 0.0
    keys = [sys.stdin.fileno()] if sys.stdin.isatty() else []
    while True:
        screen.show(found, gone_since, why)
        if due is not None and time.monotonic() >= due:
            due, begun = None, time.monotonic()
            threading.Thread(target=_look_into, args=(eye, looks, bell), daemon=True).start()
        left_s = None if due is None else max(due - time.monotonic(), 0.0)
        ready, _, _ = select.select([bell.heard, *keys], [], [], left_s)
        if bell.heard in ready:
            os.read(bell.heard, 1024)
        if any(each in ready and _ends(os.read(each, 64)) for each in keys):
            return DONE
        with contextlib.suppress(queue.Empty):
            told = looks.get_nowait()
            due = time.monotonic() + _pause_s(interval_s, time.monotonic() - begun)
            if isinstance(told, Look):
                found, gone_since, why = told, None, ""
            else:
                gone_since, why = gone_since or datetime.now(UTC), told


def _ends(pressed: bytes) -> bool:
    """Whether one of the keys ends it; none is a terminal that is gone."""
    return not pressed or not _ENDING_KEYS.isdisjoint(pressed)


def _look_into(eye: _Eye, looks: queue.SimpleQueue[Look | str], bell: _Bell) -> None:
    try:
        looks.put(eye.look())
    except RemoteError as error:
        looks.put(str(error))
    except Exception as error:  # noqa: BLE001 - or the page would stand still, and nobody know
        looks.put(f"{type(error).__name__}: {error}")
    bell.ring()


class _Bell:
    """Has whoever waits for `heard` go on, once it is rung."""

    def __init__(self) -> None:
        self.heard, self.rung = os.pipe()
        os.set_blocking(self.rung, False)

    def ring(self) -> None:
        """Ring it; from any thread, and when nobody waits any more."""
        with contextlib.suppress(OSError):
            os.write(self.rung, b"!")


@contextlib.contextmanager
def _signals(bell: _Bell) -> Iterator[None]:
    """Have the bell ring when the window gets another size, and what ends us let the terminal be put in order first."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    handlers: dict[signal.Signals, Any] = {
        **dict.fromkeys(_ENDED_BY, end),
        signal.SIGWINCH: lambda *_: None,
        signal.SIGTSTP: signal.SIG_IGN,  # or the shell would go on in our screen
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    rung = signal.set_wakeup_fd(bell.rung, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(rung)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Have each key come at once, and unseen; whatever ends us, the terminal is as it was before."""
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        yield
    finally:
        with contextlib.suppress(termios.error):  # it may be what has gone
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
