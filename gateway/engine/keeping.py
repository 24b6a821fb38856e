# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that outlive the process: written down while they are up, and taken up again by the next one.

A call is written down once its two legs talk and no transfer of it is under way, and again when a leg leads elsewhere;
it is struck out as soon as that is no longer so. What is written down when the gateway starts was left by one that has
ended without warning: its legs get a re-INVITE each, and talk again when both have answered.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from gateway.core.call import events as ev
from gateway.core.call.state import Call, Leg
from gateway.core.kept_call import KeptCall, KeptLeg, RecoveryOrder
from gateway.core.model import LegId, Peer, TransferId
from gateway.core.moment import Moment
from gateway.core.outcome import CallEnd
from gateway.core.record import CallRecord
from gateway.ports import NotSent, NotSentError

if TYPE_CHECKING:
    from gateway.engine.loop import Loop
    from gateway.engine.surroundings import Surroundings
    from gateway.ports import CallStore, Observer, Reporter, SipPort

ATTEMPTS = 3
"""So many processes in a row may begin to take a call up: one that they die of must not end all that come after."""

log = structlog.get_logger(__name__)


class Keeper:
    """Shown each call after each of its steps."""

    def __init__(
        self, store: CallStore, sip: SipPort, reporter: Reporter, observer: Observer, surroundings: Surroundings
    ) -> None:
        self._store = store
        self._sip = sip
        self._reporter = reporter
        self._observer = observer
        self._surroundings = surroundings
        self._clock = surroundings.clock
        self._kept: dict[str, KeptCall] = {}
        self._legs: dict[str, tuple[LegId, ...]] = {}  # of each that is kept
        self._taking_up: set[str] = set()
        self._numbers = itertools.count(1)

    # --- written down

    def see(self, call: Call) -> None:
        """A call has taken a step, or is over."""
        if call.id in self._taking_up:
            if not call.up and len(call.legs) == 2:
                return  # as it was written down by the process before this one
            self._taking_up.remove(call.id)
            self._taken_up(call)
            self._legs[call.id] = ()  # it is written down anew, with the numbers that it has now
        if not self._is_to_be_kept(call):
            self._strike_out(call.id)
        elif self._legs.get(call.id) != tuple(call.legs):
            self._keep(call)

    def renewed(self, call: Call) -> None:
        """A leg of a call has new media: it may have another target, too."""
        before = self._kept.get(call.id)
        if before is None or not self._is_to_be_kept(call):
            return
        now = self._described(call)
        if now is None or _without_numbers(now) != _without_numbers(before):
            self._keep(call)

    def waits_for(self, calls: Iterable[Call]) -> int:
        """How many of these calls are not ones that another process could take up now."""
        return sum(call.id not in self._kept or call.id in self._taking_up for call in calls)

    def leave(self, calls: Iterable[Call]) -> list[Call]:
        """Have each of these calls that is written down be written as it is now: those that a next process takes up.

        One that is being taken up stays as it was written: what this process has used of its numbers is jumped over.
        """
        for call in calls:
            if call.id in self._kept and call.id not in self._taking_up:
                self._keep(call)
        return self.left(calls)

    def left(self, calls: Iterable[Call]) -> list[Call]:
        """Those of these calls that are written down."""
        return [call for call in calls if call.id in self._kept]

    def _is_to_be_kept(self, call: Call) -> bool:
        return self._surroundings.config.sip.recover_calls and call.up and not call.transfers and len(call.legs) == 2

    def _keep(self, call: Call) -> None:
        kept = self._described(call)
        if kept is None:
            self._strike_out(call.id)
            return
        self._kept[call.id], self._legs[call.id] = kept, tuple(call.legs)
        self._store.keep_call(kept)

    def _strike_out(self, call: str) -> None:
        if self._kept.pop(call, None) is not None:
            del self._legs[call]
            self._store.strike_out_call(call)

    def _described(self, call: Call) -> KeptCall | None:
        now = self._clock.now()
        legs = []
        for leg in call.legs.values():
            dialog = self._sip.dialog(leg.id)
            if dialog is None:
                return None
            legs.append(KeptLeg(peer=leg.peer.name, kind=leg.peer.kind, party=call.parties.get(leg.id), dialog=dialog))
        return KeptCall(
            call=call.id,
            number=call.number.id,
            begun_by=call.begun_by,
            caller=call.caller,
            max_forwards=call.max_forwards,
            began_at=call.began.wall,
            connected_at=call.began.told_at(call.connected_at or now),
            transfer=call.led_by,
            destination=call.destination,
            answered_by=call.answered_by,
            legs=(legs[0], legs[1]),
            kept_at=now.wall,
        )

    # --- taken up

    def take_up(self, left: Sequence[KeptCall], loop: Loop) -> None:
        """Take up what an earlier process has left; what cannot be is told of as over."""
        for kept in left:
            self._kept[kept.call], self._legs[kept.call] = kept, ()
            if kept.attempts > ATTEMPTS:
                self._let_go(kept, f"{ATTEMPTS} processes in a row have ended while they took it up")
            elif (call := self._call_of(kept)) is None:
                self._let_go(kept, "it is not configured so")
            else:
                self._legs[kept.call] = tuple(call.legs)
                self._taking_up.add(call.id)
                loop.add(call)
                self._recover(call, kept, loop)

    def _let_go(self, kept: KeptCall, why: str) -> None:
        log.warning("call-not-recovered", call=kept.call, number=kept.number, why=why)
        self._strike_out(kept.call)
        self._tell_over(kept)

    def _recover(self, call: Call, kept: KeptCall, loop: Loop) -> None:
        """Both legs, and then what became of it: whoever is left is hung up, which takes a leg that is there."""
        since = (self._clock.now().wall - kept.kept_at).total_seconds()
        failed: list[tuple[Leg, NotSentError]] = []
        for leg, known in zip(call.legs.values(), kept.legs, strict=True):
            try:
                self._sip.recover(RecoveryOrder(leg.id, leg.peer, known.dialog.later(since)))
            except NotSentError as error:
                failed.append((leg, error))
        for leg, problem in failed:
            why, peer = str(problem.reason), leg.peer.name
            log.error("dial-failed", call=call.id, leg=leg.id, peer=peer, reason=why, error=str(problem))
            no_room = problem.reason is NotSent.NO_ROOM
            loop.feed(call.id, ev.DialFailed(self._clock.now(), leg.id, no_room))

    def _call_of(self, kept: KeptCall) -> Call | None:
        """The call, of which nobody is there yet; None where it may not go on."""
        config = self._surroundings.config
        number = config.routes.number(kept.number)
        has_peers = all(
            (profile := config.profile(leg.peer)) is not None and profile.peer.kind is leg.kind for leg in kept.legs
        )
        if not config.sip.recover_calls or number is None or not has_peers:
            return None
        names = [LegId(f"back-{next(self._numbers)}") for _ in kept.legs]
        legs = {
            name: Leg(name, Peer(leg.peer, leg.kind), leg.dialog.call_id, dialled=True)
            for name, leg in zip(names, kept.legs, strict=True)
        }
        transfer = TransferId(kept.transfer) if kept.transfer is not None else None
        parties = {name: leg.party for name, leg in zip(names, kept.legs, strict=True) if leg.party is not None}
        return Call(
            id=kept.call,
            number=number,
            began=self._moment(kept.began_at),
            begun_by=kept.begun_by,
            caller=kept.caller,
            max_forwards=kept.max_forwards,
            legs=legs,
            parties=parties,
            connected_at=self._moment(kept.connected_at),
            destination=kept.destination,
            answered_by=kept.answered_by,
            put_through_by=transfer if kept.destination is not None else None,
            transfer=transfer,
            recovering=frozenset(legs),
        )

    def _moment(self, at: datetime) -> Moment:
        now = self._clock.now()
        return Moment(at, now.steady - max(0.0, (now.wall - at).total_seconds()))

    def _taken_up(self, call: Call) -> None:
        self._observer.call_recovered(taken_up=call.up)
        if call.up:
            log.info("call-recovered", call=call.id, number=call.number.id)
        else:
            log.warning(
                "call-not-recovered", call=call.id, number=call.number.id, why="a side does not have it any more"
            )

    def _tell_over(self, kept: KeptCall) -> None:
        """When the call has ended nobody knows: now at the latest."""
        now = self._clock.now().wall
        record = CallRecord(
            call=kept.call,
            number=kept.number,
            trunk=next((leg.peer for leg in kept.legs if leg.kind.value == "trunk"), None),
            pbx=next((leg.peer for leg in kept.legs if leg.kind.value == "pbx"), None),
            caller=kept.caller,
            transfer=TransferId(kept.transfer) if kept.transfer is not None else None,
            destination=kept.destination,
            started_at=kept.began_at,
            connected_at=kept.connected_at,
            ended_at=max(now, kept.connected_at),
            talk_s=max(0.0, (now - kept.connected_at).total_seconds()),
            hung_up_by="gateway",
            reason=CallEnd.GATEWAY_STOPPED,
            call_ids={leg.kind.value: leg.dialog.call_id for leg in kept.legs},
        )
        self._observer.call_recovered(taken_up=False)
        self._observer.call_ended(record)
        if record.destination is not None:
            self._reporter.call_ended(record)


def _without_numbers(kept: KeptCall) -> KeptCall:
    """What is worth another line on disk: numbers leap ahead of what was used since, and the time is of no use."""
    first, second = (
        replace(leg, dialog=replace(leg.dialog, local_cseq=0, remote_cseq=0, origin_version=0)) for leg in kept.legs
    )
    return replace(kept, legs=(first, second), kept_at=kept.began_at)
