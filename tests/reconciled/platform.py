# SPDX-License-Identifier: GPL-2.0-or-later
"""SIPp as the voice platform and as its callers, and what it has counted: what it asked for, and what it was told."""

from __future__ import annotations

import itertools
import math
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.reconciled.kinds import Asked, Key, key
from tests.support.company import NUMBER
from tests.support.sipp import Sipp

if TYPE_CHECKING:
    from tests.support.gateway import Gateway
    from tests.support.processes import Net

PLATFORM = Path(__file__).with_name("scenarios") / "platform"
CALLER = Path(__file__).with_name("scenarios") / "caller"
PATIENCE_MS = 3000
CODES = (400, 403, 404, 420, 480, 481, 486, 491, 500, 503, 603)
LOG = "told.log"

_REFUSAL = """  <recv response="{code}" optional="true" next="hang_up">
    <action>
      <ereg regexp='text="([a-z-]+)"' search_in="hdr" header="Reason:" check_it="false" assign_to="all,reason" />
      <log message="told [field2] {code} [$reason]" />
    </action>
  </recv>"""


def in_turn(kinds: Sequence[Asked]) -> Iterator[Asked]:
    """All of them by their shares, over and over, with the same ones far from each other."""
    shares = [one for one in kinds for _ in range(one.share)]
    step = next(step for step in itertools.count(7) if math.gcd(step, len(shares)) == 1)
    return itertools.cycle(shares[place * step % len(shares)] for place in range(len(shares)))


class Wave:
    """Callers whom the platform has put through, so many a second: `await Wave(…).played()`."""

    def __init__(self, gateway: Gateway, net: Net, asked: Sequence[Asked], per_second: float) -> None:
        self._asked = asked
        self.turned_away = 0
        """Callers whom a gateway on a machine that is too busy has not let in, so that nothing was asked for them."""
        rows = [
            [f"Refer-To: <sip:{one.number}@{net.gateway}>" if one.number else "X-No: Refer-To", one.header, str(place)]
            for place, one in enumerate(asked)
        ]  # fmt: skip
        patience = len(asked) / per_second + 60
        self._platform = Sipp(
            str(PLATFORM), net.trunk, calls=len(asked), rows=rows, hold_ms=100, timeout_s=patience, logged=False,
            values={"REFUSALS": "\n".join(_REFUSAL.format(code=code) for code in CODES)},
            options=["-trace_logs", "-log_file", LOG],
        )  # fmt: skip
        self._callers = Sipp(
            str(CALLER), net.provider, remote=gateway.sip, service=NUMBER, calls=len(asked), rate=per_second,
            timeout_s=patience, values={"PATIENCE": str(PATIENCE_MS)}, logged=False,
        )  # fmt: skip

    async def played(self) -> Counter[Key]:
        """Have all of them call and wait until the last one has gone; what the platform was told, counted.

        Raises AssertionError where it was told something else than what it asked for should come to.
        """
        async with self._platform as platform:
            await platform.child.ready(platform.listening)
            async with self._callers as callers:
                self.turned_away = (await callers.finished()).check().counters["turned_away"]
                if self.turned_away:  # or it ends by itself after the last one, which may not have been told yet
                    platform.child.signal(signal.SIGUSR1)  # to SIPp: no more than what is under way
                (await platform.finished()).check()
            return self._counted((platform.directory / LOG).read_text())

    def _counted(self, log: str) -> Counter[Key]:
        lines = [line.split() for line in log.splitlines() if line.startswith("told ")]
        places = [int(place) for _, place, *_ in lines]
        assert sorted(places) == list(range(len(self._asked) - self.turned_away)), f"not once each: {sorted(places)}"
        counted: Counter[Key] = Counter()
        for _, place, code, reason in lines:
            one = self._asked[int(place)]
            assert (int(code), reason) in {(one.code, "-"), (one.code, str(one.reason))}, (one, code, reason)
            counted[key(one.reason)] += 1
        return counted
