# SPDX-License-Identifier: GPL-2.0-or-later
"""What was said under each Call-ID, as it went over the wire: for whoever asks how a dialog came to be left."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from typing import Any

_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
MOST = 40
"""Messages of one Call-ID that are told: the first half of so many, and the last."""


class Talks:
    """All that was sent and came, some 100 MB in ten minutes. A message that names two Call-IDs belongs to both."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._said: defaultdict[bytes, list[tuple[float, str, bytes]]] = defaultdict(list)

    def note(self, who: str, data: bytes) -> None:
        """`who` sent it, or heard it: as "trunk UDP >" or "trunk UDP <"."""
        entry = (time.monotonic() - self._begun, who, data)
        for call_id in {found.strip() for found in _CALL_ID.findall(data)}:
            self._said[call_id].append(entry)

    def of(self, call_id: str) -> str:
        """What was said under this Call-ID."""
        said = self._said.get(call_id.encode(errors="surrogateescape"), [])
        told = said if len(said) <= MOST else [*said[: MOST // 2], *said[-MOST // 2 :]]
        return "\n".join(f"--- {at:.3f} {who}\n{data.decode(errors='replace')}" for at, who, data in told)

    def about(self, dialogs: list[dict[str, Any]]) -> str:
        """Each of these dialogs (see /api/dialogs) with what was said in it."""
        return "\n".join(f"=== {dialog}\n{self.of(dialog['call_id'])}" for dialog in dialogs)
