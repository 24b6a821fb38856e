# SPDX-License-Identifier: GPL-2.0-or-later
"""How calls come to be, written once: early media, session timers, and messages that cross or are lost on the way."""

from __future__ import annotations

from itertools import product

import pytest

from tests.sip.far_ends import End, Ends
from tests.sip.mid_call import WAYS
from tests.sip.players import by, played
from tests.sip.scenario import Conversation, Player, both_hear_anew
from tests.support.end import Party

pytestmark = pytest.mark.sip

OUT, IN = WAYS
EITHER = [(OUT,), (IN,)]
EARLY_HZ = 1500
RELIABLE = End(asterisk={"100rel": "required"})
PAIRS = {"reliable": Ends(RELIABLE, RELIABLE)}
"""What the Asterisks are."""
WIRES, SIPP_ON_WIRES = "peers-tcp peers-tls peers-srtp", "sipp-tcp sipp-tls"


def both_ways(*kinds: str) -> list[tuple[str, ...]]:
    """Each kind in either direction."""
    return [(way, kind) for kind, way in product(kinds, WAYS)]


NOBODY, CALLER, CALLED, BOTH = "nobody", "the caller", "the called", "both"


@played(
    "way demands",
    by(pytest.mark.keeps("9.9"), "peers-udp", both_ways(CALLER, CALLED)),
    by(pytest.mark.keeps("9.17"), WIRES, both_ways(CALLER, CALLED)),
    by(pytest.mark.keeps("10.10"), "asterisks-reliable", both_ways(NOBODY)),
    by(pytest.mark.keeps("11.6"), f"sipp-udp {SIPP_ON_WIRES}", both_ways(NOBODY)),
    by(pytest.mark.keeps("11.7"), f"sipp-udp {SIPP_ON_WIRES}", both_ways(CALLER, CALLED)),
    by(pytest.mark.keeps("11.7"), "sipp-udp", both_ways(BOTH)),
)
async def test_early_media_and_who_demands_reliable_responses(player: Player, way: str, demands: str) -> None:
    """The caller hears the other side before it answers, and is heard; Asterisks may demand it of their own accord."""

    async def scenario(talk: Conversation[Party]) -> None:
        called = await talk.reached(Supported=".*100rel.*")
        called.speaks(EARLY_HZ)
        await called.rings(183, media=True, reliable=demands in {CALLED, BOTH})
        await talk.caller.progress(183, media=True, reliable=demands in {CALLER, BOTH})
        await talk.meet()
        await talk.caller.hears(EARLY_HZ)
        await called.hears(talk.caller.hz or 0)
        called.speaks(None)
        await called.accepts()
        await talk.caller.accepted()
        await talk.meet()
        await both_hear_anew(talk.caller, called)

    await player(scenario, way, invite={"Require": "100rel"} if demands in {CALLER, BOTH} else {})


@played("way", by(pytest.mark.keeps("9.8"), "peers-udp", EITHER), by(pytest.mark.keeps("11.6"), "sipp-udp", EITHER))
async def test_a_call_that_fails_after_its_early_media(player: Player, way: str) -> None:
    async def scenario(talk: Conversation[Party]) -> None:
        called = await talk.reached()
        called.speaks(EARLY_HZ)
        await called.rings(183, media=True)
        await talk.caller.progress(183, media=True)
        await talk.meet()
        await talk.caller.hears(EARLY_HZ)
        await called.hears(talk.caller.hz or 0)
        await called.declines(486)
        await talk.caller.refused(486)

    await player(scenario, way, invite={})


# --- session timers (RFC 4028)


def wanted(seconds: int, refresher: str = "") -> dict[str, str]:
    """What asks for a session timer."""
    role = f";refresher={refresher}" if refresher else ""
    return {"Supported": "timer", "Session-Expires": f"{seconds}{role}"}


@played(
    "way refresher",
    by(pytest.mark.keeps("9.13"), "peers-udp", both_ways("uac", "uas")),
    by(pytest.mark.keeps("11.11"), "sipp-udp", both_ways("uac", "uas")),
)
async def test_a_caller_that_asks_for_a_session_timer_is_given_one(player: Player, way: str, refresher: str) -> None:
    async def scenario(talk: Conversation[Party]) -> None:
        await (await talk.reached()).accepts()
        await talk.caller.accepted(Session_Expires=f"120 *; *refresher={refresher}")
        await talk.meet()
        await talk.both_hear()

    await player(scenario, way, invite=wanted(120, refresher))


@played("way", by(pytest.mark.keeps("9.13"), "peers-udp", EITHER), by(pytest.mark.keeps("11.11"), "sipp-udp", EITHER))
async def test_too_short_a_session_is_refused_with_the_least_there_is(player: Player, way: str) -> None:
    async def scenario(talk: Conversation[Party]) -> None:
        await talk.caller.refused(422, Min_SE="90")

    await player(scenario, way, invite=wanted(30))


