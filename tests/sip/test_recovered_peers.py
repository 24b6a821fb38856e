# SPDX-License-Identifier: GPL-2.0-or-later
"""What peers say to the re-INVITE that takes a call up again, and what they ask for meanwhile: see decision 0122."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sip.bed import PORT, Bed, Pair, Stage
from tests.sip.recovering import are_written_down, killed, reinvites, stage, told
from tests.sip.wires import TCP
from tests.support.begun import Begun
from tests.support.end import both_hear
from tests.support.peer import Peer
from tests.support.peer_call import Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.support.processes import Net
    from tests.support.sip_message import Message

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="session")]

KEY = {"username": "gw", "password": "correct horse"}
PAIRS = {"plain": Pair(), "locked": Pair(KEY, KEY), "tcp": Pair(TCP, TCP)}
WAIT_S = 30.0
EDGE, HIDDEN, STRANGER = 70, 71, 99
"""Hosts: of a proxy's second address, of whoever is behind it (nobody listens there), and of somebody unknown."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(own_net: Net) -> AsyncIterator[Bed]:
    """A gateway whose calls outlive it."""
    made = Bed(own_net, PAIRS, sip={"recover_calls": True, "tcp_port": PORT})
    async with made.gateway:
        yield made


class Taken:
    """A conversation whose gateway is killed, of which one side leaves the re-INVITE to the test."""

    def __init__(self, at: Stage, caller: Call, assistant: Call, who: str) -> None:
        self.at = at
        self.calls = (caller, assistant)
        self.asked, self.other = (caller, assistant) if who == "caller" else (assistant, caller)
        self.peer = self.asked.peer

    async def kill(self) -> None:
        """… and start it, and wait until it has asked."""
        self.asked.answers["INVITE"] = None
        await killed(self.at.bed.gateway)
        self.first = await self.invite(1)

    async def invite(self, count: int) -> Message:
        """The so manyeth re-INVITE."""
        return await self.peer.until(
            lambda: invites[count - 1] if len(invites := reinvites(self.asked)) >= count else None,
            f"re-INVITE {count}",
            WAIT_S,
        )

    async def refuse(self, code: int, *headers: tuple[str, str], last: bool = True) -> Message:
        """Refuse the newest one, and wait for the next, which is answered where it was the last refusal."""
        invites = reinvites(self.asked)
        if last:
            self.asked.answers["INVITE"] = 200
        self.asked.respond(invites[-1], code, headers=headers)
        return await self.invite(len(invites) + 1)

    async def talk_and_end(self) -> None:
        """Both hear each other; the one that was asked hangs up, and that is the end of it for both."""
        await both_hear(*self.calls)
        assert (await self.asked.hang_up()).code == 200
        await self.other.wait_request("BYE", WAIT_S)
        await are_written_down(self.at.bed.gateway, 0)

    async def lost(self) -> None:
        """The call is over for both, and that was told."""
        await self.other.wait_request("BYE", WAIT_S)
        await self.asked.wait_request("BYE", WAIT_S)
        await are_written_down(self.at.bed.gateway, 0)


async def taken(at: Stage, who: str, **more: Sequence[tuple[str, str]]) -> Taken:
    """Two who talk; `more` is for the INVITE and the answer of who is asked."""
    headers = more.get("headers", ())
    caller = at.call(headers=headers if who == "caller" else ())
    assistant = await at.trunk.wait_call()
    await assistant.answer(hz=1300, headers=headers if who == "assistant" else ())
    await caller.answered()
    return Taken(at, caller, assistant, who)


# --- a challenge

CHALLENGE = 'Digest realm="far", nonce="n0nce", algorithm=MD5, qop="auth"'
CHALLENGES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


