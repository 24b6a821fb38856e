# SPDX-License-Identifier: GPL-2.0-or-later
"""The dialogs that PJSIP holds, and who holds each: for whoever looks for one that was left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pjsua2 as pj

_FIELDS = (
    "call_id", "role", "local", "remote", "local_cseq", "remote_cseq", "age_s", "call", "sessions", "transactions",
    "usages", "invite",
)  # fmt: skip
"""In the order of dialogs.hpp."""
_NUMBERS = ("local_cseq", "remote_cseq", "age_s", "call", "sessions", "transactions")
NONE = -1


def held_dialogs(most: int, call_id: str) -> Sequence[dict[str, Any]]:
    """Up to so many, the oldest first, JSON-able; one without a leg is held by its sessions and transactions.

    With a `call_id` those alone that have it.
    """
    told = pj.dialogs(most, call_id)
    return [_dialog(told[at : at + len(_FIELDS)]) for at in range(0, len(told), len(_FIELDS))]


def _dialog(values: Sequence[str]) -> dict[str, Any]:
    dialog: dict[str, Any] = dict(zip(_FIELDS, values, strict=True))
    dialog |= {name: int(dialog[name]) for name in _NUMBERS}
    dialog["usages"] = dialog["usages"].split()
    dialog["invite"] = dialog["invite"] or None
    dialog["leg"] = dialog.pop("call") != NONE
    return dialog
