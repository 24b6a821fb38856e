# SPDX-License-Identifier: GPL-2.0-or-later
"""HMS' `status-update` and `end-of-call-report` (its guides of these names, and its Node SDK 2.0): a call, as it says.

What was said in the call is looked through for what promises a transfer, and then dropped: of summary, messages,
analysis and recording nothing is kept. A field that is not as the documents say counts as not told; without the call's
id there is nothing to tell of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from gateway.core.caller import CallerId, known_caller
from gateway.core.platform_calls import LONGEST, PlatformCall, promised_by
from gateway.web.platforms.events import Handler, Handlers, JsonObject, PlatformEvent
from gateway.web.platforms.hms import unreadable

if TYPE_CHECKING:
    from gateway.core.model import AssignedNumber

STATUS, REPORT = "status-update", "end-of-call-report"
OVER = frozenset({"ended", "ended-with-error", "transferred", "failed", "rejected", "insufficient-credits"})
"""Of a call that is over, by the list of its API; its webhooks are documented to say the first two."""
MAX_CALL_ID, MAX_SLUG, MAX_ERROR, MAX_CALLER = 200, 64, 200, 64
LAST_SAID, MAX_SAID = 50, 2000
"""So many of the assistant's last messages are looked through, and so many characters of each."""
_TRANSFER_TOOLS = frozenset({"transfer_call", "transferCall"})

log = structlog.get_logger(__name__)


def report_handlers(report: Callable[[PlatformCall], Awaitable[None]]) -> Handlers:
    """Has `report` told of calls; the platform is answered `{}` in any case."""

    async def answer(event: PlatformEvent) -> JsonObject | None:
        if event.number is None:
            # On the web, or a number that is not ours: it cannot be a call of ours either.
            log.debug("platform-call-not-ours", trunk=event.trunk, type=event.type)
        else:
            await report(read_report(event, event.number))
        return None

    handler = Handler(answer, otherwise={})
    return {("hms", STATUS): handler, ("hms", REPORT): handler}


def read_report(event: PlatformEvent, number: AssignedNumber) -> PlatformCall:
    """What an event tells of a call. Raises PlatformProblem where it names none."""
    message = event.message
    call = message.get("call")
    fields: JsonObject = call if isinstance(call, dict) else {}
    call_id = _text(fields.get("id"), MAX_CALL_ID)
    if call_id is None:
        raise unreadable(f"message.call.id: must be the call's id, of at most {MAX_CALL_ID} characters")
    status = _text(fields.get("status"), MAX_SLUG)
    over = event.type == REPORT or status in OVER
    heard_at = _moment(message.get("timestamp"), event) or event.sent_at
    began_at, ended_at = _moment(message.get("started_at"), event), _moment(message.get("ended_at"), event)
    if began_at is not None and ended_at is not None and began_at > ended_at:
        began_at = None
    ended_reason = _text(message.get("end_reason"), MAX_SLUG)
    return PlatformCall(
        platform=event.trunk,
        call_id=call_id,
        number=number.id,
        caller=_caller(message, number.country),
        status=status,
        over=over,
        ended_reason=ended_reason,
        error=_text(message.get("error"), MAX_ERROR, cut=True),
        began_at=began_at,
        ended_at=ended_at if over else None,
        duration_s=_seconds(message.get("duration_seconds")) if over else None,
        heard_at=heard_at,
        over_at=heard_at if over else None,
        clock_off_s=(event.received_at - event.sent_at).total_seconds(),
        promised_by=promised_by(
            status,
            ended_reason,
            tool_called=any(_called_transfer(each) for each in _messages(message)),
            spoken=[each.message for each in number.destinations.values() if each.message],
            said=_said(message),
        ),
    )


def _caller(message: JsonObject, country: str | None) -> str | None:
    customer = message.get("customer")
    text = customer.get("number") if isinstance(customer, dict) else None
    if not isinstance(text, str) or len(text) > MAX_CALLER:
        return None
    # As a call of ours has them.
    known = known_caller((CallerId(text),), country)
    return known.number if known is not None else None


def _text(value: object, most: int, *, cut: bool = False) -> str | None:
    if not isinstance(value, str) or not value or (len(value) > most and not cut):
        return None
    return "".join(char if char.isprintable() else " " for char in value[:most])


def _moment(value: object, event: PlatformEvent) -> datetime | None:
    """A time that a call of these days may have."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= MAX_SLUG else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None:
        return None
    now = event.received_at
    return moment if now - 2 * LONGEST <= moment <= now + timedelta(hours=1) else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 2 * LONGEST.total_seconds() else None


def _messages(message: JsonObject) -> Iterator[JsonObject]:
    messages = message.get("messages")
    for each in messages if isinstance(messages, list) else ():
        if isinstance(each, dict):
            yield each


def _said(message: JsonObject) -> list[str]:
    texts = [
        content[:MAX_SAID]
        for each in _messages(message)
        if each.get("role") == "assistant" and isinstance(content := each.get("content"), str)
    ]
    return texts[-LAST_SAID:]


def _called_transfer(said: JsonObject) -> bool:
    """Whether a message tells of a call of the transfer tool, as OpenAI's messages do; HMS' are not said to."""
    calls = said.get("tool_calls")
    for each in calls if isinstance(calls, list) else ():
        function = each.get("function") if isinstance(each, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str) and name in _TRANSFER_TOOLS:
            return True
    return False
