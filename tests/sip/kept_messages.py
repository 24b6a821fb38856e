# SPDX-License-Identifier: GPL-2.0-or-later
"""What a gateway has kept of a call, beside what its peers have seen of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.sip_message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.gateway import Gateway
    from tests.support.peer import Peer

Told = dict[str, Any]


async def of_transfer(gateway: Gateway, transfer: str) -> Told:
    """The messages of a transfer, as the API tells them."""
    told: Told = await gateway.get(f"/api/transfers/{transfer}/messages")
    return told


def of_leg(told: Told, call_id: str) -> list[Told]:
    """Those of one leg."""
    [place] = [number for number, leg in enumerate(told["legs"]) if leg["call_id"] == call_id]
    return [one for one in told["messages"] if one["leg"] == place]


def read(message: Told) -> Message:
    """The message that was kept."""
    return Message.parse(message["text"].encode())


def seen(peers: Iterable[Peer], call_id: str, *, sent: bool) -> list[tuple[Message, bool]]:
    """What peers have seen of a Call-ID, that the gateway has sent or has not; True: it was sent again."""
    entries = [one for peer in peers for one in peer.trace if one.message["Call-ID"] == call_id]
    entries.sort(key=lambda one: one.at)
    return [(Message.parse(bytes(one.message)), one.repeated) for one in entries if one.sent is not sent]


def compare(told: Told, peers: Iterable[Peer]) -> None:
    """All that the peers have seen of the call's legs was kept, as it was, in its order, and nothing else."""
    peers = list(peers)
    for leg in told["legs"]:
        kept = of_leg(told, leg["call_id"])
        for sent in (True, False):
            theirs = seen(peers, leg["call_id"], sent=sent)
            ours = [(read(one), one["again"]) for one in kept if one["sent"] is sent]
            assert [(one.start, again) for one, again in ours] == [(one.start, again) for one, again in theirs]
            assert ours == theirs
        _answers_follow(kept)
    assert told["messages"] == sorted(told["messages"], key=lambda one: str(one["at"]))


def _answers_follow(kept: list[Told]) -> None:
    """Each response stands behind its request."""
    asked = set()
    for one in kept:
        message = read(one)
        if message.is_request:
            asked.add((message.branch, one["sent"]))
        else:
            assert (message.branch, not one["sent"]) in asked, message.start
