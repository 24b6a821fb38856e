# SPDX-License-Identifier: GPL-2.0-or-later
"""The HTTP server before a gateway that is none, and who asks it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientSession

from gateway.core.availability import availability_document
from gateway.core.call_line import Line
from gateway.core.gate import Situation
from gateway.core.json_form import call_document, platform_call_document, timestamp, transfer_document
from gateway.core.media_way import RELAYED
from gateway.core.model import Destination, PbxState
from gateway.core.open_call import LegCondition, LegState, OpenCall, OpenLeg
from gateway.core.record import CallRecord, TransferRecord
from gateway.core.routing import Routes
from gateway.ports import (
    CannotRestartError,
    FiguresQuery,
    HistoryPage,
    HistoryQuery,
    Operations,
    ProbeResult,
    Reloaded,
    UnderWay,
    UnknownDestinationError,
    UnreadableError,
)
from gateway.report.figures.funnel import Funnels
from gateway.web.server import WebServer
from tests.core.gates import NOW, SALES, line, pbx, queue
from tests.report import samples
from tests.report.reporting import Standing
from tests.support.commanded import Commanded
from tests.support.processes import free_port

LINE = line(SALES, Destination("reception", "600"))
TOKEN = "correct horse"
DOCUMENTS = {
    "transfer": transfer_document(samples.completed("01A")),
    "call": call_document(samples.call()),
    "platform_call": platform_call_document(samples.platform_call()),
}
MESSAGES: dict[str, Any] = {
    "call": samples.call().call,
    "kept": True,
    "because": None,
    "masked": False,
    "legs": [
        {"call_id": "1@pbx", "side": "pbx", "peer": "asterisk", "role": "target"}
        | {"messages": 1, "left_out": 0, "late": False, "name": "asterisk", "part": "target"}
    ],
    "messages": [
        {"leg": 0, "at": "2026-03-02T09:30:00.000123Z", "sent": True, "transport": "UDP", "size": 20}
        | {"source": "192.0.2.1:5060", "destination": "192.0.2.7:5060", "again": False, "cut": False}
        | {"text": "BYE sip:x SIP/2.0\r\n\r\n", "words": "BYE"}
    ],
    "marks": [{"at": "2026-03-02T09:30:00.000100Z", "what": "gate", "text": "open", "transfer": "01A", "legs": []}],
}
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
BODY = {"type": "transfer", "destination": "sales", "message": "one moment"}


def call_line(call: str, **known: Any) -> Line:
    """A caller who talks with the assistant, but for what is known better."""
    line = Line(
        call=call, caller="+31201112222", number="main-line", begun_by="asterisk",
        started_at="2026-03-02T09:30:00.000Z", stage="assistant", stage_at="2026-03-02T09:30:01.000Z",
        destination=None, destination_name=None, transfer=None, transfer_state=None, answered_by=None,
    )  # fmt: skip
    return line._replace(**known)


class Gateway(Commanded, Operations):
    """A gateway with one call, one transfer under way, one that ended, and one PBX."""

    def __init__(self) -> None:
        super().__init__(replace(samples.requested(), destination="sales"))
        self.conditions = {"transports": True, "configuration": True, "not-draining": True}
        self.mistakes: list[str] = []
        self.disk_fails = False
        self.next: int | None = None
        self.free, self.at = 2, NOW
        self.lines = [call_line("c1")]

    def ready(self) -> tuple[bool, Mapping[str, bool]]:
        return all(self.conditions.values()), self.conditions

    def status(self) -> Mapping[str, Any]:
        return {"state": "online"}

    def under_way(self, most: int) -> UnderWay:
        return UnderWay(len(self.lines), 0, self.lines[:most])

    def numbers(self) -> Sequence[str]:
        return ["main-line"]

    def dialogs(self, most: int, call_id: str = "") -> Sequence[Mapping[str, Any]]:
        return [{"call_id": one} for one in ("1@pbx", "2@pbx", "3@pbx") if call_id in {"", one}][:most]

    def calls(self) -> Sequence[CallRecord]:
        return [replace(samples.call(), ended_at=None)]

    def open_calls(self) -> Mapping[str, OpenCall]:
        leg = OpenLeg("pbx", "asterisk", "1@pbx", LegCondition(LegState.UP, "PCMA", False, "192.0.2.7:4000", 0.04))
        return {samples.call().call: OpenCall("up", 12.3456, RELAYED, (leg,))}

    async def transfers(self, *, limit: int | None = None, transfer: str | None = None) -> Sequence[TransferRecord]:
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        known = [samples.requested("01B"), samples.completed("01A")]
        return [record for record in known if transfer in {None, record.transfer}][:limit]

    async def history(self, what: str, query: HistoryQuery) -> HistoryPage:
        self.asked.append((what, query))
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        return HistoryPage([DOCUMENTS[what]], self.next)

    async def figures(self, query: FiguresQuery) -> Mapping[str, Any]:
        self.asked.append(("figures", query))
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        asked = {"since": timestamp(query.since), "until": timestamp(query.until)}
        return {**asked, "number": query.number, "destination": query.destination, **Funnels(lambda *_: UTC).document}

    async def forget(self, caller: str) -> Mapping[str, Any]:
        self.asked.append(("forget", caller))
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        if caller == ";":
            raise ValueError("the target names nobody")
        return {"erased": {"history_transfers": 2}, "under_way": {"calls": 0}, "not_reached": []}

    async def past_transfer(self, transfer: str) -> Mapping[str, Any] | None:
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        return {**transfer_document(samples.completed("01Z")), "events": []} if transfer == "01Z" else None

    async def transfer_messages(self, transfer: str) -> Mapping[str, Any] | None:
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        return MESSAGES | {"transfer": transfer} if transfer in ("01A", "01B") else None

    async def call_messages(self, call: str) -> Mapping[str, Any] | None:
        return MESSAGES | {"transfer": None} if call == samples.call().call else None

    def pbx_states(self) -> Sequence[PbxState]:
        return [samples.pbx_state(), PbxState("other")]

    def explain(self, target: str, number: str, at: datetime | None) -> Mapping[str, Any]:
        self.asked.append((target, number, at))
        if number == "nobody":
            raise KeyError(number)
        return {"decision": "accept", "destination": target}

    async def configuration(self) -> Mapping[str, Any]:
        key = {"file": "gateway.toml", "key": "gateway.instance", "value": "pbx-1", "hidden": False}
        return {"loaded_at": "2026-03-02T09:30:00.000Z", "keys": [key], "left_out": 0, "numbers": []}

    async def check_configuration(self) -> Mapping[str, Any]:
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        return {"ok": True, "mistakes": [], "warnings": [], "changed": [], "restart_needed": []}

    def availability(self, number: str, destination: str | None) -> dict[str, object]:
        self.asked.append((number, destination))
        if number == "nobody":
            raise LookupError(number)
        if destination == "nowhere":
            raise UnknownDestinationError("main-line has no destination nowhere")
        wanted = None if destination is None else [SALES]
        state = pbx(queue(available=self.free), proven_at=self.at)
        situation = Situation(self.at, pbxs={"asterisk": state})
        return availability_document(LINE, Routes([LINE]), situation, wanted)

    def assistant(self, number: str) -> Mapping[str, Any] | None:
        return None

    def audit(self, most: int) -> Sequence[Mapping[str, Any]]:
        return [{"at": "2026-03-02T09:30:00.000Z", **one.document} for one in reversed(self.given)][:most]

    async def probe_call(self, number: str, destination: str) -> ProbeResult:
        self.asked.append((number, destination))
        if destination != "sales":
            raise LookupError(f"{number} has no destination {destination}")
        return ProbeResult(reached=True, code=200, text="answered", seconds=0.25)

    async def reload(self) -> Reloaded:
        self.asked.append(("reload",))
        return Reloaded(self.mistakes, ["sip.udp_port"], ["history.days"])

    async def restart(self) -> Mapping[str, Any]:
        self.asked.append(("restart",))
        if self.mistakes:
            raise CannotRestartError("bad-configuration", "it has mistakes", self.mistakes)
        if len([one for one in self.asked if one == ("restart",)]) > 1:
            raise CannotRestartError("stopping", "the gateway is ending already")
        return {"restarting": True, "started_at": self.at.isoformat(), "calls": 2, "transfers": 1, "within_s": 30.0}


def metrics(accept: str) -> tuple[bytes, str]:
    return b"up 1\n", f"text/plain; of={accept}"


class Client:
    """Asks a server that is really there."""

    def __init__(self, session: ClientSession, port: int) -> None:
        self._session = session
        self.port = port
        self._base = f"http://127.0.0.1:{port}"

    async def __call__(self, path: str, method: str = "GET", **options: Any) -> tuple[int, Any]:
        async with self._session.request(method, f"{self._base}{path}", **options) as response:
            self.headers = response.headers
            return response.status, await response.json()


@asynccontextmanager
async def serving(
    gateway: Gateway, token: str | None = TOKEN, *, port: int | None = None, **options: Any
) -> AsyncIterator[Client]:
    port = port or free_port()
    server = WebServer(gateway, metrics=metrics, token=token, clock=Standing(samples.START), **options)
    await server.start("127.0.0.1", port)
    try:
        async with ClientSession() as session:
            yield Client(session, port)
    finally:
        await server.stop()
