# SPDX-License-Identifier: GPL-2.0-or-later
"""Dialogs over the network of the bench: what a user agent makes of INVITE, CANCEL, BYE, REFER and NOTIFY.

What the gateway's own `sip/` does about a bad network is repeated here: NOTIFYs go one at a time and before a BYE, an
INVITE that nobody answers is given up (timer C), and a leg on which nothing is heard any more is ended (the watchdog).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from tests.bench.network import GIVES_UP_S, TIMED_OUT, Request

if TYPE_CHECKING:
    from tests.bench.network import Network

SILENT_S = 30.0
"""How long an end is silent before the other end takes it for dead."""
TIMER_C_S = 185.0
GONE = 481


class UserAgent(Protocol):
    """Who is told what happens to its ends of dialogs."""

    def called(self, end: End, user: str) -> None:
        """An INVITE came."""

    def progressed(self, end: End, code: int) -> None:
        """An INVITE of ours was answered provisionally."""

    def answered(self, end: End) -> None:
        """The dialog is established."""

    def ended(self, end: End, code: int, by_peer: bool) -> None:
        """The end is over."""

    def referred(self, end: End, request: Request, target: str) -> None:
        """A REFER came, which is to be answered."""

    def refer_answered(self, end: End, code: int) -> None:
        """A REFER of ours was answered, or was not (408)."""

    def notified(self, end: End, code: int, final: bool) -> None:
        """A NOTIFY came about a REFER of ours."""

    def not_notified(self, end: End) -> None:
        """A NOTIFY of ours was refused, or not answered."""


class End:
    """One end of a dialog; `other` is the far one, which only the network reaches."""

    def __init__(self, network: Network, agent: UserAgent, name: str, caller: End | None = None) -> None:
        self._network = network
        self.agent = agent
        self.name = name
        self._other = caller
        self._invite: Request | None = None  # the one that began the dialog, at both ends
        self.dialled = caller is None
        self.established = False
        self.ending = False
        self.over = False
        self._notifies: deque[tuple[int, bool]] = deque()
        self._notifying = False
        self._bye_due = False

    @property
    def other(self) -> End:
        """The far end."""
        assert self._other is not None
        return self._other

    # --- beginning

    def call(self, callee: UserAgent, user: str, name: str) -> None:
        """Send an INVITE."""
        self._other = End(self._network, callee, name, self)
        self._invite = Request(self._network, lambda it: self.other._called(it, user), self._response, invite=True)
        self._network.clock.after(TIMER_C_S, self._unanswered)

    def _called(self, invite: Request, user: str) -> None:
        self._invite, invite.acknowledged = invite, self._acknowledged
        self.agent.called(self, user)

    def respond(self, code: int) -> None:
        """Answer the INVITE."""
        assert self._invite is not None
        self._invite.respond(code)

    def _response(self, code: int) -> None:
        if self.over:
            return
        if code < 200:
            if self.ending:
                self._cancel()  # which has waited for a response (RFC 3261 §9.1)
            elif code > 100:
                self.agent.progressed(self, code)
        elif code >= 300:
            self._end(code, by_peer=not self.ending)
        elif self.ending:  # the answer has crossed with our CANCEL
            self._bye()
        else:
            self.established = True
            self.agent.answered(self)

    def _acknowledged(self, ever: bool) -> None:
        assert self._invite is not None
        if self.over or self._invite.responded >= 300:
            return
        self.established = ever
        if not ever or self._bye_due:
            self._bye()
        if not ever:
            self._end(TIMED_OUT, by_peer=True)
        elif not self.ending:
            self.agent.answered(self)

    def _unanswered(self) -> None:
        if not (self.established or self.over or self.ending):
            self.hang_up(TIMED_OUT)
            self._end(TIMED_OUT, by_peer=False)

    # --- ending

    def hang_up(self, code: int = 200) -> None:
        """End it by CANCEL, a final response or BYE, as its state asks for, after the last NOTIFY."""
        if self.ending or self.over:
            return
        self.ending = True
        if self.dialled and not self.established:
            self._cancel()
        elif not self.established:
            assert self._invite is not None
            if self._invite.responded < 200:
                self._invite.respond(code)
                self._network.clock.after(0, lambda: self._end(code, by_peer=False))
            else:
                self._bye_due = True  # not before the ACK (RFC 3261 §15)
        elif self._notifying:
            self._bye_due = True
        else:
            self._bye()

    def _cancel(self) -> None:
        assert self._invite is not None
        if self._invite.heard:
            Request(self._network, self.other._cancelled, lambda _code: None)
            self._network.clock.after(GIVES_UP_S, lambda: self._end(487, by_peer=False))

    def _cancelled(self, cancel: Request) -> None:
        cancel.respond(200)
        assert self._invite is not None
        if self._invite.responded < 200:
            self._invite.respond(487)
            self._end(487, by_peer=True)

    def _bye(self) -> None:
        self._bye_due = False
        Request(self._network, self.other._left, lambda _code: self._end(200, by_peer=False))

    def _left(self, bye: Request) -> None:
        bye.respond(GONE if self.over else 200)
        self._end(200, by_peer=True)

    def _end(self, code: int, *, by_peer: bool) -> None:
        if self.over:
            return
        self.over = True
        self._notifies.clear()
        self._network.clock.after(SILENT_S, self.other._fall_silent)
        self.agent.ended(self, code, by_peer)

    def _fall_silent(self) -> None:
        """The far end has been over for long; this one does not know, unless a BYE has come through."""
        if self.established and not self.over:
            self.hang_up()
            self._end(TIMED_OUT, by_peer=False)

    # --- transfers

    def refer(self, target: str) -> None:
        """Ask the far end for a transfer."""
        Request(self._network, lambda it: self.other._referred(it, target), self._refer_answered)

    def _referred(self, request: Request, target: str) -> None:
        if self.over:
            request.respond(GONE)
        else:
            self.agent.referred(self, request, target)

    def _refer_answered(self, code: int) -> None:
        if code >= 200:
            self.agent.refer_answered(self, code)

    def notify(self, code: int, final: bool) -> None:
        """Tell the far end how its transfer goes: one NOTIFY at a time."""
        self._notifies.append((code, final))
        self._next_notify()

    def _next_notify(self) -> None:
        if self._notifies and not self._notifying and not self.over:
            self._notifying = True
            code, final = self._notifies.popleft()
            Request(self._network, lambda it: self.other._notified(it, code, final), self._notify_answered)
        elif self._bye_due and not self._notifying:
            self._bye()

    def _notified(self, request: Request, code: int, final: bool) -> None:
        request.respond(GONE if self.over else 200)
        if not self.over:
            self.agent.notified(self, code, final)

    def _notify_answered(self, code: int) -> None:
        self._notifying = False
        if code >= 300:
            self._notifies.clear()
            if not self.over:
                self.agent.not_notified(self)
        self._next_notify()
