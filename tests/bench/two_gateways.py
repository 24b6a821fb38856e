# SPDX-License-Identifier: GPL-2.0-or-later
"""Two gateways on a bad network: the one is the other's PBX, and that one is its trunk.

    phones  <- network ->  inner gateway  <- network ->  outer gateway  <- network ->  platform

A caller's phone calls the assigned number at the inner gateway, which dials its trunk, the outer gateway, which dials
the platform. A transfer at the outer gateway dials its PBX, the inner one, which dials a phone. Both are the whole
engine; REFERs come from the platform, from phones, and, as hand-downs, from the outer gateway.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from gateway.core.model import DeviceState, LegId, PbxState, Peer, PeerKind
from gateway.core.state_sources import StateSource
from gateway.ports import IncomingCall, ReferRequest
from tests.bench.bench import ASSIGNED, BEGIN, EVE, PBX, SALES, SUPPORT, TRUNK, Bench, Handle
from tests.bench.clock import VirtualClock
from tests.bench.dialog import End
from tests.bench.network import Network
from tests.bench.sip import FakeSip

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import Config
    from gateway.core.outcome import Reason
    from gateway.ports import DialOrder, HandDownOrder
    from tests.bench.chance import Chance
    from tests.bench.dialog import UserAgent
    from tests.bench.network import Request

NUMBERS = {"+31201234567": ASSIGNED, "6500": SALES, "6501": SUPPORT}
"""What the one gateway dials at the other, and what that one is called by."""
PACKET_S = 0.02


class RemoteHandle(Handle):
    """A ReferHandle whose answers take the network."""

    def __init__(self, chance: Chance, said: list[str], end: End, request: Request) -> None:
        super().__init__(chance, said, LegId(end.name))
        self._end = end
        self._request = request

    def answer(self, code: int, reason: Reason, retry_after_s: int | None = None, sentence: str | None = None) -> bool:
        """See ports.ReferHandle."""
        super().answer(code, reason, retry_after_s, sentence)
        self._request.respond(code)
        return True

    def notify(
        self, code: int, reason: Reason, final: bool, sentence: str | None = None, retry_after_s: int | None = None
    ) -> None:
        """See ports.ReferHandle."""
        super().notify(code, reason, final, sentence, retry_after_s)
        self._end.notify(code, final)


class NetworkSip(FakeSip):
    """Implements ports.SipPort with legs that have far ends."""

    gateway: Gateway

    def dial(self, order: DialOrder) -> None:
        """See ports.SipPort."""
        super().dial(order)
        self.gateway.dial(order)

    def respond(self, leg: LegId, code: int, beside: LegId | None = None) -> None:
        """See ports.SipPort."""
        super().respond(leg, code, beside)
        if leg in self.live:
            self.gateway.legs[leg].respond(code)

    def hand_down(self, order: HandDownOrder) -> None:
        """See ports.SipPort."""
        super().hand_down(order)
        self.gateway.legs[order.leg].refer(order.user)

    def heard(self, leg: LegId) -> int:
        """See ports.SipPort: somebody talks at the far end, unless that is a gateway at which they are with nobody."""
        end = self.gateway.legs[leg]
        far = end.other.agent
        silent = end.other.over or (isinstance(far, Gateway) and LegId(end.other.name) not in far.sip.pairs)
        return 0 if silent else int(self._clock.now().steady / PACKET_S)

    def _send_away(self, leg: LegId, code: int) -> None:
        self.gateway.legs[leg].hang_up(code)


class Known:
    """A PbxSource that tells, at any moment, that the extensions are free."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    @property
    def state(self) -> PbxState:
        """See ports.PbxSource."""
        free = dict.fromkeys(("6500", "6501", "190"), DeviceState.IDLE)
        return PbxState("asterisk", StateSource.AMI, self._clock.now().wall, extensions=free)

    def identify(self, sip_call_id: str) -> bool:
        """See ports.PbxSource."""
        return False


