# SPDX-License-Identifier: GPL-2.0-or-later
"""What one end of a call does, step by step: written in Python, played and checked by SIPp.

A script is one dialog. It knows the tags, the CSeq, the branch and the target of every request, so a step says only
what is peculiar to it. Each message that SIPp takes is handed to the test as well (see sipp_end.py), and at a `stop`
SIPp waits for the test. What headers and bodies have to match are SIPp's expressions, i.e. POSIX's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from xml.sax.saxutils import quoteattr

from tests.support.sip_message import REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SDP = "application/sdp"
PROVISIONAL = (100, 180, 183)

CONTACT = "<sip:sipp@[local_ip]:[local_port];transport=[transport]>"
NEWEST = dict.fromkeys(("Via", "From", "To", "Call-ID", "CSeq"), "")
"""What a response repeats of the request that came last."""
KEPT = {"Via": "[$via]", "From": "[$far]", "To": "[$local]", "Call-ID": "[call_id]", "CSeq": "[$cseq]"}
"""… and of one that was kept, whatever has come since."""

CONTACT_OF = {"contact,target": ("Contact", "&lt;([^&gt;]*)&gt;")}
PEER = {"far": ("To", ".*"), **CONTACT_OF}
REQUEST = {"via": ("Via", ".*"), "cseq": ("CSeq", ".*"), **CONTACT_OF}
CALLER = {"far": ("From", ".*"), "called": ("To", ".*"), **REQUEST}
"""Which variables take what of which header."""


def checks(headers: Mapping[str, str], body: str = "") -> str:
    """Actions that fail the call unless these headers and the body match; `retry_after` is Retry-After."""
    made = []
    for name, pattern in headers.items():
        header = "-".join(part[0].upper() + part[1:] for part in name.split("_")) + ":"
        expression = quoteattr(f"^ *{pattern} *$")
        made.append(f'<ereg regexp={expression} search_in="hdr" header="{header}" check_it="true" assign_to="found" />')
    if body:
        made.append(f'<ereg regexp={quoteattr(body)} search_in="body" check_it="true" assign_to="found" />')
    return "".join(made)


def used(variables: str) -> str:
    """SIPp takes a variable that nobody reads for a mistake."""
    return f'<Reference variables="{variables}" />' if variables else ""


class Script:
    """The steps of one end, in the order in which its methods are called."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, bool]] = []  # XML, and whether it waits for the other side
        self._stops: dict[str, int] = {}
        self._number = self._invite = 0  # CSeq of the newest request, and of the newest INVITE
        self._invite_uri = "[$target]"
        self.patience_s = 20
        """How long SIPp waits for a message that has to come."""

    @property
    def steps(self) -> str:
        """All steps as SIPp reads them."""
        return "".join(xml for xml, _ in self._steps)

    def stops_at(self, stop: str) -> bool:
        """Whether there is such a stop."""
        return stop in self._stops

    def waits_after(self, stop: str) -> bool:
        """Whether it is the other side's turn when this one goes on after a stop."""
        following = self._stops[stop] + 1
        return following < len(self._steps) and self._steps[following][1]

    # --- at any time

    def stop(self, name: str) -> Self:
        """Wait here for the test."""
        self._stops[name] = len(self._steps)
        return self._add(f"{_tell('At', name)}<recvCmd />{_tell('Past', name)}")

    def pause(self, ms: int) -> Self:
        """Do nothing for so long."""
        return self._add(f'<pause milliseconds="{ms}" />')

    def request(
        self,
        method: str,
        body: str = "",
        *,
        kind: str = SDP,
        headers: Mapping[str, str] | None = None,
        password: tuple[str, str] | None = None,
    ) -> Self:
        """Send a request in the dialog; an empty header is left out.

        With a username and a `password` it answers the newest challenge; SIPp's -auth_uri has to be where it is sent.
        """
        self._number += 1
        if method == "INVITE":
            self._invite = self._number
        return self._request(method, self._number, body, kind=kind, headers=headers, password=password)

    def challenged(self, method: str, **headers: str) -> Self:
        """Have the newest request, which is of this method, answered 401."""
        self._receive('response="401" auth="true"', "", headers, before=PROVISIONAL)
        if method != "INVITE":
            return self
        return self._request("ACK", self._invite, uri=self._invite_uri, headers={"To": ""})

    def response(self, code: int, body: str = "", *, before: Sequence[int] = (), **headers: str) -> Self:
        """Wait for a response whose headers and body match; others, of a code in `before`, may come first."""
        return self._receive(f'response="{code}"', body, headers, before=before)

    def expect(self, method: str, body: str = "", **headers: str) -> Self:
        """Wait for a request whose headers and body match; `respond` answers it, an INVITE also `answer`."""
        learns = REQUEST if method == "INVITE" else {}
        return self._receive(f'request="{method}"', body, headers, learns=learns)

    def respond(
        self, code: int = 200, body: str = "", *, kind: str = SDP, headers: Mapping[str, str] | None = None
    ) -> Self:
        """Answer the request that came last."""
        return self._respond(code, NEWEST, body, kind=kind, headers=headers, again=False)

    def answer(
        self,
        code: int = 200,
        body: str = "",
        *,
        tag: str = "",
        once: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Answer the INVITE that came last; `tag`: as somebody else whom the call has reached too.

        A final answer is repeated over UDP until the ACK comes, unless it is said `once`.
        """
        copied = {**KEPT, "To": f"[$called];tag={tag}"} if tag else KEPT
        return self._respond(code, copied, body, headers=headers, again=code >= 200 and not once)

    # --- in a call that is up

    def reinvite(self, body: str = "", answer: str = "", headers: Mapping[str, str] | None = None) -> Self:
        """Make an offer; or send none, which asks for one, and have an `ack` with the answer follow."""
        self.request("INVITE", body, headers=headers)
        self._receive('response="200"', answer, before=(100,), learns=PEER)
        return self.ack() if body else self

    def update(self, body: str, answer: str = "") -> Self:
        """Make an offer by UPDATE."""
        return self.request("UPDATE", body)._receive('response="200"', answer, before=(100,), learns=PEER)

    def ack(self, body: str = "") -> Self:
        """Acknowledge a 200 for the newest INVITE."""
        return self._request("ACK", self._invite, body, branch=f"{self._invite}-ack")

    def refused(self, code: int, **headers: str) -> Self:
        """Have the newest INVITE refused."""
        self.response(code, before=PROVISIONAL, **headers)
        return self._request("ACK", self._invite, uri=self._invite_uri, headers={"To": ""})

    def told(self, offer: str, answer: str, method: str = "INVITE") -> Self:
        """Be made an offer that matches, and answer it."""
        self.expect(method, offer).respond(200, answer)
        return self.expect("ACK") if method == "INVITE" else self

    def bye(self) -> Self:
        """Hang up."""
        return self.request("BYE").response(200)

    def gone(self) -> Self:
        """Be hung up."""
        return self.expect("BYE").respond()

    # --- what steps are made of

    def _add(self, xml: str, *, waits: bool = False) -> Self:
        self._steps.append((xml, waits))
        return self

    def _request(
        self,
        method: str,
        number: int,
        body: str = "",
        *,
        branch: str = "",
        uri: str = "[$target]",
        kind: str = SDP,
        headers: Mapping[str, str] | None = None,
        password: tuple[str, str] | None = None,
    ) -> Self:
        branch = f"z9hG4bK-[pid]-[call_number]-{branch or number}"
        own = {
            "Via": f"SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}", "From": "[$local]", "To": "[$far]",
            "Call-ID": "[call_id]", "CSeq": f"{number} {method}", "Contact": CONTACT, "Max-Forwards": "70",
        }  # fmt: skip
        own |= headers or {}
        more = ["[authentication username={} password={}]".format(*password)] if password else []
        return self._send(f"{method} {uri} SIP/2.0", own, body, kind, again=method != "ACK", more=more)

    def _respond(
        self,
        code: int,
        copied: Mapping[str, str],
        body: str = "",
        *,
        kind: str = SDP,
        headers: Mapping[str, str] | None = None,
        again: bool,
    ) -> Self:
        own = {**copied, "Contact": CONTACT} if code < 300 else copied
        own = {**own, **(headers or {})}
        return self._send(f"SIP/2.0 {code} {REASONS.get(code, 'No')}", own, body, kind, again=again)

    def _send(
        self, first: str, headers: Mapping[str, str], body: str, kind: str, *, again: bool, more: Sequence[str] = ()
    ) -> Self:
        lines = [first, *(f"{name}: {value}" if value else f"[last_{name}:]" for name, value in headers.items())]
        lines += [
            *more,
            *([f"Content-Type: {kind}"] if body else []),
            "Content-Length: [len]",
            "",
            body.replace("\r", ""),
        ]
        retransmitted = ' retrans="500"' if again else ""
        return self._add(f"<send{retransmitted}><![CDATA[\n" + "\n".join(lines) + "\n]]></send>")

    def _receive(
        self,
        what: str,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        before: Sequence[int] = (),
        learns: Mapping[str, tuple[str, str]] | None = None,
    ) -> Self:
        optional = "".join(f'<recv response="{code}" optional="true" />' for code in before)
        actions = checks(headers or {}, body)
        variables = ["found"] if actions else []
        for names, (header, expression) in (learns or {}).items():
            actions += f'<ereg regexp="{expression}" search_in="hdr" header="{header}:" assign_to="{names}" />'
            variables.append(names)
        wait = f'<recv {what} timeout="{1000 * self.patience_s}"><action>{actions}</action></recv>'
        taken = used(",".join(variables)) + _tell("Took", what, "[last_message]")
        return self._add(optional + wait + taken, waits=True)


class Calling(Script):
    """The end that calls a user of the gateway; `caller` is its From, to which a tag is added if it has none."""

    def __init__(self, number: str, caller: str = "<sip:+31201112222@[local_ip]>", *, cseq: int = 1) -> None:
        super().__init__()
        self._number = cseq - 1
        local = caller if ";tag=" in caller else f"{caller};tag=[pid]-[call_number]"
        self._asked = f"sip:{number}@[remote_ip]:[remote_port]"
        known = {"local": local, "far": f"<{self._asked}>", "target": self._asked}
        actions = "".join(f'<assignstr assign_to="{name}" value={quoteattr(value)} />' for name, value in known.items())
        self._add(f"<nop><action>{actions}</action></nop>{used(','.join(known))}")

    def invite(self, body: str = "", headers: Mapping[str, str] | None = None) -> Self:
        """Call, with this offer or without one."""
        self._invite_uri = self._asked
        return self.request("INVITE", body, headers=headers)

    def progress(self, code: int = 180, body: str = "", *, reliable: bool = False, **headers: str) -> Self:
        """Be told how the call gets on; `reliable`: by a response that a `prack` has to follow."""
        learns = {**PEER, "sequence": ("RSeq", ".*")} if reliable else PEER
        return self._receive(f'response="{code}"', body, headers, before=(100,), learns=learns)

    def prack(self, body: str = "", answer: str = "") -> Self:
        """Acknowledge the provisional response that came last (RFC 3262)."""
        rack = {"RAck": f"[$sequence] {self._invite} INVITE"}
        return self.request("PRACK", body, headers=rack).response(200, answer)

    def answered(self, body: str = "", **headers: str) -> Self:
        """Have the call answered; an `ack` has to follow."""
        self._invite_uri = "[$target]"
        return self._receive('response="200"', body, headers, before=PROVISIONAL, learns=PEER)

    def cancel(self) -> Self:
        """Send a CANCEL of the call, its answer not awaited."""
        return self._request("CANCEL", self._invite, uri=self._asked, headers={"To": f"<{self._asked}>"})


class Called(Script):
    """The end that is called by the gateway."""

    def invited(self, body: str = "", **headers: str) -> Self:
        """Get the call."""
        self._receive('request="INVITE"', body, headers, learns=CALLER)
        local = '<assignstr assign_to="local" value="[$called];tag=called" />'
        return self._add(f"<nop><action>{local}</action></nop>{used('local')}")


def _tell(name: str, value: str, message: str = "") -> str:
    return f"<sendCmd><![CDATA[\nCall-ID: [call_id]\n{name}: {value}\n\n{message}\n]]></sendCmd>"
