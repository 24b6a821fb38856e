# SPDX-License-Identifier: GPL-2.0-or-later
"""A received REFER: read into a request, answered once, and followed by NOTIFYs one at a time (RFC 3515, RFC 6665)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import pjsua2 as pj
import structlog

from gateway.core.model import LegId
from gateway.core.outcome import Reason
from gateway.ports import Clock, ReferRequest
from gateway.sip.calls.leg import Leg
from gateway.sip.requests.dialogs import Dialogs, parse_replaces
from gateway.sip.stack.header_vector import sip_headers
from gateway.sip.text import headers
from gateway.sip.text.headers import refusal_headers
from gateway.sip.text.reason_phrases import REASON_PHRASES

log = structlog.get_logger(__name__)

# Longer than any hunt, each of whose targets may ring for ten minutes: the transferor must not take the subscription
# for expired while one still rings (RFC 3515 §2.4.4).
SUBSCRIPTION_S = 24 * 3600
FINAL = "terminated;reason=noresource"
# Option tags a REFER may require, as any request may; RFC 7614's are not supported.
SUPPORTED = frozenset(pj.supported_extensions().split(", "))


class PendingRefer:
    """One REFER of a transferor: its response, then its subscription."""

    def __init__(
        self,
        request: pj.SipRequest,
        clock: Clock,
        opened: Callable[[int, PendingRefer], None],
        unsent: Callable[[int], None],
        *,
        subscribe: bool,
        with_id: bool,
        account: int,
        phrase: Callable[[str | None], str],
    ) -> None:
        """`phrase` makes of a sentence what this transferor reads in a status line; empty: the code's own phrase."""
        self._request: pj.SipRequest | None = request
        self._clock = clock
        self._account = account
        self.subscribe = subscribe
        self._with_id = with_id
        self._phrase = phrase
        self._opened = opened
        self._unsent = unsent
        self._subscription = -1
        self._queue: deque[tuple[int, str, str, str]] = deque()  # code, reason phrase, state, headers of the fragment
        self._waits_for_answer = False
        self._closed = False
        self._final_sent = False
        self._last = (100, "")  # code and reason phrase
        self._when_quiet: list[Callable[[], None]] = []
        self.unsupported: tuple[str, ...] = ()  # option tags of Require that a 420 has to name

    def answer(self, code: int, reason: Reason, retry_after_s: int | None = None, sentence: str | None = None) -> bool:
        """Send the response; see ports.ReferHandle."""
        if self._request is None:
            return False
        request, self._request = self._request, None
        if code >= 300:
            extra = refusal_headers(code, reason, retry_after_s)
            if code == 420:
                extra.append(("Unsupported", ", ".join(self.unsupported)))
            return request.respond(code, self._phrase(sentence), sip_headers(extra))
        if not self.subscribe:
            return request.respond(code, "", sip_headers([("Refer-Sub", "false")]))
        self._subscription = request.accept(code, sip_headers([]), self._account)
        if self._subscription < 0:
            self._closed = True
            return False
        self._opened(self._subscription, self)
        return True

    def notify(
        self, code: int, reason: Reason, final: bool, sentence: str | None = None, retry_after_s: int | None = None
    ) -> None:
        """Queue a NOTIFY; see ports.ReferHandle."""
        state = FINAL if final else f"active;expires={SUBSCRIPTION_S}"
        more = f"\r\nRetry-After: {retry_after_s}" if retry_after_s is not None else ""  # RFC 3420 §2
        self._enqueue(code, self._phrase(sentence), state, more)

    def end(self) -> None:
        """The transfer is over; see ports.ReferHandle."""
        self._enqueue(Reason.GATEWAY_ERROR.sip_code, "", FINAL)

    def unsubscribe(self) -> None:
        """The transferor wants no more: it gets the last state once again, and that ends it (RFC 6665 §4.1.2.3)."""
        self._enqueue(*self._last, "terminated;reason=timeout")

    def _enqueue(self, code: int, phrase: str, state: str, more: str = "") -> None:
        ending = self._final_sent or (bool(self._queue) and _is_last(self._queue[-1][2]))
        if self._closed or ending or self._subscription < 0:
            return
        if self._queue and not _is_last(state):
            self._queue.pop()  # a newer provisional state makes the one that still waits worthless
        self._queue.append((code, phrase, state, more))
        self._send_next()

    def notify_answered(self, code: int) -> bool:
        """The transferor answered (or did not, 408 and 503); False when it takes no more of them."""
        self._waits_for_answer = False
        if code >= 300 or self._final_sent:
            self.close()
        else:
            self._send_next()
        return code < 300

    @property
    def closed(self) -> bool:
        """Whether nothing more will be sent."""
        return self._closed

    def when_quiet(self, then: Callable[[], None]) -> None:
        """Call `then` once no NOTIFY is waiting to be sent or answered."""
        if self._closed or not (self._queue or self._waits_for_answer):
            then()
        else:
            self._when_quiet.append(then)

    def close(self) -> None:
        """Send nothing more."""
        self._closed = True
        self._queue.clear()
        pj.end_subscription(self._subscription)
        self._quiet()

    def _send_next(self) -> None:
        if self._waits_for_answer or self._closed:
            return
        if not self._queue:
            self._quiet()
            return
        code, phrase, state, more = self._queue.popleft()
        self._last, self._final_sent = (code, phrase), _is_last(state)
        self._waits_for_answer = True
        status_line = f"SIP/2.0 {code} {phrase or REASON_PHRASES.get(code, 'Unknown')}{more}"
        if not pj.send_notify(self._subscription, status_line, state, self._with_id):
            # Later: whoever wants it sent is in the middle of something.
            self._clock.after(0, partial(self._unsent, self._subscription))

    def _quiet(self) -> None:
        waiting, self._when_quiet = self._when_quiet, []
        for then in waiting:
            then()


