# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a trunk for its password before its INVITE or REFER counts for anything (RFC 3261 §22.2)."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import structlog

from gateway.core.outcome import Reason
from gateway.sip.text.digest import DigestServer, Verdict

if TYPE_CHECKING:
    import pjsua2 as pj

    from gateway.config import TrunkProfile

log = structlog.get_logger(__name__)

Refusal = tuple[int, list[tuple[str, str]], Reason | None]
"""Code and headers of a response, and the reason to count it by; None for the first half of a normal exchange."""


class Challenger:
    """One realm for all trunks, whose passwords differ; a restart makes new nonces, which costs each a round trip."""

    def __init__(self, realm: str) -> None:
        self._digest = DigestServer(realm, secrets.token_bytes(32), time.monotonic)

    def refuse(self, request: pj.SipRequest, trunk: TrunkProfile | None) -> Refusal | None:
        """What to answer a request with, or None when it may go on: always, where nothing is to be proved."""
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
