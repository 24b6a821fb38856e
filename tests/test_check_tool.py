# SPDX-License-Identifier: GPL-2.0-or-later
"""`check --tool`: what an assistant offers and what the gateway accepts are compared, and every difference named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import cli
from tests.config_directory import MAIN, write

Tool = dict[str, Any]
Check = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def tool(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Tool:
    """What `tool` prints."""
    assert cli.main(["tool", "--config", str(write(tmp_path))]) == 0
    made: Tool = json.loads(capsys.readouterr().out)
    return made


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Check:
    """Run `check --tool` on a document; the exit code, the lines without the file's name, and the complaints."""
    file = tmp_path / "assistant.json"

    def run(document: object, *arguments: str) -> tuple[int, list[str], str]:
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        code = cli.main(["check", "--tool", str(file), "--config", str(tmp_path), *arguments])
        printed = capsys.readouterr()
        return code, [line.removeprefix(f"{file}: ") for line in printed.out.splitlines()], printed.err

    return run


def test_what_tool_makes_differs_in_nothing(tool: Tool, check: Check) -> None:
    assert check(tool) == (0, ["offers what main-line has, in the same words"], "")


def test_the_tool_is_found_inside_an_assistant(tool: Tool, check: Check) -> None:
    assistant = {"name": "Acme", "llm_config": {"model": "m", "tools": [{"type": "end_call"}, tool]}}
    assert check(assistant)[0] == 0
    tool["destinations"][0]["description"] = "Quotes"
    code, lines, _ = check(assistant)
    assert code == 1
    assert lines == ['llm_config.tools[1].destinations[0].description: is "Quotes"; sales says "Prices"']


def test_every_difference_is_named(tool: Tool, check: Check) -> None:
    sales, support = tool["destinations"]
    tool["destinations"] = [
        {**sales, "number": "0612345678", "message": "Hold on."},
        {"type": "sip", "number": "+31699999999"},
        {**sales, "type": "sip", "message": ""},
        "sales",
        {"number": "http://x"},
    ]
    code, lines, _ = check(tool)
    assert code == 1
    assert lines == [
        'destinations[0].number: is "0612345678"; sales says "+31612345678"',
        'destinations[0].message: is "Hold on."; sales says "One moment."',
        'destinations[1].number: "+31699999999" is no destination of main-line: it would be refused',
        "destinations[2].number: means sales, as destinations[0] does",
        'destinations[2].type: is "sip"; the platform says "number"',
        'destinations[2].message: is ""; sales says "One moment."',
        "destinations[3]: is no destination",
        'destinations[4].number: "http://x" is no destination of main-line: it would be refused',
        f"destinations: support, {support['number']}, is not offered",
    ]


def test_a_missing_word_is_a_difference(tool: Tool, check: Check) -> None:
    del tool["destinations"][0]["message"], tool["destinations"][0]["description"]
    tool["destinations"][1]["message"] = "Hello."
    _, lines, _ = check(tool)
    assert lines == [
        'destinations[0].description: is missing; sales says "Prices"',
        'destinations[0].message: is missing; sales says "One moment."',
        'destinations[1].message: is "Hello."; support says nothing',
    ]


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({"tools": [{"type": "end_call"}]}, "there is no tool of type transfer_call in it"),
        ({"type": "transfer_call"}, "destinations: is no list of destinations"),
        ([{"type": "transfer_call", "destinations": {}}], "[0].destinations: is no list of destinations"),
    ],
)
def test_a_document_without_the_tool(tmp_path: Path, check: Check, document: object, line: str) -> None:
    write(tmp_path)
    assert check(document) == (1, [line], "")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, ""])
def test_what_is_not_json_is_wrong_usage(tmp_path: Path, check: Check, text: str) -> None:
    write(tmp_path)
    code, lines, complaint = check(text)
    assert (code, lines) == (2, [])
    assert complaint.endswith("assistant.json is not JSON\n")


def test_the_number_is_said_where_there_are_two(tmp_path: Path, check: Check, tool: Tool) -> None:
    second = MAIN[MAIN.index("[[numbers]]") :].replace("main-line", "second").replace("+31201234567", "+31201234568")
    write(tmp_path, MAIN + second)
    assert check(tool)[0] == 2
    assert check(tool, "--number", "second")[0] == 0


def test_mistakes_in_the_configuration_come_first(tmp_path: Path, check: Check, tool: Tool) -> None:
    write(tmp_path, MAIN.replace("udp_port", "upd_port"))
    code, lines, _ = check(tool)
    assert code == 78
    assert lines[0].startswith("gateway.toml: sip.upd_port")