class Gateway(Bench):
    """A gateway on the network. Implements dialog.UserAgent."""

    def __init__(
        self, config: Config, network: Network, far: Callable[[Peer, str], tuple[UserAgent, str]], other: Peer
    ) -> None:
        """`far` tells who is dialled at a peer by a number, and as what; `other` is what the other gateway is to it."""
        super().__init__(config, clock=network.clock)
        self._network = network
        self._other = other
        self._far = far
        self._numbers = itertools.count(1)
        self.legs: dict[LegId, End] = {}

    def _user_agent(self) -> FakeSip:
        sip = NetworkSip(self.chance, self.clock, self.said)
        sip.gateway = self
        return sip

    def dial(self, order: DialOrder) -> None:
        """A leg is dialled."""
        callee, user = self._far(order.peer, order.user)
        end = self.legs[order.leg] = End(self._network, self, order.leg)
        end.call(callee, user, f"from {order.leg}")

    # --- dialog.UserAgent

    def called(self, end: End, user: str) -> None:
        """See UserAgent."""
        leg = LegId(f"in-{next(self._numbers)}")
        end.name = leg
        self.legs[leg] = end
        self.sip.live[leg] = "offered"
        self.engine.incoming_call(IncomingCall(leg, self._peer(end), f"{leg}@test", (user,), (EVE,)))

    def progressed(self, end: End, code: int) -> None:
        """See UserAgent."""
        self.rings(LegId(end.name), code)

    def answered(self, end: End) -> None:
        """See UserAgent."""
        self.answers(LegId(end.name))

    def ended(self, end: End, code: int, by_peer: bool) -> None:
        """See UserAgent."""
        self.sip.end(LegId(end.name), code, by_peer)

    def referred(self, end: End, request: Request, target: str) -> None:
        """See UserAgent."""
        handle = RemoteHandle(self.chance, self.said, end, request)
        self.handles.append(handle)
        self.engine.refer(ReferRequest(handle, handle.leg, self._peer(end), NUMBERS.get(target, target)))

    def refer_answered(self, end: End, code: int) -> None:
        """See UserAgent."""
        if code >= 300:
            self.engine.hand_down_told(LegId(end.name), code, accepted=False)

    def notified(self, end: End, code: int, final: bool) -> None:
        """See UserAgent."""
        if code > 100 and not end.over:
            self.engine.hand_down_told(LegId(end.name), code, accepted=True)

    def not_notified(self, end: End) -> None:
        """See UserAgent."""
        self.takes_no_more_notifys(LegId(end.name))

    def _peer(self, end: End) -> Peer:
        """Whose leg it is: the outer gateway has the inner one for its PBX, and that one has it for its trunk."""
        far = end.other.agent
        return far.peer if isinstance(far, Phone) else self._other


class Manner(NamedTuple):
    """What somebody makes of a call: it rings, and so much later they answer, or refuse it."""

    code: int = 200
    in_s: float = 2.0
    rings: bool = True


class Phone:
    """Somebody who calls and is called. Implements dialog.UserAgent."""

    def __init__(self, network: Network, peer: Peer) -> None:
        self._network = network
        self.peer = peer
        self.manners: list[Manner] = []  # of the calls to come
        self.usual = Manner()  # of those after them
        self.ends: list[End] = []
        self.codes: list[int] = []  # with which their REFERs were answered
        self.finals: list[int] = []  # what they were told became of them

    def call(self, gateway: Gateway, user: str) -> End:
        """Call somebody."""
        end = End(self._network, self, f"{self.peer.name} {len(self.ends) + 1}")
        self.ends.append(end)
        end.call(gateway, user, "")
        return end

    def called(self, end: End, user: str) -> None:
        """See UserAgent."""
        end.name = f"{self.peer.name} {len(self.ends) + 1}"
        self.ends.append(end)
        manner = self.manners.pop(0) if self.manners else self.usual
        if manner.rings:
            end.respond(180)
        self._network.clock.after(manner.in_s, lambda: self._decide(end, manner.code))

    def _decide(self, end: End, code: int) -> None:
        if end.over or end.ending:
            return
        if code < 300:
            end.respond(code)
        else:
            end.hang_up(code)

    def progressed(self, end: End, code: int) -> None:
        """See UserAgent."""

    def answered(self, end: End) -> None:
        """See UserAgent."""

    def ended(self, end: End, code: int, by_peer: bool) -> None:
        """See UserAgent."""

    def referred(self, end: End, request: Request, target: str) -> None:
        """See UserAgent."""
        request.respond(603)

    def refer_answered(self, end: End, code: int) -> None:
        """See UserAgent."""
        self.codes.append(code)

    def notified(self, end: End, code: int, final: bool) -> None:
        """See UserAgent."""
        if final:
            self.finals.append(code)

    def not_notified(self, end: End) -> None:
        """See UserAgent."""


