# SPDX-License-Identifier: GPL-2.0-or-later
"""The blocks of code in the documents, and who tries each.

A block of commands (```sh) is run as it stands, against a gateway that runs. What cannot be run so says it in a
comment right above it, of one line, which no reader of the page sees:

    <!-- run on: a new host -->       in an empty directory that stands for a host on which nothing is set up yet
    <!-- run by: PATH -->             by tests of its own, which read it from the document
    <!-- dry run: WHY -->             `make -n` of each `make` in it: that there are these targets
    <!-- not run: WHY -->             by nobody

`<!-- all run by: PATH -->` under the title of a document is `run by` for all of its blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
COMMANDS = "sh"
HERE, NEW_HOST = "", "run on"
"""The ways of commands that are run as they stand: where a gateway runs, and where nothing is yet."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>.*)$")
_MARK = re.compile(r"^ *<!-- (?P<way>run on|run by|dry run|not run): (?P<word>.+) -->$")
_ALL = re.compile(r"^<!-- all run by: (?P<word>.+) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block: its document, the line of its fence, its language, its text without the indent, and who tries it."""

    document: Path
    line: int
    language: str
    text: str
    way: str = HERE
    word: str = ""

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> Iterator[Block]:
    """Those of a document, in their order."""
    text = document.read_text()
    lines = text.splitlines()
    every = _ALL.search(text)
    begun = -1
    for number, line in enumerate(lines):
        if not (fence := _FENCE.match(line)):
            continue
        if begun < 0:
            begun, language, mark = number, fence["language"], _MARK.match(lines[number - 1])
            continue
        way, word = mark.group("way", "word") if mark else ("run by", every["word"]) if every else (HERE, "")
        yield Block(document, begun + 1, language, dedent("\n".join(lines[begun + 1 : number])) + "\n", way, word)
        begun = -1
    if begun >= 0:
        raise ValueError(f"{document}:{begun + 1}: this block has no end")


def all_blocks(*languages: str) -> list[Block]:
    """Those of all documents that are written in these languages; of all, where none is named."""
    found = (block for document in DOCUMENTS for block in blocks(document))
    return [block for block in found if not languages or block.language in languages]


def commands(way: str) -> list[Block]:
    """The blocks of commands that are tried in this way."""
    return [block for block in all_blocks(COMMANDS) if block.way == way]
