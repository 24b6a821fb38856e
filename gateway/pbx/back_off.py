# SPDX-License-Identifier: GPL-2.0-or-later
"""How long to wait before a PBX is asked again that did not answer."""

import random

_DOUBLINGS = 16  # at most: beyond that the longest wait has long been reached


def back_off_s(failures: int, shortest_s: float, longest_s: float) -> float:
    """Seconds to wait after so many failures in a row (at least 1): doubled each time, up to the longest wait.

    It is shortened by up to a half at random, so that the gateways of a PBX don't all come back to it at once.
    """
    wait_s: float = min(longest_s, shortest_s * 2 ** min(failures - 1, _DOUBLINGS))
    return wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret, only spread
