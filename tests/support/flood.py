# SPDX-License-Identifier: GPL-2.0-or-later
"""Many requests a second from one address, out of a process of their own, which reads the responses as well.

    async with Flood(directory, "127.0.0.99", gateway.sip, per_second=5000, seconds=3, request=options) as flood:
        ...
        told = await flood.told()

`request` is the datagram, or several that take turns, in which `{n}` stands for a number that is different each time.
Whoever sends INVITEs gets their final responses acknowledged.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Self

from tests.support.processes import Child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.sip_message import Address, Message

LINGER_S = 1.0
FIRST = 10_000_000
"""Numbers of one length, which a CSeq may be as well as a branch."""
_BRANCH = re.compile(rb"branch=z9hG4bK([0-9a-f]+)")
_INVITED = re.compile(rb"^To: <([^>]+)>.*^CSeq: \d+ INVITE", re.MULTILINE | re.DOTALL)
_KEPT = re.compile(rb"^(?:Via|From|To|Call-ID):.*$", re.MULTILINE)


@dataclass
class Told:
    """What became of a flood."""

    sent: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    """How many requests had this final response."""
    contradicted: int = 0
    """How many had two that differ."""


class Flood:
    """The flooding process; it ends by itself, and with the context in any case."""

    def __init__(
        self, directory: Path, source: str, remote: Address, *, per_second: int, seconds: float,
        request: str | Sequence[str], port: int = 5060,
    ) -> None:  # fmt: skip
        requests = [request] if isinstance(request, str) else request
        self._arguments = [source, str(port), *map(str, remote), str(per_second), str(seconds), *requests]
        self._log = directory / f"flood-{source}.log"

    async def __aenter__(self) -> Self:
        self._child = Child("flood", [sys.executable, "-m", "tests.support.flood", *self._arguments], self._log)
        await self._child.ready(self._has_begun)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._child.stop()

    async def told(self) -> Told:
        """Wait for its end."""
        assert await self._child.wait(60) == 0, self._child.tail()
        return Told(**json.loads(self._child.tail(1)))

    async def _has_begun(self) -> bool:
        return "begun" in self._log.read_text()


def invite(called: str, source: str, *, more: str = "") -> str:
    """A call with an offer; what it offers is not listened to."""
    body = f"v=0\r\no=- 1 1 IN IP4 {source}\r\ns=-\r\nc=IN IP4 {source}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
    return request("INVITE", called, source, more=f"Content-Type: application/sdp\r\n{more}", body=body)


def request(method: str, uri: str, source: str, *, more: str = "", body: str = "") -> str:
    """A request for a flood."""
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {source}:5060;branch=z9hG4bK{{n}}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:flood@{source}>;tag=f{{n}}\r\nTo: <{uri}>\r\nCall-ID: {{n}}@{source}\r\nCSeq: 1 {method}\r\n"
        f"Contact: <sip:flood@{source}:5060>\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"
    )


def again(request: Message, port: int) -> str:
    """A request of a dialog, for a flood of its like from another port of its sender: each is a new one."""
    text = bytes(request).decode().replace(request.branch, "z9hG4bK{n}")
    text = text.replace(f"CSeq: {request.cseq[0]} ", "CSeq: {n} ")
    return re.sub(r"^(Via: \S+ [^:;]+):\d+", rf"\1:{port}", text, flags=re.MULTILINE)


def main(source: Address, remote: Address, per_second: int, seconds: float, texts: Sequence[str]) -> Told:
    """Send, and read what is answered."""
    finals: dict[bytes, set[int]] = defaultdict(set)
    told = Told()
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sender.bind(source)
    sender.setblocking(False)
    print("begun", flush=True)
    parts = [text.encode().split(b"{n}", 1) for text in texts]
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds + LINGER_S:
        while told.sent < min(elapsed, seconds) * per_second:
            number = b"%d" % (FIRST + told.sent)
            before, after = parts[told.sent % len(parts)]
            try:
                sender.sendto(before + number + after.replace(b"{n}", number), remote)
            except BlockingIOError:
                break
            told.sent += 1
        if select.select([sender], [], [], 0.002)[0]:
            _read(sender, finals, remote)
    told.codes = {str(code): count for code, count in Counter(code for one in finals.values() for code in one).items()}
    told.contradicted = sum(len(one) > 1 for one in finals.values())
    return told


def _read(sender: socket.socket, finals: dict[bytes, set[int]], remote: Address) -> None:
    try:
        data = sender.recv(65536)
    except (BlockingIOError, ConnectionRefusedError):
        return
    branch = _BRANCH.search(data)
    if not data.startswith(b"SIP/2.0 ") or branch is None or data[8:9] == b"1":
        return
    finals[branch[1]].add(int(data[8:11]))
    if asked := _INVITED.search(data):
        kept = [line.rstrip(b"\r") for line in _KEPT.findall(data)]
        lines = [b"ACK %b SIP/2.0" % asked[1], *kept, b"CSeq: 1 ACK", b"Content-Length: 0", b"", b""]
        sender.sendto(b"\r\n".join(lines), remote)


if __name__ == "__main__":
    where, own, to, number, rate, length, *what = sys.argv[1:]
    print(json.dumps(asdict(main((where, int(own)), (to, int(number)), int(rate), float(length), what))))
