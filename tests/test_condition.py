# SPDX-License-Identifier: GPL-2.0-or-later
"""What `status` tells of queues that a destination names, and its PBX does not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.condition import problems_of_queues
from gateway.config import load
from gateway.core.model import PbxState, QueueState
from gateway.core.state_sources import StateSource
from tests.config_directory import write

KEY = ("queue", "sales")


@pytest.mark.keeps("20.117")
@pytest.mark.parametrize(
    ("state", "up", "told"),
    [
        (PbxState("asterisk", StateSource.AMI), True, ["asterisk knows no queue of that name"]),
        (PbxState("asterisk", StateSource.AMI, withheld={KEY: "reporting is missing"}), True, ["reporting is missing"]),
        (PbxState("asterisk", StateSource.AMI, queues={"sales": QueueState("sales", 1, 1, 0)}), True, []),
        (PbxState("asterisk", StateSource.AMI, unsettled=frozenset({KEY})), True, []),  # it has just started
        (PbxState("asterisk", StateSource.AMI), False, []),  # which is a problem of its own
        (PbxState("asterisk", StateSource.DIALOG_INFO), True, []),  # that tells of no queue
    ],
)  # fmt: skip
def test_a_queue_that_its_pbx_does_not_know_is_a_problem(
    tmp_path: Path, state: PbxState, up: bool, told: list[str]
) -> None:
    source = cast("Any", SimpleNamespace(up=up, state=state))
    found = list(problems_of_queues(load(write(tmp_path)), {"asterisk": source}))
    assert found == [f"queue sales of sales (main-line): {why}" for why in told]
    assert list(problems_of_queues(load(tmp_path), {})) == []
