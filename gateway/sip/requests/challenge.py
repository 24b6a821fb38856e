# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a trunk for its password before its INVITE or REFER counts for anything (RFC 3261 §22.2)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import structlog

from gateway.core.outcome import Reason
from gateway.sip.text.digest import DigestServer, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    import pjsua2 as pj

    from gateway.config import TrunkProfile
    from gateway.ports import Clock

log = structlog.get_logger(__name__)

Refusal = tuple[int, list[tuple[str, str]]]
"""Code and headers of a response."""


class Challenger:
    """One realm for all trunks, whose passwords differ; a restart makes new nonces, which costs each a round trip."""

    def __init__(self, realm: str, rejected: Callable[[Reason], None], clock: Clock) -> None:
        """`rejected` is told of each request whose password is wrong."""
        self._rejected = rejected
        self._digest = DigestServer(realm, secrets.token_bytes(32), lambda: clock.now().steady)

    def refuse(self, request: pj.SipRequest, trunk: TrunkProfile | None) -> Refusal | None:
        """What to answer a request with, or None when it may go on: always, where nothing is to be proved."""
        judged = self._judge(request, trunk)
        if judged is None:
            return None
        code, headers, reason = judged
        if reason is not None:
            self._rejected(reason)
        return code, headers

    def _judge(
        self, request: pj.SipRequest, trunk: TrunkProfile | None
    ) -> tuple[int, list[tuple[str, str]], Reason | None] | None:
        """As `refuse`, and what to count it by; None for the first half of a normal exchange."""
        if trunk is None or not trunk.challenge or trunk.password is None:
            return None
        verdict = self._digest.verify(
            request.method,
            request.requestUri,
            request.values("Authorization"),
            trunk.username,
            trunk.password.get_secret_value(),
        )
        match verdict:
            case Verdict.GRANTED:
                return None
            case Verdict.MISSING:
                return 401, self._digest.challenges(), None
            case Verdict.STALE:
                return 401, self._digest.challenges(stale=True), None
            case Verdict.WRONG:
                log.warning("credentials-wrong", trunk=trunk.name, method=request.method, source=request.sourceHost)
                return 401, self._digest.challenges(), Reason.PEER_NOT_ALLOWED
            case Verdict.MISDIRECTED:
                log.warning("credentials-misdirected", trunk=trunk.name, source=request.sourceHost)
                return 400, [], Reason.BAD_REQUEST
