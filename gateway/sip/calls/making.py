# SPDX-License-Identifier: GPL-2.0-or-later
"""What the calls that we make have in common, those of new dialogs and those that take one up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pjsua2 as pj

from gateway.ports import NotSent, NotSentError

if TYPE_CHECKING:
    from gateway.config import PbxProfile, TrunkProfile
    from gateway.core.model import Peer
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.leg_registry import LegRegistry
    from gateway.sip.stack.accounts import Accounts


def reachable(accounts: Accounts, peer: Peer) -> TrunkProfile | PbxProfile:
    """The profile of a peer for whose call there is room. Raises NotSentError."""
    profile = accounts.config.profile(peer.name)
    if profile is None:
        raise NotSentError(NotSent.NO_PEER, f"{peer.name} is no longer configured")
    if not accounts.take_ports(accounts.config.sip, profile):
        raise NotSentError(NotSent.NO_ROOM, "no RTP ports or descriptors are left")
    return profile


def of_audio() -> pj.CallOpParam:
    """The settings of a call with one stream of audio and no other."""
    prm = pj.CallOpParam(True)
    prm.opt.audioCount, prm.opt.videoCount, prm.opt.textCount = 1, 0, 0
    return prm


def make_call(legs: LegRegistry, leg: Leg, uri: str, prm: pj.CallOpParam) -> None:
    """Have PJSUA make the leg's call, which may be over when this returns. Raises pj.Error."""
    legs.making = leg.id
    try:
        leg.makeCall(uri, prm)
    except pj.Error:
        pj.release_call(leg)
        raise
    finally:
        legs.making = None


def take_in(legs: LegRegistry, leg: Leg) -> None:
    """The leg's call is under way."""
    leg.number = leg.getId()
    pj.watch_call(leg.number)
    leg.sip_call_id = pj.sip_call_id_of(leg.number)
    legs.add(leg)
