# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a caller would get through to each destination.

Each is put to the gate, with the state that the running gateway has or, where none runs, that the PBX tells when asked.
Then the PBX is asked for the extension and, if that is wanted, called.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import structlog

from gateway.clock import LoopClock
from gateway.config import Config
from gateway.core import gate
from gateway.core.model import AnsweredBy, AssignedNumber, Destination, Load, PbxState
from gateway.core.numbers import TargetError, parse_target
from gateway.options import Answer
from gateway.options import ask as ask_by_options
from gateway.pbx.sources import source_of
from gateway.remote import RefusedError, RemoteError, ask

STATE_WITHIN_S = 8.0  # a PBX that has just started needs 5 s until it is believed
AFTER_ANSWER_S = 150.0  # an announcement of the longest kind
_TELLING = ("hours:", "queue", "extension", "group", "wait:", "overflow:", "target:")
"""How the lines of a trail begin that say more than where the target leads."""


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """What is to be probed: a target, as an assistant would ask for it on a number."""

    number: AssignedNumber
    target: str


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """What was found of one target."""

    number: str
    target: str
    destination: str | None  # the id of the destination that is meant; None: there is none
    extension: str | None
    gate: Mapping[str, Any]  # as `explain --json`
    pbx: Answer | None  # None: not asked
    call: Mapping[str, Any] | None  # None: not called

    @property
    def problem(self) -> str | None:
        """Why a transfer would fail now; None: it would not."""
        if self.gate["decision"] != "accept":
            return str(self.gate["reason"])
        if self.destination is None:
            return "only the running gateway knows it: it has another configuration"
        if self.pbx is not None and not self.pbx.good:
            return f"the PBX {self.pbx.text}"
        if self.call is not None and not self.call.get("reached"):
            return "the call failed"
        return None

    @property
    def overflow(self) -> str | None:
        """The destination that would take the caller instead, when the gate refuses the one that is meant."""
        went = self.gate["destination"]
        return went if self.gate["decision"] == "accept" and went != self.destination else None

    def row(self, *, called: bool) -> tuple[str, ...]:
        """For people: destination, extension, result, what came of the call, what the PBX says, what the gate found."""
        name = self.target if self.destination in (self.target, None) else f"{self.target} ({self.destination})"
        trail = [line for line in self.gate["trail"] if not line.startswith("hours: always open")]
        state = [line for line in trail if line.split(" ", 1)[0] in _TELLING]
        own = state[: next((n for n, line in enumerate(state) if line.startswith("overflow:")), len(state))]
        result = self.problem or (f"ok, by overflow to {self.overflow}" if self.overflow else "ok")
        call = (str(self.call["text"]) if self.call else "-",) if called else ()
        pbx = self.pbx.text if self.pbx else "-"
        return name, self.extension or "-", result, *call, pbx, "; ".join(own)

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "number": self.number,
            "target": self.target,
            "destination": self.destination,
            "extension": self.extension,
            "ok": self.problem is None,
            "problem": self.problem,
            "overflow": self.overflow,
            "gate": dict(self.gate),
            "options": None if self.pbx is None else {"code": self.pbx.code, "text": self.pbx.text},
            "call": self.call,
        }


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was found, and where the state of the queues came from."""

    source: str  # "gateway", "pbx" or "configuration"
    note: str  # why it is not the gateway; empty when it is
    findings: tuple[ProbeFinding, ...]


def probe(config: Config, wanted: Sequence[ProbeTarget], *, call: bool) -> ProbeReport:
    """Probe every target. With `call`, each that passed is called for real, through the running gateway.

    Raises RemoteError when calls are wanted and no gateway runs.
    """
    if call and config.http.port and config.http.token is None:
        needs = "the running gateway makes the calls, and is asked with a token: set token_file in [http], and reload"
        raise RemoteError(f"--call: {needs}")
    try:
        answers = [_ask_gateway(config, each) for each in wanted]
        source, note = "gateway", ""
    except RemoteError as error:
        if call:
            raise
        with _silence():
            states = asyncio.run(_states_of_pbxs(config, {name for each in wanted for name in each.number.pbxs}))
        now = datetime.now(UTC)
        situation = gate.Situation(now, Load(max_calls=config.sip.max_calls), states)
        answers = [gate.explain(each.target, each.number, config.routes, situation) for each in wanted]
        known = any(state.fresh(now) for state in states.values())
        source, note = "pbx" if known else "configuration", str(error)
    meant = [_meant(config, each) for each in wanted]
    options = asyncio.run(_ask_pbxs(config, wanted, meant))
    findings = []
    for each, destination, answer, pbx in zip(wanted, meant, answers, options, strict=True):
        finding = ProbeFinding(
            number=each.number.id,
            target=each.target,
            destination=destination.id if destination else None,
            extension=destination.extension if destination else None,
            gate=answer,
            pbx=pbx,
            call=None,
        )
        if call and destination and finding.problem is None and finding.overflow is None:
            finding = _with_call(finding, _call(config, each.number, destination))
        findings.append(finding)
    return ProbeReport(source, note, tuple(findings))


def _with_call(finding: ProbeFinding, call: Mapping[str, Any]) -> ProbeFinding:
    return ProbeFinding(
        finding.number, finding.target, finding.destination, finding.extension, finding.gate, finding.pbx, call
    )


def _meant(config: Config, wanted: ProbeTarget) -> Destination | None:
    with contextlib.suppress(TargetError):
        return config.routes.destination(wanted.number, parse_target(wanted.target, wanted.number.country))
    return None


def _ask_gateway(config: Config, wanted: ProbeTarget) -> dict[str, Any]:
    return ask(config.http, f"/api/explain?{urlencode({'target': wanted.target, 'number': wanted.number.id})}")


def _call(config: Config, number: AssignedNumber, destination: Destination) -> Mapping[str, Any]:
    body = {"number": number.id, "destination": destination.id}
    within_s = destination.ring_timeout.total_seconds() + AFTER_ANSWER_S
    try:
        return ask(config.http, "/api/probe", body, within_s=within_s)
    except RefusedError as error:
        return {"reached": False, "text": str(error)}


async def _ask_pbxs(
    config: Config, wanted: Sequence[ProbeTarget], meant: Sequence[Destination | None]
) -> list[Answer | None]:
    """The answer for each destination; an extension that several have is asked for once."""
    extensions = [
        (each.number.pbx_of(destination), destination.extension) if destination else None
        for each, destination in zip(wanted, meant, strict=True)
    ]
    asked = dict.fromkeys(each for each in extensions if each)
    answers = await asyncio.gather(
        *(ask_by_options(config.pbxs[pbx], config.sip, extension) for pbx, extension in asked)
    )
    found = dict(zip(asked, answers, strict=True))
    return [found[each] if each else None for each in extensions]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No log: what a connection would write into it is in the findings."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


async def _states_of_pbxs(config: Config, names: Iterable[str]) -> dict[str, PbxState]:
    states = await asyncio.gather(*(_state_of(config, name) for name in names))
    return {state.pbx: state for state in states}


async def _state_of(config: Config, name: str) -> PbxState:
    """What a PBX tells when it is asked once."""
    changes = _Changes()
    source = source_of(config, name, changes, LoopClock())
    if source is None:
        kind = config.pbxs[name].queues.source
        if kind.traits.over_sip:
            return PbxState(name, kind, unknown_because="only a running gateway is told it")
        return PbxState(name)
    task = asyncio.create_task(source.run())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STATE_WITHIN_S):
            while source.state.proven_at is None and not source.failure:
                await changes.wait()
    state = source.state
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return state


class _Changes:
    """A `PbxListener` that waits for the next change of what is known."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def pbx_changed(self, state: PbxState) -> None:
        self._changed.set()

    def agent_connected(self, pbx: str, sip_call_id: str, agent: str, at: datetime) -> None:
        pass

    def call_answered(self, pbx: str, sip_call_id: str, by: AnsweredBy | None, name: str, at: datetime) -> None:
        pass

    def answerer_unknown(self, pbx: str, sip_call_id: str) -> None:
        pass

    def caller_queued(self, pbx: str, sip_call_id: str, queue: str, place: int, at: datetime) -> None:
        pass

    def caller_lost(self, pbx: str, transfer: str, cause: int, at: datetime) -> None:
        pass
