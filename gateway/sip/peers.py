# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is calling: the peer a request comes from, and the identities it gives for its caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pjsua2 as pj

from gateway.core.model import LegId, Peer
from gateway.sip.headers import allowed, header_fields, parse_name_addr
from gateway.sip.identity import diverted_users, hops_left, is_private


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a fresh INVITE says, read before PJSUA makes a call of it."""

    peer: Peer
    called: str  # request URI
    calling: tuple[str, ...]  # URIs of From, P-Asserted-Identity and Diversion
    caller_name: str
    context: Mapping[str, str] = field(default_factory=dict)
    replaces: LegId | None = None  # the leg of ours whose place the new one takes
    private: bool = False
    diverted: tuple[str, ...] = ()
    max_forwards: int = 70


def read_invitation(
    request: pj.SipRequest, peer: Peer, pass_headers: tuple[str, ...], replaces: LegId | None = None
) -> Invitation:
    """Read the INVITE of a peer."""
    senders = [parse_name_addr(value) for value in request.values("From", "f")]
    asserted = [parse_name_addr(value) for value in request.values("P-Asserted-Identity")]
    diverted = [parse_name_addr(value) for value in request.values("Diversion")]
    names = [identity.name for identity in (*asserted, *senders) if identity.name]
    return Invitation(
        peer=peer,
        called=request.requestUri,
        calling=tuple(identity.uri for identity in (*senders, *asserted, *diverted) if identity.uri),
        caller_name=names[0] if names else "",
        context=allowed(header_fields(request.text()), pass_headers),
        replaces=replaces,
        private=is_private(request.values("Privacy"), senders[0].uri if senders else ""),
        diverted=diverted_users(request.values("Diversion"), request.values("History-Info")),
        max_forwards=hops_left(request.values("Max-Forwards")),
    )
