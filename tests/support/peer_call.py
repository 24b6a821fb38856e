# SPDX-License-Identifier: GPL-2.0-or-later
"""A call of a scripted peer, with what a scenario has its ends do, whoever plays them (see end.py)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from tests.support.end import (
    DELAYED,
    MIRRORED,
    NOUGHT,
    REFRESH,
    REFRESH_S,
    RELAY,
    lasted,
    session,
    until_pressed,
)
from tests.support.peer_dialog import Dialog
from tests.support.rtp import CODECS
from tests.support.sip_message import address, direction_of, media_of, parameter, reply, sdp, token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.sip_message import Message

TOO_LATE = (200, 481)
"""How a CANCEL is answered that comes after the final response (RFC 3261 §9.2)."""


class Call(Dialog):
    """A Party (see end.py)."""

    _told = 0
    _other_hz: int | None = None
    _late = False

    async def hears(self, hz: float) -> None:
        await self.media.hears(hz)

    async def press(self, keys: str) -> None:
        self.media.press(keys)

    async def has_keys(self, keys: str) -> None:
        await until_pressed(keys, lambda: self.media.keys)

    async def changes(self, direction: str, method: str = "INVITE", codec: str = "", answered: str = "") -> None:
        old, delayed = direction == NOUGHT, method == DELAYED
        answer = await self.reinvite(
            direction="sendrecv" if old else direction,
            codecs=(codec,) if codec else ("PCMA", "PCMU"),
            method="INVITE" if delayed else method,
            host=NOUGHT if old else None,
            delayed=delayed,
        )
        expected = "sendrecv" if delayed else MIRRORED.get(direction, direction)
        assert direction_of(answer.body) == (answered or expected)
        assert NOUGHT.encode() not in answer.body  # where it may go on to send to
        if codec:
            _, _, types = media_of(answer.body) or ("", 0, [])
            assert [CODECS[number] for number in types if number in CODECS] == [codec]

    async def told(self, direction: str, count: int | None = None) -> Message:
        """See Offering; `count`: the so manyeth of all. Returns the re-INVITE, whose ACK has come."""
        wanted = self._told = self._told + 1 if count is None else count

        def found() -> Message | None:
            invites = [one for one in self.requests if one.method == "INVITE"]
            if len(invites) < wanted or direction_of(invites[-1].body) != direction:
                return None
            acknowledged = (invites[-1].cseq[0], "ACK")
            return invites[-1] if any(one.cseq == acknowledged for one in self.requests) else None

        return await self.peer.until(found, f"re-INVITE {wanted} with {direction}")

    async def not_told(self) -> None:
        """See Offering."""

    def forgets(self) -> None:
        self.media.received.clear()

    async def hears_in(self, codec: str) -> None:
        assert CODECS[self.media.received[-1].payload_type] == codec

    def speaks(self, hz: int | None) -> None:
        self._other_hz = hz
        self.media.hz = hz or self.hz

    def follow(self, body: bytes, codec: str | None = None) -> None:
        """See Described."""
        super().follow(body, codec)
        self.media.hz = self._other_hz or self.media.hz

    async def hears_nothing(self) -> None:
        await self.media.hears_nothing()

    async def asks(self) -> None:
        self.keeps_ack = True
        assert (await self.reinvite(delayed=True)).code == 200

    async def acks(self) -> None:
        assert self.ack
        self.keeps_ack = False
        self.peer.send(self.ack, self.remote)

    async def moves(self) -> None:
        self.move()
        assert (await self.reinvite()).code == 200

    async def collides(self) -> None:
        self.once["INVITE"] = 491
        self._told += 1

    async def has_waited(self, least_s: float, most_s: float) -> None:
        new = [one for one in self.peer.trace if not one.repeated and one.message in self.requests]
        came = [one for one in new if one.message.method == "INVITE"]
        assert least_s <= came[-1].at - came[-2].at < most_s

    async def keeps_waiting(self) -> None:
        self.once["INVITE"] = None

    async def interrupts(self, direction: str) -> None:
        asked = await self.peer.until(lambda: next((o for o in self.requests if o.method == "INVITE"), None), "INVITE")
        assert (await self.reinvite()).code == 491
        self.answer_now(asked)
        await self.told(direction)

    async def awaits_infos(self, keys: str) -> None:
        """See Offering."""

    async def has_infos(self, keys: str) -> None:
        await until_pressed(keys, lambda: self.infos)

    @property
    def infos(self) -> str:
        """The keys that came in INFOs."""
        infos = [one for one in self.requests if one.method == "INFO"]
        assert all(one["Content-Type"] == RELAY for one in infos)
        return "".join(one.body.decode().partition("Signal=")[2][:1] for one in infos)

    async def press_infos(self, keys: str) -> None:
        for key in keys:
            body = f"Signal={key}\r\nDuration=160\r\n".encode()
            assert (await self.begin("INFO", body=body, content_type=RELAY).final()).code == 200

    # --- who calls, before the call is up

    async def progress(self, code: int = 180, *, media: bool = False, reliable: bool = False) -> None:
        assert self.invite
        response = await self.invite.provisional(code)
        assert bool(media_of(response.body)) is media
        assert not [one for one in self.invite.responses if one.code >= 200]
        if reliable:
            await self.prack(response)

    async def prack(self, response: Message) -> None:
        """Acknowledge a provisional response, which has to ask for it."""
        assert "100rel" in response["Require"]
        self.target = address(response["Contact"])
        number = f"{response['RSeq']} {response.cseq[0]} INVITE"
        assert (await self.begin("PRACK", headers=[("RAck", number)]).final()).code == 200

    async def cancels(self) -> None:
        late = self.ack is not None and not self.keeps_ack
        assert (await self.cancel()).code in (TOO_LATE if late else TOO_LATE[:1])

    async def refused(self, code: int, **headers: str) -> None:
        answer = await self.final()
        if self.keeps_ack:
            await self.acks()
        assert answer.code == code
        fits(answer, headers)

    async def accepted(self, *, acks: bool = True, **headers: str) -> None:
        fits(await self.answered(), headers)
        if acks and self.keeps_ack:
            await self.acks()

    async def accepted_again(self) -> None:
        invite = self.invite
        assert invite
        await self.peer.until(lambda: sum(one.code == 200 for one in invite.responses) >= 2 or None, "second 200")

    # --- who is called, before the call is up

    async def rings(self, code: int = 180, *, media: bool = False, reliable: bool = False) -> None:
        headers = [("Require", "100rel"), ("RSeq", "71")] if reliable else []
        await self.ring(code, early_media=media, headers=headers)
        if reliable:
            assert self.incoming
            acknowledged = await self.wait_request("PRACK")
            assert acknowledged["RAck"].split() == ["71", str(self.incoming.cseq[0]), "INVITE"]

    async def accepts(self, headers: Mapping[str, str] | None = None) -> None:
        await self.answer(headers=list((headers or {}).items()))

    async def rings_elsewhere(self, code: int = 180, *, media: bool = False) -> None:
        self.fork(code, media=media)

    async def accepts_elsewhere(self) -> None:
        late = self.fork(200)

        def hung_up() -> list[str] | None:
            got = [one.method for m in ("ACK", "BYE") for one in self.peer.received(m) if one.tag("To") == late]
            return got if len(got) == 2 else None

        assert await self.peer.until(hung_up, "ACK and BYE for the second answer") == ["ACK", "BYE"]
        await self.reinvite()  # the peer has stopped its media with that BYE, but its first dialog is still there

    def fork(self, code: int, *, media: bool = False) -> str:
        """Have a further place answer the same INVITE; its tag."""
        assert self.incoming
        tag = token()
        headers = [("Contact", f"<{self.peer.contact}>")]
        described = sdp(self.peer.host, self.media.port, ("PCMA",)) if media or code == 200 else b""
        if described:
            headers.append(("Content-Type", "application/sdp"))
        response = reply(self.incoming, code, tag=tag, headers=headers, body=described)
        assert parameter(response["To"], "tag") == tag
        self.peer.send(response, self.remote)
        return tag

    async def declines(self, code: int) -> None:
        self.reject(code)

    async def answers_when_cancelled(self) -> None:
        self._late = self.final_sent = True  # no 487

    async def cancelled(self) -> None:
        await self.wait_request("CANCEL")
        assert self.incoming
        if self._late:
            self.respond(self.incoming, 200, body=sdp(self.peer.host, self.media.port, ("PCMA",)))
            await self.wait_request("ACK")
            await self.wait_request("BYE")

    # --- of either

    async def hangs_up(self) -> None:
        assert (await self.hang_up()).code == 200

    async def hung_up(self) -> None:
        await self.wait_request("BYE")

    # --- of a call that grows old

    def falls_silent(self) -> None:
        self.media.pause()

    async def refreshed(self, method: str, *, answers: bool = True) -> None:
        self.once[method] = None
        refresh = await self.wait_request(method, REFRESH_S + 5)
        fits(refresh, {"Session_Expires": REFRESH})
        assert bool(refresh.body) is (method == "INVITE")
        if answers:
            body = self.answer_to(refresh.body) if refresh.body else b""
            self.respond(refresh, 200, headers=list(session("uac").items()), body=body)
            self.media.pause()

    async def refreshes(self, method: str) -> None:
        await asyncio.sleep(REFRESH_S)
        answer = await self.reinvite(method=method, headers=list(session("uac").items()))
        assert answer.code == 200
        fits(answer, {"Session_Expires": REFRESH})
        self.media.pause()

    async def stays(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        assert not [one for one in self.requests if one.method == "BYE"]

    async def vanishes(self) -> None:
        self.answers |= {"INVITE": None, "BYE": None}

    async def returns(self) -> None:
        self.respond(await self.wait_request("BYE"), 200)

    async def hung_up_after(self, seconds: float) -> None:
        bye = await self.wait_request("BYE", seconds + 10)
        of_call = [one for one in self.peer.trace if one.message["Call-ID"] == self.call_id]
        lasted(next(one.at for one in of_call if one.message == bye) - of_call[0].at, seconds)


def fits(message: Message, headers: Mapping[str, str]) -> None:
    """The headers match these expressions from end to end; `Retry_After` is Retry-After, "" that it is not there."""
    for name, pattern in headers.items():
        value = message.get(name.replace("_", "-"))
        assert re.fullmatch(pattern, value.strip()) if pattern and value else value is None, (name, value, pattern)
