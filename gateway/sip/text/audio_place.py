# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a description has its audio sent to, and a description of ours that has it sent to somebody else.

For audio that goes past the gateway (`media = "direct"`). Descriptions come here as PJMEDIA writes them out: read,
found good and printed again, so that a line here is a line of RFC 4566. Without PJSIP.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EVENTS = "TELEPHONE-EVENT"
_STATIC = {"0": "PCMU", "8": "PCMA", "9": "G722"}
"""Payload types that need no rtpmap (RFC 3551 §6), of codecs that we speak."""
_OF_FORMATS = ("a=rtpmap:", "a=fmtp:")
_OF_THE_SENDER = ("a=ptime:", "a=maxptime:", "a=rtcp:")
_OF_OUR_PORT = ("a=rtcp:", "a=ssrc:", "a=candidate:", "a=rtcp-mux", "a=ptime:", "a=maxptime:")


@dataclass(frozen=True, slots=True)
class Formats:
    """Formats that a description offers alone."""

    numbers: tuple[int, ...]  # payload types
    lines: tuple[str, ...]  # what belongs to them


@dataclass(frozen=True, slots=True)
class AudioPlace:
    """Where a peer takes its audio: the first line of audio in its description that is in use."""

    address: str  # IPv4 or IPv6
    port: int
    payloads: Mapping[str, int] = field(default_factory=dict)  # payload types by encoding name, in capitals
    formats: tuple[str, ...] = ()  # its lines about them
    manner: tuple[str, ...] = ()  # those about packet times, and where RTCP goes (RFC 3605)

    @property
    def is_ipv6(self) -> bool:
        """Which version of IP the peer takes audio by."""
        return ":" in self.address

    def only(self, codec: str, *, events: bool) -> Formats | None:
        """A codec and, if asked for, telephone events, as it numbers them; None: it does not say."""
        names = (codec.upper(), *((EVENTS,) if events else ()))
        if not self.payloads.keys() >= set(names):
            return None
        numbers = tuple(self.payloads[name] for name in names)
        kept = {str(number) for number in numbers}
        return Formats(numbers, tuple(line for line in self.formats if _number(line) in kept))


def read_place(description: str) -> AudioPlace | None:
    """Where audio goes by a description; None: nowhere, or to no address that another peer could send to."""
    session, sections = _parted(description)
    for section in sections:
        kind, port, protocol, formats = _media(section[0])
        if kind != "audio" or not port:
            continue
        address = _address(section) or _address(session)
        if address is None or not protocol.startswith("RTP/"):
            return None
        about = tuple(line for line in section if line.startswith(_OF_FORMATS))
        manner = tuple(line for line in section if line.startswith(_OF_THE_SENDER))
        return AudioPlace(address, port, _payloads(formats, section), about, manner)
    return None


def sent_to(description: str, place: AudioPlace, offers: Formats | None = None) -> str:
    """A description of ours that has its audio sent to somebody else's place; `offers`: other formats than it has."""
    session, sections = _parted(description)
    made = list(session)
    moved = False
    for section in sections:
        kind, port, protocol, formats = _media(section[0])
        if moved or kind != "audio" or not port:
            made += section
            continue
        moved = True
        numbers = formats if offers is None else [str(number) for number in offers.numbers]
        made.append(f"m=audio {place.port} {protocol} {' '.join(numbers)}")
        made.append(f"c=IN {'IP6' if place.is_ipv6 else 'IP4'} {place.address}")
        dropped = ("c=", *_OF_OUR_PORT, *(() if offers is None else _OF_FORMATS))
        made += [line for line in section[1:] if not line.startswith(dropped)]
        made += [*(() if offers is None else offers.lines), *place.manner]
    return "".join(f"{line}\r\n" for line in made)


def _number(line: str) -> str:
    """The payload type that an attribute is about."""
    return line.partition(":")[2].partition(" ")[0]


def _parted(description: str) -> tuple[list[str], list[list[str]]]:
    """The lines of the session, and those of each line of media and what belongs to it."""
    session: list[str] = []
    sections: list[list[str]] = []
    for line in description.splitlines():
        if line.startswith("m="):
            sections.append([line])
        elif line:
            (sections[-1] if sections else session).append(line)
    return session, sections


def _media(line: str) -> tuple[str, int, str, list[str]]:
    """Kind, port, protocol and formats of an `m=`."""
    kind, port, protocol, *formats = [*line[2:].split(), "", "", ""]
    number = port.partition("/")[0]
    return kind, int(number) if number.isdecimal() and len(number) < 6 else 0, protocol, [one for one in formats if one]


def _address(lines: Sequence[str]) -> str | None:
    """The address of a `c=` that one can send to."""
    for line in lines:
        if not line.startswith("c=IN "):
            continue
        try:
            found = ipaddress.ip_address(line.split()[-1])
        except ValueError:
            return None
        return None if found.is_unspecified or found.is_multicast else str(found)
    return None


def _payloads(formats: Sequence[str], section: Sequence[str]) -> dict[str, int]:
    """Payload types by encoding name; a name that stands for several, at other clocks, is left out."""
    named = {number: name for number, name in _STATIC.items() if number in formats}
    named |= {number: name for number, name in _maps(section) if number in formats}
    names = list(named.values())
    return {name: int(number) for number, name in named.items() if names.count(name) == 1}


def _maps(section: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in section:
        number = _number(line)
        if line.startswith("a=rtpmap:") and number.isdecimal() and len(number) <= 3:
            yield number, line.partition(" ")[2].partition("/")[0].strip().upper()
