# SPDX-License-Identifier: GPL-2.0-or-later
"""A SIP message on a terminal: its lines, and what it is in a few words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.output import shown
from gateway.core import message_words

_END = re.compile(r"\r\n|\r|\n")


def lines_of(text: str) -> Iterator[str]:
    """The lines of a message, each as a terminal may have it."""
    yield from (shown(line) for line in _END.split(text.rstrip("\r\n")))


def words_of(message: Mapping[str, Any]) -> str:
    """`INVITE, SDP` and the like, as `core.message_words` has them."""
    return shown(message_words.words_of(message["text"], again=message["again"]))
