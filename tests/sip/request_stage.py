# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that a test writes, and those who judge them, between fakes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gateway.config import Config
from gateway.core.model import LegId, Peer
from gateway.core.outcome import Reason
from gateway.sip.calls.leg_control import KeyPress
from gateway.sip.requests.dialogs import parse_target_dialog
from gateway.sip.requests.handler import RequestHandler
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.bench.leg import FakeLeg

FAR_PBX, PLATFORM, STRANGER = "127.0.0.1", "203.0.113.10", "192.0.2.250"
LINE, SALES = "sip:+31201234567@127.0.0.2", "sip:+31612345678@127.0.0.2"


class Request:
    """A pj.SipRequest: its headers in the order they have in the message."""

    def __init__(self, method: str, uri: str, source: str, *headers: tuple[str, str], body: str = "") -> None:
        self.method, self.requestUri, self.sourceHost, self.sourcePort = method, uri, source, 5060
        self.headers = list(headers)
        self.callId = "call-1"
        self.told: tuple[int, dict[str, str]] | None = None
        self.accepted = 0
        self.kept_with = ""
        self.offer_problem = 0
        self._body = body

    def values(self, name: str, compact: str = "") -> tuple[str, ...]:
        return tuple(value for key, value in self.headers if key in (name, compact or name))

    def text(self) -> str:
        return "".join(
            [f"{self.method} {self.requestUri} SIP/2.0\r\n", *(f"{k}: {v}\r\n" for k, v in self.headers), "\r\n"]
        )

    def body(self) -> str:
        return self._body

    def bodyType(self) -> str:  # noqa: N802 - the binding's name
        return next(iter(self.values("Content-Type")), "")

    def respond(self, code: int, reason: str, headers: Any) -> bool:
        self.told = code, {each.hName: each.hValue for each in headers}
        return True

    def accept(self, code: int, headers: Any, account: int = -1) -> int:
        self.accepted = code
        return 7

    def keep_with(self, sip_call_id: str) -> None:
        self.kept_with = sip_call_id

    def offerProblem(self, account: int) -> int:  # noqa: N802 - the binding's name
        return self.offer_problem

    def remove(self, name: str) -> None:
        self.headers = [each for each in self.headers if each[0] != name]


class Legs(dict[int, Any]):
    """A leg_registry.LegRegistry, by the numbers of PJSUA's calls."""

    making: LegId | None = None

    def at(self, number: int) -> Any:
        return self.get(number)

    def name_of(self, number: int) -> LegId | None:
        leg = self.get(number)
        return leg.id if leg else self.making

    def get(self, key: Any, default: Any = None) -> Any:
        return next((leg for number, leg in self.items() if key in (number, leg.id)), default)

    def has_call(self, call_id: str) -> bool:
        return any(leg.sip_call_id == call_id for leg in self.values())


class Stage:
    """Everything that PJSIP calls back, between fakes."""

    def __init__(self, config: Config) -> None:
        self.rejected: list[Reason] = []
        self.refers: list[Any] = []
        self.expected: list[Any] = []
        self.said: list[tuple[str, ...]] = []
        self.pressed: list[KeyPress] = []
        self.overload: Reason | None = None
        self.full = False
        self.room = 9  # legs
        self.legs = Legs()
        self.dialog: Any = Reason.NO_SUCH_DIALOG
        listener: Any = SimpleNamespace(
            request_rejected=self.rejected.append,
            refer=self._refer,
            admit=lambda _peer: self.overload,
            inquire=lambda _peer, called, _calling: None if SALES in called else Reason.UNKNOWN_DESTINATION,
            notify_failed=lambda refer: self.said.append(("notify-failed", refer)),
            leg_connected=lambda leg, said: self.said.append(("connected", leg, said.identities[0].uri)),
        )
        accounts: Any = SimpleNamespace(config=config, number=lambda _peer: 3)
        capacity: Any = SimpleNamespace(is_full=lambda _peer: self.full, has_room=lambda _peer, legs: legs <= self.room)
        dialogs: Any = SimpleNamespace(find=lambda *_: self.dialog, target=self._target)
        midcall: Any = SimpleNamespace(
            pressed=lambda _leg, press: self.pressed.append(press),
            answered=lambda _leg, method, code: self.said.append(("answered", method, str(code))),
        )
        told: Any = SimpleNamespace(
            answered=lambda number, code: self.said.append(("reply", str(number), str(code))),
            notified=lambda *what: self.said.append(("notified", *map(str, what))),
            refreshed=lambda number: self.said.append(("refreshed", str(number))),
            ended=lambda *what: self.said.append(("ended", *map(str, what))),
        )
        media: Any = SimpleNamespace(
            sent=lambda leg, text, *, answers: f"{leg} sends {text}, answers: {answers}",
            received=lambda leg, text, *, answers: f"{leg} gets {text}, answers: {answers}",
        )
        servers: Any = SimpleNamespace(resolve=lambda *what: self.said.append(("resolve", *map(str, what))))
        tally: Any = SimpleNamespace(add=lambda *what: self.said.append(("turned away", *map(str, what))))
        self.handler = RequestHandler(
            accounts, self.legs, capacity, dialogs, midcall, listener, VirtualClock(BEGIN), self.expected.append,  # type: ignore[arg-type]
            media=media, referrals=told, servers=servers, subscriptions=told, tally=tally, trunks=told,
        )  # fmt: skip

    def _target(self, value: str, _peer: Peer) -> Any:
        parse_target_dialog(value)
        return self.dialog

    def _refer(self, request: Any) -> None:
        self.refers.append(request)
        problem = request.problem
        request.handle.answer(problem.sip_code if problem else 202, problem or Reason.ACCEPTED)

    def leg(self, name: str, peer: Peer, index: int = 1) -> Any:
        leg: Any = FakeLeg(name)
        leg.peer, leg.refers, leg.refer = peer, 0, None
        self.legs[index] = leg
        return leg

    def ask(self, request: Request) -> tuple[int, list[tuple[str, str]]]:
        """What a request outside of a dialog is answered with; 0: PJSUA has it."""
        extra: list[Any] = []
        code = self.handler.onRequest(request, extra)  # type: ignore[arg-type]
        return code, [(each.hName, each.hValue) for each in extra]


def invite(source: str, *headers: tuple[str, str], uri: str = LINE) -> Request:
    who = (("From", "<sip:+31201112222@far>;tag=1"), ("To", f"<{uri}>"), ("Contact", f"<sip:x@{source}>"))
    return Request("INVITE", uri, source, *who, *headers)


def refer(*headers: tuple[str, str], source: str = PLATFORM) -> Request:
    return Request("REFER", LINE, source, ("Contact", f"<sip:x@{source}>"), *headers)
