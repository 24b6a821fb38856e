# SPDX-License-Identifier: GPL-2.0-or-later
"""The legs are found by their Call-IDs, however many there are and in whatever order they come and go."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.calls.leg_registry import LegRegistry

NAMES = st.sampled_from(["a", "b", "c"])


def leg(name: str, call_id: str) -> Any:
    return SimpleNamespace(id=name, peer=SimpleNamespace(name="hms"), sip_call_id=call_id, number=ord(name))


@given(st.lists(st.tuples(st.booleans(), NAMES, NAMES), max_size=20))
async def test_a_call_id_is_known_as_long_as_a_leg_has_it(steps: list[tuple[bool, str, str]]) -> None:
    registry = LegRegistry()
    there: dict[str, Any] = {}
    for begins, name, call_id in steps:
        if begins:
            there[name] = leg(name, call_id)
            registry.add(there[name])
        else:
            registry.remove(there.pop(name, leg(name, call_id)))
        assert {each for each in "abc" if registry.has_call(each)} == {one.sip_call_id for one in there.values()}
