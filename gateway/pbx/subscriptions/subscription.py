# SPDX-License-Identifier: GPL-2.0-or-later
"""One subscription to one extension and what it has told; what all of them tell together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gateway.core.model import DeviceState
from gateway.pbx.back_off import back_off_s
from gateway.pbx.subscriptions.state_documents import (
    DIALOG_INFO,
    PIDF,
    DialogStates,
    DocumentError,
    presence_state,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Package = Literal["dialog", "presence"]
PACKAGES: tuple[Package, ...] = ("dialog", "presence")
_CONTENT = {"dialog": DIALOG_INFO, "presence": PIDF}


@dataclass(frozen=True, slots=True)
class SubscriptionTiming:
    """Seconds."""

    settle_s: float = 5.0  # from a lost PBX's first answer until it counts as known: its phones have to find it again
    retry_min_s: float = 0.5  # before a subscription that ended is made anew; doubled each time
    retry_max_s: float = 5.0
    refused_retry_s: float = 60.0  # after a refusal
    longest_retry_s: float = 600.0  # however much later the PBX wants to be asked again
    lasting_s: float = 10.0  # a subscription that held for so long did not fail


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscription to one extension."""

    extension: str
    package: Package
    id: int | None = None  # None: there is none at present
    confirmed: bool = False
    since: float = 0.0
    due: float = 0.0  # when it is to be made (anew), while there is none
    failures: int = 0
    asked_at: float = -math.inf  # when the whole state was asked for, as something had been lost
    dialogs: DialogStates = field(default_factory=DialogStates)
    state: DeviceState | None = None  # as the PBX told it; None: nothing as yet
    refused: str = ""  # why it cannot be had

    def forget(self) -> None:
        """Know nothing any more."""
        self.id, self.confirmed, self.state, self.dialogs = None, False, None, DialogStates()

    def retry_s(self, timing: SubscriptionTiming) -> float:
        """It failed: how long to wait until it is made anew, longer each time."""
        self.failures += 1
        return back_off_s(self.failures, timing.retry_min_s, timing.retry_max_s)

    def read(self, content_type: str, body: bytes) -> None:
        """Read a document; `state` is None when one before it was lost. Raises DocumentError."""
        if content_type != _CONTENT[self.package]:
            raise DocumentError(f"is {content_type[:60]}, and no {_CONTENT[self.package]}")
        if self.package == "presence":
            self.state = presence_state(body)
        else:
            self.state = self.dialogs.state if self.dialogs.take(body) else None


def subscriptions_to(extensions: Iterable[str]) -> list[Subscription]:
    """Those that the state of these extensions takes, none of them made yet."""
    return [Subscription(extension, package) for extension in sorted(extensions) for package in PACKAGES]


def extension_states(
    subscriptions: Iterable[Subscription],
) -> tuple[dict[str, DeviceState], dict[tuple[str, str], str]]:
    """The state of each extension that is known, and why that of another is not."""
    by_extension: dict[str, dict[Package, Subscription]] = {}
    for subscription in subscriptions:
        by_extension.setdefault(subscription.extension, {})[subscription.package] = subscription
    states: dict[str, DeviceState] = {}
    withheld: dict[tuple[str, str], str] = {}
    for extension, pair in by_extension.items():
        # Half of the truth is none: a phone without calls may be one that is not there.
        waiting = [each for each in pair.values() if each.state is None and not each.refused]
        state = together(pair["dialog"].state, pair["presence"].state)
        if not waiting and state is not None:
            states[extension] = state
        elif not waiting:
            withheld["extension", extension] = pair["dialog"].refused
    return states, withheld
