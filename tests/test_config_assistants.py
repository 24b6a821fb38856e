# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - the tables below read best with a mistake a line
"""Assistants that a configuration names: what is wrong with one is told with its file, its line and what would be right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.config.assistants import MAX_BYTES
from tests.config_directory import MAIN, write

ASSISTANT = """\
{
  "name": "Acme",
  "llm_config": {
    "model": "m",
    "tools": [
      {"type": "end_call"},
      {
        "type": "transfer_call",
        "destinations": [
          {"type": "number", "number": "+31612345678", "description": "Prices"},
          {"type": "number",
           "number": "0612345679"}
        ]
      }
    ]
  }
}
"""
KEY = "gateway.toml: numbers[main-line].assistant_file"


def told(directory: Path, text: str | bytes) -> list[str]:
    """The mistakes of a configuration whose number has this assistant, its path as FILE; none: it is right."""
    write(directory, MAIN.replace('pbx = "asterisk"\n', 'pbx = "asterisk"\nassistant_file = "acme.json"\n', 1))
    file = directory / "acme.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        load(directory)
    except ConfigError as error:
        return [str(mistake).replace(str(file), "FILE") for mistake in error.mistakes]
    return []


def test_one_that_offers_what_is_there_is_right(tmp_path: Path) -> None:
    assert told(tmp_path, ASSISTANT) == []
    assert told(tmp_path, b"\xef\xbb\xbf" + ASSISTANT.encode()) == []
    assert load(tmp_path).numbers[0].assistant == json.loads(ASSISTANT)
    assert "acme.json" in load(tmp_path).files


@pytest.mark.keeps("19.18")
@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ('"+31612345678"', '"+31699999999"', 'FILE, line 10: llm_config.tools[1].destinations[0].number: "+31699999999" is no destination of main-line: it would be refused'),
        ('"0612345679"', '"http://x"', 'FILE, line 11: llm_config.tools[1].destinations[1].number: "http://x" is no destination of main-line: it would be refused'),
        ('"number": "+31612345678"', '"number": 12', "FILE, line 10: llm_config.tools[1].destinations[0]: must be a destination with a number"),
        ('"number": "+31612345678",', "", "FILE, line 10: llm_config.tools[1].destinations[0]: must be a destination with a number"),
        ('{"type": "number", "number": "+31612345678", "description": "Prices"}', '"sales"', "FILE, line 7: llm_config.tools[1].destinations[0]: must be a destination with a number"),
        ('"destinations"', '"destination"', "FILE, line 7: llm_config.tools[1].destinations: must be a list of destinations"),
        ('"transfer_call"', '"transferCall"', "FILE has no tool of type transfer_call: what is open would change nothing in it"),
        ('"model": "m",', '"model": "m"', "FILE, line 5, column 5: is not JSON: Expecting ',' delimiter"),
        ("{\n", "[{\n", "FILE, line 18, column 1: is not JSON: Expecting ',' delimiter"),
    ],
)  # fmt: skip
def test_a_mistake_in_one(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    assert old in ASSISTANT
    assert told(tmp_path, ASSISTANT.replace(old, new, 1)) == [f"{KEY}: {mistake}"]


@pytest.mark.keeps("19.18")
@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (b"[]", "FILE holds no JSON object, which an assistant is"),
        (b"", "FILE, line 1, column 1: is not JSON: Expecting value"),
        (b"\xff", "FILE is not UTF-8 text, as JSON must be"),
        (b"[" * 100_000, "FILE is nested too deeply"),
        (b" " * (MAX_BYTES + 1), f"FILE has {MAX_BYTES + 1} bytes; {MAX_BYTES} are the most"),
    ],
)
def test_what_is_none(tmp_path: Path, text: bytes, mistake: str) -> None:
    assert told(tmp_path, text) == [f"{KEY}: {mistake}"]


@pytest.mark.keeps("19.18")
def test_one_that_is_not_there_or_that_nobody_may_read(tmp_path: Path) -> None:
    told(tmp_path, ASSISTANT)
    (tmp_path / "acme.json").unlink()
    with pytest.raises(ConfigError, match=r"assistant_file: there is no file"):
        load(tmp_path)
    # Who asks without being allowed to read secrets needs it no more than those.
    assert load(tmp_path, secrets=False).numbers[0].assistant is None
