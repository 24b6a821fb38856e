# SPDX-License-Identifier: GPL-2.0-or-later
"""RTCP as JSON, in the form of Homer's own agents: the first report of a compound packet (RFC 3550 §6.4)."""

from __future__ import annotations

import json
import struct
from typing import Any

SENDER, RECEIVER, DESCRIPTION = 200, 201, 202
_HEADER = struct.Struct("!BBH")
_SSRC = struct.Struct("!I")
_SENT = struct.Struct("!IIIII")  # NTP, twice; RTP's time stamp; packets; octets
_BLOCK = struct.Struct("!IIIIII")  # SSRC; fraction and total lost; highest number; jitter; LSR; DLSR
_VERSION = 2


def report(packet: bytes) -> bytes | None:
    """The JSON of a packet's reports; None: it has none, or is malformed."""
    told: dict[str, Any] = {}
    at = 0
    while at + _HEADER.size + _SSRC.size <= len(packet):
        first, kind, words = _HEADER.unpack_from(packet, at)
        end = at + 4 * (words + 1)
        if first >> 6 != _VERSION or end > len(packet):
            return None
        body = packet[at + _HEADER.size : end]
        if len(body) >= _SSRC.size:
            if kind in (SENDER, RECEIVER) and not told:
                read = _report(kind, first & 0x1F, body)
                if read is None:
                    return None
                told = read
            elif kind == DESCRIPTION and told:
                (told["sdes_ssrc"],) = _SSRC.unpack_from(body)
        at = end
    return json.dumps(told, separators=(",", ":")).encode() if told else None


def _report(kind: int, count: int, body: bytes) -> dict[str, Any] | None:
    (ssrc,) = _SSRC.unpack_from(body)
    at, sent = _SSRC.size, (0, 0, 0, 0, 0)
    if kind == SENDER:
        if len(body) < at + _SENT.size:
            return None
        sent = _SENT.unpack_from(body, at)
        at += _SENT.size
    if len(body) < at + count * _BLOCK.size:
        return None
    seconds, fraction, stamp, packets, octets = sent
    return {
        "sender_information": {
            "ntp_timestamp_sec": seconds,
            "ntp_timestamp_usec": fraction,  # it is the fraction, whatever the name says: so agents have it
            "rtp_timestamp": stamp,
            "packets": packets,
            "octets": octets,
        },
        "ssrc": ssrc,
        "type": kind,
        "report_count": count,
        "report_blocks": [_block(_BLOCK.unpack_from(body, at + each * _BLOCK.size)) for each in range(count)],
        "sdes_ssrc": 0,
    }


def _block(read: tuple[int, ...]) -> dict[str, int]:
    source, lost, highest, jitter, last, delay = read
    total = lost & 0xFFFFFF
    return {
        "source_ssrc": source,
        "fraction_lost": lost >> 24,
        "packets_lost": 0 if total & 0x800000 else total,  # below 0: some came twice
        "highest_seq_no": highest,
        "ia_jitter": jitter,
        "lsr": last,
        "dlsr": delay,
    }
