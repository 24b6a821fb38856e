# SPDX-License-Identifier: GPL-2.0-or-later
"""What may follow each command, and which commands a newcomer needs."""

from collections.abc import Iterator
from pathlib import Path

_TRANSFER = "01J8Z3K4M5N6P7Q8R9S0T1V2W3"

EXAMPLES = {
    "run": ("", "--config ./configuration"),
    "check": ("", "--strict", "--tool assistant.json --number main-line"),
    "explain": ("+31612345678 --number main-line", "sales --at 2026-12-24T18:00"),
    "tool": ("--number main-line",),
    "cluster-tokens": ("", "--format nodes > /etc/kamailio/nodes.cfg"),
    "probe": ("", "sales --call"),
    "schema": ("event", "config"),
    "status": ("", "--json", "--all"),
    "watch": ("", "--interval 5", "--once --json"),
    "calls": ("", "--since 2026-11-01 --caller +31612345678"),
    "transfers": ("", "--outcome failed --since 2026-11-01", "--limit 1000 --json"),
    "queues": ("", "--json"),
    "reload": ("", "--json"),
    "restart": ("", "--no-wait"),
    "report": ("", "--since 2026-11-01 --by destination", "--proof 2026-11 > november", "--verify november"),
    "transfer": (f"{_TRANSFER} sales",),
    "callback": ("+31201112222 sales", f"{_TRANSFER} sales"),
    "cancel": (_TRANSFER,),
    "hangup": (_TRANSFER,),
    "forget": ("+31612345678",),
    "init": ("", "--answers answers.toml --output ./configuration"),
    "why": (_TRANSFER, f"{_TRANSFER} --messages"),
}
"""What may follow each command."""

_FIRST = (
    ("init", "ask the PBX and you, and write the configuration"),
    ("check", "is the configuration right?"),
    ("run", "run it here; as a service: systemctl start transfer-gateway"),
)
_MOST_USED = (
    ("status", "is all well, and if not, what is not and why"),
    ("watch", "the same, live: calls, transfers, queues"),
    ("why TRANSFER", "what became of one transfer, and why"),
    ("explain TARGET", "would this be transferred now, and where to?"),
    ("reload", "take the changed configuration"),
)


def first_page(directory: Path) -> Iterator[str]:
    """What somebody is told who names no command; `directory` is where the configuration would be."""
    if not (directory / "gateway.toml").exists():
        yield f"there is no {directory}/gateway.toml yet; to begin:"
        yield from _table(_FIRST)
        yield ""
    yield "most used:"
    yield from _table(_MOST_USED)
    yield ""
    yield "transfer-gateway --help lists all commands, transfer-gateway COMMAND --help explains one, with examples."


def most_used() -> str:
    """The commands that are needed most, for the end of --help."""
    return "\n".join(["most used:", *_table(_MOST_USED), "", "transfer-gateway COMMAND --help has examples."])


def _table(commands: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, text in commands:
        yield f"  transfer-gateway {name:<14}  {text}"
