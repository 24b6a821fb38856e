# SPDX-License-Identifier: GPL-2.0-or-later
"""Follows everybody in the demo and tells the ladder what they say: SIP, the PBX, the phones, the broker."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.sip_message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.demo.company import Company
    from tests.demo.ladder import Ladder
    from tests.support.peer import Peer
    from tests.support.subscriber import Received

POLL_S = 0.01
# What every call has plenty of and nobody reads a ladder for.
DULL = ("ACK", "100 INVITE", "OPTIONS", "200 OPTIONS", "200 NOTIFY", "200 BYE", "200 CANCEL")
TOLD = ("Refer-To", "Reason", "Retry-After")
PHONE = {"CALL_INCOMING": "phone rings", "CALL_ESTABLISHED": "picks up"}
LOGGED = re.compile(
    rb"^\[(\d+\.\d+)\] VERBOSE.*?<--- (Received|Transmitting) SIP \w+ \((\d+) bytes\) \w+ \S+ --->\n", re.MULTILINE
)


class Watch:
    """One run of the demo as it is seen from everywhere."""

    def __init__(self, company: Company, ladder: Ladder) -> None:
        self._company = company
        self._ladder = ladder
        self._seen: dict[str, int] = {}
        self._queues: dict[str, str] = {}
        self._log = b""
        # The PBX writes the time of day, everybody else counts seconds since the machine started.
        self._epoch = time.time() - time.monotonic()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(POLL_S)

    def look(self) -> None:
        """Tell what is new."""
        company = self._company
        self._sip_of(company.caller, "caller", "PBX")
        self._sip_of(company.assistant, "assistant", "gateway")
        self._sip_of_the_pbx()
        for name, phone in company.people.items():
            for event in self._new(name, phone.events):
                if (what := PHONE.get(event["type"])) is not None:
                    self._ladder.tell(f"{name}'s {what}" if what.startswith("phone") else f"{name} {what}")
        for event in self._new("ami", company.ami.events):
            if event["Event"] == "AgentConnect":
                self._ladder.tell(f"PBX: queue {event['Queue']}: {event['MemberName']} took the caller (AgentConnect)")
        for message in self._new("news", company.news.messages):
            self._news(message)
        self._ladder.advance()

    def _new(self, name: str, items: list[Any]) -> list[Any]:
        start = self._seen.get(name, 0)
        self._seen[name] = len(items)
        return items[start:]

    def _sip_of(self, peer: Peer, name: str, neighbour: str) -> None:
        for entry in self._new(name, peer.trace):
            if not entry.repeated:
                ends = (name, neighbour) if entry.sent else (neighbour, name)
                self._message(entry.at, *ends, entry.message)

    def _sip_of_the_pbx(self) -> None:
        for at, received, message in self._logged():
            ends = ("gateway", "PBX") if received else ("PBX", "gateway")
            self._message(at - self._epoch, *ends, message)

    def _logged(self) -> Iterator[tuple[float, bool, Message]]:
        path = Path(self._company.sip_log)
        with path.open("rb") as file:
            file.seek(self._seen.get("log", 0))
            self._log += file.read()
            self._seen["log"] = file.tell()
        while (head := LOGGED.search(self._log)) and len(self._log) >= head.end() + int(head[3]):
            end = head.end() + int(head[3])
            yield float(head[1]), head[2] == b"Received", Message.parse(self._log[head.end() : end])
            self._log = self._log[end:]

    def _message(self, at: float, sender: str, receiver: str, message: Message) -> None:
        if message.label in DULL:
            return
        label = message.label
        if message.method == "INVITE" and message.is_request and message.tag("To"):
            label = "re-INVITE"
        # Asterisk and PJSIP say the cause of every BYE; only in a refusal is it news.
        told = TOLD if message.method == "REFER" else ()
        notes = [f"{name}: {value}" for name in told for value in message.all(name)]
        if label == "INVITE":
            notes.append(f"to {message.uri}")
        self._ladder.message(at, sender, receiver, label, *notes)

    def _news(self, message: Received) -> None:
        if b'"specversion"' in message.payload:
            event = message.json
            self._ladder.tell(f"MQTT: {event['type']}{_gist(event)}", message.at)
        elif "/queues/" in message.topic:
            found = message.json
            text = f"{found['available']} of {found['logged_in']} agents free, {found['paused']} paused"
            if found["known"] and self._queues.get(found["queue"]) != text:
                self._queues[found["queue"]] = text
                self._ladder.tell(f"MQTT: queue {found['queue']}: {text}", message.at)


def _gist(event: dict[str, Any]) -> str:
    data = event["data"]
    words = [data["destination"]]
    if event["type"] == "transfer.ended.v1":
        words += [data["outcome"], data["reason"]]
    elif event["type"] == "call.ended.v1":
        words.append(f"after {data['talk_s']:.1f} s, hung up by the {data['hung_up_by']}")
    return "".join(f" {word}" for word in words if word)
