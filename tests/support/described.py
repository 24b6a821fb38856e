# SPDX-License-Identifier: GPL-2.0-or-later
"""A side of a call as its descriptions say it (RFC 3264): where its media is, what it speaks, and with which key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.rtp import CODECS, Rtp
from tests.support.sip_message import answering, direction_of, events_of, media_of, sdp
from tests.support.srtp import Cipher, Key, encrypted, keys_of, profile_of

if TYPE_CHECKING:
    from tests.support.srtp import Encryption


class Described:
    """The media of a side that offers and answers."""

    def __init__(self, host: str, encryption: Encryption = "off", *, wide_events: bool = True) -> None:
        self._host = host
        self.seen_at: str | None = None
        """The address that its descriptions name instead, where it is behind NAT."""
        self.media = Rtp(host)
        self.hz: int | None = None
        """The tone our side speaks once there is media."""
        self.direction = "sendrecv"
        """What our side wants: a description of ours never says more."""
        self.wide_events = wide_events
        """Whether it has events of opus' clock beside opus (RFC 4733 §2.1), and not only those of G.711's."""
        self.encryption: Encryption = encryption
        """How our offers are; and whether an offer with keys is answered with one."""
        self.key = Key.new()
        """What our side encrypts with, from its next description on."""
        self._key_in_use = self.key

    def close(self) -> None:
        """Close the media; the other side is told nothing."""
        self.media.close()

    def move(self) -> None:
        """Have the media at another port from now on; the other side is to be told by a re-INVITE."""
        self.media.close()
        cipher, self.media = self.media.cipher, Rtp(self._host)
        self.media.cipher = cipher

    def offer(self, codecs: tuple[str, ...] = ("PCMA", "PCMU"), host: str | None = None) -> bytes:
        """A description that the other side has to answer; `host` takes the place of our address."""
        wide = 102 if "opus" in codecs and self.wide_events else None
        body = sdp(host or self.seen_at or self._host, self.media.port, codecs, self.direction, wide_events=wide)
        if self.encryption == "off":
            return body
        self._key_in_use = self.key
        return encrypted(body, self.key, "RTP/SAVP" if self.encryption == "required" else "RTP/AVP")

    def answer_to(self, offered: bytes, codec: str | None = None) -> bytes:
        """The answer to a description (an offer to none), with its first codec unless told which; media follows."""
        described = media_of(offered)
        if described is None:
            return self.offer()
        known = [codec_of(number, offered) for number in described[2]]
        chosen = codec or next((name for name in known if name), "PCMA")
        keys = keys_of(offered) if self.encryption != "off" else []
        if keys:
            self.key = self._key_in_use = Key(keys[0].tag, keys[0].suite, self.key.secret)
        self.follow(offered, chosen)
        direction = answering(direction_of(offered), self.direction)
        wide = events_of(offered, 48000) if chosen == "opus" and self.wide_events else None
        events = events_of(offered) if wide is None else None
        body = sdp(self.seen_at or self._host, self.media.port, (chosen,), direction, events, wide)
        return encrypted(body, self.key, profile_of(offered)) if keys else body

    def follow(self, body: bytes, codec: str | None = None) -> None:
        """Send to where the other side's description says, as it says."""
        described = media_of(body)
        if described is None:
            return
        host, port, types = described
        known = [codec_of(number, body) for number in types]
        spoken = codec or next((name for name in known if name), None)
        rates = (48000, 8000) if spoken == "opus" and self.wide_events else (8000,)
        self.media.events_rate = next((rate for rate in rates if events_of(body, rate) is not None), 8000)
        self.media.events = events_of(body, self.media.events_rate)
        keys = keys_of(body) if self.encryption != "off" else []
        self.media.cipher = Cipher(self._key_in_use, keys[0], self.media.cipher) if keys else None
        if port == 0 or host == "0.0.0.0" or answering(direction_of(body), self.direction) in {"recvonly", "inactive"}:
            self.media.pause()
            return
        self.media.hz = self.hz
        self.media.send_to(host, port, spoken)


def codec_of(number: int, body: bytes) -> str | None:
    """The name of a payload type that we speak."""
    if number in CODECS:
        return CODECS[number]
    return "opus" if re.search(rb"^a=rtpmap:%d opus/" % number, body, re.M) else None
