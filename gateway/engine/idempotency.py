# SPDX-License-Identifier: GPL-2.0-or-later
"""A command that arrives twice is carried out once: its sender gives it an id, and gets the first answer again."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

REMEMBERED = 1000


class Idempotency:
    """The newest answers, by kind of command and id. What failed changed nothing, and may be tried again."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def __call__(self, kind: str, command_id: str | None, act: Callable[[], T]) -> T:
        """The first answer to the command with this id, or that of `act`; None is no id."""
        if command_id is None:
            return act()
        key = kind, command_id
        if key not in self._answers:
            self._answers[key] = act()
            if len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        answer: T = self._answers[key]
        return answer
