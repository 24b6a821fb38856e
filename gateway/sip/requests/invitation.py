# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is calling: the peer a request comes from, and the identities it gives for its caller."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

import pjsua2 as pj

from gateway.core.caller import Asserted, CallerId
from gateway.core.model import LegId, Peer
from gateway.core.numbers import parse_target
from gateway.ports import IncomingCall
from gateway.sip.requests.expiry import expires_s
from gateway.sip.text.headers import allowed, header_fields, parse_name_addr, single_values
from gateway.sip.text.identity import asserted_in, called_uris, caller_ids, diverted_users, hops_left, is_private


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a fresh INVITE says, read before PJSUA makes a call of it."""

    peer: Peer
    called: tuple[str, ...]  # as IncomingCall has it
    calling: tuple[CallerId, ...]  # From and P-Asserted-Identity
    asserted: Asserted = field(default_factory=Asserted)  # who its peer asserts them to be, From left out
    diverting: tuple[str, ...] = ()  # URIs of Diversion
    context: Mapping[str, str] = field(default_factory=dict)
    replaces: LegId | None = None  # the leg of ours whose place the new one takes
    private: bool = False
    diverted: tuple[str, ...] = ()
    max_forwards: int = 70
    expires_s: int | None = None  # how long it may wait for a final response

    def call(self, leg: LegId, call_id: str) -> IncomingCall:
        """The call that it has become."""
        return IncomingCall(
            leg=leg, peer=self.peer, call_id=call_id, called=self.called, calling=self.calling,
            diverting=self.diverting, context=self.context, replaces=self.replaces, private=self.private,
            diverted=self.diverted, max_forwards=self.max_forwards,
        )  # fmt: skip


def private_contact(request: pj.SipRequest) -> str | None:
    """The address in a Contact that is private and not where the request came from, as behind NAT; None: it is none.

    Behind a proxy that stays in the way (RFC 3261 §16.6, step 4) it is the proxy's business.
    """
    contact = request.values("Contact", "m")
    if not contact or request.values("Record-Route"):
        return None
    try:
        host = parse_target(parse_name_addr(contact[0]).uri).host or ""
        address = ipaddress.ip_address(host.strip("[]"))
        elsewhere = address != ipaddress.ip_address(request.sourceHost.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return str(address) if address.is_private and elsewhere else None


def read_invitation(
    request: pj.SipRequest, peer: Peer, pass_headers: tuple[str, ...], own_user: str, replaces: LegId | None = None
) -> Invitation:
    """Read the INVITE of a peer; `own_user` is the user part of the Contact that the peer knows us by."""
    fields = header_fields(request.text())
    calling = caller_ids(request.values("From", "f"), request.values("P-Asserted-Identity"))
    preferred = caller_ids((), request.values("P-Preferred-Identity"))
    remote_party = [*request.values("Remote-Party-ID"), *request.values("RPID-Privacy")]
    privacy, diversion = request.values("Privacy"), request.values("Diversion")
    diverting = (parse_name_addr(value).uri for value in single_values(diversion))
    return Invitation(
        peer=peer,
        called=called_uris(
            request.requestUri, own_user, request.values("P-Called-Party-ID"), request.values("To", "t")
        ),
        calling=calling,
        asserted=asserted_in(fields),
        diverting=tuple(uri for uri in diverting if uri),
        context=allowed(fields, pass_headers),
        replaces=replaces,
        private=is_private(privacy, (*calling, *preferred), remote_party),
        diverted=diverted_users(diversion, request.values("History-Info"), privacy),
        max_forwards=hops_left(request.values("Max-Forwards")),
        expires_s=expires_s(request.values("Expires")),
    )
