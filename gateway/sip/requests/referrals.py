# SPDX-License-Identifier: GPL-2.0-or-later
"""REFERs that we send: a PBX is asked to move a caller of ours by itself, and tells how that goes (RFC 3515 §2.4.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pjsua2 as pj

from gateway.core.model import LegId
from gateway.ports import NotSent, NotSentError
from gateway.sip.stack.header_vector import sip_headers

TRANSFER_PARAMETER = "x-transfer-id"
"""Parameter of the Refer-To URI with the transfer's id. Asterisk keeps parameters in the caller's SIPREFERTOHDR, which
its dialplan and its manager interface can read; embedded ?headers it drops. Whoever does not know one ignores it
(RFC 3261 §19.1.1)."""
ENDED_WITHOUT_OUTCOME = 500
_STATUS = re.compile(r"SIP/2\.0[ \t]+([1-6]\d\d)\b")


class Referrals:
    """One at a time for each leg; `told(leg, code, accepted)` is called as ports.SipListener.hand_down_told says."""

    def __init__(self, told: Callable[[LegId, int, bool], None]) -> None:
        self._told = told
        self._legs: dict[int, LegId] = {}

    def send(self, leg: LegId, index: int, uri: str, transfer: str, headers: Sequence[tuple[str, str]]) -> None:
        """Send the REFER on a leg, the PJSUA call `index`. Raises NotSentError."""
        self.forget(leg)
        referral = pj.send_refer(index, f"{uri};{TRANSFER_PARAMETER}={transfer}", sip_headers(headers))
        if referral < 0:
            raise NotSentError(NotSent.REFUSED, "the REFER could not be sent")
        self._legs[referral] = leg

    def answered(self, referral: int, code: int) -> None:
        """The REFER was answered, or was not (408 and 503)."""
        if code >= 300 and (leg := self._legs.pop(referral, None)):
            self._told(leg, code, False)

    def notified(self, referral: int, body: str, last: bool) -> None:
        """A NOTIFY came; one that ends the subscription before the outcome is a failure whose cause is not told."""
        leg = self._legs.get(referral)
        if leg is None:
            return
        status = _STATUS.match(body)
        code = int(status[1]) if status else 100
        if last and code < 200:
            code = ENDED_WITHOUT_OUTCOME
        if code >= 200:
            self.forget(leg)
        if code > 100:
            self._told(leg, code, True)

    def forget(self, leg: LegId) -> None:
        """Hear nothing more of what was asked for on a leg."""
        for referral in [one for one, of in self._legs.items() if of == leg]:
            del self._legs[referral]
            pj.end_referral(referral)
