# SPDX-License-Identifier: GPL-2.0-or-later
"""How callers are kept in the history: in full, masked, or as a keyed hash by which repeats are seen."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

CallerForm: TypeAlias = Literal["full", "masked", "hashed"]

ERASED = "[erased]"
KEY_FILE = "history.key"
_KEY_BYTES = 32
_HASH_HEX = 24  # 96 bits: no two callers of a lifetime have the same
_HEAD, _TAIL = 3, 2
_HASH, _DOTS = "hmac:", "…"
_TEXTS = (
    *("requested_target", "fault", "trail", "sentence", "call_ids", "context"),
    *("platform", "call_id", "ended_reason", "error"),  # a platform may name its calls after their callers
)
"""Fields that may name a caller in passing."""


def masked(caller: str) -> str:
    """`+31612345678` becomes `+31…78`; what is shorter loses more."""
    return f"{caller[:_HEAD]}{_DOTS}{caller[-_TAIL:]}" if len(caller) > 2 * (_HEAD + _TAIL) else f"{_DOTS}{caller[-1:]}"


def is_full(caller: str | None) -> bool:
    """Whether a caller, as it is kept, is a number (or a name) in full."""
    return caller is not None and not caller.startswith(_HASH) and _DOTS not in caller


class Callers:
    """Turns callers into the form in which they are kept; the key of the hash lies in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / KEY_FILE
        self._key: bytes | None = None

    def kept(self, caller: str | None, form: CallerForm) -> str | None:
        """The caller in this form. Raises OSError where the key can be neither read nor made."""
        if caller is None or form == "full":
            return caller
        return masked(caller) if form == "masked" else self._hashed(caller, self._made_key())

    def forms(self, caller: str, *, alone: bool = False) -> tuple[str, ...]:
        """All forms in which this caller may have been kept; `alone`: those that are nobody else's. Raises OSError."""
        key = self._known_key()
        hashed = (self._hashed(caller, key),) if key else ()
        return tuple(dict.fromkeys((caller, *hashed, *(() if alone else (masked(caller),)))))

    @staticmethod
    def _hashed(caller: str, key: bytes) -> str:
        return f"{_HASH}{hmac.new(key, caller.encode(errors='replace'), hashlib.sha256).hexdigest()[:_HASH_HEX]}"

    def _known_key(self) -> bytes | None:
        if self._key is None:
            try:
                key = bytes.fromhex(self._path.read_text(encoding="ascii"))
            except FileNotFoundError:
                return None
            except ValueError:
                key = b""
            if len(key) != _KEY_BYTES:
                raise OSError(f"{self._path} does not hold the key that was written there")
            self._key = key
        return self._key

    def _made_key(self) -> bytes:
        if (known := self._known_key()) is not None:
            return known
        key = secrets.token_bytes(_KEY_BYTES)
        # Whole or not at all: a key that is cut off would be another one.
        new = self._path.with_suffix(".key-new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(key.hex())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._key = key
        return key


def without_caller(data: Mapping[str, Any], caller: str | None, shown: str = "…") -> dict[str, Any]:
    """The data of a record without what tells who called: texts are kept but for the number, headers are not kept.

    The caller itself stands elsewhere. `shown` takes the number's place in texts.
    """
    left = dict(data)
    if "context" in left:
        left["context"] = {}
    return _unnamed(left, caller, shown) if caller else left


def erased(data: Mapping[str, Any], forms: Collection[str], caller: str | None = None) -> dict[str, Any] | None:
    """The data of a record with nothing in it of who is named by `forms`; None: there was nothing.

    What became of the transfer or call stays: its times, its outcome, where it went. `caller`: of a row, whose data
    does not have it.
    """
    was = data.get("caller") or caller
    left = dict(data)
    for form in forms:
        left = _unnamed(left, form, ERASED)
    if was in forms:
        left |= {name: None for name in ("caller",) if name in left} | {
            name: {} for name in ("context",) if name in left
        }
        if "call_ids" in left:
            left["call_ids"] = dict.fromkeys(left["call_ids"] or ())
        # By its id the platform knows who called.
        if "call_id" in left:
            left["call_id"] = None
        if isinstance(left.get("platform"), dict):
            left["platform"] = {**left["platform"], "call_id": None}
    return None if left == data and was not in forms else left


def _unnamed(data: dict[str, Any], caller: str, shown: str) -> dict[str, Any]:
    number = _pattern(caller)
    return data | {name: _cleaned(data[name], number, shown) for name in _TEXTS if name in data}


def _pattern(caller: str) -> re.Pattern[str]:
    """The number as a text may have it: with or without its plus, and not as part of a longer one."""
    digits = caller.removeprefix("+")
    return re.compile(rf"(?<![0-9A-Za-z])\+?{re.escape(digits)}(?![0-9A-Za-z])")


def _cleaned(value: Any, number: re.Pattern[str], shown: str) -> Any:
    match value:
        case str():
            return number.sub(shown, value)
        case list():
            return [_cleaned(each, number, shown) for each in value]
        case dict():
            return {name: _cleaned(each, number, shown) for name, each in value.items()}
    return value
