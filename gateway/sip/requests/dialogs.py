# SPDX-License-Identifier: GPL-2.0-or-later
"""Dialogs that a request names: Replaces (RFC 3891) and Target-Dialog (RFC 4538), found among our legs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import pjsua2 as pj

from gateway.core.model import Peer
from gateway.core.outcome import Reason
from gateway.ports import Clock
from gateway.sip.calls.leg import Leg
from gateway.sip.text.headers import HeaderError, parameters

REMEMBERED_S = 64.0
"""How long an ended dialog is known to have been there: two transactions' lifetimes."""
REMEMBERED = 10_000
MAX_LENGTH = 512


@dataclass(frozen=True, slots=True)
class DialogId:
    """A dialog as seen from our side."""

    call_id: str
    local_tag: str
    remote_tag: str
    early_only: bool = False


def parse_replaces(value: str) -> DialogId:
    """Read a Replaces header: its to-tag is ours, its from-tag the peer's (RFC 3891 §3). Raises HeaderError."""
    call_id, read = _parameters(value, "Replaces")
    return DialogId(call_id, read["to-tag"], read["from-tag"], "early-only" in read)


def parse_target_dialog(value: str) -> tuple[DialogId, DialogId]:
    """Read a Target-Dialog header: the dialog it names, and the one it names where its sender wrote it from their side.

    The local tag is that of who receives the header, so ours (RFC 4538 §4); not every sender reads it so.
    Raises HeaderError.
    """
    call_id, read = _parameters(value, "Target-Dialog")
    local, remote = read["local-tag"], read["remote-tag"]
    return DialogId(call_id, local, remote), DialogId(call_id, remote, local)


def _parameters(value: str, name: str) -> tuple[str, dict[str, str]]:
    if len(value) > MAX_LENGTH:
        raise HeaderError(f"{name} is too long")
    call_id, _, rest = value.partition(";")  # a quote in a Call-ID is a character like others (RFC 3261 §25.1)
    read: dict[str, str] = {}
    for part in parameters(rest):
        key, _, text = part.partition("=")
        if key.strip().lower() in read:
            raise HeaderError(f"{name} says {key.strip()} twice")
        read[key.strip().lower()] = text.strip()
    tags = ("to-tag", "from-tag") if name == "Replaces" else ("local-tag", "remote-tag")
    if not call_id.strip() or not all(read.get(tag) for tag in tags):
        raise HeaderError(f"{name} names no dialog")
    return call_id.strip(), read


class Dialogs:
    """Finds legs by the dialog they are, and remembers for a while those that are over."""

    def __init__(self, leg_of: Callable[[int], Leg | None], clock: Clock) -> None:
        self._leg_of = leg_of
        self._clock = clock
        self._ended: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def ended(self, dialog: tuple[str, ...]) -> None:
        """A dialog (Call-ID, our tag, the peer's) is over."""
        now = self._clock.now().steady
        self._ended[dialog] = now
        while self._ended and (len(self._ended) > REMEMBERED or now - next(iter(self._ended.values())) > REMEMBERED_S):
            self._ended.popitem(last=False)

    def target(self, value: str, peer: Peer) -> Leg | Reason:
        """The leg that a Target-Dialog header names, or why it cannot be had. Raises HeaderError."""
        wanted, swapped = parse_target_dialog(value)
        found = self.find(wanted, peer)
        return self.find(swapped, peer) if found is Reason.NO_SUCH_DIALOG else found

    def find(self, wanted: DialogId, peer: Peer) -> Leg | Reason:
        """The leg with this dialog, which has to be one with the same peer; or why it cannot be had (RFC 3891 §3)."""
        leg = self._leg_of(pj.find_call(wanted.call_id, wanted.local_tag, wanted.remote_tag))
        if leg is None or leg.over:
            ended = self._ended.get((wanted.call_id, wanted.local_tag, wanted.remote_tag))
            known = ended is not None and self._clock.now().steady - ended <= REMEMBERED_S
            return Reason.DIALOG_ENDED if known else Reason.NO_SUCH_DIALOG
        if leg.peer != peer:
            return Reason.PEER_NOT_ALLOWED
        if leg.established and wanted.early_only:
            return Reason.DIALOG_NOT_EARLY
        if not leg.established and leg.incoming:
            # Only the side that sent the INVITE may be taken out of an early dialog (RFC 3891 §3).
            return Reason.NO_SUCH_DIALOG
        return leg