class TwoGateways:
    """All of them, and who of them hears whom."""

    def __init__(
        self, config: Config, seed: int, *, loss: float = 0.0, repeats: float = 0.0, delay_s: float = 0.1
    ) -> None:
        self.clock = VirtualClock(BEGIN)
        self.network = Network(self.clock, Random(seed), loss=loss, repeats=repeats, delay_s=delay_s)
        self.platform = Phone(self.network, TRUNK)
        self.phones = Phone(self.network, PBX)
        self.inner = Gateway(config, self.network, self._from_inner, TRUNK)
        self.outer = Gateway(config, self.network, self._from_outer, PBX)
        self.gateways = (self.inner, self.outer)
        self.inner.engine.sources = {"asterisk": Known(self.clock)}
        self.outer.engine.sources = {"asterisk": Known(self.clock)}

    def _from_inner(self, peer: Peer, user: str) -> tuple[UserAgent, str]:
        return (self.phones, user) if peer.kind is PeerKind.PBX else (self.outer, NUMBERS[user])

    def _from_outer(self, peer: Peer, user: str) -> tuple[UserAgent, str]:
        return (self.inner, NUMBERS.get(user, user)) if peer.kind is PeerKind.PBX else (self.platform, user)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def hears(self, end: End) -> End | None:
        """Whom somebody hears: at each gateway, who is heard on the other leg."""
        while isinstance(gateway := end.other.agent, Gateway):
            leg = LegId(end.other.name)
            partner = gateway.sip.pairs.get(leg)
            if end.over or end.other.over or partner is None:
                return None
            end = gateway.legs[partner]
        return None if end.over or end.other.over else end.other

    def check(self) -> None:
        """Nobody was cut off or is in a dead call; each REFER got its answer and one final NOTIFY; outcomes are one."""
        for gateway in self.gateways:
            gateway.check()
            assert not gateway.sip.cut, "a gateway hung up in the middle of a conversation"
            assert not gateway.sip.dropped, "a gateway hung up on a caller whose transfer was under way"
            assert not [said for said in gateway.said if "gateway-error" in said]
            for handle in gateway.handles:
                assert len(handle.answered) == 1, f"a REFER was answered with {handle.answered}"
                finals = (0, 1) if handle.deaf else (1,) if handle.answered[0] < 300 else (0,)
                assert len(handle.final) in finals, f"final NOTIFYs: {handle.final}"
        for end in (*self.phones.ends, *self.platform.ends):
            if not end.over:
                heard = self.hears(end)
                assert heard is not None, f"{end.name} hears nobody"
                assert self.hears(heard) is end, f"{end.name} is not heard by whom they hear"
        for phone in (self.phones, self.platform):
            assert len(phone.finals) <= sum(code < 300 or code == 408 for code in phone.codes)

    def finish(self) -> None:
        """Everybody hangs up: nothing is left."""
        for end in (*self.phones.ends, *self.platform.ends):
            end.hang_up()
        self.pass_time(1000)
        for gateway in self.gateways:
            gateway.finish()
        assert all(end.over for end in (*self.phones.ends, *self.platform.ends))
