# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted PBX that tells the state of its extensions by subscription (RFC 6665): `async with Notifier(host)`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tests.support.peer import Peer
from tests.support.peer_call import Call
from tests.support.sip_message import reply, token

if TYPE_CHECKING:
    from tests.support.sip_message import Address, Message

BODY_TYPES = {"dialog": "application/dialog-info+xml", "presence": "application/pidf+xml"}
# What Asterisk 22 says of a hint: the state of its dialog, its presence, and its activity.
HINTS = {
    "idle": ("terminated", "open", ""),
    "ringing": ("early", "open", "busy"),
    "in-use": ("confirmed", "open", "busy"),
    "unavailable": ("terminated", "closed", "away"),
}


def dialog_info(extension: str, state: str, version: int, whole: str = "full") -> bytes:
    """A document of RFC 4235 with one dialog, or with none in the state ""."""
    dialog = f'<dialog id="{extension}"><state>{state}</state></dialog>' if state else ""
    return (
        f'<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}"'
        f' state="{whole}" entity="sip:{extension}@pbx">{dialog}</dialog-info>'
    ).encode()


def pidf(extension: str, basic: str, activity: str = "", note: str = "Ready") -> bytes:
    """A document of RFC 3863, with an activity of RFC 4480."""
    person = f"<dm:person><rpid:activities><rpid:{activity}/></rpid:activities></dm:person>" if activity else ""
    urn = "urn:ietf:params:xml:ns:pidf"
    names = f'xmlns="{urn}" xmlns:rpid="{urn}:rpid" xmlns:dm="{urn}:data-model"'
    status = f'<note>{note}</note><tuple id="t"><status><basic>{basic}</basic></status></tuple>'
    return f'<?xml version="1.0"?><presence {names} entity="sip:{extension}@pbx">{person}{status}</presence>'.encode()


class Notifier(Peer):
    """Answers SUBSCRIBE as its tables say, and tells each subscriber the state of `hints` at once and at each `set`."""

    def __init__(self, host: str, port: int = 5060) -> None:
        super().__init__(host, port, user="pbx")
        self.hints: dict[str, str] = {}
        """One of HINTS, by extension; a SUBSCRIBE to any other is answered 404."""
        self.refused: dict[str, int] = {}
        """What SUBSCRIBEs are answered with, by event package; 0: not at all."""
        self.challenge = ""
        """The value of WWW-Authenticate for a SUBSCRIBE without credentials; empty: none is asked for."""
        self.subscriptions: dict[tuple[str, str], Call] = {}
        """The newest by extension and package."""
        self._versions = itertools.count()

    def set(self, extension: str, state: str) -> None:
        """Change the state of an extension."""
        self.hints[extension] = state
        for package in BODY_TYPES:
            self.tell(extension, package)

    def tell(self, extension: str, package: str) -> None:
        """Send a NOTIFY with the state as it is."""
        if call := self.subscriptions.get((extension, package)):
            dialog, basic, activity = HINTS[self.hints[extension]]
            said = (
                dialog_info(extension, dialog, next(self._versions))
                if package == "dialog"
                else pidf(extension, basic, activity)
            )
            state = [("Event", package), ("Subscription-State", "active;expires=600")]
            call.begin("NOTIFY", headers=state, body=said, content_type=BODY_TYPES[package])

    def end(self, extension: str, package: str, how: str) -> None:
        """End a subscription; `how` as "deactivated" or "giveup;retry-after=1"."""
        call = self.subscriptions.pop((extension, package))
        call.begin("NOTIFY", headers=[("Event", package), ("Subscription-State", f"terminated;reason={how}")])

    def forget(self) -> None:
        """Lose all subscriptions, as a PBX that was restarted."""
        self.subscriptions.clear()

    def subscribed(self, extension: str, package: str) -> list[Message]:
        """The SUBSCRIBEs that came for this, in order."""
        return [
            one
            for one in self.received("SUBSCRIBE")
            if _extension(one) == extension and one["Event"].partition(";")[0] == package
        ]

    def _take_request(self, request: Message, remote: Address) -> None:
        if request.method != "SUBSCRIBE":
            super()._take_request(request, remote)
            return
        self._answered[request.branch, request.method] = None
        extension, package = _extension(request), request["Event"].partition(";")[0]
        known = self.subscriptions.get((extension, package))
        tag = known.local.rpartition("tag=")[2] if known else token()
        code, headers = 200, [("Expires", request["Expires"]), ("Contact", f"<{self.contact}>")]
        if package in self.refused:
            code = self.refused[package]
        elif self.challenge and not request.get("Authorization"):
            code, headers = 401, [("WWW-Authenticate", self.challenge)]
        elif request.tag("To") and (known is None or known.call_id != request["Call-ID"]):
            code = 481
        elif extension not in self.hints:
            code = 404
        if not code:
            return
        self.respond(request, remote, reply(request, code, tag=None if request.tag("To") else tag, headers=headers))
        if code != 200:
            return
        if known is None or known.call_id != request["Call-ID"]:
            local = f"{request['To']};tag={tag}"
            known = Call(self, remote, local=local, far=request["From"], call_id=request["Call-ID"])
            known.target = request["Contact"].partition("<")[2].partition(">")[0]
            self.calls.append(known)
            self.subscriptions[extension, package] = known
        if request["Expires"] == "0":
            self.end(extension, package, "timeout")
        else:
            self.tell(extension, package)


def _extension(request: Message) -> str:
    return request["To"].partition("sip:")[2].partition("@")[0]
