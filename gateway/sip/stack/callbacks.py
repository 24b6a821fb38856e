# SPDX-License-Identifier: GPL-2.0-or-later
"""What PJSIP calls: no exception may cross into it, where it would be printed and the event be lost."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pjsua2 as pj
import structlog

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def guarded(otherwise: T) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """For a callback that logs whatever goes wrong in it, and returns `otherwise` then."""

    def guard(callback: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(callback)
        def called(*args: P.args, **named: P.kwargs) -> T:
            try:
                return callback(*args, **named)
            except pj.Error as error:  # which says nothing of itself as an exception
                log.exception("sip-callback-failed", callback=callback.__name__, pjsip=error.info())
                return otherwise
            except Exception:
                log.exception("sip-callback-failed", callback=callback.__name__)
                return otherwise

        return called

    return guard
