# SPDX-License-Identifier: GPL-2.0-or-later
"""The types of the events that leave the gateway: a transfer's milestones (core.record), and the ends of calls."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

EarlierType: TypeAlias = Literal[
    "transfer.requested.v1", "transfer.accepted.v1", "transfer.ringing.v1", "transfer.connected.v1"
]
TransferEndedType: TypeAlias = Literal["transfer.ended.v1"]
CallEndedType: TypeAlias = Literal["call.ended.v1"]
PlatformCallType: TypeAlias = Literal["platform.call.v1"]
EventType: TypeAlias = Literal[EarlierType, TransferEndedType, CallEndedType, PlatformCallType]

EARLIER: tuple[EarlierType, ...] = get_args(EarlierType)
TRANSFER_ENDED: TransferEndedType = get_args(TransferEndedType)[0]
CALL_ENDED: CallEndedType = get_args(CallEndedType)[0]
PLATFORM_CALL: PlatformCallType = get_args(PlatformCallType)[0]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
"""All of them, those of a transfer first, in the order in which they come."""
