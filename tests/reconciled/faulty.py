# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway with a fault of its own: its SIP side can't answer who calls for one extension, once somebody is there.

The seam is `ports.SipPort`, of which `respond` raises what nobody expects of it; everything else is the gateway as it
is. `python -m tests.reconciled.faulty run --config DIRECTORY` runs it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import app
from gateway.sip.agent import SipAgent
from tests.bench import InjectedError
from tests.support.gateway import Gateway

if TYPE_CHECKING:
    from gateway.core.call.commands import DialOrder
    from gateway.core.model import LegId

EXTENSION = "7666"
ANSWER = 200


class FaultyGateway(Gateway):
    """See the module."""

    copied = False
    module = __name__


class FaultyAgent(SipAgent):
    """The SIP side."""

    _unanswered: frozenset[LegId] = frozenset()

    def dial(self, order: DialOrder) -> None:
        """Remember for whom this extension is dialled."""
        if order.user == EXTENSION and order.beside is not None:
            self._unanswered |= {order.beside}
        super().dial(order)

    def respond(self, leg: LegId, code: int, beside: LegId | None = None) -> None:
        """Raises InjectedError where they would be answered."""
        if code == ANSWER and leg in self._unanswered:
            raise InjectedError
        super().respond(leg, code, beside)


if __name__ == "__main__":
    sys.exit(app.main(Path(sys.argv[-1]), FaultyAgent))
