# SPDX-License-Identifier: GPL-2.0-or-later
"""argparse, with a word on what was probably meant."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

_SHOWN = 40  # characters of what nobody knows


class Parser(argparse.ArgumentParser):
    """argparse's, which names the nearest of what it knows."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Argparse's own, which would list all that there is. Commands are the choices that have a parser each."""
        known = action.choices
        if known is None or value in known:
            return
        if isinstance(known, dict):
            raise argparse.ArgumentError(None, f"there is no command {value[:_SHOWN]}; {nearest(value, known)}")
        raise argparse.ArgumentError(action, f"{value[:_SHOWN]} is none of them; {nearest(value, known)}")


def parsed(made: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """What the words say. What is left over is told by the command that it was said to, which exits with 2."""
    options, left = made.parse_known_args(words)
    if left:
        whose: argparse.ArgumentParser = getattr(options, "parser", made)
        word = left[0].partition("=")[0]
        if word.startswith("-"):
            known = [each for action in whose._actions for each in action.option_strings]  # noqa: SLF001 - argparse names them to nobody
            whose.error(f"there is no option {word[:_SHOWN]}; {nearest(word, known)}")
        whose.error(f"{word[:_SHOWN]} is one word too many")
    return options


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the nearest known word, or all of them."""
    import difflib  # noqa: PLC0415 - who makes no mistake needs none of it

    words = list(known)
    if near := difflib.get_close_matches(word, words, n=1, cutoff=0.6):
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(words)}"
