# SPDX-License-Identifier: GPL-2.0-or-later
"""SIPp as a player of scenarios: its scripts are written by playing the scenario once in advance."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tests.sip.bed import PORT
from tests.sip.mid_call import TARGET_HZ
from tests.sip.scenario import Conversation, Headers, Scenario
from tests.sip.scene import ANNA
from tests.sip.sipp_talk import ANY_OFFER, Talk
from tests.support.end import (
    DELAYED,
    EXPIRES_S,
    MIRRORED,
    NOUGHT,
    REFRESH,
    REFRESH_S,
    RELAY,
    lasted,
    session,
    until_pressed,
)
from tests.support.rtp import CODECS, Rtp
from tests.support.sipp_script import Called
from tests.support.sipp_script import Script as Steps

if TYPE_CHECKING:
    from tests.sip.sipp_talk import Place
    from tests.support.sipp_end import End as Sipp


RELIABLE = {"Require": "100rel", "RSeq": "71"}
WINNER, LATE = ".*;tag=called", ".*;tag=late"
ALONE = {"PCMU": "m=audio [0-9]+ RTP/AVP 0 [0-9]+[[:cntrl:]]"}
"""What SIPp has to find in an answer that speaks this codec and no other."""


async def by_sipp(
    place: Place,
    pair: str,
    scenario: Scenario,
    way: str,
    *,
    offers: bool = True,
    invite: Headers | None = None,
    alone: bool = True,
) -> None:
    """SIPp at both ends, and as the target of a transfer; not `alone`, calls grow old beside it."""
    async with Talk(place, pair, way, caller_port=PORT + 10, alone=alone) as talk:
        if not alone:
            for end in talk.ends:
                end.does.patience_s = EXPIRES_S
        script = Script(talk, talk.joined_by(place.end(Called(), talk.caller.here[0], TARGET_HZ, talk.wire)))
        if invite is not None:
            talk.caller.does.invite(talk.caller.offer(), invite)
        elif offers:
            talk.opening()
        else:
            talk.opening_without_offer()
        await scenario(script.conversation(up=invite is None))
        script.closing()
        await talk.start("up" if invite is None else "")
        script.begins()
        await scenario(script.conversation(up=invite is None))
        assert not [name for name in script.missing if talk.called.taken[0].get(name)]


class Script:
    """How far a scenario is with SIPp, being written or played; a Transfer to a target that is there when asked for."""

    def __init__(self, talk: Talk, target: Sipp[Called]) -> None:
        self.talk = talk
        self.played = False
        self.up = False
        """Whether the call is to be ended yet."""
        self.missing: list[str] = []
        """What its INVITE must not have."""
        self.elsewhere: tuple[Rtp, Sipp[Any]] | None = None
        """Where one of the two has moved to: their sound, and their signalling."""
        self._target = target
        self._busy: Sipp[Any] | None = None
        """Who waits for what comes until the transfer is through, and can't stop before."""
        self._stops = 0

    def conversation(self, *, up: bool) -> Conversation[SippEnd]:
        """The two who talk, or of whom one is about to call, as the scenario has them."""
        self.up = up
        caller, called = SippEnd(self, self.talk.caller), SippEnd(self, self.talk.called)

        async def reached(headers: Headers) -> SippEnd:
            called.invited(headers)
            return called

        return Conversation(caller, called if up else None, self, reached=reached, meet=self.stop)

    def closing(self) -> None:
        """The caller hangs up, whomever they talk to by then; or who is still where they were."""
        caller, called = self.talk.caller, self._target if self._target.does.steps else self.talk.called
        if self.elsewhere:
            _, moved = self.elsewhere
            (called if moved.here[0] == caller.here[0] else caller).does.bye()
            moved.does.gone()
        elif self.up:
            caller.does.bye()
            called.does.gone()

    def begins(self) -> None:
        """Written to its end; from now on it is played."""
        self.played, self._stops = True, 0

    async def stop(self) -> None:
        """All have got so far."""
        self._stops += 1
        name = f"stop {self._stops}"
        if self.played:
            await self.talk.until(name)
            return
        for end in self.talk.ends:
            if end.does.steps and end is not self._busy:
                end.does.stop(name)

    async def asked(self) -> SippEnd:
        if not self.played:
            self._busy = self.talk.called
            platform = self._busy.does.request("REFER", headers={"Refer-To": ANNA}).response(202)
            for code in (100, 180, 200):
                platform.expect("NOTIFY", f"^SIP/2.0 {code} ", Event="refer").respond()
            platform.gone()
            self._target.does.invited().answer(180)
        return SippEnd(self, self._target)

    async def rings(self) -> None:
        await self.stop()

    async def connected(self, codec: str = "") -> None:
        if not self.played:
            self._busy = None
            self._target.does.answer(200, self._target.answer(codec=codec)).expect("ACK")
        elif codec:
            self._target.media.codec = codec  # what is sent has to be in the answer as well (RFC 3264 §6.1)
        await self.stop()


