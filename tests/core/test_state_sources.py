# SPDX-License-Identifier: GPL-2.0-or-later
"""What the sources of a PBX's state can tell, and that nobody asks for one of them by its name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gateway.core.state_sources import Ability, StateSource, that_tell

PRODUCT = Path(__file__).parents[2] / "gateway"
NAMED = set(StateSource) - {"none"}
NAMES = re.compile(rf"\b({'|'.join(NAMED)}|StateSource)\b")
"""Where none of them stands, none is named."""
HOMES = {"core/state_sources.py", "pbx", "setting_up/gateway_files.py"}
"""Where a source may be named: its line, what makes and runs it, and the profile that `init` writes."""


def named_in(module: Path) -> Iterator[str]:
    """Names of sources in a module's code: in strings of their own, or as members of the enum."""
    code = module.read_text()
    if not NAMES.search(code):
        return
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Constant(value=str(text)) if text in NAMED:
                yield f"{module}:{node.lineno}: {text}"
            case ast.Attribute(value=ast.Name(id="StateSource"), attr=name) if name != "NONE":
                yield f"{module}:{node.lineno}: {name}"


def test_nobody_asks_for_a_source_by_its_name() -> None:
    modules = [path for path in PRODUCT.rglob("*.py") if not any(path.is_relative_to(PRODUCT / home) for home in HOMES)]
    assert len(modules) > 50
    assert [line for module in modules for line in named_in(module)] == []


def test_the_manager_interface_tells_all_there_is() -> None:
    assert all(StateSource("ami").tells(ability) for ability in Ability)


def test_subscriptions_tell_of_extensions_and_of_nothing_else() -> None:
    assert [ability for ability in Ability if StateSource("dialog-info").tells(ability)] == [Ability.EXTENSIONS]


def test_no_source_tells_nothing() -> None:
    assert not any(StateSource("none").tells(ability) for ability in Ability)


def test_who_can_hand_down() -> None:
    assert that_tell(Ability.WHO_ANSWERED, Ability.MOVED_CALLERS) == ("ami",)
    assert that_tell(Ability.EXTENSIONS) == ("ami", "dialog-info")
