# SPDX-License-Identifier: GPL-2.0-or-later
"""The log: one line for a transfer, when it has ended; at level debug also one for each milestone before."""

import logging

import structlog

from gateway.core.record import Milestone, TransferRecord

log = structlog.get_logger(__name__)
_level = logging.getLogger(__name__)


def log_milestone(milestone: Milestone, record: TransferRecord) -> None:
    """Write what is known; a transfer in which something went wrong is a warning, at whichever milestone."""
    quiet = milestone is not Milestone.ENDED and not record.fault
    if quiet and not _level.isEnabledFor(logging.DEBUG):
        return
    facts: dict[str, object] = {
        "transfer": record.transfer,
        "number": record.number,
        "entry": record.entry.value,
        "requested_target": record.requested_target,
        "caller": record.caller,
        "destination": record.destination,
    }
    if milestone is Milestone.ENDED:
        facts |= {
            "outcome": record.outcome,
            "reason": record.reason,
            "sip_code": record.sip_code,
            "fault": record.fault,
            "returned_to_transferor": record.returned_to_transferor,
            "trail": list(record.trail),
        }
    write = log.warning if record.fault else log.debug if quiet else log.info
    write(f"transfer-{milestone}", **{name: fact for name, fact in facts.items() if fact is not None})
