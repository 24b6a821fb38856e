# SPDX-License-Identifier: GPL-2.0-or-later
"""Bugs that are put into the machine on purpose: what drives it at random has to find each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.core.transfer.commands import Notify

if TYPE_CHECKING:
    from gateway.core.outcome import Reason
    from gateway.core.transfer.transfer_step import TransferStep


def fail_without_return(step: TransferStep, reason: Reason) -> None:
    """The caller is not given back."""
    step.notify_final(reason, step.failure_code(reason))
    step.conclude(reason)
    step.end()


def notify_again(step: TransferStep, reason: Reason, code: int | None = None) -> None:
    """There may be two final NOTIFYs."""
    if step.transfer.notifies:
        step.do(Notify(code or reason.sip_code, reason, final=True))


def leave_ringing(step: TransferStep, reason: Reason) -> None:
    """The target is not hung up."""


def take_no_notice(step: TransferStep) -> None:
    """The transferor goes, or stays, whatever should be."""


EACH = (
    pytest.param("gateway.core.transfer.failing.fail", fail_without_return, id="the caller is left in silence"),
    pytest.param(
        "gateway.core.transfer.transfer_step.TransferStep.notify_final", notify_again, id="the transferor is told twice"
    ),
    pytest.param("gateway.core.transfer.dialling.hang_up_target", leave_ringing, id="a target rings on"),
)
"""What is replaced, and by which bug: for a test's parameters `where` and `wrong`."""
