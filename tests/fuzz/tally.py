# SPDX-License-Identifier: GPL-2.0-or-later
"""What went out, how much of it broken, and what came of it: a fuzzer that reaches nothing finds nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

TRUNKS, PBXS, STRANGERS = "trunk", "pbx", "stranger"
WIRES = ("UDP", "TCP", "TLS")

IN_CALLS = (
    "INVITE", "UPDATE", "REFER", "INFO", "NOTIFY", "PRACK", "BYE", "CANCEL", "OPTIONS", "SUBSCRIBE", "MESSAGE",
)  # fmt: skip
"""Each of these has to have been sent broken within a dialog, and answered."""
OUTSIDE = (
    "INVITE", "OPTIONS", "REGISTER", "REFER", "BYE", "CANCEL", "SUBSCRIBE", "NOTIFY", "MESSAGE",
)  # fmt: skip
PACKETS = ("RTP", "RTCP", "SRTP", "SRTCP")


@dataclass
class Tally:
    """Counts by side ("trunk UDP", "broker") and kind ("INVITE in a call", "RTP")."""

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: Counter[tuple[str, str]] = field(default_factory=Counter)
    came: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """The third says what: "2xx", "asked", "up"."""

    def out(self, side: str, kind: str, *, broken: bool) -> None:
        """Something was sent."""
        self.sent[side, kind] += 1
        self.broken[side, kind] += broken

    def back(self, side: str, kind: str, what: str) -> None:
        """Something came of it, or by itself."""
        self.came[side, kind, what] += 1

    def lines(self) -> list[str]:
        """A line for each side and kind."""
        kinds = sorted({*self.sent, *((side, kind) for side, kind, _ in self.came)})
        return [self._line(*one) for one in kinds]

    def _line(self, side: str, kind: str) -> str:
        sent, broken = self.sent[side, kind], self.broken[side, kind]
        came = sorted((what, count) for (*whose, what), count in self.came.items() if whose == [side, kind])
        told = ", ".join(f"{what} {count}" for what, count in came)
        return f"{side:16} {kind:26} {sent:6} sent, {broken:6} broken{': ' if told else ''}{told}"

    def unreached(self) -> list[str]:
        """What has to be reached by each run of a minute, and was not."""
        missing = [f"{kind} in a call" for kind in IN_CALLS if not self._answered(f"{kind} in a call")]
        missing += [kind for kind in OUTSIDE if not self._answered(kind)]
        for role in (TRUNKS, PBXS):
            for wire in WIRES:
                side = f"{role} {wire}"
                missing += [f"{side}: {kind}" for kind in ("INVITE", "2xx to INVITE") if not self.broken[side, kind]]
                if not any(self.came[side, "call", what] for what in ("in", "out")):
                    missing.append(f"{side}: a call that is up")
        missing += [kind for kind in PACKETS if not self._sum(self.broken, kind)]
        missing += [f"{STRANGERS}: {kind}" for kind in ("RTP", "INVITE") if not self.broken[f"{STRANGERS} UDP", kind]]
        needed = [
            *(("name server", "answer", f"{kind} asked") for kind in ("NAPTR", "SRV", "A")),
            ("name server", "answer", ""), ("manager", "event", "login"), ("broker", "command", "answer"),
            ("broker", "packet", "connection"), (f"{STRANGERS} TCP", "connection", ""), ("peer TCP", "connection", ""),
            ("peer TLS", "connection", ""), (f"{PBXS} UDP", "NOTIFY of a hand-down", ""),
            (f"{PBXS} TCP", "NOTIFY of a state", "2xx"),
        ]  # fmt: skip
        for side, kind, what in needed:
            if what and not self.came[side, kind, what]:
                missing.append(f"{side}: {kind}, {what}")
            elif not self.broken[side, kind]:
                missing.append(f"{side}: {kind}")
        return missing

    def _answered(self, kind: str) -> bool:
        came = sum(count for (_, one, what), count in self.came.items() if one == kind and what[1:] == "xx")
        return bool(came and self._sum(self.broken, kind))

    @staticmethod
    def _sum(counts: Counter[tuple[str, str]], kind: str) -> int:
        return sum(count for (_, one), count in counts.items() if one == kind)
