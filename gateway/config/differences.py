# SPDX-License-Identifier: GPL-2.0-or-later
"""What one configuration has otherwise than another, key by key, so that a reload can say what it has changed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from gateway.config.credentials import digest
from gateway.config.sounds import Sound

Values = Mapping[str, object]
"""The value of each key by its name, `numbers[main-line].destinations[sales].queue`; of a table that it is there."""
TABLE = "a table"
"""What stands for one in Values."""
_ABSENT = "absent"


def values_of(name: str, value: object, *, files: bool = True) -> Iterator[tuple[str, object]]:
    """Every key below `name`, with what it means: of one that names a file, what the file holds, unless not `files`."""
    match value:
        case BaseModel():
            yield name, TABLE
            inner = name if not name or name.endswith(": ") else f"{name}."
            for field, described in type(value).model_fields.items():
                yield from values_of(f"{inner}{described.alias or field}", getattr(value, field), files=files)
        case dict() | tuple() if not value:
            pass  # whether of tables or not, it is as if it were not there
        case dict() if all(isinstance(each, BaseModel) for each in value.values()):
            for key, each in value.items():
                yield from values_of(f"{name}.{key}", each, files=files)
        case tuple() if all(isinstance(each, BaseModel) for each in value):
            for each in value:
                own = getattr(each, "id", None) or getattr(each, "name", "")
                yield from values_of(f"{name}[{own}]", each, files=files)
        case Path():
            yield name, (value, digest(value) if files else "")
        case Sound():
            yield name, (value, digest(value.path) if files else "")
        case tuple() if any(isinstance(each, Sound) for each in value):
            parts = [(each, digest(each.path) if files else "") if isinstance(each, Sound) else each for each in value]
            yield name, tuple(parts) if len(parts) > 1 else parts[0]
        case _:
            yield name, value


def differences(before: Values, now: Values) -> tuple[str, ...]:
    """The keys that have another value now; a table that is new, or gone, is named instead of all that is in it."""
    found: list[str] = []
    table = ""
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name, _ABSENT), now.get(name, _ABSENT)
        if old == new or (table and name.startswith((f"{table}.", f"{table}[", f"{table}: "))):
            continue
        if TABLE in (old, new):
            table = name.removesuffix(": ")
        found.append(name.removesuffix(": "))
    return tuple(found)
