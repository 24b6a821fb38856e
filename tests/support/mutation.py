# SPDX-License-Identifier: GPL-2.0-or-later
"""Session descriptions that are wrong in ways that a sender's, or an attacker's, may be: the same for the same seed."""

from __future__ import annotations

import random

VALUES = (
    "", "0", "1", "-1", "65535", "65536", "4294967296", "99999999999999999999", "127", "128", "96", "IN", "IP4", "IP6",
    "0.0.0.0", "::", "255.255.255.255", "224.2.1.1/127/3", "host.invalid", "127.0.0.1", "::1", "audio", "video", "text",
    "image", "RTP/AVP", "RTP/SAVP", "UDP/TLS/RTP/SAVPF", "udptl", "*", "%s%n", "\x00", "\xff", " ", "\t", "x" * 300,
)  # fmt: skip
LINES = (
    "m=audio 0 RTP/AVP 8", "m=audio 40000 RTP/AVP", "m=audio 40000 RTP/AVP 8", "m=audio 40000 RTP/AVP 96 97",
    "m=audio 40000/9999 RTP/AVP 8", "m=audio 40000 RTP/SAVP 8", "m=video 0 RTP/AVP 96", "m=video 40002 RTP/AVP 96",
    "m=text 0 RTP/AVP 98", "m=text 40004 RTP/AVP 98 99", "m=image 40006 udptl t38", "m=application 9 UDP/BFCP *",
    "m=message 9 TCP/MSRP *", "m=", "m=audio", "c=IN IP4 127.0.0.1", "c=IN IP6 ::1", "c=IN IP4 host.invalid", "c=",
    "c=IN", "a=rtpmap:8 PCMA/8000", "a=rtpmap:8", "a=rtpmap:", "a=rtpmap", "a=rtpmap:96 opus/48000/2",
    "a=rtpmap:96 opus/0", "a=rtpmap:96 /", "a=rtpmap:96 telephone-event/8000", "a=rtpmap:98 t140/1000",
    "a=rtpmap:99 red/1000", "a=fmtp:99 98/98/98", "a=fmtp:99 98/", "a=fmtp:8", "a=fmtp:", "a=fmtp",
    "a=fmtp:96 useinbandfec=1;x", "a=fmtp:101 0-", "a=ptime:0", "a=ptime:-20", "a=ptime:99999", "a=ptime",
    "a=maxptime:0", "a=sendonly", "a=recvonly", "a=inactive", "a=sendrecv", "a=rtcp:0", "a=rtcp:", "a=rtcp:1 IN IP4",
    "a=rtcp:40001 IN IP6 ::1", "a=rtcp-mux", "a=rtcp-fb:* nack", "a=rtcp-fb:", "a=ssrc:", "a=ssrc:1 cname:", "a=mid:",
    "a=mid:0", "a=group:BUNDLE 0 1", "a=label:", "a=setup:actpass", "a=fingerprint:sha-256 00", "a=fingerprint:",
    "a=ice-ufrag:x", "a=ice-pwd:x", "a=candidate:", "a=ice-options:trickle",
    "a=candidate:1 1 UDP 1 127.0.0.1 4 typ host", "a=crypto:", "a=crypto:1", "a=crypto:1 AES_CM_128_HMAC_SHA1_80",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA|2^20|1:4",
    "a=crypto:99999999999 X inline:" + "A" * 200, "a=", "a", "b=", "b=AS", "b=AS:", "b=TIAS:99999999999", "t=", "t=0",
    "s=", "o=", "o=- x y IN IP4 z", "v=1", "k=", "z=", "r=", "=", "nonsense", "",
)  # fmt: skip

LONGEST = 6000
"""Whatever makes a message too long for a datagram is another matter."""


def mutated(description: bytes, seed: int) -> bytes:
    """A description with up to five faults."""
    chance = random.Random(seed)
    lines = description.decode("latin-1").split("\r\n")
    for _ in range(chance.randint(1, 5)):
        lines = _FAULTS[chance.randrange(len(_FAULTS))](lines, chance) or ["v=0"]
    text = ("\r\n" if chance.random() < 0.95 else chance.choice(["\n", "\r", "\r\n\r\n"])).join(lines)
    if chance.random() < 0.03:
        text = text[: chance.randrange(len(text) + 1)]
    return text.encode("latin-1", "replace")[:LONGEST]


def _drop(lines: list[str], chance: random.Random) -> list[str]:
    gone = chance.randrange(len(lines))
    return [line for at, line in enumerate(lines) if at != gone]


def _drop_all_of_a_kind(lines: list[str], chance: random.Random) -> list[str]:
    kind = chance.choice(lines)[:2]
    return [line for line in lines if line[:2] != kind]


def _repeat(lines: list[str], chance: random.Random) -> list[str]:
    at = chance.randrange(len(lines))
    return [*lines[:at], *[lines[at]] * chance.choice([2, 3, 20, 80]), *lines[at + 1 :]]


def _insert(lines: list[str], chance: random.Random) -> list[str]:
    at = chance.choice([len(lines) - 1, chance.randrange(len(lines) + 1)])
    return [*lines[:at], chance.choice(LINES), *lines[at:]]


def _replace(lines: list[str], chance: random.Random) -> list[str]:
    at = chance.randrange(len(lines))
    return [*lines[:at], chance.choice(LINES), *lines[at + 1 :]]


def _swap(lines: list[str], chance: random.Random) -> list[str]:
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    made = list(lines)
    made[one], made[other] = made[other], made[one]
    return made


def _change_word(lines: list[str], chance: random.Random) -> list[str]:
    at = chance.randrange(len(lines))
    words = lines[at].split(" ")
    words[chance.randrange(len(words))] = chance.choice(VALUES)
    return [*lines[:at], " ".join(words), *lines[at + 1 :]]


def _cut_words(lines: list[str], chance: random.Random) -> list[str]:
    at = chance.randrange(len(lines))
    words = lines[at].split(" ")
    return [*lines[:at], " ".join(words[: chance.randrange(len(words)) + 1]), *lines[at + 1 :]]


def _many_formats(lines: list[str], chance: random.Random) -> list[str]:
    more = " ".join(str(chance.randrange(130)) for _ in range(chance.choice([3, 40, 200])))
    return [f"{line} {more}" if line.startswith("m=") else line for line in lines]


def _refuse_a_line(lines: list[str], chance: random.Random) -> list[str]:
    media = [at for at, line in enumerate(lines) if line.startswith("m=")]
    if not media:
        return lines
    at = chance.choice(media)
    words = lines[at].split(" ")
    words[1:2] = ["0"]
    return [*lines[:at], " ".join(words), *lines[at + 1 :]]


def _change_character(lines: list[str], chance: random.Random) -> list[str]:
    at = chance.randrange(len(lines))
    line = lines[at]
    place = chance.randrange(len(line) + 1)
    return [*lines[:at], line[:place] + chr(chance.randrange(256)) + line[place + 1 :], *lines[at + 1 :]]


_FAULTS = (
    _drop, _drop, _drop_all_of_a_kind, _repeat, _insert, _insert, _insert, _replace, _swap, _change_word, _change_word,
    _cut_words, _many_formats, _refuse_a_line, _change_character,
)  # fmt: skip
