# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents of a NOTIFY say of an extension: its dialogs (RFC 4235) or its presence (RFC 3863). No I/O.

A caller may have put text into them. So they are small, without a document type (and thus without
entities), and whatever is not understood is a `DocumentError` and never a state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat

from gateway.core.model import DeviceState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIALOG_INFO = "application/dialog-info+xml"
PIDF = "application/pidf+xml"
MAX_BYTES = 64 * 1024
MAX_ELEMENTS = 2000
MAX_DEPTH = 20

# Of several calls of a phone the one that counts most is its state.
_RANK = (DeviceState.IN_USE, DeviceState.ON_HOLD, DeviceState.RINGING)
_ON_THE_PHONE = frozenset({"busy", "on-the-phone"})  # activities of RFC 4480 §3.2 that mean it, as PBXs use them
_NOTES = {"ringing": DeviceState.RINGING, "on hold": DeviceState.ON_HOLD}


class DocumentError(ValueError):
    """This is no document that says anything of an extension; the message says why."""


@dataclass(slots=True)
class _Element:
    name: str  # without its namespace: PBXs differ in these
    attributes: Mapping[str, str]
    children: list[_Element] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> Iterator[_Element]:
        """Every element of this name below this one, at any depth."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all(name)

    def text_of(self, name: str) -> str:
        """The text of the first child of this name; empty when there is none."""
        return next((child.text.strip().lower() for child in self.children if child.name == name), "")


class _Reader:
    """Builds the elements; anything that could cost more than reading the bytes is refused at once."""

    def __init__(self) -> None:
        self._top = _Element("", {})
        self._open = [self._top]
        self._count = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def read(self, body: bytes) -> _Element:
        if len(body) > MAX_BYTES:
            raise DocumentError(f"is longer than {MAX_BYTES} bytes")
        try:
            self._parser.Parse(body, True)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise error if isinstance(error, DocumentError) else DocumentError(f"is no XML: {error}") from None
        return self._top.children[0]

    def _doctype(self, *_: object) -> None:
        raise DocumentError("has a document type")

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) > MAX_DEPTH:
            raise DocumentError("has too many elements")
        element = _Element(_local(name), {_local(key): value for key, value in attributes.items()})
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].text += text


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


class DialogStates:
    """The dialogs of an extension, kept from document to document of one subscription (RFC 4235 §4.3)."""

    def __init__(self) -> None:
        self._version = -1
        self._states: dict[str, DeviceState] = {}

    def take(self, body: bytes) -> bool:
        """Take a document; False when one before it was lost, so that the whole state has to be asked for again.

        Raises DocumentError.
        """
        root = _Reader().read(body)
        if root.name != "dialog-info":
            raise DocumentError(f"is a {root.name[:40]}, and no dialog-info")
        version, whole = root.attributes.get("version", ""), root.attributes.get("state")
        if not (version.isascii() and version.isdigit() and len(version) <= 10) or whole not in ("full", "partial"):
            raise DocumentError("has no version or state")
        # A whole state is taken whatever its number: it comes in order, by its CSeq, and some count from 0 each time.
        if whole == "partial" and int(version) != self._version + 1:
            return int(version) <= self._version
        states = {} if whole == "full" else dict(self._states)
        for number, dialog in enumerate(child for child in root.children if child.name == "dialog"):
            states[dialog.attributes.get("id", str(number))] = _dialog_state(dialog)
        self._version = int(version)
        self._states = {name: state for name, state in states.items() if state is not DeviceState.IDLE}
        return True

    @property
    def state(self) -> DeviceState:
        """IDLE when there is no dialog, which says nothing of whether a phone is there at all."""
        there = set(self._states.values())
        return next((state for state in _RANK if state in there), DeviceState.IDLE)


def _dialog_state(dialog: _Element) -> DeviceState:
    match dialog.text_of("state"):
        case "confirmed":
            local = (each for child in dialog.children if child.name == "local" for each in child.all("param"))
            held = any(
                each.attributes.get("pname") == "+sip.rendering" and each.attributes.get("pvalue") == "no"
                for each in local
            )
            return DeviceState.ON_HOLD if held else DeviceState.IN_USE
        case "trying" | "proceeding" | "early":
            # A person who dials is on the phone already.
            calls = dialog.attributes.get("direction") == "initiator"
            return DeviceState.IN_USE if calls else DeviceState.RINGING
        case "terminated":
            return DeviceState.IDLE
        case other:
            raise DocumentError(f'has a dialog in the state "{other[:40]}"')


def presence_state(body: bytes) -> DeviceState:
    """The state that a presence document tells: open or closed, and on the phone where it says so.

    That may be by an activity (RFC 4480) or, as Asterisk does, by a note, which is for people and always the same.

    Raises DocumentError.
    """
    root = _Reader().read(body)
    if root.name != "presence":
        raise DocumentError(f"is a {root.name[:40]}, and no presence")
    statuses = [status.text_of("basic") for tuple_ in root.all("tuple") for status in tuple_.all("status")]
    if not statuses or not set(statuses) <= {"open", "closed"}:
        raise DocumentError("says neither open nor closed")
    is_open = "open" in statuses
    notes = {each.text.strip().lower() for each in root.all("note")}
    if call := next((state for note, state in _NOTES.items() if note in notes), None):
        return call
    activities = {each.name for activity in root.all("activities") for each in activity.children}
    if "on the phone" in notes or not _ON_THE_PHONE.isdisjoint(activities):
        return DeviceState.IN_USE if is_open else DeviceState.BUSY
    return DeviceState.IDLE if is_open else DeviceState.UNAVAILABLE


def together(dialogs: DeviceState | None, presence: DeviceState | None) -> DeviceState | None:
    """What both say of an extension; None: that one is not told.

    Dialogs tell best of calls and nothing of a phone that is not there; presence tells that.
    """
    if dialogs is None or presence is None:
        return dialogs or presence
    if dialogs is DeviceState.IDLE:
        return presence
    return DeviceState.BUSY if (dialogs, presence) == (DeviceState.IN_USE, DeviceState.BUSY) else dialogs
