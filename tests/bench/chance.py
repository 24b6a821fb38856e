# SPDX-License-Identifier: GPL-2.0-or-later
"""Any single thing that the engine asks for can be made to fail."""


class InjectedError(Exception):
    """What a test makes fail."""


class Chance:
    """Counts what is asked; the `fails`-th time it fails."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.asked = 0
        self.what = ""

    def take(self, what: str) -> None:
        """Something is asked."""
        self.asked += 1
        if self.asked == self.fails:
            self.what = what
            raise InjectedError(what)
