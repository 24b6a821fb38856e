# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a caller can be left to the PBX: what it has just said of a destination leaves no doubt.

A PBX that carries out a transfer by itself does not give the caller back when nobody answers, so that passing the
gate is not enough: an unknown state, or a queue in which others wait, is fine only for a caller whom the gateway holds.
"""

from datetime import datetime

from gateway.core.model import Destination, DeviceState, PbxState
from gateway.core.staffing import seen_by_caller


def is_certain(destination: Destination, pbx: PbxState, now: datetime) -> bool:
    """Whether the snapshot of `pbx` is fresh at `now` and somebody is free for this very caller."""
    if not pbx.fresh(now):
        return False
    if destination.queue is None:
        return any(pbx.extensions.get(extension) is DeviceState.IDLE for extension in destination.watched)
    queue = pbx.queues.get(destination.queue)
    if queue is None:
        return False
    seen = seen_by_caller(queue, destination.max_penalty, destination.wrap_up, now)
    return seen.available > 0 and seen.callers == 0
