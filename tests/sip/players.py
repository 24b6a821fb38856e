# SPDX-License-Identifier: GPL-2.0-or-later
"""Who plays a scenario that is written once: scripted peers on each wire, SIPp on each wire, real Asterisks, a phone.

A scenario is a coroutine of a `Conversation`, whose ends it has do things (tests/support/end.py):

    async def hold(talk: Conversation[Offering]) -> None:
        await talk.change(talk.called, "sendonly")
        await talk.caller.hears(talk.called.hz)

A test takes the fixture `player`, parametrized with `by(mark, "peers-udp sipp-tls", variants)`, and calls it with the
scenario and one of WAYS; what has gone over the wire is looked at by each player afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import pytest

from tests.sip.bed import PORT
from tests.sip.far_ends import FarStage
from tests.sip.mid_call import CALLER_HZ, TARGET_HZ, WAYS, conversation, offers
from tests.sip.scene import ANNA, codes
from tests.sip.sipp_talk import Talk
from tests.sip.wires import Wired
from tests.support.company import settings
from tests.support.end import DELAYED, MIRRORED, NOUGHT, End, Offering, both_hear, until_pressed
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.rtp import CODECS
from tests.support.sip_message import direction_of
from tests.support.sipp_script import Called

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

    from _pytest.mark import ParameterSet

    from tests.conftest import Phones
    from tests.sip.far_ends import FarBed
    from tests.sip.scene import Scene
    from tests.sip.sipp_talk import Place
    from tests.support.peer_call import Call
    from tests.support.processes import Net
    from tests.support.sipp_end import End as Sipp

E = TypeVar("E", bound=End)
ALONE = {"PCMU": "m=audio [0-9]+ RTP/AVP 0 [0-9]+[[:cntrl:]]"}
"""What SIPp has to find in an answer that speaks this codec and no other."""


class Transfer(Protocol):
    """How the called of a call from the PBX has its caller put through to Anna."""

    async def asked(self) -> Offering:
        """They ask for it; her end, which rings."""

    async def connected(self) -> None:
        """She answers; who asked is told so, and is out of the call."""


class Conversation(Generic[E]):
    """Two who talk through the gateway; who can play a transfer gives it too."""

    def __init__(self, caller: E, called: E, transfer: Transfer | None = None) -> None:
        self.caller, self.called = caller, called
        self._transfer = transfer
        self.directions: dict[E, str] = {}
        """Which direction each has offered last, if any."""
        self.changes: list[tuple[E, str]] = []
        """Who was told of which direction, in order."""

    def parts(self, who: str) -> tuple[E, E]:
        """The "caller" or the "called", and the other one."""
        return (self.caller, self.called) if who == "caller" else (self.called, self.caller)

    async def both_hear(self) -> None:
        """Each hears what the other speaks."""
        await both_hear(self.caller, self.called)

    @property
    def transfer(self) -> Transfer:
        """Of the caller to Anna."""
        assert self._transfer, "its player has no transfers"
        return self._transfer


Scenario = Callable[[Conversation[Any]], Awaitable[None]]
Player = Callable[[Scenario, str], Awaitable[None]]


def by(mark: pytest.MarkDecorator, names: str, variants: Iterable[tuple[str, ...]]) -> list[ParameterSet]:
    """Players by name, each with all variants, and which row of docs/conformance.md the tests keep."""
    return [
        pytest.param(
            name, *variant, marks=[mark, pytest.mark.pbx] if name.startswith(("asterisks", "phone")) else [mark]
        )
        for name, variant in product(names.split(), variants)
    ]


def player_of(request: pytest.FixtureRequest) -> Player:
    """The player that a test is parametrized with, "peers-udp" for instance, on the fixtures that it needs."""
    kind, _, line = request.param.partition("-")
    take = request.getfixturevalue
    match kind:
        case "peers" if line == "udp":
            return partial(by_peers, nullcontext(take("scene")))
        case "peers":
            return partial(by_peers, Wired(take("bed"), take("authority"), line))
        case "sipp":
            return partial(by_sipp, take("place"), line)
        case "asterisks":
            return partial(by_asterisks, take("far_bed"), line)
        case _:
            return partial(by_phone, take("net"), take("phones"))


async def change(
    talk: Conversation[Offering], who: Offering, direction: str, method: str = "INVITE", codec: str = ""
) -> None:
    """One offers another direction, and the other one is told; or, with the same one, only what is for the gateway."""
    other = talk.called if who is talk.caller else talk.caller
    await who.changes(direction, method, codec)
    passed_on = "sendonly" if direction == NOUGHT else direction
    if passed_on == talk.directions.get(who, "sendrecv"):
        await other.not_told()
        return
    await told(talk, other, passed_on)
    talk.directions[who] = passed_on


async def told(talk: Conversation[Offering], who: Offering, direction: str) -> None:
    """Wait until one is offered a direction."""
    await who.told(direction)
    talk.changes.append((who, direction))


async def both_hear_anew(one: Offering, other: Offering) -> None:
    """Each hears what the other speaks from now on."""
    for end in (one, other):
        end.forgets()
    await both_hear(one, other)


async def by_peers(opened: AbstractAsyncContextManager[Scene], scenario: Scenario, way: str) -> None:
    """Scripted peers; nobody is offered anything else, and keys pass as events."""
    async with opened as scene:
        caller, called = await conversation(scene, way)
        talk = Conversation(caller, called, transfer := PeersTransfer(scene, called))
        await scenario(talk)
        for call in (caller, called, *transfer.targets):
            assert offers(call) == [direction for told, direction in talk.changes if told is call]
            assert not [one for one in call.requests if one.method == "INFO"]


class PeersTransfer:
    """A Transfer between scripted peers."""

    def __init__(self, scene: Scene, transferor: Call) -> None:
        self._scene, self._transferor = scene, transferor
        self.targets: list[Call] = []

    async def asked(self) -> Call:
        """See Transfer."""
        assert (await self._transferor.refer(ANNA)).code == 202
        self.targets.append(await self._scene.target())
        await self.targets[-1].ring()
        return self.targets[-1]

    async def connected(self) -> None:
        """See Transfer."""
        await self.targets[-1].answer(hz=TARGET_HZ)
        assert codes(await self._transferor.notifies()) == [100, 180, 200]
        await self._transferor.wait_request("BYE")
        assert (await self._scene.outcome())["outcome"] == "completed"


async def by_asterisks(bed: FarBed, name: str, scenario: Scenario, way: str) -> None:
    """Persons behind two Asterisks, which tell the gateway, and are told by it, what the persons do."""
    async with FarStage(bed, name) as at:
        person, assistant = await at.conversation(way)
        transfer = AsterisksTransfer(at, assistant)
        caller, called = (person, assistant) if way == WAYS[0] else (assistant, person)
        await scenario(talk := Conversation(caller, called, transfer))
        if transfer.target:
            await at.hang_up(person, transfer.target)
            return
        for far in (at.platform, at.pbx):
            requests = [one for _, one in await at.messages(far) if one.is_request and one.tag("To")]
            told = [direction_of(one.body) for one in requests if one.method == "INVITE"]
            assert told == [direction for _, direction in talk.changes]
        await at.hang_up(person, assistant)


class AsterisksTransfer:
    """A Transfer that the platform's Asterisk asks for."""

    def __init__(self, at: FarStage, assistant: Call) -> None:
        self._at, self._assistant = at, assistant
        self.target: Call | None = None

    async def asked(self) -> Call:
        """See Transfer."""
        await self._at.refer(self._assistant)
        self.target = await self._at.people.wait_call()
        return self.target

    async def connected(self) -> None:
        """See Transfer."""
        assert self.target
        await self.target.answer(hz=TARGET_HZ)
        await self._at.platform.released(self._at.name)
        assert (await self._at.outcome())["outcome"] == "completed"


async def by_phone(net: Net, phones: Phones, scenario: Scenario, way: str) -> None:
    """A scripted peer on the trunk that calls baresip, which nobody scripted; the gateway calls that itself."""
    assert way == WAYS[1]
    anna = await phones("6001", hz=TARGET_HZ)
    async with (
        Gateway(settings(net, pbx_uri=f"sip:{anna.host}:5060")) as gateway,
        Peer(net.trunk) as trunk,
    ):
        caller = trunk.invite("sip:+31612345681@gateway", gateway.sip, hz=CALLER_HZ)
        await caller.answered()
        await scenario(Conversation[End](caller, anna))
        await caller.hang_up()
        await gateway.idle()


async def by_sipp(place: Place, wire: str, scenario: Scenario, way: str) -> None:
    """SIPp at both ends, whose scripts are written by playing the scenario once in advance."""
    async with Talk(place, wire, way, caller_port=PORT + 10) as talk:
        script = Script(talk, talk.joined_by(place.end(Called(), talk.caller.here[0], TARGET_HZ, talk.wire)))
        talk.opening()
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
