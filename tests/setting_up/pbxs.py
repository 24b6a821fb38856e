# SPDX-License-Identifier: GPL-2.0-or-later
"""PBXs as they are found, and answers about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.config import ConfigError, Mistake
from gateway.setting_up.answers import Answers, answers_of
from gateway.setting_up.found import Found, FoundHint, FoundQueue, FoundTransport, Line, Place
from gateway.setting_up.making import make_files
from gateway.setting_up.plan import Plan, plan

NUMBER, SALES = "+31201234567", "+31612345678"
LOCAL = ("127.0.0.1", 5038)

PLAIN = Found(
    version="22.1.0",
    queues=(FoundQueue("sales", ("Anna", "Bert")), FoundQueue("support", ("Carla",))),
    hints=(FoundHint(Place("phones", "6001"), "PJSIP/6001"),),
    contexts=frozenset({"phones", "from-provider"}),
    lines=(
        Line(Place("from-provider", "0201234567"), "Queue", "sales,t"),
        Line(Place("phones", "6500"), "Queue", "sales,t,,,300"),
        Line(Place("phones", "_6XXX"), "Dial", "PJSIP/${EXTEN}"),
    ),
    endpoints=("6001", "6002"),
    transports=(FoundTransport("udp", "udp", "0.0.0.0", 5060),),
    languages=("nl_NL",),
)
FREEPBX = Found(
    version="21.8.0",
    queues=(FoundQueue("6500", ("Anna",)),),
    hints=(FoundHint(Place("ext-local", "6001"), "PJSIP/6001&Custom:DND6001"),),
    contexts=frozenset({"from-internal", "ext-queues", "ext-local"}),
    lines=(Line(Place("ext-queues", "6500"), "Queue", "6500,t,,,300"),),
)


def answers(**more: Any) -> dict[str, Any]:
    """The fewest answers there can be."""
    return {"platform": {"addresses": ["203.0.113.10"]}, "numbers": [{"number": NUMBER}], **more}


def read(table: dict[str, Any], directory: Path = Path()) -> Answers:
    """The answers in a table. Raises ConfigError."""
    mistakes: list[Mistake] = []
    found = answers_of(table, "answers.toml", directory, mistakes)
    if found is None or mistakes:
        raise ConfigError(mistakes)
    return found


def planned(found: Found, table: dict[str, Any], **more: Any) -> Plan:
    """The plan that is made of both."""
    return plan(found, read(table), **{"manager": LOCAL, "own_address": "192.0.2.5", **more})


def texts(made: Plan, table: dict[str, Any], directory: Path) -> dict[str, str]:
    """What is in every file that would be written."""
    return {name: file.text for name, file in make_files(made, table.get("hours", {}), directory).items()}
