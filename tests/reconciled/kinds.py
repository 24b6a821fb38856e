# SPDX-License-Identifier: GPL-2.0-or-later
"""Every outcome and reason of a transfer, and how it is brought about here.

A test compares these tables with `core.outcome.Reason`: a new reason needs its place in one of them.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.core.outcome import Outcome, Reason
from tests.support.configuration import Table

Key = tuple[str, str]
"""Outcome and reason."""

UNHEARD_OF = "+31699999999"


class Asked(NamedTuple):
    """What SIPp, as the platform, asks for, and what is to become of it; the slug of the reason names it."""

    reason: Reason
    number: str
    code: int
    """What the platform is told: in the REFER's own response where it is refused, else in the final NOTIFY."""
    destination: Table | None = None
    """… of which this is the table, without its number; None: the company has it, or nobody."""
    share: int = 1
    """How often it is asked for, against the others."""
    header: str = "X-Case: none"
    by_gate: bool = True
    """Whether `explain` says the same of it, without a call."""

    @property
    def id(self) -> str:
        """The destination's id."""
        return f"for-{self.reason}"


ANSWERED = (
    Asked(Reason.ANSWERED, "+31612345679", 200, share=4, by_gate=False),
    Asked(
        Reason.ANSWERED, "+31612345701", 200, {"id": "machine", "extension": "6599", "max_concurrent": 400}, 3,
        by_gate=False,
    ),
)  # fmt: skip

WITH_SIPP = (
    *ANSWERED,
    Asked(Reason.BUSY, "+31612345682", 486, share=2, by_gate=False),
    Asked(Reason.NO_ANSWER, "+31612345683", 480, by_gate=False),
    Asked(Reason.DECLINED, "+31612345684", 603, by_gate=False),
    Asked(Reason.UNREACHABLE, "+31612345685", 404, by_gate=False),
    Asked(Reason.PBX_ERROR, "+31612345702", 500, {"extension": "6018"}, by_gate=False),
    Asked(Reason.ADDRESS_INCOMPLETE, "+31612345711", 484, {"extension": "6016"}, by_gate=False),
    Asked(Reason.NOT_ACCEPTABLE, "+31612345712", 488, {"extension": "6017"}, by_gate=False),
    Asked(Reason.VOICEMAIL, "+31612345713", 480, {"extension": "6550"}, by_gate=False),
    Asked(Reason.CALLER_HUNG_UP, "+31612345703", 487, {"extension": "6011", "ring_timeout_s": 60}, by_gate=False),
    Asked(Reason.UNKNOWN_DESTINATION, UNHEARD_OF, 404, share=2),
    Asked(Reason.OUTSIDE_HOURS, "+31612345704", 480, {"extension": "6599", "hours": "later"}),
    Asked(Reason.HOLIDAY, "+31612345705", 480, {"extension": "6599", "hours": "holidays"}),
    Asked(Reason.QUEUE_UNSTAFFED, "+31612345678", 480),
    Asked(Reason.QUEUE_UNKNOWN, "+31612345706", 480,
          {"extension": "6517", "queue": "nowhere", "when_unknown": "refuse"}),
    Asked(Reason.AGENTS_BUSY, "+31612345707", 486, {"extension": "6014"}),
    Asked(Reason.QUEUE_FULL, "+31612345708", 486, {"extension": "6515", "queue": "full", "min_available": 0}),
    Asked(Reason.WAIT_TOO_LONG, "+31612345709", 480,
          {"extension": "6516", "queue": "long", "min_available": 0, "max_wait_s": 1}),
    Asked(Reason.UNSUPPORTED_EXTENSION, "+31612345679", 420, header="Require: telepathy", by_gate=False),
    Asked(Reason.BAD_REQUEST, "", 400, by_gate=False),
)  # fmt: skip
"""SIPp plays the platform, its callers, and whoever they ask for is a real Asterisk."""

WITHOUT_PBX = (
    Asked(Reason.QUEUE_UNKNOWN, "+31612345710", 480,
          {"id": "careful", "extension": "6500", "queue": "sales", "when_unknown": "refuse"}),
    *(one for one in WITH_SIPP if one.reason in {
        Reason.UNKNOWN_DESTINATION, Reason.OUTSIDE_HOURS, Reason.HOLIDAY, Reason.UNSUPPORTED_EXTENSION,
        Reason.BAD_REQUEST,
    }),
)  # fmt: skip
"""What SIPp asks for while the PBX is away."""

WITH_PEERS: dict[Reason, str] = {
    Reason.TRANSFER_PENDING: "a second REFER while the first is under way",
    Reason.CALLER_HUNG_UP: "… whose caller hangs up then",
    Reason.CANCELLED: "POST /api/transfers/ID/cancel while it rings",
    Reason.AT_CAPACITY: "a second caller for a destination with max_concurrent = 1",
    Reason.NOT_BRIDGED: "a REFER after the one that has worked, before the BYE",
    Reason.NO_SUCH_DIALOG: "a Replaces with another tag",
    Reason.DIALOG_NOT_EARLY: "a Replaces with early-only, of a call that was answered",
    Reason.DIALOG_ENDED: "a Replaces of a call that is over",
    Reason.PEER_NOT_ALLOWED: "a Replaces of the PBX's own dialog, from the platform",
    Reason.ANSWERED: "a fresh INVITE, a command over HTTP, an attended transfer",
    Reason.GATEWAY_STOPPED: "kill -9 while it rings",
    Reason.GATEWAY_ERROR: "a fresh INVITE for whom faulty.py can't have answered",
}
"""Scripted SIP peers, where somebody has to know the tags of two dialogs or what the API calls a transfer."""

REJECTED: dict[Reason, str] = {
    Reason.FORBIDDEN_TARGET: "a REFER outside of any call",
    Reason.NOT_ASSIGNED: "an INVITE for a number that is nobody's",
    Reason.TOO_MANY_HOPS: "an INVITE with Max-Forwards 0",
    Reason.LOOP: "an INVITE with the Call-ID of a call that is up",
    Reason.TRUNK_AT_CAPACITY: "a second call of a trunk with max_calls = 1",
}
"""Never a transfer: what is refused before it could be one is counted by `requests_rejected_total` alone."""

LEFT_OUT: dict[Reason, str] = {
    Reason.ACCEPTED: "no end of a transfer: what a 202 and the NOTIFYs on the way say",
    **dict.fromkeys(
        (Reason.CALLER_WITHHELD, Reason.CALLER_UNREACHABLE, Reason.EXPIRED, Reason.CLOSED),
        "of call backs, which no peer asks for: tests/engine/test_call_back.py brings about each",
    ),
    Reason.PLACE_KEPT: "a queue of nobody and a deadline of a minute: tests/e2e/test_place_kept.py",
}


def key(reason: Reason) -> Key:
    """As events, metrics and the history name it."""
    return reason.outcome.value, reason.value


INTERRUPTED: Key = (Outcome.INTERRUPTED.value, Reason.GATEWAY_STOPPED.value)
