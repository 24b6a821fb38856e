# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that arrive twice."""

from dataclasses import replace

import pytest

from gateway.core.record import TransferRecord
from gateway.engine import idempotency
from gateway.engine.idempotency import Idempotency
from tests.report import samples


class Act:
    """A command that counts how often it is carried out."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> TransferRecord:
        self.times += 1
        return replace(samples.requested(), caller=str(self.times))


def test_the_same_id_again_gets_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    do, act = Idempotency(), Act()
    first = do("transfer", "crm-7", act)
    assert do("transfer", "crm-7", act) is first
    assert act.times == 1
    assert do("cancel", "crm-7", act) is not first  # of the same order, another thing
    do("transfer", None, act)
    do("transfer", None, act)
    assert act.times == 4
    monkeypatch.setattr(idempotency, "REMEMBERED", 2)
    for other in ("a", "b", "c"):
        do("transfer", other, act)
    assert do("transfer", "crm-7", act) is not first


def test_what_failed_may_be_tried_again() -> None:
    do, act = Idempotency(), Act()

    def fail() -> TransferRecord:
        raise LookupError("c1")

    with pytest.raises(LookupError):
        do("transfer", "crm-7", fail)
    do("transfer", "crm-7", act)
    assert act.times == 1
