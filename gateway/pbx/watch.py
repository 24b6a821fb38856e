# SPDX-License-Identifier: GPL-2.0-or-later
"""One subscription to one extension, and what it has told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gateway.core.model import DeviceState
from gateway.pbx.state_documents import DIALOG_INFO, PIDF, Dialogs, DocumentError, presence_state

Package = Literal["dialog", "presence"]
PACKAGES: tuple[Package, ...] = ("dialog", "presence")
_CONTENT = {"dialog": DIALOG_INFO, "presence": PIDF}


@dataclass(slots=True, eq=False)
class Watch:
    """One subscription to one extension."""

    extension: str
    package: Package
    id: int | None = None  # None: there is none at present
    confirmed: bool = False
    since: float = 0.0
    due: float = 0.0  # when it is to be made (anew), while there is none
    failures: int = 0
    asked_at: float = 0.0  # when the whole state was asked for, as something had been lost
    dialogs: Dialogs = field(default_factory=Dialogs)
    told: DeviceState | None = None  # None: nothing as yet
    refused: str = ""  # why it cannot be had

    def forget(self) -> None:
        """Know nothing any more."""
        self.id, self.confirmed, self.told, self.dialogs = None, False, None, Dialogs()

    def take(self, content_type: str, body: bytes) -> None:
        """Read a document; `told` is None when one before it was lost. Raises DocumentError."""
        if content_type != _CONTENT[self.package]:
            raise DocumentError(f"is {content_type[:60]}, and no {_CONTENT[self.package]}")
        if self.package == "presence":
            self.told = presence_state(body)
        else:
            self.told = self.dialogs.state if self.dialogs.take(body) else None
