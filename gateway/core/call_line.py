# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the caller of each call is, in a line: for whoever looks at many calls at once.

A call has hundreds of facts less here than in `json_form`: many lines are made each second while somebody looks.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from gateway.core.json_form import timestamp
from gateway.core.transfer import State

if TYPE_CHECKING:
    from gateway.core.call.state import Call, Running


class Stage(StrEnum):
    """How far a caller has come."""

    ARRIVING = "arriving"  # nobody has been called for them
    CALLING = "calling"  # the assistant is called, or whom the trunk has asked for
    ASSISTANT = "assistant"  # they talk with the assistant
    ASKED = "asked"  # a transfer has somebody called: `transfer_state` says how far that is
    WAITING = "waiting"  # the PBX has answered, and looks for a person
    PERSON = "person"  # they talk with whom they were transferred to
    ENDING = "ending"


class Line(NamedTuple):
    """A call as it is at a moment. Two that are equal say the same."""

    call: str
    caller: str | None
    number: str  # id of the assigned number
    begun_by: str  # name of the peer whose INVITE it was
    started_at: str
    stage: str
    stage_at: str | None  # since when; None: not known
    destination: str | None
    destination_name: str | None
    transfer: str | None  # the newest one, under way or not
    transfer_state: str | None  # core.transfer.State; None: none holds the caller, or keeps their place
    answered_by: str | None


def lines(calls: Collection[Call], most: int) -> list[Line]:
    """The lines of so many calls: those first whose caller is being transferred, then the newest."""
    chosen = sorted(calls, key=_importance, reverse=True)[:most] if len(calls) > most else calls
    return [_line(call) for call in chosen]


def _importance(call: Call) -> tuple[bool, str]:
    return (bool(call.transfers) and _holding(call) is not None, call.id)


def _holding(call: Call) -> Running | None:
    return next((one for one in call.transfers if one.holds_transferee), None)


def _line(call: Call) -> Line:
    running = _holding(call)
    shown = running or call.kept
    stage, since = _unmoved(call) if running is None else _moved(running)
    named = running.machine.destination if running is not None else None
    destination = named.id if named else call.destination
    known = named or (call.number.destinations.get(destination) if destination else None)
    return Line(
        call=call.id,
        caller=call.caller,
        number=call.number.id,
        begun_by=call.begun_by,
        started_at=timestamp(call.began.wall),
        stage=stage.value,
        stage_at=timestamp(since) if since else None,
        destination=destination,
        destination_name=known.spoken_name if known else None,
        transfer=call.transfer,
        transfer_state=shown.machine.state.value if shown is not None else None,
        answered_by=call.answered_by.value if call.answered_by else None,
    )


def _unmoved(call: Call) -> tuple[Stage, datetime | None]:
    began, connected = call.began, call.connected_at
    if call.up:
        stage = Stage.PERSON if call.destination else Stage.ASSISTANT
        return stage, began.told_at(connected) if connected else None
    if len(call.legs) == 1:
        return (Stage.ENDING, None) if connected or call.transfer else (Stage.ARRIVING, began.wall)
    return Stage.CALLING, began.wall


def _moved(running: Running) -> tuple[Stage, datetime | None]:
    record, machine = running.record, running.machine
    if machine.state in (State.CONNECTED, State.HANDED):
        return (Stage.WAITING if machine.awaits_human else Stage.PERSON), record.answered_at
    return Stage.ASKED, (record.ringing_at if machine.state is State.RINGING else None) or record.requested_at
