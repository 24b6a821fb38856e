# SPDX-License-Identifier: GPL-2.0-or-later
"""The log: a line for each milestone of a transfer, as it happens."""

import structlog

from gateway.core.record import Milestone, TransferRecord

log = structlog.get_logger(__name__)


def log_milestone(milestone: Milestone, record: TransferRecord) -> None:
    """Write what is known; a transfer in which something went wrong is a warning."""
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
    write = log.warning if record.fault else log.info
    write(f"transfer-{milestone}", **{name: fact for name, fact in facts.items() if fact is not None})
