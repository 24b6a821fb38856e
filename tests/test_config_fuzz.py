# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever stands in a configuration, it is taken or its mistakes are told; nothing else is ever raised."""

import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import ConfigError, load
from tests.config_directory import MAIN, PBX, TRUNK, write
from tests.support.configuration import toml

SCALARS = (
    st.booleans()
    | st.integers(-5, 70000)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | st.sampled_from(["", "sales", "+31612345678", "0612345678", "asterisk", "09:00-08:00", "sip:a@b", "\u0000"])
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "number", "x"]), inner, max_size=3)
    ),
    max_leaves=4,
)


def places(value: Any, path: tuple[int | str, ...] = ()) -> list[tuple[int | str, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    table = tomllib.loads(text)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from([each for each in places(table) if each]))
        parent: Any = table
        for part in place[:-1]:
            parent = parent[part]
        match draw(st.sampled_from(["replace", "remove", "rename", "double"])):
            case "remove":
                del parent[place[-1]]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.text("abc_", min_size=1, max_size=5))] = parent.pop(place[-1])
            case "double" if isinstance(parent, list):
                parent.append(parent[int(place[-1])])
            case _:
                parent[place[-1]] = draw(VALUES)
    return toml(table)


@pytest.mark.thorough
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(main=damaged(MAIN), trunk=damaged(TRUNK), pbx=damaged(PBX))
def test_a_damaged_configuration_is_taken_or_its_mistakes_are_told(main: str, trunk: str, pbx: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory), main, {"platform": trunk, "asterisk": pbx})
        try:
            config = load(Path(directory))
        except ConfigError as error:
            told = [(mistake.file, mistake.key, mistake.problem) for mistake in error.mistakes]
        else:
            told = []
            config.peer_for("127.0.0.1")
            assert config.numbers
    assert all(all(part.strip() for part in mistake) for mistake in told)
    assert len(set(told)) == len(told)
