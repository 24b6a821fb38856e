# SPDX-License-Identifier: GPL-2.0-or-later
"""What PJSIP refuses, told in the words of the ports: nobody outside of gateway.sip catches PJSIP's own error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pjsua2 as pj

from gateway.ports import NotSent, NotSentError, SipError


@contextmanager
def refused_as(what: str) -> Iterator[None]:
    """Raise SipError, its text `what` and why, when PJSIP refuses what is done within."""
    try:
        yield
    except pj.Error as error:
        raise SipError(f"{what}: {error.reason}") from error


@contextmanager
def sending() -> Iterator[None]:
    """Raise NotSentError when PJSIP refuses to send what is sent within."""
    try:
        yield
    except pj.Error as error:
        raise NotSentError(NotSent.REFUSED, error.reason) from error
