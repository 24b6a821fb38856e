# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has called lately: those who may be called back, by their call, a transfer of it, or their number."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.core.call.state import Call

if TYPE_CHECKING:
    from gateway.core.model import AssignedNumber
    from gateway.engine.registry import Calls
    from gateway.ports import Clock

KEPT = 10_000
"""So many calls at most, and as many transfers of theirs."""
KEPT_S = 3600.0
"""So long after they began, or while they last."""


@dataclass(frozen=True, slots=True)
class LastCaller:
    """Who called, as their call presented them."""

    call: str
    number: AssignedNumber  # as it was configured then
    caller: str | None  # E.164 where it can be told, else as given
    private: bool  # they withheld who they are
    began: float  # by the steady clock


class LastCallers:
    """The newest of them."""

    def __init__(self, under_way: Calls, clock: Clock) -> None:
        self._under_way = under_way
        self._clock = clock
        self._calls: OrderedDict[str, LastCaller] = OrderedDict()
        self._transfers: OrderedDict[str, str] = OrderedDict()  # the call of each

    def note_call(self, call: Call) -> None:
        """A call has begun."""
        private = any(party.private for leg, party in call.parties.items() if leg in call.legs)
        self._calls[call.id] = LastCaller(call.id, call.number, call.caller, private, call.began.steady)
        if len(self._calls) > KEPT:
            self._calls.popitem(last=False)

    def note_transfer(self, transfer: str, call: str) -> None:
        """A transfer was asked for."""
        self._transfers[transfer] = call
        if len(self._transfers) > KEPT:
            self._transfers.popitem(last=False)

    def find(self, which: str) -> LastCaller | None:
        """By the id of a call or of a transfer, or the newest call of this number; None: it is not known any more."""
        found = self._calls.get(self._transfers.get(which, which))
        if found is None:
            found = next((each for each in reversed(self._calls.values()) if each.caller == which), None)
        if found is None or self._under_way.get(found.call) is not None:
            return found
        return found if self._clock.now().steady - found.began <= KEPT_S else None

    def forget(self, caller: str) -> None:
        """Nobody is to know of this caller any more."""
        for call in [each.call for each in self._calls.values() if each.caller == caller]:
            del self._calls[call]