class SippEnd:
    """A Party (see end.py). What SIPp says is written while nothing is played yet; what is heard shows when it is."""

    def __init__(self, script: Script, end: Sipp[Any]) -> None:
        self._script, self._end = script, end
        self._does = deepcopy(end.does) if script.played else end.does  # what is written twice counts once
        self._asked = self._late = False
        self._forks = 0

    @property
    def hz(self) -> int | None:
        return self._end.hz

    async def hears(self, hz: float) -> None:
        if self._script.played:
            await self._end.media.hears(hz)

    async def press(self, keys: str) -> None:
        if self._script.played:
            self._end.media.press(keys)

    async def has_keys(self, keys: str) -> None:
        if self._script.played:
            await until_pressed(keys, lambda: self._end.media.keys)

    async def changes(self, direction: str, method: str = "INVITE", codec: str = "", answered: str = "") -> None:
        end, answered = self._end, answered or MIRRORED.get(direction, direction)
        if method == DELAYED:
            self._does.reinvite(answer="a=sendrecv").ack(end.answer(direction))
        elif codec:
            self._does.reinvite(end.offer(direction, codecs=(codec,)), ALONE[codec])
        else:
            ask = self._does.reinvite if method == "INVITE" else self._does.update
            ask(end.offer(host=NOUGHT) if direction == NOUGHT else end.offer(direction), f"a={answered}")

    async def told(self, direction: str) -> None:
        self._does.told(f"a={direction}", self._end.answer(MIRRORED.get(direction, direction)))
        await self._script.stop()

    async def not_told(self) -> None:
        await self._script.stop()

    def forgets(self) -> None:
        self._end.media.received.clear()

    async def hears_in(self, codec: str) -> None:
        if self._script.played:
            assert {CODECS[one.payload_type] for one in self._end.media.received} == {codec}

    def speaks(self, hz: int | None) -> None:
        self._end.media.hz = hz or self._end.hz

    async def hears_nothing(self) -> None:
        if self._script.played:
            await self._end.media.hears_nothing()

    async def asks(self) -> None:
        self._asked = True
        self._does.reinvite(answer="a=sendrecv")
        await self._script.stop()

    async def acks(self) -> None:
        self._does.ack(self._end.answer() if self._asked else "")
        await self._script.stop()

    async def moves(self) -> None:
        script, end = self._script, self._end
        if script.elsewhere is None:
            moved = script.talk.joined_by(script.talk.place.end(Steps(), end.here[0], 0, port=PORT + 20))
            script.elsewhere = (media, _) = (Rtp(end.here[0], hz=end.hz), moved)
            contact = {"Contact": f"<sip:moved@{moved.here[0]}:{moved.here[1]}>"}
            self._does.reinvite(end.offer(media=media), "a=sendrecv", headers=contact)
        else:
            end.moves(script.elsewhere[0])
        await script.stop()

    async def collides(self) -> None:
        self._does.expect("INVITE").respond(491).expect("ACK")

    async def has_waited(self, least_s: float, most_s: float) -> None:
        if self._script.played:
            taken = zip(self._end.taken_at, self._end.taken, strict=True)
            came = [at for at, one in taken if one.is_request and one.method == "INVITE"]
            assert least_s <= came[-1] - came[-2] < most_s

    async def keeps_waiting(self) -> None:
        """See Offering."""

    async def interrupts(self, direction: str) -> None:
        self._does.expect("INVITE", f"a={direction}").request("INVITE", self._end.offer()).refused(491)
        self._does.answer(200, self._end.answer(MIRRORED.get(direction, direction))).expect("ACK")
        await self._script.stop()

    async def awaits_infos(self, keys: str) -> None:
        for key in keys:
            self._does.expect("INFO", f"^Signal={key}[[:cntrl:]]", Content_Type=RELAY).respond()
        if self._script.played:
            await self._script.talk.go()

    async def has_infos(self, keys: str) -> None:
        await self._script.stop()

    async def press_infos(self, keys: str) -> None:
        for key in keys:
            self._does.request("INFO", f"Signal={key}\nDuration=160", kind=RELAY).response(200)
        await self._script.stop()

    # --- a call that is not up yet

    def invited(self, headers: Headers) -> None:
        """Wait for the INVITE; a header without an expression has to be missing."""
        wanted = {name: value for name, value in headers.items() if value}
        self._does.invited(ANY_OFFER, Via=f"SIP/2.0/{self._script.talk.wire.upper()} .*", **wanted)
        self._script.missing = [name.replace("_", "-") for name in headers.keys() - wanted.keys()]

    async def progress(self, code: int = 180, *, media: bool = False, reliable: bool = False) -> None:
        described = ANY_OFFER if media else ""
        if reliable:
            self._does.progress(code, described, reliable=True, Require=".*100rel.*").prack()
        else:
            self._does.progress(code, described)

    async def cancels(self) -> None:
        self._does.cancel().response(200)

    async def refused(self, code: int, **headers: str) -> None:
        self._does.refused(code, **headers)

    async def accepted(self, *, acks: bool = True, **headers: str) -> None:
        self._script.up = True
        self._does.answered(**headers)
        if acks:
            self._does.ack()

    async def accepted_again(self) -> None:
        await self._script.stop()
        if self._script.played:
            await self._end.has_logged("SIP/2.0 200", 2)

    async def rings(self, code: int = 180, *, media: bool = False, reliable: bool = False) -> None:
        self._does.answer(code, self._end.answer() if media else "", headers=RELIABLE if reliable else None)
        if reliable:
            self._does.expect("PRACK", RAck="71 [0-9]+ INVITE").respond()

    async def accepts(self, headers: Headers | None = None) -> None:
        self._does.answer(200, self._end.answer(), headers=headers).expect("ACK", To=WINNER)

    async def rings_elsewhere(self, code: int = 180, *, media: bool = False) -> None:
        self._forks += 1
        self._does.answer(code, self._end.answer() if media else "", tag=f"other{self._forks}")

    async def accepts_elsewhere(self) -> None:
        self._does.answer(200, self._end.answer(), tag="late").expect("ACK", To=LATE).expect("BYE", To=LATE).respond()

    async def declines(self, code: int) -> None:
        self._does.answer(code).expect("ACK")

    async def answers_when_cancelled(self) -> None:
        self._late = True

    async def cancelled(self) -> None:
        self._does.expect("CANCEL").respond(200)
        if self._late:
            self._does.answer(200, self._end.answer()).expect("ACK").gone()
        else:
            self._does.answer(487).expect("ACK")

    async def hangs_up(self) -> None:
        self._script.up = False
        self._does.bye()

    async def hung_up(self) -> None:
        self._does.gone()

    # --- a call that grows old

    def falls_silent(self) -> None:
        self._end.media.pause()

    async def refreshed(self, method: str, *, answers: bool = True) -> None:
        self._does.expect(method, Session_Expires=REFRESH)
        if answers:
            self._does.respond(200, self._end.answer() if method == "INVITE" else "", headers=session("uac"))
        if answers and method == "INVITE":
            self._does.expect("ACK")

    async def refreshes(self, method: str) -> None:
        offer = self._end.offer() if method == "INVITE" else ""
        self._does.pause(int(1000 * REFRESH_S)).request(method, offer, headers=session("uac"))
        self._does.response(200, before=(100,), Session_Expires=REFRESH)
        if offer:
            self._does.ack()

    async def stays(self, seconds: float) -> None:
        self._does.pause(int(1000 * seconds))

    async def vanishes(self) -> None:
        """See Ageing; what is not written is not answered."""

    async def returns(self) -> None:
        self._does.expect("BYE")  # it is not told, and gone for good

    async def hung_up_after(self, seconds: float) -> None:
        self._script.up = False
        self._does.gone()
        if self._script.played:
            await self._script.talk.go()
            await self._end.over()
            lasted(self._end.taken_at[-1] - self._end.taken_at[0], seconds)
