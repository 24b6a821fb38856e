# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP messages of a call or transfer, with what was decided between them, as operators are told them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gateway.core.json_form import TRANSFER_ROLES
from gateway.core.message_words import named, words_of
from gateway.core.numbers import national_digits
from gateway.log.mask import mask_text

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.sip_message import KeptMessages, SipMessage
    from gateway.engine.call_book import CallBook, KnownCall, KnownLeg, Note
    from gateway.user_agent import UserAgent

OFF = "none are kept: [messages] max_mb is 0"
GONE = "they are kept in memory alone, and of the last calls: these made room for others, or are of before the start"
GONE_EVERYWHERE = "neither memory nor disk has them any more"
SHORTEST = 5
"""Fewer characters of a caller stand in too many messages that are not about them."""

_SHOWN = re.compile(
    r"(?i)(?:SIP/2\.0 |(?:via|v|call-id|i|cseq|max-forwards|content-length|l|content-type|c|expires|min-expires|x"
    r"|min-se|session-expires|user-agent|server|allow|supported|k|require|rseq|rack|date|timestamp|retry-after)\s*:)"
)
"""How lines begin that name nobody, and tell dialogs, transactions and versions apart by their digits."""
_SHOWN_IN_BODY = re.compile(r"[votmabcz]=")
_TAG = re.compile(r"(?i)(;\s*tag\s*=[^;,]*)")
_END = re.compile(r"(\r\n|\r|\n)")


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that there is to tell of a call or transfer, as the loop has gathered it; to be written by `document`."""

    call: str | None
    transfer: str | None
    legs: tuple[tuple[dict[str, Any], KeptMessages | None], ...]
    notes: tuple[Note, ...]
    masked: bool
    off: bool


class CallMessages:
    """Knows what the SIP messages of the last calls were."""

    def __init__(self, book: CallBook, sip: UserAgent) -> None:
        self._book = book
        self._sip = sip
        self._masked = self._off = False

    def configure(self, config: Config) -> None:
        """Keep as much as the configuration says; what is beyond it goes."""
        messages = config.messages
        self._masked = config.history.callers != "full"
        self._off = not messages.max_mb
        self._sip.keep_messages(messages.max_mb, messages.calls)
        self._book.resize(0 if self._off else messages.calls)

    def of_call(self, call: str) -> Gathered | None:
        """Those of a call's legs; None: it is not known."""
        known = self._book.call(call)
        return None if known is None else self._of_known(known, None)

    def of_transfer(self, transfer: str) -> Gathered | None:
        """Those of the call that a transfer is about; None: it is not known here any more."""
        known = self._book.of_transfer(transfer)
        return None if known is None else self._of_known(known, transfer)

    def of_past(self, transfer: str, past: Mapping[str, Any]) -> Gathered:
        """Those of a transfer whose document is all that is known of it: the legs that it names may be there still."""
        named = ((role, past["call_ids"].get(role)) for role in TRANSFER_ROLES)
        legs = [
            {"call_id": call_id, "side": None, "peer": None, "role": role}
            for role, call_id in named
            if call_id is not None
        ]
        return self._gathered(None, transfer, legs, ())

    def transfers_of(self, call: str) -> tuple[str, ...]:
        """The transfers of a call, as far as it is known."""
        known = self._book.call(call)
        return () if known is None else tuple(known.transfers)

    def forget(self, caller: str) -> int:
        """Let go of the calls that name a caller, as `caller_named` has them: of how many legs that was."""
        found = self._sip.forget_messages(texts_of(caller))
        legs = found | self._book.forget(caller, found)
        self._sip.forget_legs(legs - found)
        return len(legs)

    def _of_known(self, known: KnownCall, transfer: str | None) -> Gathered:
        noted = (*known.notes, *known.audio)
        notes = tuple(note for note in noted if transfer is None or note.transfer in (None, transfer))
        return self._gathered(
            known.call, transfer, [_leg_document(leg, transfer) for leg in known.legs.values()], notes
        )

    def _gathered(
        self, call: str | None, transfer: str | None, legs: Sequence[dict[str, Any]], notes: tuple[Note, ...]
    ) -> Gathered:
        kept = tuple((leg, self._sip.messages(leg["call_id"])) for leg in legs)
        return Gathered(call, transfer, kept, notes, self._masked, self._off)


