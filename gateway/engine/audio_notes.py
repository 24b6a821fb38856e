# SPDX-License-Identifier: GPL-2.0-or-later
"""Who hears whom, and which way the audio takes, in words for the notes of a call (`call_book`)."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from gateway.core.media_way import Decision, Path, Why

if TYPE_CHECKING:
    from gateway.core.call.state import Call
    from gateway.core.model import Announcement, LegId
    from gateway.engine.call_book import KnownLeg

_ROLES = {"transferor": "transferor", "transferee": "caller", "target": "target"}
_CARRIED = {
    Path.RELAY: "the gateway relays the audio",
    Path.BRIDGE: "the gateway mixes the audio",
    Path.DIRECT: "the audio goes past the gateway",
}


def call_id_of(call: Call, leg: LegId) -> str | None:
    """The SIP Call-ID of a leg of a call, also of one that a transfer of it tries; None: it is not known."""
    if (found := call.legs.get(leg)) is not None and found.call_id is not None:
        return found.call_id
    for running in reversed(call.transfers):
        machine = running.machine
        for role, named in (
            ("target", machine.target), ("transferee", machine.transferee), ("transferor", machine.transferor),
        ):  # fmt: skip
            if named == leg and (call_id := running.record.call_ids.get(role)) is not None:
                return call_id
    return None


def party(leg: KnownLeg | None) -> str:
    """Who is at the end of a leg: its peer, and what it is in the newest transfer that it has a part in."""
    if leg is None:
        return "a leg"
    name = leg.peer.name if leg.peer is not None else "a peer"
    role = next(reversed(leg.roles.values()), None)
    return name if role is None else f"{name} ({_ROLES[role]})"


def joined(one: KnownLeg | None, other: KnownLeg | None) -> str:
    """Two hear each other."""
    return f"{party(one)} and {party(other)} hear each other"


def waits(leg: KnownLeg | None, target: KnownLeg | None, announcement: Announcement | None) -> str:
    """One waits, and hears the announcement, then ringback until the target sends something."""
    heard = ["ringback" if target is None else f"ringback, or what {party(target)} sends"]
    if announcement is not None:
        heard.insert(0, f"the announcement {PurePath(announcement.file).name}")
    return f"{party(leg)} hears {', then '.join(heard)}"


def silenced(leg: KnownLeg | None) -> str:
    """One hears nothing."""
    return f"{party(leg)} hears silence"


def carried(way: Decision) -> str:
    """Which way the audio takes, and why."""
    return f"{_CARRIED[way.path]}{'' if way.why is Why.SAME_CODEC else f' ({way.why})'}"
