# SPDX-License-Identifier: GPL-2.0-or-later
"""Who plays a scenario that is written once: scripted peers on each wire, SIPp on each wire, real Asterisks, a phone.

A test takes the fixture `player`, and in what its variants differ: `@played("way", by(mark, "peers-udp", [(OUT,)]))`.
It calls the player with the scenario and one of WAYS; each player looks afterwards at what has gone over the wire.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import ASSISTANT_HZ as FAR_ASSISTANT_HZ
from tests.sip.bed import CALLER_HZ as FAR_CALLER_HZ
from tests.sip.far_ends import FarStage
from tests.sip.mid_call import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, WAYS, dial
from tests.sip.mid_call import offers as offers_to
from tests.sip.scenario import Conversation, Headers, Player, Scenario
from tests.sip.scene import ANNA, codes
from tests.sip.sipp_player import by_sipp
from tests.support.company import settings
from tests.support.end import End
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.peer_call import fits
from tests.support.sip_message import direction_of, media_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

    from _pytest.mark import ParameterSet

    from tests.conftest import Phones
    from tests.sip.far_ends import FarBed
    from tests.sip.scene import Scene
    from tests.support.peer_call import Call
    from tests.support.processes import Net


def by(mark: pytest.MarkDecorator, names: str, variants: Iterable[tuple[str, ...]]) -> list[ParameterSet]:
    """Players by name, each with all variants, and which row of docs/conformance.md the tests keep."""
    return [
        pytest.param(
            name, *variant, marks=[mark, pytest.mark.pbx] if name.startswith(("asterisks", "phone")) else [mark]
        )
        for name, variant in product(names.split(), variants)
    ]


def played(names: str, *rows: list[ParameterSet]) -> pytest.MarkDecorator:
    """Parametrizes a test with `player` and with what else its variants differ in, by name."""
    variants = [variant for row in rows for variant in row]
    return pytest.mark.parametrize(("player", *names.split()), variants, indirect=["player"])


def player_of(request: pytest.FixtureRequest) -> Player:
    """The player that a test is parametrized with, "peers-udp" for instance, on the fixtures that it needs."""
    kind, _, line = request.param.partition("-")
    take = request.getfixturevalue
    match kind:
        case "peers":
            return partial(by_peers, on_wire(request, line), infos=line.endswith("-info"))
        case "sipp":
            return partial(by_sipp, take("place"), line)
        case "asterisks":
            return partial(by_asterisks, take("far_bed"), line)
        case _:
            return partial(by_phone, take("net"), take("phones"))


def on_wire(request: pytest.FixtureRequest, line: str) -> AbstractAsyncContextManager[Scene]:
    """A scene whose peers speak over "udp", or over another wire, each with "-info" where the trunk wants that."""
    take = request.getfixturevalue
    opened: AbstractAsyncContextManager[Scene]
    opened = nullcontext(take("scene")) if line.startswith("udp") else take("wired")(line)
    return opened


async def by_peers(
    opened: AbstractAsyncContextManager[Scene],
    scenario: Scenario,
    way: str,
    *,
    offers: bool = True,
    invite: Headers | None = None,
    infos: bool = False,
    line: str = "main",
) -> None:
    """Scripted peers; nobody is offered anything else, and keys pass as events, or as `infos` on the trunk."""
    async with opened as scene:
        more = {"headers": tuple((invite or {}).items()), "body": None if offers else b""}
        caller, wait_call = await dial(scene, way, "info" if infos else line, **more)
        caller.keeps_ack = invite is not None
        transfer = PeersTransfer(scene, caller)

        async def reached(headers: Headers) -> Call:
            called = transfer.transferor = await wait_call()
            called.hz = ASSISTANT_HZ
            assert called.incoming
            assert media_of(called.incoming.body)  # our own INVITEs always make an offer
            fits(called.incoming, headers)
            return called

        talk = Conversation(caller, None, transfer, reached=reached)
        if invite is None:
            called = await talk.reached()
            await called.answer()
            assert media_of((await caller.answered()).body)
            assert caller.ack
            assert bool(media_of(caller.ack.body)) is not offers
        await scenario(talk)
        for call in (caller, transfer.transferor, *transfer.targets):
            assert offers_to(call) == [direction for told, direction in talk.changes if told is call]
            assert not call.infos or (infos and call.peer is not scene.pbx)


class PeersTransfer:
    """A Transfer between scripted peers."""

    def __init__(self, scene: Scene, transferor: Call) -> None:
        self._scene, self.transferor = scene, transferor
        self.targets: list[Call] = []

    async def asked(self) -> Call:
        assert (await self.transferor.refer(ANNA)).code == 202
        self.targets.append(await self._scene.target())
        return self.targets[-1]

    async def rings(self) -> None:
        await self.targets[-1].ring()

    async def connected(self, codec: str = "") -> None:
        await self.targets[-1].answer(hz=TARGET_HZ, codec=codec or None)
        assert codes(await self.transferor.notifies()) == [100, 180, 200]
        await self.transferor.wait_request("BYE")
        assert (await self._scene.outcome())["outcome"] == "completed"


async def by_asterisks(
    bed: FarBed, name: str, scenario: Scenario, way: str, *, offers: bool = True, invite: Headers | None = None
) -> None:
    """Persons behind two Asterisks, which tell the gateway, and are told by it, what the persons do."""
    assert offers
    assert not invite
    async with FarStage(bed, name) as at:
        caller, transfer = at.call(way), AsterisksTransfer(at)

        async def reached(_: Headers) -> Call:
            called = await (at.assistant if way == WAYS[0] else at.people).wait_call()
            called.hz = FAR_ASSISTANT_HZ if way == WAYS[0] else FAR_CALLER_HZ
            return called

        talk = Conversation(caller, None, transfer, reached=reached)
        if invite is None:
            await (await talk.reached()).accepts()
            await caller.answered()
            await talk.both_hear()
        await scenario(talk)
        if transfer.target:
            await at.hang_up(caller, transfer.target)
            return
        for far in (at.platform, at.pbx):
            messages = [one for _, one in await at.messages(far)]
            requests = [one for one in messages if one.is_request and one.tag("To")]
            told = [direction_of(one.body) for one in requests if one.method == "INVITE"]
            assert told == [direction for _, direction in talk.changes]
            if name == "reliable":
                assert {one["Require"] for one in messages if one.code == 183} == {"100rel"}
                assert [one for one in messages if one.code == 200 and one.method == "PRACK"]
        await at.hang_up(caller, talk.called)


class AsterisksTransfer:
    """A Transfer that the platform's Asterisk asks for."""

    def __init__(self, at: FarStage) -> None:
        self._at = at
        self.target: Call | None = None

    async def asked(self) -> Call:
        await self._at.refer(self._at.assistant.calls[-1])
        self.target = await self._at.people.wait_call()
        return self.target

    async def rings(self) -> None:
        assert self.target
        await self.target.ring()

    async def connected(self, codec: str = "") -> None:
        assert self.target
        assert not codec
        await self.target.answer(hz=TARGET_HZ)
        await self._at.platform.released(self._at.name)
        assert (await self._at.outcome())["outcome"] == "completed"


async def by_phone(
    net: Net, phones: Phones, scenario: Scenario, way: str, *, offers: bool = True, invite: Headers | None = None
) -> None:
    """A scripted peer on the trunk that calls baresip, which nobody scripted; the gateway calls that itself."""
    assert way == WAYS[1]
    assert offers
    assert invite is None
    anna = await phones("6001", hz=TARGET_HZ)
    async with Gateway(settings(net, pbx_uri=f"sip:{anna.host}:5060")) as gateway, Peer(net.trunk) as trunk:
        caller = trunk.invite("sip:+31612345681@gateway", gateway.sip, hz=CALLER_HZ)
        await caller.answered()
        await scenario(Conversation[End](caller, anna))
        await caller.hang_up()
        await gateway.idle()
