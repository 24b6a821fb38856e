# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes of Asterisk's manager interface (AMI) to messages, and actions to bytes. No I/O.

The wire: a greeting line, then messages of `Key: value` lines ended by CRLF, each message ended by an empty line. A
message is a Response or an Event, as its first line says. Nothing of it is trusted: what is too long is dropped and
counted, so that no caller who can put text into an event can fill our memory or make us drop the connection.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

GREETING = b"Asterisk Call Manager"
MAX_GREETING = 256  # bytes
MAX_LINE = 16 * 1024  # bytes, without CRLF
MAX_MESSAGE = 256 * 1024  # bytes

# Asterisk reads an action's line into 1,025 bytes and cuts what is longer.
MAX_ACTION_LINE = 1024  # bytes, with CRLF

_NUMBER = re.compile(r"-?[0-9]{1,18}")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FORBIDDEN = re.compile(r"[\r\n\0]")


class AmiError(Exception):
    """Something went wrong with a PBX's manager interface; the message is for people."""


class NotAmiError(AmiError):
    """What answers at this address does not speak AMI."""


class UnsendableError(AmiError):
    """An action holds what would change its meaning on the wire."""


@dataclass(frozen=True, slots=True)
class Message:
    """A Response or an Event. Keys are matched without regard to case; of a doubled key `get` gives the first value."""

    fields: tuple[tuple[str, str], ...]  # in the order of the wire, doubled keys included
    _first: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first: dict[str, str] = {}
        for key, value in self.fields:
            first.setdefault(key.lower(), value)
        object.__setattr__(self, "_first", first)

    @property
    def event(self) -> str:
        """The event's name; empty for a response."""
        return self.fields[0][1] if self.fields[0][0].lower() == "event" else ""

    @property
    def response(self) -> str:
        """`Success`, `Error`, `Goodbye` …; empty for an event."""
        return self.fields[0][1] if self.fields[0][0].lower() == "response" else ""

    def get(self, key: str, default: str = "") -> str:
        """The first value of `key`, or `default`."""
        return self._first.get(key.lower(), default)

    def all(self, key: str) -> tuple[str, ...]:
        """Every value of `key`, in order."""
        wanted = key.lower()
        return tuple(value for name, value in self.fields if name.lower() == wanted)

    def number(self, key: str) -> int | None:
        """The value of `key` as an integer; None if it is absent or not one that fits 64 bits."""
        text = self.get(key)
        return int(text) if _NUMBER.fullmatch(text) else None


class Decoder:
    """Takes bytes in any pieces and gives the messages they hold."""

    def __init__(self) -> None:
        self.greeting: str | None = None  # e.g. "Asterisk Call Manager/11.0.0"
        self.dropped = 0  # messages that were too long or not messages
        self._buffer = bytearray()
        self._scanned = 0
        self._skipping_line = False
        self._fields: list[tuple[str, str]] = []
        self._size = 0
        self._spoilt = False

    def feed(self, data: bytes) -> list[Message]:
        """The messages completed by `data`. Raises NotAmiError when the first line is no AMI greeting."""
        self._buffer += data
        messages: list[Message] = []
        start = 0
        while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._buffer[start:end]).removesuffix(b"\r")
            start = self._scanned = end + 1
            if self._skipping_line:
                self._skipping_line = False
            elif self.greeting is None:
                self._greet(line)
            elif line:
                self._take(line)
            elif (self._size or self._spoilt) and (message := self._complete()) is not None:
                messages.append(message)
        del self._buffer[:start]
        self._scanned = len(self._buffer)
        self._limit()
        return messages

    def _limit(self) -> None:
        if self.greeting is None:
            # Told apart early: a server of another kind may wait for us and never send a line's end.
            head = bytes(self._buffer[: len(GREETING)])
            if not GREETING.startswith(head) or len(self._buffer) > MAX_GREETING:
                self._greet(bytes(self._buffer))
        elif len(self._buffer) > MAX_LINE + 1 or self._skipping_line:
            self._spoilt = True
            self._skipping_line = True
            self._buffer.clear()
            self._scanned = 0

    def _greet(self, line: bytes) -> None:
        if not line.startswith(GREETING) or len(line) > MAX_GREETING:
            raise NotAmiError(f"no manager interface there: it says {line[:40].decode('ascii', 'backslashreplace')!r}")
        self.greeting = line.decode("ascii", "replace")

    def _take(self, line: bytes) -> None:
        self._size += len(line)
        if len(line) > MAX_LINE or self._size > MAX_MESSAGE:
            self._spoilt = True
        if self._spoilt:
            self._fields.clear()
            return
        key, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            self._fields.append((key.strip(), value.removeprefix(" ")))

    def _complete(self) -> Message | None:
        fields, spoilt, empty = self._fields, self._spoilt, self._size == 0
        self._fields, self._spoilt, self._size = [], False, 0
        if not spoilt and fields and fields[0][0].lower() in {"event", "response"}:
            return Message(tuple(fields))
        if spoilt or not empty:
            self.dropped += 1
        return None


def encode(action: str, action_id: str, fields: Iterable[tuple[str, str]] = ()) -> bytes:
    """One action as bytes. Raises UnsendableError for CR, LF, NUL and for what Asterisk would cut."""
    lines = []
    for key, value in (("Action", action), ("ActionID", action_id), *fields):
        if not _KEY.fullmatch(key) or _FORBIDDEN.search(value):
            raise UnsendableError(f"{key!r} can't be sent: a line break or another forbidden character")
        line = f"{key}: {value}\r\n".encode()
        if len(line) > MAX_ACTION_LINE:
            raise UnsendableError(f"{key} can't be sent: longer than {MAX_ACTION_LINE} bytes")
        lines.append(line)
    return b"".join(lines) + b"\r\n"
