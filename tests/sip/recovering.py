# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway that is killed while calls are up, and started again: what is needed to play that."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tests.sip.bed import PORT, TLS_PORT, Stage, tls
from tests.support.begun import Begun
from tests.support.end import both_hear
from tests.support.kept_rows import kept_rows
from tests.support.processes import eventually
from tests.support.wire import Streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.sip.bed import Bed
    from tests.support.certificates import Authority
    from tests.support.gateway import Gateway
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

RECOVERED = "transfer_gateway_calls_recovered_total"
HEARD_PACKETS = 25
"""Half a second, which is more than a tone is looked for in."""
MOST_S = 2.0
"""How long those who talk may hear nothing, when the gateway is started again at once."""


def sip_on_every_wire(authority: Authority, host: str) -> dict[str, Any]:
    """The [sip] of a gateway whose calls outlive it, over UDP, TCP and TLS."""
    return {"recover_calls": True, "tcp_port": PORT, **tls(authority, host)}


def stage(bed: Bed, name: str, authority: Authority | None = None) -> Stage:
    """The peers of a pair: over TCP, over TLS ("srtp"), else over UDP, where they send again what is not answered."""
    if name == "tcp":
        return Stage(bed, name, trunk=Streams(), pbx=Streams())
    if name != "srtp":
        return Stage(bed, name).persistent()
    assert authority is not None
    wires = [Streams(authority.identity(host), clients=True) for host in (bed.trunk_host(name), bed.pbx_host(name))]
    at = Stage(bed, name, trunk=wires[0], pbx=wires[1], port=TLS_PORT)
    at.trunk.encryption = at.pbx.encryption = "required"
    return at


async def put_through(at: Stage, caller: Call, assistant: Call) -> tuple[Call, dict[str, Any]]:
    """The assistant transfers the caller to Anna, and is done: Anna's end, and the call as the API has it."""
    anna = await at.transfer(caller, assistant)
    await assistant.wait_request("BYE", 30)
    (call,) = (await at.bed.gateway.get("/api/calls"))["calls"]
    return anna, call


def written_down(gateway: Gateway) -> int:
    """How many calls the journal has."""
    return len(kept_rows(gateway))


async def are_written_down(gateway: Gateway, calls: int) -> None:
    """Wait until so many calls are in the journal with the legs that they have now.

    While the disk stands still, one that is over may be in it, and one whose leg has led elsewhere since.
    """

    async def are_there() -> bool:
        written = {row["call"]: {leg["dialog"]["call_id"] for leg in row["legs"]} for row in kept_rows(gateway)}
        if len(written) != calls:
            return False
        if not written:
            return True
        running = {
            one["call"]: {leg["call_id"] for leg in one["legs"] if leg["state"] != "ending"}
            for one in (await gateway.get("/api/calls"))["calls"]
        }
        return all(legs <= running.get(call, set()) for call, legs in written.items())

    await eventually(are_there, f"{calls} calls in the journal, not {written_down(gateway)}", timeout_s=30)


def rewrite(gateway: Gateway, change: Callable[[dict[str, Any]], None]) -> None:
    """Change each row that a gateway which does not run has written down."""
    with closing(sqlite3.connect(gateway.directory / "state" / "outbox.db")) as db, db:
        for call, payload in db.execute("SELECT call, payload FROM kept_calls").fetchall():
            row = json.loads(payload)
            change(row)
            db.execute("UPDATE kept_calls SET payload = ? WHERE call = ?", (json.dumps(row), call))


async def killed(gateway: Gateway, calls: int = 1) -> Begun:
    """Kill it with so many calls that outlive it, and start it again; when it was killed."""
    await are_written_down(gateway, calls)
    begun = Begun()
    await gateway.kill()
    await gateway.start()
    return begun


async def has_audio_since(call: Call, moment: float) -> None:
    """Wait until a call has so much audio of after a moment that what it hears is nothing older."""

    async def is_there() -> bool:
        return sum(packet.at > moment for packet in call.media.received) >= HEARD_PACKETS

    await eventually(is_there, f"{HEARD_PACKETS} packets since a moment", timeout_s=30)


async def hear_since(moment: float, one: Call, other: Call) -> None:
    """Both hear one another, by audio of after that moment."""
    for call in (one, other):
        await has_audio_since(call, moment)
    await both_hear(one, other)


async def talk_on(
    gateway: Gateway, one: Call, other: Call, again: Callable[[Gateway], Awaitable[Begun]] = killed
) -> None:
    """Both hear one another in the next process, as before; `again` has it follow, and tells when it began to."""
    for call in (one, other):
        await has_audio_since(call, 0)
    begun = await again(gateway)
    ready_s = time.monotonic() - begun
    await hear_since(begun + ready_s, one, other)
    for call in (one, other):
        # On a busy machine the start takes longer; what comes after it is the gateway's own.
        gap_s, most_s = call.media.longest_gap(begun - 0.5), max(MOST_S, ready_s + 0.5 + begun.kept_s)
        print(f"silence for {gap_s:.2f} s; ready after {ready_s:.2f} s")
        assert gap_s < most_s, f"silence for {gap_s} s, the start took {ready_s} s"


async def told(gateway: Gateway, result: str) -> int:
    """How many calls were taken up ("recovered"), or could not be ("lost"), since the start."""
    return int(await gateway.metric(RECOVERED, result=result))


def reinvites(call: Call) -> list[Message]:
    """Those that came in its dialog."""
    return [one for one in call.requests if one.method == "INVITE"]


def session_in(description: bytes) -> tuple[int, int]:
    """Id and version of the session, as its o= line has them (RFC 8866 §5.2)."""
    found = re.search(rb"^o=\S+ (\d+) (\d+) ", description, re.M)
    assert found
    return int(found[1]), int(found[2])


async def call_ended(gateway: Gateway, call: str) -> dict[str, Any]:
    """Wait until the history has a call; as it has it."""

    async def is_there() -> dict[str, Any] | None:
        found = (await gateway.get("/api/calls?since=2020-01-01T00:00:00Z"))["calls"]
        return next((one for one in found if one["call"] == call and one["ended_at"]), None)

    ended = await eventually(is_there, f"the end of call {call}", timeout_s=30)
    assert ended is not None
    return ended
