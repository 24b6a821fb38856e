# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays a script against the gateway, and compares after each move."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.model.on_the_wire.company import ASSIGNED, SALES
from tests.model.on_the_wire.script import Told
from tests.model.on_the_wire.stage import ENDED, PATIENCE_S, REQUESTED, news
from tests.support.processes import eventually
from tests.support.rtp import HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core.model import LegId
    from gateway.core.record import TransferRecord
    from tests.model.moves import Scope
    from tests.model.on_the_wire.script import Script, Step
    from tests.model.on_the_wire.stage import Place, Stage
    from tests.support.peer import Peer, Transaction
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

LATE_S = 0.6
"""A way of which something was so late, while time-outs ran, is played again: it may have come in another order."""
UNASKED_S = 0.9
"""Who has called hears 180 from `sip.agent` after a second of waiting, whatever the model's target says."""
RINGING = 180
PCMA, SOUNDS_EVERY_S = 8, 0.02
CANCEL, BYE, NOTIFY = "CANCEL", "BYE", "NOTIFY"


class DifferenceError(AssertionError):
    """The wire shows something else than the model says."""


class LateError(Exception):
    """This machine, or the gateway on it, was too late for the order of moves and time-outs to be that of the model.

    The message says what was different.
    """


class SilenceError(AssertionError):
    """What the far ends were to be told does not come, however late anything may be."""


