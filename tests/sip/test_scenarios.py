# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios that are written once, and played by scripted peers, SIPp, real Asterisks and a phone (see players.py)."""

from __future__ import annotations

from itertools import product

import pytest

from tests.sip.far_ends import End, Ends
from tests.sip.mid_call import WAYS
from tests.sip.players import by, played
from tests.sip.scenario import Conversation, Player, both_hear_anew, change, told
from tests.support import end
from tests.support.end import DELAYED, NOUGHT, Offering

pytestmark = pytest.mark.sip

OUT, IN = WAYS
EITHER = [(OUT,), (IN,)]
MUSIC_HZ, RINGBACK_HZ = 1900, 425
SAFE = End("tls", encrypted=True)
PAIRS = {"plain": Ends(), "safe": Ends(SAFE, SAFE)}
"""What the Asterisks are."""


def variants(*kinds: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Either way, by either side."""
    return [(way, who, *kind) for kind, way, who in product(kinds, WAYS, ["caller", "called"])]


RE_INVITE, UPDATE, BY_ANSWER = ("sendonly", "INVITE"), ("sendonly", "UPDATE"), ("sendonly", DELAYED)
OTHERS = [("inactive", "INVITE"), (NOUGHT, "INVITE")]
ON_WIRES = [
    (OUT, "called", *RE_INVITE), (OUT, "caller", *UPDATE), (IN, "called", *UPDATE), (IN, "caller", *RE_INVITE),
    *((OUT, "called", *kind) for kind in (BY_ANSWER, *OTHERS)),
]  # fmt: skip


@played(
    "way who direction method",
    by(pytest.mark.keeps("9.1"), "peers-udp", variants(RE_INVITE, UPDATE)),
    by(pytest.mark.keeps("9.2"), "peers-udp", [(OUT, "called", *kind) for kind in OTHERS]),
    by(pytest.mark.keeps("9.5"), "peers-udp", [(OUT, "called", *BY_ANSWER)]),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", ON_WIRES),
    by(pytest.mark.keeps("11.2"), "sipp-udp", variants(RE_INVITE, UPDATE, BY_ANSWER, *OTHERS)),
    by(pytest.mark.keeps("11.2"), "sipp-tcp sipp-tls", variants(RE_INVITE)),
    by(pytest.mark.keeps("10.6"), "asterisks-plain asterisks-safe", variants(RE_INVITE)),
)
async def test_hold_and_resume(player: Player, way: str, who: str, direction: str, method: str) -> None:
    """One holds the other and resumes: that one is told, hears music or nothing, and then the first again."""

    async def scenario(talk: Conversation[Offering]) -> None:
        holder, held = talk.parts(who)
        await talk.both_hear()
        await change(talk, holder, direction, method)
        holder.speaks(MUSIC_HZ)
        if direction == "inactive":
            await held.hears_nothing()
        else:
            await held.hears(MUSIC_HZ)
        await holder.hears_nothing()  # though the other side speaks all the time
        holder.speaks(None)
        await change(talk, holder, "sendrecv", method)
        await talk.both_hear()

    await player(scenario, way)


@played(
    "direction",
    by(pytest.mark.keeps("9.3"), "peers-udp", [("sendonly",), ("inactive",)]),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", [("sendonly",)]),
    by(pytest.mark.keeps("11.17"), "sipp-udp sipp-tcp sipp-tls", [("sendonly",), ("inactive",)]),
    by(pytest.mark.keeps("10.7"), "asterisks-plain asterisks-safe", [("sendonly",)]),
)
async def test_a_held_caller_is_taken_off_hold_for_the_target(player: Player, direction: str) -> None:
    async def scenario(talk: Conversation[Offering]) -> None:
        await talk.both_hear()
        await change(talk, talk.called, direction)
        target = await talk.transfer.asked()
        await told(talk, talk.caller, "sendrecv")
        await talk.transfer.rings()
        await talk.caller.hears(RINGBACK_HZ)
        await talk.transfer.connected()
        await both_hear_anew(talk.caller, target)

    await player(scenario, OUT)


@played(
    "when",
    by(pytest.mark.keeps("9.3"), "peers-udp", [("before",), ("while it rings",)]),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", [("while it rings",)]),
    by(pytest.mark.keeps("10.7"), "asterisks-plain asterisks-safe", [("before",)]),
)
async def test_the_target_is_told_that_the_caller_holds(player: Player, when: str) -> None:
    """The caller puts whomever they talk to on hold before they are transferred, or nobody while the target rings."""

    async def scenario(talk: Conversation[Offering]) -> None:
        await talk.both_hear()
        if when == "before":
            await change(talk, talk.caller, "sendonly")
        target = await talk.transfer.asked()
        await talk.transfer.rings()
        if when == "while it rings":
            await talk.caller.changes("sendonly")
        talk.caller.speaks(MUSIC_HZ)
        await talk.transfer.connected()
        await told(talk, target, "sendonly")
        await target.hears(MUSIC_HZ)
        talk.caller.speaks(None)
        await talk.caller.changes("sendrecv")
        await told(talk, target, "sendrecv")
        await both_hear_anew(talk.caller, target)

    await player(scenario, OUT)


@played(
    "way",
    by(pytest.mark.keeps("9.5"), "peers-udp", EITHER),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", EITHER),
    by(pytest.mark.keeps("11.5"), "sipp-udp sipp-tcp sipp-tls", EITHER),
)
async def test_an_invite_without_an_offer(player: Player, way: str) -> None:
    async def scenario(talk: Conversation[Offering]) -> None:
        await talk.both_hear()

    await player(scenario, way, offers=False)


@played(
    "",
    by(pytest.mark.keeps("9.5"), "peers-udp", [()]),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", [()]),
    by(pytest.mark.keeps("11.17"), "sipp-udp", [()]),
)
async def test_a_transfer_of_a_caller_who_made_no_offer(player: Player) -> None:
    async def scenario(talk: Conversation[Offering]) -> None:
        await talk.both_hear()
        target = await talk.transfer.asked()
        await talk.transfer.rings()
        await talk.caller.hears(RINGBACK_HZ)
        await talk.transfer.connected()
        await both_hear_anew(talk.caller, target)

    await player(scenario, OUT, offers=False)


@played(
    "way who",
    by(pytest.mark.keeps("9.5"), "peers-udp", variants(())),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", [(OUT, "called"), (IN, "caller")]),
    by(pytest.mark.keeps("11.5"), "sipp-udp", variants(())),
)
async def test_a_re_invite_without_an_offer(player: Player, way: str, who: str) -> None:
    async def scenario(talk: Conversation[Offering]) -> None:
        asking, _ = talk.parts(who)
        await change(talk, asking, "sendrecv", DELAYED)
        await both_hear_anew(talk.caller, talk.called)

    await player(scenario, way)


@played(
    "way who",
    by(pytest.mark.keeps("9.6"), "peers-udp", variants(())),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", [(OUT, "called"), (IN, "called")]),
    by(pytest.mark.keeps("11.3"), "sipp-udp", variants(())),
)
async def test_one_side_changes_its_codec(player: Player, way: str, who: str) -> None:
    async def scenario(talk: Conversation[Offering]) -> None:
        changing, other = talk.parts(who)
        await talk.both_hear()
        await change(talk, changing, "sendrecv", codec="PCMU")
        await both_hear_anew(talk.caller, talk.called)
        await changing.hears_in("PCMU")
        await other.hears_in("PCMA")

    await player(scenario, way)


@played(
    "",
    by(pytest.mark.keeps("9.6"), "peers-udp", [()]),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", [()]),
    by(pytest.mark.keeps("11.17"), "sipp-udp", [()]),
)
async def test_the_target_speaks_another_codec_than_the_caller(player: Player) -> None:
    async def scenario(talk: Conversation[Offering]) -> None:
        await talk.both_hear()
        await change(talk, talk.caller, "sendrecv", codec="PCMU")
        target = await talk.transfer.asked()
        await talk.transfer.rings()
        await talk.transfer.connected("PCMA")
        await both_hear_anew(talk.caller, target)
        await talk.caller.hears_in("PCMU")
        await target.hears_in("PCMA")

    await player(scenario, OUT)


@played(
    "way",
    by(pytest.mark.keeps("9.16"), "peers-udp", EITHER),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", EITHER),
    by(pytest.mark.keeps("11.13"), "sipp-udp", EITHER),
    by(pytest.mark.keeps("10.8"), "asterisks-plain", EITHER),
    by(pytest.mark.keeps("9.16"), "phone", [(IN,)]),
)
async def test_keys_pass_both_ways_each_once(player: Player, way: str) -> None:
    async def scenario(talk: Conversation[end.End]) -> None:
        await talk.both_hear()
        await talk.caller.press("123*#")
        await talk.called.press("4455")
        await talk.called.has_keys("123*#")
        await talk.caller.has_keys("4455")

    await player(scenario, way)


@played(
    "way",
    by(pytest.mark.keeps("9.16"), "peers-udp-info", EITHER),
    by(pytest.mark.keeps("9.17"), "peers-tcp-info peers-tls-info peers-srtp-info", [(OUT,)]),
    by(pytest.mark.keeps("11.13"), "sipp-info", EITHER),
)
async def test_events_become_info_and_info_becomes_events(player: Player, way: str) -> None:
    """The trunk wants INFO, whichever side has called."""

    async def scenario(talk: Conversation[Offering]) -> None:
        pbx, trunk = talk.parts("caller" if way == OUT else "called")
        await talk.both_hear()
        await trunk.awaits_infos("159D#")
        await pbx.press("159D#")
        await trunk.has_infos("159D#")
        await trunk.press_infos("2580A")
        await pbx.has_keys("2580A")
        await trunk.has_keys("")
        await both_hear_anew(talk.caller, talk.called)

    await player(scenario, way)


by_who_re_invites = played(
    "way who",
    by(pytest.mark.keeps("9.4"), "peers-udp", variants(())),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", [(OUT, "called")]),
    by(pytest.mark.keeps("11.4"), "sipp-udp", variants(())),
)


@by_who_re_invites
async def test_a_re_invite_that_meets_another_is_tried_again(player: Player, way: str, who: str) -> None:
    """RFC 3261 §14.1: from 2.1 to 4 s for who has made the dialog, up to 2 s for the other: the caller's."""

    async def scenario(talk: Conversation[Offering]) -> None:
        holder, held = talk.parts(who)
        await talk.both_hear()
        await held.collides()
        talk.changes.append((held, "sendonly"))
        await change(talk, holder, "sendonly")
        await held.has_waited(*((0, 2.3) if held is talk.caller else (2, 4.3)))
        await held.hears(holder.hz or 0)
        await holder.hears_nothing()

    await player(scenario, way)


@by_who_re_invites
async def test_a_re_invite_is_refused_while_ours_is_under_way(player: Player, way: str, who: str) -> None:
    async def scenario(talk: Conversation[Offering]) -> None:
        holder, held = talk.parts(who)
        await talk.both_hear()
        await held.keeps_waiting()
        await holder.changes("sendonly")
        await held.interrupts("sendonly")
        talk.changes.append((held, "sendonly"))
        await change(talk, held, "sendrecv", answered="sendonly")
        await held.hears(holder.hz or 0)
        await holder.hears_nothing()

    await player(scenario, way)


@played(
    "way who",
    by(pytest.mark.keeps("9.7"), "peers-udp", variants(())),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", [(OUT, "caller"), (IN, "caller")]),
    by(pytest.mark.keeps("11.3"), "sipp-udp", variants(())),
)
async def test_one_side_moves_to_another_address(player: Player, way: str, who: str) -> None:
    """Its sound, and SIPp's signalling: what is for it from then on reaches another program."""

    async def scenario(talk: Conversation[Offering]) -> None:
        moving, _ = talk.parts(who)
        await talk.both_hear()
        await moving.moves()
        await both_hear_anew(talk.caller, talk.called)

    await player(scenario, way)


@played(
    "",
    by(pytest.mark.keeps("9.5"), "peers-udp", [()]),
    by(pytest.mark.keeps("9.17"), "peers-tcp peers-tls peers-srtp", [()]),
    by(pytest.mark.keeps("11.17"), "sipp-udp", [()]),
)
async def test_a_transfer_while_our_offer_waits_for_its_answer(player: Player) -> None:
    """The caller has asked for an offer, and answers it once the target has answered."""

    async def scenario(talk: Conversation[Offering]) -> None:
        await talk.both_hear()
        await talk.caller.asks()
        target = await talk.transfer.asked()
        await talk.transfer.rings()
        await talk.transfer.connected()
        await talk.caller.acks()
        await both_hear_anew(talk.caller, target)

    await player(scenario, OUT)
