# SPDX-License-Identifier: GPL-2.0-or-later
"""SIPp as a player of scenarios: its scripts are written by playing the scenario once in advance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.sip.bed import PORT
from tests.sip.mid_call import TARGET_HZ
from tests.sip.scenario import Conversation, Scenario
from tests.sip.scene import ANNA
from tests.sip.sipp_talk import Talk
from tests.support.end import DELAYED, MIRRORED, NOUGHT, until_pressed
from tests.support.rtp import CODECS
from tests.support.sipp_script import Called

if TYPE_CHECKING:
    from tests.sip.sipp_talk import Place
    from tests.support.sipp_end import End as Sipp


ALONE = {"PCMU": "m=audio [0-9]+ RTP/AVP 0 [0-9]+[[:cntrl:]]"}
"""What SIPp has to find in an answer that speaks this codec and no other."""


async def by_sipp(place: Place, wire: str, scenario: Scenario, way: str, *, offers: bool = True) -> None:
    """SIPp at both ends, and as the target of a transfer."""
    async with Talk(place, wire, way, caller_port=PORT + 10) as talk:
        script = Script(talk, talk.joined_by(place.end(Called(), talk.caller.here[0], TARGET_HZ, talk.wire)))
        if offers:
            talk.opening()
        else:
            talk.opening_without_offer()
        await scenario(script.conversation())
        script.closing()
        await talk.start()
        script.begins()
        await scenario(script.conversation())


class Script:
    """How far a scenario is with SIPp, being written or played; a Transfer to a target that is there when asked for."""

    def __init__(self, talk: Talk, target: Sipp[Called]) -> None:
        self.talk = talk
        self.played = False
        self._target = target
        self._busy: Sipp[Any] | None = None
        """Who waits for what comes until the transfer is through, and can't stop before."""
        self._stops = 0

    def conversation(self) -> Conversation[SippEnd]:
        """The two who talk, as the scenario has them."""
        return Conversation(SippEnd(self, self.talk.caller), SippEnd(self, self.talk.called), self)

    def closing(self) -> None:
        """The caller hangs up, whomever they talk to by then."""
        self.talk.caller.does.bye()
        (self._target if self._target.does.steps else self.talk.called).does.gone()

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
        """See Transfer."""
        if not self.played:
            self._busy = self.talk.called
            platform = self._busy.does.request("REFER", headers={"Refer-To": ANNA}).response(202)
            for code in (100, 180, 200):
                platform.expect("NOTIFY", f"^SIP/2.0 {code} ", Event="refer").respond()
            platform.gone()
            self._target.does.invited().answer(180)
        return SippEnd(self, self._target)

    async def rings(self) -> None:
        """See Transfer."""
        await self.stop()

    async def connected(self) -> None:
        """See Transfer."""
        if not self.played:
            self._busy = None
            self._target.does.answer(200, self._target.answer()).expect("ACK")
        await self.stop()


class SippEnd:
    """An Offering end. What SIPp says is written while nothing is played yet; what is heard shows when it is."""

    def __init__(self, script: Script, end: Sipp[Any]) -> None:
        self._script, self._end = script, end

    @property
    def hz(self) -> int | None:
        """See End."""
        return self._end.hz

    async def hears(self, hz: float) -> None:
        """See End."""
        if self._script.played:
            await self._end.media.hears(hz)

    async def press(self, keys: str) -> None:
        """See End."""
        if self._script.played:
            self._end.media.press(keys)

    async def has_keys(self, keys: str) -> None:
        """See End."""
        if self._script.played:
            await until_pressed(keys, lambda: self._end.media.keys)

    async def changes(self, direction: str, method: str = "INVITE", codec: str = "") -> None:
        """See Offering."""
        if self._script.played:
            return
        end, answered = self._end, MIRRORED.get(direction, direction)
        if method == DELAYED:
            end.does.reinvite(answer="a=sendrecv").ack(end.answer(direction))
        elif codec:
            end.does.reinvite(end.offer(direction, codecs=(codec,)), ALONE[codec])
        else:
            ask = end.does.reinvite if method == "INVITE" else end.does.update
            ask(end.offer(host=NOUGHT) if direction == NOUGHT else end.offer(direction), f"a={answered}")

    async def told(self, direction: str) -> None:
        """See Offering."""
        if not self._script.played:
            self._end.does.told(f"a={direction}", self._end.answer(MIRRORED.get(direction, direction)))
        await self._script.stop()

    async def not_told(self) -> None:
        """See Offering."""
        await self._script.stop()

    def forgets(self) -> None:
        """See Offering."""
        self._end.media.received.clear()

    async def hears_in(self, codec: str) -> None:
        """See Offering."""
        if self._script.played:
            assert {CODECS[one.payload_type] for one in self._end.media.received} == {codec}

    def speaks(self, hz: int | None) -> None:
        """See Offering."""
        self._end.media.hz = hz or self._end.hz

    async def hears_nothing(self) -> None:
        """See Offering."""
        if self._script.played:
            await self._end.media.hears_nothing()