def document(gathered: Gathered) -> dict[str, Any]:
    """What is told of it: JSON-able."""
    messages = [
        (message.at, _message_document(place, message, masked=gathered.masked))
        for place, (_, kept) in enumerate(gathered.legs)
        for message in (kept.messages if kept else ())
    ]
    messages.sort(key=lambda pair: pair[0])
    notes = sorted(gathered.notes, key=lambda note: note.at)
    places = {leg["call_id"]: place for place, (leg, _) in enumerate(gathered.legs)}
    legs = [leg | _kept(kept) for leg, kept in gathered.legs]
    return {
        "call": gathered.call,
        "transfer": gathered.transfer,
        "kept": bool(messages),
        "because": None if messages else OFF if gathered.off else GONE,
        "masked": gathered.masked,
        "legs": [leg | named(leg, legs) for leg in legs],
        "messages": [each for _, each in messages],
        "marks": [_mark(note, places, masked=gathered.masked) for note in notes],
    }


def to_be_stored(document: Mapping[str, Any]) -> dict[str, Any]:
    """As much of a document as `from_stored` cannot find out again."""
    legs = [{key: value for key, value in leg.items() if key not in {"name", "part"}} for leg in document["legs"]]
    messages = [{key: value for key, value in one.items() if key != "words"} for one in document["messages"]]
    return {**document, "legs": legs, "messages": messages}


def from_stored(stored: Mapping[str, Any], *, masked: bool) -> dict[str, Any]:
    """The document, from what was stored of it; `masked`: without whole phone numbers, whatever was stored."""
    read = in_masks(stored) if masked and not stored["masked"] else stored
    legs = read["legs"]
    messages = [one | {"words": words_of(one["text"], again=one["again"])} for one in read["messages"]]
    return {**read, "legs": [leg | named(leg, legs) for leg in legs], "messages": messages}


def in_masks(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What was stored, without whole phone numbers."""
    messages = [one | {"text": masked_message(one["text"])} for one in stored["messages"]]
    marks = [one | {"text": mask_text(one["text"])} for one in stored["marks"]]
    return {**stored, "masked": True, "messages": messages, "marks": marks}


def _leg_document(leg: KnownLeg, transfer: str | None) -> dict[str, Any]:
    roles = (role for of, role in leg.roles.items() if transfer in (None, of))
    return {
        "call_id": leg.call_id,
        "side": leg.peer.kind.value if leg.peer else None,
        "peer": leg.peer.name if leg.peer else None,
        "role": next(roles, None),
    }


def _kept(kept: KeptMessages | None) -> dict[str, Any]:
    if kept is None:
        return {"messages": 0, "left_out": 0, "late": False}
    return {"messages": len(kept.messages), "left_out": kept.left_out, "late": kept.late}


def _message_document(leg: int, message: SipMessage, *, masked: bool) -> dict[str, Any]:
    text = message.text.encode("utf-8", "replace").decode()
    text = masked_message(text) if masked else text
    return {
        "leg": leg,
        "at": moment(message.at),
        "sent": message.sent,
        "transport": message.transport,
        "source": message.source,
        "destination": message.destination,
        "size": message.size,
        "again": message.again,
        "cut": message.cut,
        "text": text,
        "words": words_of(text, again=message.again),
    }


def _mark(note: Note, places: Mapping[str, int], *, masked: bool) -> dict[str, Any]:
    text = mask_text(note.text) if masked else note.text
    legs = [places[each] for each in note.legs if each in places]
    return {"at": moment(note.at), "what": note.what, "text": text, "transfer": note.transfer, "legs": legs}


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def masked_message(text: str) -> str:
    """A SIP message without whole phone numbers; what tells dialogs and transactions apart stays as it is."""
    made: list[str] = []
    in_body = False
    for place, part in enumerate(_END.split(text)):
        if place % 2:  # the end of a line
            made.append(part)
            continue
        if not part:
            in_body = True
            continue
        shown = _SHOWN.match(part) or (in_body and _SHOWN_IN_BODY.match(part))
        made.append(part if shown else _masked_line(part))
    return "".join(made)


def _masked_line(line: str) -> str:
    parts = _TAG.split(line)
    return "".join(part if place % 2 else mask_text(part, number_field=True) for place, part in enumerate(parts))


def texts_of(caller: str) -> list[str]:
    """What of a caller stands in each form in which they are written: of a number its national digits."""
    text = national_digits(caller) if caller.startswith("+") else caller
    return [text] if len(text) >= SHORTEST else []
