# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the source of a PBX's state against a manager interface, wherever that is."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol

from gateway.pbx.asterisk.ami_source import AmiSource, AmiTiming
from gateway.ports import Clock
from tests.bench.jumping_loop import clock_of_loop
from tests.pbx.fake_ami import Listener
from tests.pbx.followed import followed

QUICK = AmiTiming(
    login_s=2.0,
    settle_s=0.2,
    missing_s=0.4,
    resync_s=60.0,
    starting_s=0.01,
    doubt_s=0.01,
    retry_min_s=0.01,
    retry_max_s=0.02,
    refused_retry_s=0.01,
)
PATIENT = timedelta(seconds=60)
HASTY = timedelta(seconds=0.15)
BRISK = timedelta(seconds=0.6)  # for tests that must not lose the PBX on a busy machine


class Reachable(Protocol):
    """A manager interface on loopback, wherever it runs."""

    port: int
    secret: str


def running(
    pbx: Reachable,
    listener: Listener,
    *,
    max_age: timedelta = PATIENT,
    timing: AmiTiming = QUICK,
    secret: str | None = None,
    queues: frozenset[str] = frozenset({"sales"}),
    extensions: frozenset[str] = frozenset({"6001"}),
    outside_lines: frozenset[str] = frozenset(),
    clock: Clock | None = None,
) -> AbstractAsyncContextManager[AmiSource]:
    """A source, running, which tells the listener."""
    source = AmiSource(
        pbx="office",
        host="127.0.0.1",
        port=pbx.port,
        username="gateway",
        secret=secret or pbx.secret,
        queues=queues,
        extensions=extensions,
        listener=listener,
        max_age=max_age,
        timing=timing,
        outside_lines=outside_lines,
        clock=clock or clock_of_loop(),
    )
    return followed(source)


@asynccontextmanager
async def known(pbx: Reachable, listener: Listener, **more: Any) -> AsyncIterator[AmiSource]:
    """The same once it knows everything."""
    async with running(pbx, listener, **more) as source:
        await listener.known()
        yield source
