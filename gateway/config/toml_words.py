# SPDX-License-Identifier: GPL-2.0-or-later
"""What keeps a file from being TOML, in words for who has typed it and does not know the grammar. Pure."""

import re

_PLACE = re.compile(r"line (?P<line>[0-9]+), column (?P<column>[0-9]+)")
_VALUE = re.compile(r"""\s*[A-Za-z0-9_."'-]+\s*=\s*(?P<value>[^\s#"'\[{][^#]*)""")
_TYPOGRAPHIC = re.compile("[\u201c\u201d\u201e\u201f\u00ab\u00bb\u2018\u2019\u201a]")  # as word processors write them
_FLAGS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_SYNTAX = ("Invalid value", "Expected newline or end of document after a statement")
_SHOWN = 60  # characters of a value


def toml_problem(text: str, error: ValueError) -> tuple[str, str]:
    """Where in `text` it is, "file" if tomllib does not say, and what is wrong there."""
    problem, _, place = str(error).partition(" (at ")
    place = place.rstrip(")")
    found = _PLACE.fullmatch(place)
    line = text.split("\n")[int(found["line"]) - 1].strip() if found else ""
    return place or "file", _of_table(problem, line) or _of_value(problem, line) or problem


def _of_table(problem: str, line: str) -> str:
    if problem.startswith("Cannot declare"):
        name = line.strip("[]")
        return f"[{name}] stands there twice; put the keys of both under one, or, of a list, begin each by [[{name}]]"
    if problem == "Cannot overwrite a value" and line.startswith("[["):
        name = line.strip("[]")
        return f"there are [{name}] and [[{name}]]; of a list each begins by [[{name}]]"
    return "the key stands there twice; the second time up to here" if problem == "Cannot overwrite a value" else ""


def _of_value(problem: str, line: str) -> str:
    if problem.startswith("Expected '='"):
        return 'a line is to be like this: key = "value"'
    if problem.startswith(("Illegal character '\\n'", "Illegal character '\\r'")):
        return "text ends by the quotation mark that it began with, in the same line"
    if problem not in _SYNTAX:
        return ""
    if mark := _TYPOGRAPHIC.search(line):
        return f'{mark[0]} is no quotation mark here; text stands in "straight ones"'
    if not (match := _VALUE.match(line)):
        return ""
    value = match["value"].strip()
    if value.lower() in _FLAGS:
        return f"write {_FLAGS[value.lower()]}"
    if re.fullmatch(r"[0-9]+", value):
        return f"{value[:_SHOWN]} begins with 0, as no number here does; what is dialled stands in quotes"
    return f'text stands in quotes: "{value[:_SHOWN]}"'
