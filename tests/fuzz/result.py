# SPDX-License-Identifier: GPL-2.0-or-later
"""What comes of a run of the fuzzer, and what of it is told and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fuzz.reports import could_look_for_leaks
from tests.fuzz.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Result:
    """What came of a run."""

    faults: list[str] = field(default_factory=list)
    transfers: int = 0
    """Good ones."""
    tally: Tally = field(default_factory=Tally)
    outcomes: dict[str, int] = field(default_factory=dict)
    """All transfers, by how they ended."""
    refused: dict[str, int] = field(default_factory=dict)
    """Requests that became neither a call nor a transfer, by reason."""
    settled_s: float | None = None
    """How long it took until nothing was left; None: it did not come to that."""
    restart: list[str] = field(default_factory=list)
    """What to tell of the kill."""
    latest: list[bytes] = field(default_factory=list)
    """The messages that went out last."""
    left: str = ""
    """The dialogs that were left, with all that was said in them."""
    log: str = ""
    """What the gateway wrote."""

    def lines(self) -> list[str]:
        """What to tell of a run besides its faults."""
        return [
            *self.tally.lines(),
            *self.restart,
            f"requests refused: {_counted(self.refused)}",
            f"transfers: {_counted(self.outcomes)}; {self.transfers} of them the good ones beside it",
            *([] if self.settled_s is None else [f"nothing was left after {self.settled_s:.0f} s"]),
            *([] if could_look_for_leaks(self.log) else ["LeakSanitizer was not let look for memory"]),
        ]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(counts.items())) or "none"


def keep(result: Result, path: Path) -> None:
    """Write down what went out last and what the gateway wrote, for whoever looks for the cause."""
    path.with_suffix(".latest").write_bytes(b"\n\n----\n\n".join(result.latest))
    path.with_suffix(".log").write_text(result.log)
    path.with_suffix(".left").write_text(result.left)
