# SPDX-License-Identifier: GPL-2.0-or-later
"""What the engine and the adapters ask of each other. All of it is called on the loop's thread; nothing blocks."""

from gateway.core.call.commands import DialOrder, HandDownOrder
from gateway.ports.clock import Clock, Timer, sleep, time_limit
from gateway.ports.history import FiguresQuery, HistoryPage, HistoryQuery
from gateway.ports.operations import (
    Author,
    CannotRestartError,
    GivenCommand,
    KeptWhisper,
    NoRoomError,
    NotAllowedError,
    Operations,
    ProbeResult,
    Reloaded,
    TooLateError,
    UnderWay,
    UnknownDestinationError,
    UnreadableError,
)
from gateway.ports.pbx import ExtensionWatcher, FollowedPbx, PbxListener, PbxSource, WatchListener
from gateway.ports.report import CallStore, Observer, Reporter
from gateway.ports.sip import (
    IncomingCall,
    NotSent,
    NotSentError,
    ReferHandle,
    ReferRequest,
    SipError,
    SipListener,
    SipPort,
    Stranger,
)

__all__ = [
    "Author",
    "CallStore",
    "CannotRestartError",
    "Clock",
    "DialOrder",
    "ExtensionWatcher",
    "FiguresQuery",
    "FollowedPbx",
    "GivenCommand",
    "HandDownOrder",
    "HistoryPage",
    "HistoryQuery",
    "IncomingCall",
    "KeptWhisper",
    "NoRoomError",
    "NotAllowedError",
    "NotSent",
    "NotSentError",
    "Observer",
    "Operations",
    "PbxListener",
    "PbxSource",
    "ProbeResult",
    "ReferHandle",
    "ReferRequest",
    "Reloaded",
    "Reporter",
    "SipError",
    "SipListener",
    "SipPort",
    "Stranger",
    "Timer",
    "TooLateError",
    "UnderWay",
    "UnknownDestinationError",
    "UnreadableError",
    "WatchListener",
    "sleep",
    "time_limit",
]
