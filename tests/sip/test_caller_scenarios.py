# SPDX-License-Identifier: GPL-2.0-or-later
"""Who calls, as each side is told, and requests that go round in circles: written once, played by peers and by SIPp."""

from __future__ import annotations

import pytest

from tests.sip.caller_players import Peers, Player, Sipp, Told
from tests.sip.players import by, played
from tests.sip.sipp_talk import WAYS, Place

pytestmark = pytest.mark.sip

INSIDE = "inside.example"
EVE = f'"Eve Example" <sip:+31201112222@pbx.{INSIDE}>'
ANONYMOUS = "<sip:anonymous@anonymous.invalid>"
WITHHELD = {"P-Asserted-Identity": EVE, "Privacy": "id"}
DIVERTED = f"<sip:+31208889999@pbx.{INSIDE};user=phone>;reason=no-answer;counter=1"
HISTORY = f'<sip:+31208889999@{INSIDE}>;index=1, "A, B" <sip:+31207776666@{INSIDE}>;index=1.1, <sip:x@{INSIDE}>;index=2'
EITHER = [(way,) for way in WAYS]

identity = played("way", by(pytest.mark.keeps("8.22"), "peers", EITHER), by(pytest.mark.keeps("11.14"), "sipp", EITHER))
diversion = played(
    "way", by(pytest.mark.keeps("8.23"), "peers", EITHER), by(pytest.mark.keeps("11.14"), "sipp", EITHER)
)
hops = played("way", by(pytest.mark.keeps("8.25"), "peers", EITHER), by(pytest.mark.keeps("11.16"), "sipp", EITHER))


@pytest.fixture
def player(request: pytest.FixtureRequest, place: Place) -> Player:
    return Sipp(place) if request.param == "sipp" else Peers(place)


@pytest.fixture
def here(place: Place) -> str:
    """The gateway's address, which stands for every other."""
    return place.net.gateway


@identity
async def test_from_alone_names_the_caller(player: Player, way: str, here: str) -> None:
    async def scenario(call: Told) -> None:
        assert call.invite["From"].startswith(f'"Eve Example" <sip:+31201112222@{here}>')
        for name in ("P-Asserted-Identity", "Diversion", "History-Info"):
            assert not call.invite.all(name)

    await player(scenario, way, headers={"P-Asserted-Identity": EVE, "Diversion": DIVERTED})


@identity
async def test_who_is_trusted_gets_the_asserted_identity_and_the_diversion(player: Player, way: str, here: str) -> None:
    async def scenario(call: Told) -> None:
        assert call.invite["P-Asserted-Identity"] == f'"Eve Example" <sip:+31201112222@{here}>'
        diverted = call.invite.all("Diversion")[WAYS.index(way) :]  # after Anna's number, which the trunk has dialled
        assert diverted == [f"<sip:+31208889999@{here}>;reason=unconditional"]
        assert not call.invite.all("Privacy")

    await player(scenario, way, "told", headers={"Diversion": DIVERTED})


@identity
async def test_a_number_that_is_withheld_is_kept_from_who_is_not_trusted(player: Player, way: str) -> None:
    async def scenario(call: Told) -> None:
        assert call.invite["From"].startswith(f'"Anonymous" {ANONYMOUS}')
        seen = await call.seen()
        assert "+31201112222" not in seen
        assert "Eve" not in seen

    await player(scenario, way, headers=WITHHELD)


@identity
async def test_who_is_trusted_is_told_the_number_and_that_it_is_withheld(player: Player, way: str) -> None:
    async def scenario(call: Told) -> None:
        assert call.invite["From"].startswith(f'"Anonymous" {ANONYMOUS}')
        assert "+31201112222" in call.invite["P-Asserted-Identity"]
        assert call.invite["Privacy"] == "id"

    await player(scenario, way, "told", caller=ANONYMOUS, headers=WITHHELD)


@diversion
async def test_history_info_is_made_of_what_came(player: Player, way: str, here: str, place: Place) -> None:
    async def scenario(call: Told) -> None:
        dialled = [place.bed.number("history")] if way == WAYS[0] else [place.bed.number("history"), "6001"]
        users = ["+31208889999", "+31207776666", *dialled]
        assert call.invite.all("History-Info") == [
            f"<sip:{user}@{here}>;index=1{'.1' * depth}" for depth, user in enumerate(users)
        ]

    await player(scenario, way, "history", headers={"History-Info": HISTORY})


@hops
async def test_max_forwards_counts_down(player: Player, way: str) -> None:
    async def scenario(call: Told) -> None:
        assert call.invite.all("Max-Forwards") == ["16"]

    await player(scenario, way, headers={"Max-Forwards": "17"})


@hops
async def test_no_hops_left(player: Player, way: str) -> None:
    await player.refused(way, 483, headers={"Max-Forwards": "0"})


@played("way", by(pytest.mark.keeps("8.26"), "peers", EITHER), by(pytest.mark.keeps("11.16"), "sipp", EITHER))
async def test_our_own_request_that_comes_back_is_a_loop(player: Player, way: str) -> None:
    async def scenario(call: Told) -> None:
        assert await call.comes_back() == 482

    await player(scenario, way, headers={})
