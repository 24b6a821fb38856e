# SPDX-License-Identifier: GPL-2.0-or-later
"""An assistant's tools: made from the destinations, found in its JSON, and cut to what stays."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.assistant import check_availability, cut, find, list_destinations, transfer_call
from gateway.core.model import Destination
from tests.core.gates import SALES, line

NUMBER = line(SALES, Destination("support", "6501", "+31612345679", description="Trouble", message="One moment."),
              Destination("voicemail", "6599"))  # fmt: skip


def test_what_is_offered_has_a_number() -> None:
    assert transfer_call(NUMBER) == {
        "type": "transfer_call",
        "destinations": [
            {"type": "number", "number": "+31612345678", "description": ""},
            {"type": "number", "number": "+31612345679", "description": "Trouble", "message": "One moment."},
        ],
    }
    asking: Any = check_availability(NUMBER)
    assert asking["parameters"]["properties"]["destination"]["enum"] == ["+31612345678", "+31612345679"]


def test_the_tools_that_ask_are_called_where_they_are_told_to_be() -> None:
    url = "https://gw.example.com/platform/hms"
    for made in (check_availability(NUMBER, url), list_destinations(url)):
        # HMS' flat form; a name of its kind begins with a letter or _ and has 64 characters at most.
        assert set(made) == {"name", "description", "parameters", "url", "async"}
        assert (made["url"], made["async"]) == (url, False)
    assert "url" not in check_availability(NUMBER)
    assert "url" not in list_destinations()


def test_a_tool_is_cut_wherever_it_stands_and_nothing_else_is_changed() -> None:
    tool = transfer_call(NUMBER)
    document = {"name": "Acme", "llm_config": {"tools": [{"type": "end_call"}, tool], "more": [[tool]]}, "tool": tool}
    before = copy.deepcopy(document)
    open_ones: Any = cut(document, lambda entry: isinstance(entry, dict) and entry["number"] == "+31612345679")
    assert document == before
    assert [found.where for found in find(open_ones)] == ["llm_config.tools[1]", "llm_config.more[0][0]", "tool"]
    for found in find(open_ones):
        assert found.tool["destinations"] == [transfer_call(NUMBER)["destinations"][1]]  # type: ignore[index]
    # One that offers nothing is left out of its list: no platform says what it makes of an empty one.
    closed: Any = cut(document, lambda _: False)
    assert closed["llm_config"] == {"tools": [{"type": "end_call"}], "more": [[]]}
    assert closed["tool"]["destinations"] == []
    assert cut(document, lambda _: True) == document


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        | st.fixed_dictionaries({"type": st.just("transfer_call"), "destinations": st.lists(inner, max_size=2) | inner})
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_the_document_is_it_stays_what_it_was_and_loses_entries_alone(document: Any) -> None:
    before = copy.deepcopy(document)
    none_stays = cut(document, lambda _: False)
    assert document == before
    for found in find(none_stays):
        assert found.tool["destinations"] == [] or not isinstance(found.tool["destinations"], list)
