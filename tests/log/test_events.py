# SPDX-License-Identifier: GPL-2.0-or-later
"""Log events are slugs, and the manual lists every one of them with its levels."""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from pathlib import Path

from gateway.core.record import Milestone

ROOT = Path(__file__).parents[2]
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
CALL = re.compile(rf"\.({'|'.join(LEVELS)})\(")
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# report/sinks/log.py writes one for each milestone, which is a warning where something went wrong.
MILESTONES = {f"transfer-{milestone}": {"debug", "warning"} for milestone in Milestone}
MILESTONES["transfer-ended"] = {"info", "warning"}


def is_log(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2] in ("log", "_log") or "get_logger" in ast.unparse(node)


@functools.cache
def written() -> tuple[dict[str, set[str]], list[str]]:
    """The levels of each event that the gateway writes, and the places where it is no plain text."""
    events: dict[str, set[str]] = defaultdict(set, MILESTONES)
    unclear = []
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        code = path.read_text()
        if not CALL.search(code):
            continue
        for node in ast.walk(ast.parse(code)):
            match node:
                case ast.Call(func=ast.Attribute(value=logger, attr=level)) if level in LEVELS and is_log(logger):
                    match node.args:
                        case [ast.Constant(value=str(event))]:
                            events[event].add(LEVELS[level])
                        case _:
                            unclear.append(f"{path.name}:{node.lineno}")
    return dict(events), unclear


def listed() -> dict[str, set[str]]:
    """The levels of each event in the manual's table."""
    chapter = (ROOT / "docs/operations.md").read_text().partition("### Its lines\n")[2].partition("\n## ")[0]
    return {
        event: set(levels.split(", "))
        for event, levels in re.findall(r"^\| `([^`]+)` \| ([a-z, ]+) \| \S", chapter, re.MULTILINE)
    }


def test_events_are_slugs() -> None:
    events, unclear = written()
    assert not unclear
    assert not [event for event in events if not SLUG.fullmatch(event) or len(event) > 40]


def test_the_manual_lists_every_event_and_no_other() -> None:
    assert listed() == written()[0]
