# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections to a PBX that failed: why, told once each, and when to try again."""

from structlog.typing import FilteringBoundLogger

from gateway.pbx.asterisk.ami_codec import AmiError
from gateway.pbx.asterisk.ami_connection import LoginRefusedError, NoAnswerError
from gateway.pbx.back_off import back_off_s


class Failures:
    """Counts failures until a connection has given what it is for."""

    def __init__(
        self, log: FilteringBoundLogger, *, username: str, retry_min_s: float, retry_max_s: float, refused_s: float
    ) -> None:
        """`retry_min_s` is doubled with each failure up to `retry_max_s`; `refused_s` comes after a refused login."""
        self._log = log
        self._username = username
        self._min_s, self._max_s, self._refused_s = retry_min_s, retry_max_s, refused_s
        self._count = 0
        self._faults: set[type[Exception]] = set()
        self.last = ""

    def fault(self, error: Exception) -> None:
        """Something that the PBX said broke us: a traceback for each kind, and no more, however often it says so."""
        if type(error) not in self._faults:
            self._faults.add(type(error))
            self._log.error("ami-message-failed", exc_info=error)

    def over(self) -> None:
        """The PBX has told all that it was asked for."""
        self._count, self.last = 0, ""

    def failed(self, error: AmiError) -> None:
        """A connection could not be made, or has ended."""
        because = why(error)
        self._count += 1
        if because == self.last:
            self._log.debug("pbx-still-unknown", because=because)
        elif isinstance(error, LoginRefusedError):
            self._log.error("ami-login-refused", because=because, username=self._username)
        else:
            self._log.warning("pbx-unknown", because=because)
        self.last = because

    def retry_s(self, error: AmiError) -> float:
        """How long to wait now."""
        if isinstance(error, LoginRefusedError):
            return self._refused_s
        return back_off_s(self._count, self._min_s, self._max_s)


def why(error: AmiError) -> str:
    """What an error is for people who ask why nothing is known."""
    match error:
        case LoginRefusedError():
            return str(error)
        case NoAnswerError():
            return "the PBX does not answer"
        case _:
            return f"not connected to the PBX: {error}"
