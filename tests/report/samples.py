# SPDX-License-Identifier: GPL-2.0-or-later
"""Made-up records that the tests of this directory share."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.core.model import Entry, FinalNotify, PbxState, QueueState, TransferId
from gateway.core.outcome import CallEnd, Outcome, Reason
from gateway.core.platform_calls import MatchedBy, Promise, PromisedBy
from gateway.core.record import Attempt, CallRecord, JoinedTransfer, PlatformCallRecord, TransferRecord
from gateway.core.state_sources import StateSource

START = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)
ID = "01J8ZQ7T9K3M5N7P9R1S3T5V7X"


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def requested(transfer: str = ID) -> TransferRecord:
    """A transfer that has only been asked for."""
    return TransferRecord(
        transfer=TransferId(transfer),
        entry=Entry.REFER,
        requested_target="+31612345678",
        requested_at=START,
        number="main-line",
        trunk="hms",
        pbx="asterisk",
        caller="+31201112222",
        context={"User-to-User": "00C9;encoding=hex"},
        final_notify=FinalNotify.ON_ANSWER,
        call_ids={"transferor": "a@trunk", "transferee": "b@pbx"},
    )


def completed(transfer: str = ID) -> TransferRecord:
    """A transfer that an agent answered."""
    return replace(
        requested(transfer),
        destination="sales",
        outcome=Outcome.COMPLETED,
        reason=Reason.ANSWERED,
        sip_code=200,
        attempts=(Attempt("sales", "6500", Reason.ANSWERED, 200),),
        decided_at=after(0.001),
        ringing_at=after(0.2),
        answered_at=after(4.2),
        human_at=after(6),
        ended_at=after(4.3),
        trail=("hours: office is open until 17:30, for sales", "queue sales: 2 of 3 agents free, 0 waiting"),
        call_ids={"transferor": "a@trunk", "transferee": "b@pbx", "target": "c@pbx"},
    )


def refused(transfer: str = ID) -> TransferRecord:
    """A transfer the gate said no to."""
    return replace(
        requested(transfer),
        destination="sales",
        outcome=Outcome.REFUSED,
        reason=Reason.QUEUE_UNSTAFFED,
        sip_code=480,
        decided_at=after(0.001),
        ended_at=after(0.001),
    )


def platform_call(**changes: Any) -> PlatformCallRecord:
    """A call of the platform that is over, and whose transfer is `ID`."""
    made = PlatformCallRecord(
        id="0123456789abcdef0123456789abcdef",
        platform="hms",
        call_id="call-_+31201112222_kq7x",
        number="main-line",
        caller="+31201112222",
        status="ended",
        ended_reason="user_hangup",
        started_at=after(-60),
        ended_at=after(1),
        duration_s=61,
        reported_at=after(2),
        promise=Promise.KEPT,
        promised_by=PromisedBy.SPOKEN,
        transfers=(JoinedTransfer(transfer=TransferId(ID), matched_by=MatchedBy.CALLER),),
    )
    return replace(made, **changes)


def call() -> CallRecord:
    """A conversation that is over."""
    return CallRecord(
        call="01J8ZQ7T9K3M5N7P9R1S3T5V7Y",
        number="main-line",
        trunk="hms",
        pbx="asterisk",
        started_at=START,
        caller="+31201112222",
        transfer=TransferId(ID),
        destination="sales",
        connected_at=after(4.2),
        ended_at=after(64.2),
        talk_s=60.0,
        hung_up_by="pbx",
        reason=CallEnd.HUNG_UP,
        call_ids={"pbx": "c@pbx"},
    )


def pbx_state(*, proven_at: datetime | None = START, waiting: int = 1) -> PbxState:
    """A PBX with the queue sales: three agents, one free, one paused, one on a call."""
    sales = QueueState("sales", logged_in=3, available=1, callers=waiting, longest_wait_s=12.5, paused=1, busy=1)
    return PbxState(
        "asterisk", source=StateSource.AMI, proven_at=proven_at, queues={"sales": sales}, unknown_because="AMI is away"
    )