def md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def is_proved(given: str, uri: str) -> bool:
    """Whether the password is in it, by RFC 7616 §3.4.1."""
    fields = {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', given)}
    one, other = md5(KEY["username"], "far", KEY["password"]), md5("INVITE", uri)
    middle = [fields[name] for name in ("nonce", "nc", "cnonce", "qop")]
    return (fields["uri"], fields["response"]) == (uri, md5(one, *middle, other))


@pytest.mark.keeps("22.52")
@pytest.mark.parametrize(("who", "code"), [("caller", 401), ("assistant", 407)])
async def test_a_side_that_asks_for_the_password(bed: Bed, who: str, code: int) -> None:
    asks, answers = CHALLENGES[code]
    async with stage(bed, "locked") as at:
        call = await taken(at, who)
        await call.kill()
        again = await call.refuse(code, (asks, CHALLENGE))
        assert is_proved(again[answers], again.uri)
        assert again.cseq[0] > call.first.cseq[0]
        await call.talk_and_end()


@pytest.mark.keeps("22.52")
@pytest.mark.parametrize("name", ["plain", "locked"])
async def test_a_side_that_takes_no_password_of_ours(bed: Bed, name: str) -> None:
    """The configuration has none, or another."""
    async with stage(bed, name) as at:
        call = await taken(at, "assistant")
        await call.kill()
        refused = [call.first]
        if name == "locked":
            refused.append(await call.refuse(401, ("WWW-Authenticate", CHALLENGE), last=False))
        call.asked.respond(refused[-1], 401, headers=[("WWW-Authenticate", CHALLENGE)])
        await call.lost()
        assert (await told(bed.gateway, "recovered"), await told(bed.gateway, "lost")) == (0, 1)


@pytest.mark.keeps("22.52")
async def test_a_bye_after_the_challenge(bed: Bed) -> None:
    """The dialog is there all the time, although what asks with the password was not answered either."""
    async with stage(bed, "locked") as at:
        call = await taken(at, "assistant")
        await call.kill()
        await call.refuse(401, ("WWW-Authenticate", CHALLENGE), last=False)
        assert (await call.asked.hang_up()).code == 200
        await call.other.wait_request("BYE", WAIT_S)
        await are_written_down(bed.gateway, 0)


# --- proxies


@pytest.mark.keeps("22.53")
@pytest.mark.parametrize(("who", "strict"), [("caller", False), ("assistant", False), ("assistant", True)])
async def test_a_side_behind_proxies(bed: Bed, who: str, *, strict: bool) -> None:
    """The re-INVITE goes by the routes of the dialog, and so does what comes after it (RFC 3261 §12.2.1.1)."""
    async with stage(bed, "plain") as at:
        peer = at.pbx if who == "caller" else at.trunk
        near = f"sip:edge@{peer.host}:{PORT}" + ("" if strict else ";lr")
        far = f"sip:core@{bed.net.host(EDGE)}:{PORT};lr"
        hidden = f"sip:hidden@{bed.net.host(HIDDEN)}:{PORT};transport=tcp"
        peer.elsewhere = hidden
        # A request passes the one that the gateway sees first; of a request the topmost was added last.
        routes = [("Record-Route", f"<{near}>"), ("Record-Route", f"<{far}>")]
        call = await taken(at, who, headers=routes if who == "caller" else routes[::-1])
        await call.kill()
        call.asked.answers["INVITE"] = 200
        call.asked.respond(call.first, 200, body=call.asked.answer_to(call.first.body))
        await both_hear(*call.calls)
        assert (await call.other.hang_up()).code == 200
        bye = await call.asked.wait_request("BYE", WAIT_S)
        assert "transport" not in call.first["Contact"]  # ours is by the hop that we see
        for request in (call.first, bye):
            if strict:
                assert request.uri == near
                assert request.all("Route") == [f"<{far}>", f"<{hidden}>"]
            else:
                assert request.uri == hidden
                assert request.all("Route") == [f"<{near}>", f"<{far}>"]


# --- not now


def gap_s(call: Call, begun: Begun) -> float:
    """Between the last refusal and the INVITE after it, what either had to wait for a processor left out."""
    entries = [one for one in call.peer.trace if one.message["Call-ID"] == call.call_id and not one.repeated]
    refused = [one.at for one in entries if one.sent and not one.message.is_request and one.message.code >= 300][-1]
    came = next(one.at for one in entries if not one.sent and one.at > refused and one.message.method == "INVITE")
    return came - refused - begun.kept_s


@pytest.mark.keeps("22.54")
@pytest.mark.parametrize(
    ("name", "who", "least_s", "most_s"), [("plain", "caller", 0.0, 2.0), ("tcp", "assistant", 2.1, 4.0)]
)
async def test_a_side_that_asks_for_something_itself(
    bed: Bed, name: str, who: str, least_s: float, most_s: float
) -> None:
    """491: tried again, sooner where the Call-ID is the peer's (RFC 3261 §14.1), with the same description."""
    async with stage(bed, name) as at:
        call = await taken(at, who)
        await call.kill()
        begun = Begun(bed.gateway.child.pid)
        again = await call.refuse(491)
        assert gap_s(call.asked, begun) < most_s + 0.5
        entries = [one.at for one in call.peer.trace if one.message in (call.first, again) and not one.sent]
        assert entries[-1] - entries[0] >= least_s
        assert again.cseq[0] > call.first.cseq[0]
        assert again.body == call.first.body
        await call.talk_and_end()


@pytest.mark.keeps("22.54")
async def test_both_ask_for_something(bed: Bed) -> None:
    """A re-INVITE that the gateway has not seen is sent again: both get 491, and the gateway's comes through."""
    async with stage(bed, "plain") as at:
        call = await taken(at, "assistant")
        call.asked.answers["INVITE"] = None
        await are_written_down(bed.gateway, 1)
        await bed.gateway.kill()
        own = call.asked.begin("INVITE", body=call.asked.offer(("PCMA",)), content_type="application/sdp")
        await bed.gateway.start()
        call.first = await call.invite(1)
        again = await call.refuse(491)
        assert (await own.final(WAIT_S)).code == 491
        assert again.cseq[0] > call.first.cseq[0]
        await both_hear(*call.calls)
        assert (await call.asked.reinvite()).code == 200
        await call.talk_and_end()


@pytest.mark.keeps("22.54")
async def test_a_side_that_is_busy_with_its_own_request(bed: Bed) -> None:
    """500 with Retry-After (RFC 3261 §14.2)."""
    async with stage(bed, "plain") as at:
        call = await taken(at, "assistant")
        await call.kill()
        begun = Begun(bed.gateway.child.pid)
        await call.refuse(500, ("Retry-After", "0"), last=False)
        assert gap_s(call.asked, begun) < 1
        await call.refuse(500, ("Retry-After", "1;duration=5"))
        assert gap_s(call.asked, begun) + begun.kept_s >= 0.9
        await call.talk_and_end()


@pytest.mark.keeps("22.54")
async def test_a_side_that_wants_a_longer_session(bed: Bed) -> None:
    async with stage(bed, "plain") as at:
        call = await taken(at, "assistant")
        await call.kill()
        again = await call.refuse(422, ("Min-SE", "3700"))
        assert (again["Min-SE"], again["Session-Expires"].partition(";")[0]) == ("3700", "3700")
        await call.talk_and_end()


@pytest.mark.keeps("22.54")
@pytest.mark.parametrize(("code", "headers"), [(500, []), (503, [("Retry-After", "1")])])
async def test_a_side_that_refuses_for_good(bed: Bed, code: int, headers: list[tuple[str, str]]) -> None:
    async with stage(bed, "plain") as at:
        call = await taken(at, "assistant")
        await call.kill()
        call.asked.respond(call.first, code, headers=headers)
        await call.lost()
        assert reinvites(call.asked) == [call.first]


@pytest.mark.keeps("22.54")
@pytest.mark.parametrize(("name", "ends"), [("tcp", "bye"), ("plain", "patience")])
async def test_a_side_that_never_has_time(bed: Bed, name: str, ends: str) -> None:
    """Given up after 8 s; or it hangs up while it is being waited for."""
    async with stage(bed, name) as at:
        call = await taken(at, "caller")
        call.asked.answers["INVITE"] = 491
        await killed(bed.gateway)
        await call.invite(2)
        if ends == "bye":
            assert (await call.asked.hang_up()).code == 200
            await call.other.wait_request("BYE", WAIT_S)
            await are_written_down(bed.gateway, 0)
        else:
            await call.lost()


# --- what is asked meanwhile


@pytest.mark.keeps("22.55")
@pytest.mark.parametrize("who", ["caller", "assistant"])
async def test_requests_while_the_call_is_taken_up(bed: Bed, who: str) -> None:
    """None ends the call; what changes it is to be asked for again later."""
    async with stage(bed, "plain") as at:
        call = await taken(at, who)
        await call.kill()
        offer = call.asked.offer(("PCMA",))
        key = b"Signal=5\r\nDuration=160\r\n"
        codes = {
            "INVITE": (await call.asked.begin("INVITE", body=offer, content_type="application/sdp").final()).code,
            "UPDATE": (await call.asked.begin("UPDATE", body=offer, content_type="application/sdp").final()).code,
            "OPTIONS": (await call.asked.begin("OPTIONS").final()).code,
            "INFO": (await call.asked.begin("INFO", body=key, content_type="application/dtmf-relay").final()).code,
            "REFER": (await call.asked.refer("<sip:+31612345681@gateway>")).code,
        }
        assert codes["INVITE"] == 491
        assert codes["UPDATE"] in (491, 500, 504)
        assert codes["OPTIONS"] == 200
        assert codes["REFER"] == 480
        assert codes["INFO"] in (200, 480, 481)
        call.asked.answers["INVITE"] = 200
        call.asked.respond(call.first, 200, body=call.asked.answer_to(call.first.body))
        await both_hear(*call.calls)
        assert (await call.asked.reinvite()).code == 200
        await call.talk_and_end()


# --- strangers


@pytest.mark.keeps("22.56")
async def test_a_stranger_who_knows_the_dialog(bed: Bed) -> None:
    async with stage(bed, "plain") as at, Peer(bed.net.host(STRANGER), PORT) as stranger:
        call = await taken(at, "assistant")
        await call.kill()
        known = call.asked
        for thief in (stranger, at.pbx):
            forged = Call(thief, known.remote, local=known.local, far=known.far, call_id=known.call_id)
            thief.calls.append(forged)
            forged.target, forged.cseq = known.target, known.cseq + 10
            for method in ("INVITE", "UPDATE", "REFER", "CANCEL", "BYE"):
                assert (await forged.begin(method).final()).code in (403, 481)
            thief.calls.remove(forged)
            forged.close()
        # Nor is an answer of anybody else one.
        stolen = Call(stranger, known.remote, local=known.local, far=known.far, call_id=known.call_id)
        stolen.respond(call.first, 481)
        stolen.close()
        call.asked.answers["INVITE"] = 200
        call.asked.respond(call.first, 200, body=call.asked.answer_to(call.first.body))
        await call.talk_and_end()