class Play:
    """One way, at a place of its own."""

    def __init__(
        self, stage: Stage, place: Place, script: Script, scope: Scope, patience_s: float = PATIENCE_S
    ) -> None:
        """`patience_s`: how long something may take to come."""
        self._stage = stage
        self._patience_s = patience_s
        self._pbx, self._platform = place.pbx, place.platforms[scope.early]
        self._number = place.numbers[scope.early]
        self._invites = scope.invites
        self._script = script
        self._calls: dict[LegId, Call] = {}
        self._asked_at: dict[LegId, float] = {}
        self._referred: dict[LegId, list[Transaction]] = {}
        self._answered: dict[LegId, int] = {}  # how many NOTIFYs of each leg
        self._open: dict[str, LegId] = {}
        self._before = {id(peer): len(peer.calls) for peer in (self._pbx, self._platform)}
        self._since = time.monotonic()  # … which no time-out has run
        self._should_be_s = 0.0

    async def played(self) -> None:
        """Play it. Raises DifferenceError, with the ladders of its peers, or LateError."""
        try:
            for number, step in enumerate(self._script.steps):
                if number == self._script.joined[0]:
                    await self._hear()
                await self._play(step)
            await self._over()
        except AssertionError as error:
            if self._late and not isinstance(error, SilenceError):
                raise LateError(str(error)) from error
            raise DifferenceError(f"{self._script.scope} {self._script.path}: {error}\n{self._ladders()}") from error

    async def given_up(self) -> None:
        """End what is left of it, so that another one can be played here."""
        for call in await self._stage.calls(self._call_ids()):
            await self._stage.command(f"/api/calls/{call}/hangup")

        async def gone() -> bool:
            return not await self._stage.calls(self._call_ids())

        await eventually(gone, "given up", timeout_s=40)

    # --- a move

    async def _play(self, step: Step) -> None:
        if not step.running:
            self._since, self._should_be_s = time.monotonic(), 0.0
        elif step.waits_s == 0 and self._late:
            raise LateError(f"before {step.move}")
        await self._do(step)
        self._should_be_s += step.waits_s
        await self._shows(step)

    async def _do(self, step: Step) -> None:
        call = self._calls.get(step.leg) if step.leg is not None else None
        match step.move[0], call:
            case "wait", _:
                await asyncio.sleep(step.waits_s)
            case "call", _:
                self._call(step)
            case "cancel", _:
                await self._cancel(step)
            case "end", _:
                [name] = await self._stage.calls([self._calls[leg].call_id for leg in step.call])
                assert await self._stage.command(f"/api/calls/{name}/hangup") == 200
            case what, found:
                assert found is not None
                await self._of_leg(what, found, step)

    async def _of_leg(self, what: str, call: Call, step: Step) -> None:
        assert step.leg is not None
        match what:
            case "ring":
                await call.ring()
            case "answer":
                await call.answer()
            case "refuse":
                call.reject(486)
            case "hang up" if call.invite is not None and not any(one.code >= 200 for one in call.invite.responses):
                await call.cancel()
            case "hang up":
                assert (await call.hang_up()).code == 200
            case "refer" | "refer to":
                other = self._calls[step.other] if step.other is not None else None
                headers = f"?Replaces={quote(other.named, safe='')}" if other else ""
                asked = call.begin("REFER", headers=[("Refer-To", f"<{self._uri(SALES)}{headers}>")])
                self._referred.setdefault(step.leg, []).append(asked)
            case "replace":
                assert step.new is not None
                self._invite(step.new, call.peer, self._number, [("Replaces", call.named)])
            case "deafen":
                call.respond(self._notifys(call)[self._answered[step.leg]], 481)
                self._answered[step.leg] += 1

    def _call(self, step: Step) -> None:
        assert step.new is not None
        if self._invites and not self._calls:
            self._invite(step.new, self._platform, SALES)
        else:
            self._invite(step.new, self._pbx, self._number)

    def _invite(self, leg: LegId, peer: Peer, number: str, headers: list[tuple[str, str]] | None = None) -> None:
        host, port = self._stage.gateway.sip
        call = peer.invite(f"sip:{number}@{host}", (host, port), from_="<sip:+31201112222@far>", headers=headers or ())
        call.answers[NOTIFY] = None
        self._calls[leg], self._asked_at[leg] = call, time.monotonic()

    async def _cancel(self, step: Step) -> None:
        asked = await self._stage.told(REQUESTED, self._call_ids(), step.number + 1)
        status = await self._stage.command(f"/api/transfers/{asked[step.number]['transfer']}/cancel")
        assert status == (200 if step.accepted else 409), f"the command got {status}"

    def _uri(self, number: str) -> str:
        return f"sip:{number}@{self._stage.gateway.sip[0]}"

    # --- what comes of it

    async def _shows(self, step: Step) -> None:
        """Wait until the far ends are told what the model says, and nothing else."""
        deadline = time.monotonic() + self._patience_s
        waiting = list(step.dialled)
        while True:
            self._meet(waiting)
            self._answer_notifys()
            if not waiting and all(self._has(leg, told) for leg, told in step.told.items()):
                break
            try:
                await news((self._pbx, self._platform), deadline - time.monotonic())
            except TimeoutError:
                there = {leg: self._told(leg) for leg in step.told}
                raise SilenceError(f"after {step.move} there is {there}, where {step.told} was to be") from None
        for call in self._calls.values():
            call.media.pause()  # what is heard is tried once

    def _has(self, leg: LegId, wanted: Told) -> bool:
        """Whether it is told all of it. Raises AssertionError if there is anything else."""
        told = self._told(leg)
        if RINGING not in wanted.responses and told.responses[:1] == [RINGING] and self._waits(leg):
            del told.responses[0]
        for name in ("called", "responses", "referred", "requests"):
            there, should = getattr(told, name), getattr(wanted, name)
            assert should[: len(there)] == there, f"{leg}: {name} {there}, where {should} was to be"
        return told == wanted

    def _waits(self, leg: LegId) -> bool:
        """Whether who calls has waited so long that the user agent says 180 by itself."""
        return time.monotonic() - self._asked_at[leg] > UNASKED_S

    def _told(self, leg: LegId) -> Told:
        call = self._calls.get(leg)
        if call is None:
            return Told()
        responses = [one.code for one in call.invite.responses if one.code > 100] if call.invite else []
        return Told(
            called=self._called(call.incoming.uri) if call.incoming else "",
            responses=list(dict.fromkeys(responses)),
            referred=[one.code for asked in self._referred.get(leg, []) for one in asked.responses if one.code >= 200],
            requests=[one.label for one in call.requests if one.method in {NOTIFY, CANCEL, BYE}],
        )

    def _called(self, uri: str) -> str:
        """Whom a Request-URI names; the assigned number is the model's."""
        user = uri.partition(":")[2].partition("@")[0]
        return ASSIGNED if user == self._number else user

    def _meet(self, waiting: list[LegId]) -> None:
        """Calls that have come in are the legs that the model has dialled, in this order at each peer."""
        for peer in (self._pbx, self._platform):
            for call in peer.calls[self._before[id(peer)] :]:
                if call.incoming is None or call in self._calls.values():
                    continue
                leg = next((one for one in waiting if one.startswith("out-") is (peer is self._platform)), None)
                assert leg is not None, f"nobody was to be called, yet {call.incoming.start} came"
                waiting.remove(leg)
                self._calls[leg] = call
                call.answers[NOTIFY] = None
                call.respond(call.incoming, 100)

    def _answer_notifys(self) -> None:
        """All but the one that is refused later."""
        for leg, call in self._calls.items():
            for notify in self._notifys(call)[self._answered.get(leg, 0) :]:
                if (leg, self._answered.setdefault(leg, 0)) in self._script.refused:
                    break
                call.respond(notify, 200)
                self._answered[leg] += 1

    def _notifys(self, call: Call) -> list[Message]:
        return [one for one in call.requests if one.method == NOTIFY]

    # --- and what is left

    async def _hear(self) -> None:
        """Who is together hears one another."""
        for one, other in self._script.joined[1].items():
            speaker, listener = self._calls[one].media, self._calls[other].media
            assert speaker.remote
            mark = bytes([len(one) + 1]) * 160
            listener.received.clear()
            for sequence in range(int(self._patience_s / SOUNDS_EVERY_S)):
                speaker.transmit(HEADER.pack(0x80, PCMA, sequence, 160 * sequence, 7) + mark, speaker.remote)
                await asyncio.sleep(SOUNDS_EVERY_S)
                if any(packet.payload == mark for packet in listener.received):
                    break
            else:
                raise AssertionError(f"{other} does not hear {one}")

    async def _over(self) -> None:
        """The outcomes are those of the model, each once, and no call is left."""
        ended = await self._stage.told(ENDED, self._call_ids(), len(self._script.records))
        told, wanted = [outcome_told(one) for one in ended], [outcome_of(one) for one in self._script.records]
        assert told == wanted, f"outcomes {told}, where {wanted} was to be"

        async def gone() -> bool:
            return not await self._stage.calls(self._call_ids())

        await eventually(gone, "no call is left", timeout_s=PATIENCE_S)
        last = self._script.steps[-1]
        assert all(self._has(leg, told) for leg, told in last.told.items())

    def _call_ids(self) -> set[str]:
        return {call.call_id for call in self._calls.values()}

    @property
    def _late(self) -> bool:
        """Whether so much more time has passed than the model has let pass, while time-outs ran."""
        return time.monotonic() - self._since - self._should_be_s > LATE_S

    def _ladders(self) -> str:
        lines = []
        ids = self._call_ids()
        for name, peer in (("PBX", self._pbx), ("platform", self._platform)):
            lines += [f"{name:8} {one}" for one in peer.trace if one.message["Call-ID"] in ids]
        return "\n".join(sorted(lines, key=lambda line: line.split()[1]))


def outcome_of(record: TransferRecord) -> dict[str, Any]:
    """A transfer's end, as far as model and gateway have the same names for it."""
    return {
        "entry": record.entry.value,
        "outcome": record.outcome and record.outcome.value,
        "reason": record.reason and record.reason.value,
        "sip_code": record.sip_code,
        "destination": record.destination,
        "returned_to_transferor": record.returned_to_transferor,
        "attempts": [(one.destination, one.extension, one.reason and one.reason.value) for one in record.attempts],
    }


def outcome_told(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same of an event."""
    found = {name: data[name] for name in ("entry", "outcome", "reason", "sip_code", "destination")}
    attempts = [(one["destination"], one["extension"], one["reason"]) for one in data["attempts"]]
    return {**found, "returned_to_transferor": data["returned_to_transferor"], "attempts": attempts}