def _is_last(state: str) -> bool:
    return state.startswith("terminated")


def read_refer(
    request: pj.SipRequest,
    handle: PendingRefer,
    leg: Leg,
    pass_headers: Sequence[str],
    dialogs: Dialogs,
) -> ReferRequest:
    """Make a ReferRequest of what came in; what is wrong with it is said in its `problem`."""
    problem: Reason | None = None
    text = ""
    target = headers.ReferTo("")
    try:
        target = headers.parse_refer_to(request.values("Refer-To", "r"))
    except headers.HeaderError as error:
        problem, text = Reason.BAD_REQUEST, str(error)
    if target.malformed:
        log.info("refer-to-malformed", leg=leg.id, peer=leg.peer.name)
    if missing := headers.unsupported(request.values("Require"), SUPPORTED):
        problem, text = Reason.UNSUPPORTED_EXTENSION, f"not supported: {', '.join(missing)}"
        handle.unsupported = tuple(missing)
    consultation: LegId | None = None
    if problem is None:
        try:
            found = _consultation(target, leg, dialogs)
            if isinstance(found, Reason):
                problem = found
            elif found is not None:
                consultation = found.id
        except headers.HeaderError as error:
            problem, text = Reason.BAD_REQUEST, str(error)
    # Who refers says so in the REFER; what the URI carries is of another time (RFC 3892 §2.2).
    embedded = [(name, value) for name, value in target.embedded if name.lower() not in ("referred-by", "b")]
    context = headers.allowed([*embedded, *headers.header_fields(request.text())], pass_headers)
    return ReferRequest(
        handle=handle, leg=leg.id, peer=leg.peer, target=target.uri, context=context, subscribe=handle.subscribe,
        consultation=consultation, problem=problem, problem_text=text,
    )  # fmt: skip


def _consultation(target: headers.ReferTo, leg: Leg, dialogs: Dialogs) -> Leg | Reason | None:
    """The leg that a Replaces embedded in Refer-To names: the transferor's other call with us (RFC 3891 §7)."""
    named = [value for name, value in target.embedded if name.lower() == "replaces"]
    if not named:
        return None
    if len(named) > 1:
        raise headers.HeaderError("Refer-To holds more than one Replaces")
    found = dialogs.find(parse_replaces(named[0]), leg.peer)
    if found is leg:
        raise headers.HeaderError("Replaces names the dialog of the REFER itself")
    return found
