# SPDX-License-Identifier: GPL-2.0-or-later
"""Mistakes in the configuration, in words that say where they are, what is wrong and what would be right."""

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Union

from pydantic import BaseModel
from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]
"""Where a value stands: keys of tables, positions in lists."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake: the file (relative to the configuration's directory), the key, and the problem in words."""

    file: str
    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.problem}"


class ConfigError(Exception):
    """A configuration that can't be used, with every mistake in it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


def did_you_mean(word: str, known: Iterable[str], *, what: str = "known here are") -> str:
    """The end of a sentence that names the nearest known word or, when none is near, all of them."""
    words = sorted(known)
    if near := difflib.get_close_matches(word, words, n=1):
        return f"did you mean {near[0]}?"
    return f"{what} {', '.join(words)}" if words else "there are none"


def key_name(location: Location, data: object) -> str:
    """The location as people read it: `numbers[main-line].destinations[sales].queue`.

    An entry of a list is named by its id where it has one, else by its position, counted from 1.
    """
    name = ""
    for part in location:
        if isinstance(part, int):
            data = data[part] if isinstance(data, Sequence) and part < len(data) else None
            own = data.get("id", data.get("name")) if isinstance(data, dict) else None
            name += f"[{own}]" if isinstance(own, str) and own else f"[{part + 1}]"
        else:
            data = data.get(part) if isinstance(data, dict) else None
            name += f".{part}" if name else part
    return name


_IN_WORDS = {
    "missing": "is missing, and there is no default",
    "string_type": "must be text in quotes, is {given}",
    "int_type": "must be a whole number, is {given}",
    "int_from_float": "must be a whole number, is {given}",
    "float_type": "must be a number, is {given}",
    "bool_type": "must be true or false, is {given}",
    "tuple_type": "must be a list, [in, brackets], is {given}",
    "model_type": "must be a table, is {given}",
    "dict_type": "must be a table, is {given}",
    "greater_than_equal": "must be at least {ge:g}, is {given}",
    "greater_than": "must be more than {gt:g}, is {given}",
    "less_than_equal": "must be at most {le:g}, is {given}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters, is {given}",
    "too_short": "must not be empty",
    "literal_error": "must be {expected}, is {given}",
    "enum": "must be {expected}, is {given}",
    "value_error": "{error}",
}
_MISSPELT = 0.8  # how alike two keys are, at least, of which one is the other misspelt and none of another table
_TABLES_NAMED = 2  # of those that know a key which another does not; more are no help
_NO_DATE = 'must be a date such as "2026-12-24", is {given}'


def in_words(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong, and what would be right, of one error that pydantic found in the data of `model`."""
    kind, location = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return f"is no known key; {_meant(str(location[-1]), location[:-1], model)}"
    if kind == "tuple_type" and isinstance(error["input"], dict):
        name = ".".join(part for part in location if isinstance(part, str))
        return f"must be a list; begin each of its tables by [[{name}]], in double brackets"
    template = _IN_WORDS.get(kind, _NO_DATE if kind.startswith("date") else "")
    return template.format(given=shown(error["input"]), **error.get("ctx", {})) or error["msg"]


def _meant(key: str, location: Location, model: type[BaseModel]) -> str:
    """What was meant by an unknown key: one of another table, or the nearest of its own."""
    known = _known_keys(model, location)
    elsewhere = list(islice(_elsewhere(key, model, ""), _TABLES_NAMED + 1))
    if 0 < len(elsewhere) <= _TABLES_NAMED and not difflib.get_close_matches(key, known, n=1, cutoff=_MISSPELT):
        return f"it {' or it '.join(elsewhere)}"
    return did_you_mean(key, known)


def _elsewhere(key: str, model: type[BaseModel], header: str) -> Iterator[str]:
    """Where in a file `key` is known, in words; `header` is that of the table which `model` describes."""
    for name, field in model.model_fields.items():
        own = field.alias or name
        table, kind = _model_of(field.annotation), typing.get_origin(field.annotation)
        path = f"{header.strip('[]')}.{own}" if header else own
        inner = f"[[{path}]]" if kind is tuple else f"[{path}]"
        if own == key and (table or header):
            yield f"is written {inner}" if table else f"belongs under {header}"
        if table is not None and kind is not dict:
            yield from _elsewhere(key, table, inner)


def shown(value: object) -> str:
    """What was given, as it stands in TOML, or what kind of thing it is."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value[:60]}"'
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return str(value)


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that the table at `location` may hold."""
    annotation: Any = model
    for part in location:
        table = _model_of(annotation)
        if isinstance(part, int) or table is None:
            continue
        field = next((f for name, f in table.model_fields.items() if part in (name, f.alias)), None)
        if field is None:
            continue
        annotation = field.annotation
    table = _model_of(annotation)
    return [field.alias or name for name, field in table.model_fields.items()] if table else []


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (Annotated, Union, types.UnionType, tuple, dict):
        return next((found for part in typing.get_args(annotation) if (found := _model_of(part))), None)
    return None
