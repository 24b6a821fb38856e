# SPDX-License-Identifier: GPL-2.0-or-later
"""TOML files into models, so that one mistake does not hide another."""

import copy
import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.config.fields import Surroundings
from gateway.config.mistakes import Location, Mistake, in_words, key_name
from gateway.config.toml_words import toml_problem
from gateway.core.system_error import unreadable

M = TypeVar("M", bound=BaseModel)
Table = dict[str, Any]

_PASSES = 8  # each takes out what was wrong; validators of whole tables speak up once their parts are right


def read_table(directory: Path, file: str, mistakes: list[Mistake]) -> Table | None:
    """The table in a TOML file, or None with a mistake when it can't be read."""
    path = directory / file
    try:
        # A pipe would keep everybody waiting who opens it.
        if path.exists() and not (path.is_file() or path.is_dir()):
            mistakes.append(Mistake(file, "file", "is no regular file"))
            return None
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        mistakes.append(Mistake(file, "file", f"{path} {unreadable(error, os.geteuid())}"))
    except UnicodeDecodeError:
        mistakes.append(Mistake(file, "file", "is not UTF-8 text, as TOML must be"))
    else:
        return _table(text, file, mistakes)
    return None


def _table(text: str, file: str, mistakes: list[Mistake]) -> Table | None:
    try:
        return tomllib.loads(text)
    except RecursionError:
        mistakes.append(Mistake(file, "file", "is not TOML: lists or tables in one another, too many of them"))
    except ValueError as error:  # also of a number with thousands of digits
        place, words = toml_problem(text, error)
        mistakes.append(Mistake(file, place, f"is not TOML: {words}"))
    return None


def credentials_directory() -> Path | None:
    """Where systemd puts a service's credentials (systemd.exec(5), LoadCredential=)."""
    path = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(path) if path else None


def read_model(model: type[M], data: Table, *, file: str, around: Surroundings, mistakes: list[Mistake]) -> M | None:
    """The model of `data`, its mistakes added to `mistakes`.

    What is wrong is left out of the model that comes back, so that the rest can be checked further; None when nothing
    useful is left.
    """
    rest = copy.deepcopy(data)
    incomplete: set[Location] = set()  # tables that lost something: what they then say of themselves is not told
    for _ in range(_PASSES):
        try:
            return model.model_validate(rest, context=around)
        except ValidationError as error:
            details = [(_in_data(detail["loc"], rest), detail) for detail in error.errors(include_url=False)]
            tables = incomplete | {
                location[:-1] for location, detail in details if location and detail["type"] != "extra_forbidden"
            }
            wrong: set[Location] = set()
            for location, detail in details:
                missing = detail["type"] == "missing"
                where = location[:-1] if missing else location
                if where not in (incomplete if missing else tables):
                    mistakes.append(Mistake(file, key_name(location, rest) or "file", in_words(detail, model)))
                wrong.add(where)
            incomplete = tables
            if () in wrong:
                return None
            for location in sorted(wrong, key=_last_first):
                if not any(location[:length] in wrong for length in range(len(location))):
                    _take_out(rest, location)
    return None


def _last_first(location: Location) -> tuple[tuple[int, str], ...]:
    # Later entries of a list go first, so that the positions of those before them still hold.
    return tuple((-part, "") if isinstance(part, int) else (0, part) for part in location)


def _in_data(location: Location, data: object) -> Location:
    """The location without the names that pydantic adds for the branches of unions and the keys of mappings."""
    found: list[int | str] = []
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if isinstance(data, dict) and isinstance(part, str) and (part in data or last):
            if part == "[key]":
                break
            found.append(part)
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            found.append(part)
            data = data[part]
    return tuple(found)


def _take_out(data: object, location: Location) -> None:
    *path, last = location
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
    if isinstance(data, dict):
        data.pop(last, None)
    elif isinstance(data, list) and isinstance(last, int) and last < len(data):
        del data[last]
