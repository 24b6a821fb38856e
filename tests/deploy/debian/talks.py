# SPDX-License-Identifier: GPL-2.0-or-later
"""Two who talk by way of the gateway of the booted system: a caller, whom the PBX brings, and the assistant.

`talks.py FILE` calls, and keeps in FILE what the two have heard of one another so far, as JSON: see Talk.told. At
SIGTERM the caller hangs up. Exit code 0: the assistant was told of that. Of Python's own library alone, as there is
nothing else; /trial has sip_message.py of tests/support beside this.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from sip_message import Address, Message, address, media_of, reply, sdp, token  # type: ignore[import-not-found]

GATEWAY = ("127.0.0.2", 5060)
CALLER, ASSISTANT = ("127.0.0.1", 5072), ("127.0.0.3", 5060)
PACKET_S = 0.02
SAMPLES = 160  # a packet of G.711
MOST_PACKETS = 270 * 50
LAST_PACKETS = 30 * 50
"""For which the assistant is waited for, to be told."""
PCMA = 8


class End:
    """One of the two. `sound` is the byte of which its audio consists."""

    def __init__(self, own: Address, sound: bytes) -> None:
        self.own = own
        self.sip = _socket(own)
        self.rtp = _socket((own[0], 0))
        self._payload = sound * SAMPLES
        self._audio_to: Address | None = None
        self._sequence = 0
        self.call_id = ""
        self.local = self.remote = self.target = ""
        self._cseq = 1
        self._answered: dict[tuple[int, str], bytes] = {}
        self.heard: list[float] = []
        """When there was something of the other one, and of nobody else."""
        self.invites = 0
        """Those in its dialog."""
        self._has_hung_up = False
        self.is_told = False
        """That the call is over."""

    @property
    def contact(self) -> tuple[str, str]:
        """Its header."""
        return "Contact", f"<sip:{self.own[0]}:{self.own[1]}>"

    def describe(self) -> bytes:
        """Its audio, as offer or answer."""
        body: bytes = sdp(self.own[0], self.rtp.getsockname()[1], ("PCMA",))
        return body

    def follow(self, message: Message) -> None:
        """Send audio where a description of the gateway wants it."""
        found = media_of(message.body)
        assert found, message
        self._audio_to = (found[0], found[1])

    def ask(self, method: str, *, offers: bool = False) -> None:
        """Send a request of its dialog, or the one that begins it."""
        self._cseq += method != "ACK"
        request = Message(
            f"{method} {self.target} SIP/2.0",
            [
                ("Via", f"SIP/2.0/UDP {self.own[0]}:{self.own[1]};branch={token('z9hG4bK')}"),
                ("From", self.local),
                ("To", self.remote),
                ("Call-ID", self.call_id),
                ("CSeq", f"{self._cseq} {method}"),
                ("Max-Forwards", "70"),
                self.contact,
            ],
        )
        if offers:
            request.headers.append(("Content-Type", "application/sdp"))
            request.body = self.describe()
        self.sip.sendto(bytes(request), GATEWAY)

    def call(self, number: str) -> None:
        """Call the gateway."""
        self.call_id, self.target = token(), f"sip:{number}@{GATEWAY[0]}"
        self.local = f"<sip:+31201112222@{self.own[0]}>;tag={token()}"
        self.remote = f"<{self.target}>"
        self.ask("INVITE", offers=True)

    def hang_up(self) -> bool:
        """End the call, once; whether this was it."""
        was, self._has_hung_up = self._has_hung_up, True
        if not was:
            self.ask("BYE")
        return not was

    def read_message(self) -> None:
        """Take what the gateway has sent."""
        message = Message.parse(self.sip.recv(65536))
        if message.is_request:
            self._take_request(message)
        elif message.cseq == (self._cseq, "INVITE") and message.code >= 200:
            assert message.code == 200, message
            self.remote, self.target = message["To"], address(message["Contact"])
            self.follow(message)
            self.ask("ACK")

    def _take_request(self, message: Message) -> None:
        if message.method == "ACK":
            return
        if sent := self._answered.get(message.cseq):
            self.sip.sendto(sent, GATEWAY)
            return
        is_mine = message["Call-ID"] == self.call_id
        if message.method == "INVITE" and (is_mine or not self.call_id):
            self.invites += is_mine
            self.call_id, self.target = message["Call-ID"], address(message["Contact"])
            self.follow(message)
            headers = [self.contact, ("Content-Type", "application/sdp")]
            answer = reply(message, 200, tag=self.call_id[:8], headers=headers, body=self.describe())
        elif message.method == "BYE" and is_mine:
            self.is_told = True
            answer = reply(message, 200)
        else:
            answer = reply(message, 200 if message.method == "OPTIONS" else 481)
        if message.method != "OPTIONS":
            self._answered[message.cseq] = bytes(answer)
        self.sip.sendto(bytes(answer), GATEWAY)

    def speak(self) -> None:
        """Send a packet of audio."""
        if self._audio_to:
            self._sequence += 1
            head = b"\x80" + bytes([PCMA]) + self._sequence.to_bytes(2, "big")
            head += (self._sequence * SAMPLES).to_bytes(4, "big") + b"talk"
            self.rtp.sendto(head + self._payload, self._audio_to)

    def read_audio(self, other: End) -> None:
        """Take a packet of audio."""
        if self.rtp.recv(65536)[12:] == other._payload:
            self.heard.append(time.monotonic())

    @property
    def silence_s(self) -> float:
        """The longest that it has heard nothing since it began to."""
        return max((late - early for early, late in zip(self.heard, self.heard[1:], strict=False)), default=0.0)


def _socket(own: Address) -> socket.socket:
    made = socket.socket(type=socket.SOCK_DGRAM)
    made.bind(own)
    made.setblocking(False)
    return made


class Talk:
    """The two, and what becomes of them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.caller, self.assistant = End(CALLER, b"\x34"), End(ASSISTANT, b"\xb4")
        self._ends = ((self.caller, self.assistant), (self.assistant, self.caller))
        self._hangs_up = False
        signal.signal(signal.SIGTERM, self._ask_to_end)

    def _ask_to_end(self, *_: object) -> None:
        self._hangs_up = True

    @property
    def told(self) -> dict[str, Any]:
        """How many packets each has heard, re-INVITEs each got, and the longest silence of each."""
        both = (self.caller, self.assistant)
        return {
            "heard": [len(one.heard) for one in both],
            "invites": [one.invites for one in both],
            "silence_s": [round(one.silence_s, 2) for one in both],
        }

    def run(self) -> int:
        """Talk to the end."""
        with selectors.DefaultSelector() as selector:
            for one, other in self._ends:
                selector.register(one.sip, selectors.EVENT_READ, one.read_message)
                selector.register(one.rtp, selectors.EVENT_READ, partial(one.read_audio, other))
            self.caller.call("+31201234567")
            due = time.monotonic()
            left = MOST_PACKETS
            while left and not self.assistant.is_told:
                left -= 1
                due += PACKET_S
                while (left_s := due - time.monotonic()) > 0:
                    for key, _ in selector.select(left_s):
                        key.data()
                if self._hangs_up and self.caller.hang_up():
                    left = LAST_PACKETS
                self.caller.speak()
                self.assistant.speak()
                if left % 5 == 0:
                    self.tell()
        self.tell()
        return 0 if self._hangs_up and self.assistant.is_told else 1

    def tell(self) -> None:
        """Write down what there is to tell; the file is there as a whole, or not at all."""
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self.told))
        new.replace(self._file)


if __name__ == "__main__":
    sys.exit(Talk(Path(sys.argv[1])).run())
