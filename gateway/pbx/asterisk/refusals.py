# SPDX-License-Identifier: GPL-2.0-or-later
"""What a PBX's manager interface will not do for us, told once each, in its own words."""

from structlog.typing import FilteringBoundLogger

from gateway.pbx.asterisk.ami_connection import ActionRefusedError

RIGHT = "reporting"
"""The class of rights that all actions of the gateway need, `write = reporting` of the manager's user."""
MAX_TOLD = 50
# Asterisk says "Permission denied"; what stands before one may say it otherwise.
_DENIALS = ("permission", "denied", "not allowed", "not authorized", "not permitted")


class Refusals:
    """Remembers which actions were refused, and how."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._told: set[tuple[str, str]] = set()  # the action, and the PBX's words

    def refused(self, action: str, error: ActionRefusedError) -> str:
        """Take a refusal; why that is, for the trail."""
        why = f"the PBX answers {action} with: {error}"
        if is_without_right(error):
            why = f"the manager user may not ask for it ({action}: {error}; it needs write = {RIGHT})"
        if (action, str(error)) not in self._told and len(self._told) < MAX_TOLD:
            self._told.add((action, str(error)))
            missing = RIGHT if is_without_right(error) else None
            self._log.warning("ami-action-refused", action=action, error=str(error), missing_right=missing)
        return why

    def untold(self, event: str) -> None:
        """An event that matters is never sent, though there was reason to."""
        self._log.warning("ami-tells-no-events", missing_right=f"eventfilter: {event}")

    def granted(self, action: str) -> None:
        """The action was answered: a later refusal is news again."""
        self._told = {told for told in self._told if told[0] != action}


def is_without_right(error: ActionRefusedError) -> bool:
    """Whether the manager's user lacks a right."""
    return any(word in str(error).lower() for word in _DENIALS)


def is_unknown(error: ActionRefusedError) -> bool:
    """Whether the PBX has no such action: its module is not loaded, or not yet."""
    return "unknown command" in str(error).lower()
