# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Asterisk that is followed, and its queue `sales` as it is counted."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.clock import LoopClock
from gateway.pbx.asterisk.ami_source import AmiSource, AmiTiming
from tests.pbx.fake_ami import Listener
from tests.pbx.followed import followed
from tests.support.asterisk import GATEWAY_AMI, Asterisk

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractAsyncContextManager

    from gateway.core.model import QueueState

TIMING = AmiTiming(retry_max_s=1.0)
BOOT_S = 12.0  # a start, its settling time, and room for a busy machine


def running(
    pbx: Asterisk,
    listener: Listener,
    *,
    secret: str = GATEWAY_AMI[1],
    max_age: timedelta = timedelta(seconds=10),
    timing: AmiTiming = TIMING,
    extensions: Collection[str] = ("6001", "6002", "6009", "6500"),
) -> AbstractAsyncContextManager[AmiSource]:
    source = AmiSource(
        pbx="office",
        host="127.0.0.1",
        port=pbx.ami_port,
        username=GATEWAY_AMI[0],
        secret=secret,
        queues={"sales", "slow", "support", "tiny"},
        extensions=set(extensions),
        listener=listener,
        max_age=max_age,
        timing=timing,
        clock=LoopClock(),
    )
    return followed(source)


def counts(queue: QueueState) -> tuple[int, int, int]:
    return queue.logged_in, queue.available, queue.callers


async def sales_become(listener: Listener, logged_in: int, available: int, callers: int = 0) -> float:
    """Wait until sales has these counts; returns time.monotonic() of then."""
    wanted = (logged_in, available, callers)
    await listener.until(
        lambda: "sales" in listener.states[-1].queues and counts(listener.states[-1].queues["sales"]) == wanted,
        within=10,
    )
    return time.monotonic()
