# SPDX-License-Identifier: GPL-2.0-or-later
"""What a gateway holds while the fuzzer plays, and how it ended."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.support.gateway import Gateway
from tests.support.processes import open_files


async def ended(gateway: Gateway, within_s: float) -> str:
    """With what code it has ended, or ends while a sanitizer writes its report."""
    with suppress(TimeoutError):
        return f"; the process ended with {await gateway.child.wait(within_s)}"
    return ""


async def held(gateway: Gateway) -> dict[str, int]:
    status = await gateway.get("/api/status")
    descriptors = len(os.listdir(f"/proc/{gateway.child.pid}/fd"))  # noqa: PTH208  # no file is waited for
    counted = {what: status[what] for what in ("calls", "transfers", "watches")} | {"descriptors": descriptors}
    return {**counted, **status["sip"], **status["stack"]}


def kinds_of(pid: int) -> dict[str, int]:
    """How many descriptors of a process are sockets, pipes, and each of its files."""
    return dict(Counter(one.partition(":")[0] for one in open_files(pid)))


async def is_connected(gateway: Gateway) -> bool:
    """Else what it holds from then on would be taken for left behind."""
    managers = await gateway.counts("transfer_gateway_pbx_up", "pbx")
    return await gateway.metric("transfer_gateway_mqtt_connected") == 1 and all(
        managers[pbx] == 1 for pbx in ("clumsy-pbx", "handing-pbx")
    )


def connections_of(pid: int) -> list[str]:
    """Local and remote end and state of each TCP socket of a process, those that listen left out (proc(5))."""
    own = set(open_files(pid))
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return [f"{line[1]} {line[2]} {line[3]}" for line in lines if f"socket:[{line[9]}]" in own and line[3] != "0A"]
