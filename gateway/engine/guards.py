# SPDX-License-Identifier: GPL-2.0-or-later
"""What the engine has others do, so that whatever fails there ends no step of its own in the middle.

Who only looks on (reports, measurements) cannot fail anything. What is asked of the user agent either happens, or
becomes an event as if the other side had done it: a leg that can't be dialled, can't be answered, can't be joined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from gateway.core.caller import Asserted
from gateway.core.kept_call import KeptDialog, RecoveryOrder
from gateway.core.media_way import Decision
from gateway.core.model import Announcement, LegId
from gateway.core.open_call import LegCondition, LegState
from gateway.core.outcome import Reason
from gateway.core.record import LegMedia
from gateway.ports import Clock, DialOrder, HandDownOrder, NotSent, NotSentError, SipPort

log = structlog.get_logger(__name__)

T = TypeVar("T")

HANG_UP_AGAIN_S = (0.1, 1.0, 5.0)
"""When a leg that could not be hung up is hung up again."""


class GuardedReports:
    """Has the methods of `target`; none of them raises."""

    def __init__(self, target: object) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Callable[..., None]:
        def tell(*facts: Any, **more: Any) -> None:
            try:
                getattr(self._target, name)(*facts, **more)
            except Exception:
                log.exception("report-failed", what=name)

        return tell


class Troubled(Protocol):
    """Who is told what could not be done."""

    def leg_failed(self, leg: LegId, text: str) -> None:
        """A leg that waits for its answer cannot be given one."""

    def note_fault(self, leg: LegId, text: str) -> None:
        """Something could not be done with a leg; what follows from it is told in another way."""


class GuardedSip(SipPort):
    """A SipPort that raises nothing but what it says, and gives up on no leg that is to end."""

    def __init__(self, sip: SipPort, troubled: Troubled, clock: Clock) -> None:
        self._sip = sip
        self._troubled = troubled
        self._clock = clock

    def dial(self, order: DialOrder) -> None:
        """See ports.SipPort."""
        try:
            self._sip.dial(order)
        except NotSentError:
            raise
        except Exception as error:
            raise NotSentError(NotSent.FAILED, self._noted("dial", order.beside or order.leg, error)) from error

    def recover(self, order: RecoveryOrder) -> None:
        """See ports.SipPort."""
        try:
            self._sip.recover(order)
        except NotSentError:
            raise
        except Exception as error:
            raise NotSentError(NotSent.FAILED, self._noted("recover", order.leg, error)) from error

    def dialog(self, leg: LegId) -> KeptDialog | None:
        """See ports.SipPort."""
        return self._tried("dialog", leg, partial(self._sip.dialog, leg), otherwise=None)

    def hand_down(self, order: HandDownOrder) -> None:
        """See ports.SipPort."""
        try:
            self._sip.hand_down(order)
        except NotSentError:
            raise
        except Exception as error:
            raise NotSentError(NotSent.FAILED, self._noted("hand_down", order.leg, error)) from error

    def respond(self, leg: LegId, code: int, beside: LegId | None = None) -> None:
        """See ports.SipPort."""
        try:
            self._sip.respond(leg, code, beside)
        except Exception as error:  # noqa: BLE001  # whatever it is, the leg has no answer
            text = self._noted("respond", leg, error)
            if code >= 200:
                self._troubled.leg_failed(leg, text)

    def hang_up(
        self, leg: LegId, code: int, reason: Reason, retry_after_s: int | None = None, sentence: str | None = None
    ) -> None:
        """See ports.SipPort."""
        self._hang_up(partial(self._sip.hang_up, leg, code, reason, retry_after_s, sentence), leg, HANG_UP_AGAIN_S)

    def _hang_up(self, act: Callable[[], None], leg: LegId, again_s: tuple[float, ...]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  # whatever it is, the leg is still there
            self._noted("hang_up", leg, error)
            if again_s:
                self._clock.after(again_s[0], partial(self._hang_up, act, leg, again_s[1:]))

    def join(self, one: LegId, other: LegId) -> bool:
        """See ports.SipPort."""
        return self._tried("join", one, partial(self._sip.join, one, other), otherwise=False)

    def wait(self, leg: LegId, target: LegId | None = None, announcement: Announcement | None = None) -> None:
        """See ports.SipPort."""
        self._tried("wait", leg, partial(self._sip.wait, leg, target, announcement), otherwise=None)

    def whisper(self, leg: LegId, sounds: Sequence[Announcement], *, tones: str) -> None:
        """See ports.SipPort."""
        self._tried("whisper", leg, partial(self._sip.whisper, leg, sounds, tones=tones), otherwise=None)

    def press(self, leg: LegId, keys: str) -> None:
        """See ports.SipPort."""
        self._tried("press", leg, partial(self._sip.press, leg, keys), otherwise=None)

    def silence(self, leg: LegId) -> None:
        """See ports.SipPort."""
        self._tried("silence", leg, partial(self._sip.silence, leg), otherwise=None)

    def has_room(self) -> bool:
        """See ports.SipPort."""
        return self._tried("has_room", None, self._sip.has_room, otherwise=False)

    def heard(self, leg: LegId) -> int:
        """See ports.SipPort."""
        return self._tried("heard", leg, partial(self._sip.heard, leg), otherwise=0)

    def media(self, leg: LegId) -> LegMedia | None:
        """See ports.SipPort."""
        return self._tried("media", leg, partial(self._sip.media, leg), otherwise=None)

    def condition(self, leg: LegId) -> LegCondition:
        """See ports.SipPort."""
        return self._tried("condition", leg, partial(self._sip.condition, leg), otherwise=LegCondition(LegState.GONE))

    def media_way(self, leg: LegId) -> Decision | None:
        """See ports.SipPort."""
        return self._tried("media_way", leg, partial(self._sip.media_way, leg), otherwise=None)

    def asserted(self, leg: LegId) -> Asserted:
        """See ports.SipPort."""
        return self._tried("asserted", leg, partial(self._sip.asserted, leg), otherwise=Asserted())

    def call_id(self, leg: LegId) -> str | None:
        """See ports.SipPort."""
        return self._tried("call_id", leg, partial(self._sip.call_id, leg), otherwise=None)

    def _tried(self, command: str, leg: LegId | None, act: Callable[[], T], *, otherwise: T) -> T:
        try:
            return act()
        except Exception as error:  # noqa: BLE001  # whatever it is, the rest of the step is done
            self._noted(command, leg, error)
            return otherwise

    def _noted(self, command: str, leg: LegId | None, error: Exception) -> str:
        log.error("sip-command-failed", command=command, leg=leg, exc_info=error)
        text = f"{command} failed: {type(error).__name__}"
        if leg is not None:
            self._troubled.note_fault(leg, text)
        return text
