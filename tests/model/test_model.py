# SPDX-License-Identifier: GPL-2.0-or-later
"""As far as a stated depth nothing breaks, whatever comes first; and what is broken on purpose is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.core.transfer import keeping
from tests.engine import bugs
from tests.model import tables
from tests.model.explore import BrokenError, explore
from tests.model.moves import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.thorough


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("scope", "depth"),
    [
        pytest.param(Scope(), 5, id="a call, a transfer and commands"),
        pytest.param(Scope(invites=True), 5, id="a transfer by INVITE"),
        pytest.param(Scope(invites=True, asks=True), 5, id="a call that is taken by a key"),
        pytest.param(Scope(transfers=2, keeps=True, commands=False), 6, id="a place that is kept"),
        pytest.param(Scope(calls=0, calls_back=True), 8, id="a caller who is called back"),
        pytest.param(Scope(transfers=2, replacements=1, commands=False), 5, id="a leg replaced"),
        pytest.param(Scope(calls=2, commands=False), 5, id="two calls"),
    ],
)
def test_whatever_comes_first_nobody_is_dropped_and_each_transfer_ends_once(scope: Scope, depth: int) -> None:
    found = explore(scope, depth)
    assert all(found.states)
    assert list(tables.told(found.cells.keys()))


@pytest.mark.parametrize(("where", "wrong"), bugs.EACH)
def test_what_is_broken_is_found(monkeypatch: pytest.MonkeyPatch, where: str, wrong: Callable[..., None]) -> None:
    monkeypatch.setattr(where, wrong)
    with pytest.raises(BrokenError):
        explore(Scope(commands=False, early=True), 8)


def test_a_place_that_is_never_given_up_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "give_up", lambda step: step.end())
    with pytest.raises(BrokenError):
        explore(Scope(transfers=2, keeps=True, commands=False), 5)