@played("way", by(pytest.mark.keeps("9.13"), "peers-udp", EITHER), by(pytest.mark.keeps("11.11"), "sipp-udp", EITHER))
async def test_we_offer_a_session_timer_and_demand_none(player: Player, way: str) -> None:
    async def scenario(talk: Conversation[Party]) -> None:
        asked = {"Session_Expires": "[1-9][0-9][0-9]+.*", "Min_SE": "[0-9]+", "Supported": ".*timer.*", "Require": ""}
        await (await talk.reached(**asked)).accepts()
        await talk.caller.accepted()
        await talk.meet()

    await player(scenario, way, invite={})


# --- messages that cross or are lost


@played(
    "way late",
    by(pytest.mark.keeps("9.10"), "peers-udp", both_ways("in time", "too late")),
    by(pytest.mark.keeps("11.8"), "sipp-udp", both_ways("in time", "too late")),
    by(pytest.mark.keeps("11.8"), SIPP_ON_WIRES, both_ways("too late")),
)
async def test_a_caller_who_cancels(player: Player, way: str, late: str) -> None:
    """The CANCEL comes before the other side answers, or crosses its 200: then that one is hung up."""

    async def scenario(talk: Conversation[Party]) -> None:
        called = await talk.reached()
        await called.rings()
        await talk.caller.progress(180)
        await talk.meet()
        if late == "too late":
            await called.answers_when_cancelled()
        await talk.caller.cancels()
        await talk.caller.refused(487)
        await called.cancelled()

    await player(scenario, way, invite={})


@played(
    "way acks",
    by(pytest.mark.keeps("9.10"), "peers-udp", both_ways("before the ACK", "after the ACK")),
    by(pytest.mark.keeps("11.8"), "sipp-udp", both_ways("before the ACK")),
)
async def test_a_cancel_that_meets_our_200_changes_nothing(player: Player, way: str, acks: str) -> None:
    async def scenario(talk: Conversation[Party]) -> None:
        called = await talk.reached()
        await called.rings()
        await called.accepts()
        await talk.caller.accepted(acks=acks == "after the ACK")
        await talk.caller.cancels()
        if acks == "before the ACK":
            await talk.caller.acks()
        await talk.meet()
        await talk.both_hear()

    await player(scenario, way, invite={})


forked = played(
    "way", by(pytest.mark.keeps("9.12"), "peers-udp", EITHER), by(pytest.mark.keeps("11.10"), "sipp-udp", EITHER)
)


@forked
async def test_of_several_that_ring_the_one_that_answers_is_heard(player: Player, way: str) -> None:
    async def scenario(talk: Conversation[Party]) -> None:
        called = await talk.reached()
        await called.rings_elsewhere()
        await called.rings_elsewhere(183, media=True)
        await called.rings()
        await called.accepts()
        await talk.caller.accepted()
        await talk.meet()
        await both_hear_anew(talk.caller, called)

    await player(scenario, way, invite={})


@forked
async def test_a_second_answer_is_acknowledged_and_hung_up(player: Player, way: str) -> None:
    async def scenario(talk: Conversation[Party]) -> None:
        called = await talk.reached()
        await called.accepts()
        await talk.caller.accepted()
        await talk.meet()
        await called.accepts_elsewhere()
        await talk.meet()
        await both_hear_anew(talk.caller, called)

    await player(scenario, way, invite={})


@played("way", by(pytest.mark.keeps("9.11"), "peers-udp", EITHER), by(pytest.mark.keeps("11.9"), "sipp-udp", EITHER))
async def test_a_lost_ack_is_made_up_for_by_our_next_200(player: Player, way: str) -> None:
    async def scenario(talk: Conversation[Party]) -> None:
        await (await talk.reached()).accepts()
        await talk.caller.accepted(acks=False)
        await talk.caller.accepted_again()
        await talk.caller.acks()
        await talk.both_hear()

    await player(scenario, way, invite={})


@played(
    "way",
    by(pytest.mark.keeps("9.11"), "peers-udp", EITHER),
    by(pytest.mark.keeps("11.9"), f"sipp-udp {SIPP_ON_WIRES}", EITHER),
)
async def test_a_bye_before_the_ack(player: Player, way: str) -> None:
    async def scenario(talk: Conversation[Party]) -> None:
        called = await talk.reached()
        await called.accepts()
        await talk.caller.accepted(acks=False)
        await talk.meet()
        await talk.caller.hangs_up()
        await called.hung_up()
        await talk.caller.acks()  # or the 200 would be repeated into the next test

    await player(scenario, way, invite={})
