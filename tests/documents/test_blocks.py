# SPDX-License-Identifier: GPL-2.0-or-later
"""Each block of the documents has a language, and somebody who tries it; what is no command is read as what it is."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from markdown_it import MarkdownIt

from tests.documents.blocks import COMMANDS, DOCUMENTS, HERE, NEW_HOST, ROOT, Block, all_blocks, blocks, commands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LANGUAGES = {COMMANDS, "console", "text", "toml", "json", "yaml", "ini"}
READERS: dict[str, Callable[[str], Any]] = {"toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load}
DRY = commands("dry run")


def test_every_block_has_a_fence_and_says_what_it_is() -> None:
    reader = MarkdownIt("commonmark")
    indented = [
        path.name for path in DOCUMENTS if any(one.type == "code_block" for one in reader.parse(path.read_text()))
    ]
    assert indented == []
    assert [str(block) for block in all_blocks() if block.language not in LANGUAGES] == []


@pytest.mark.keeps("20.90")
def test_every_block_of_commands_is_run_or_says_why_not() -> None:
    found = all_blocks(COMMANDS)
    assert len(found) > 40
    ways = {way: [block for block in found if block.way == way] for way in {block.way for block in found}}
    print("\n".join(f"{block!s:36}{block.way or 'run':9}{block.word}" for block in found))
    assert ways.keys() <= {HERE, NEW_HOST, "run by", "dry run", "not run"}
    # What was typed and printed once is played again by somebody.
    assert [str(block) for block in all_blocks("console") if block.way != "run by"] == []
    # They are run by tests that read the very document.
    for block in (block for block in all_blocks() if block.way == "run by"):
        path = ROOT / block.word
        files = [path] if path.is_file() else [*path.glob("*.py")]
        assert any(block.document.name in file.read_text() for file in files), str(block)
    short = [str(block) for block in (*ways["dry run"], *ways["not run"]) if len(block.word.split()) < 4]
    assert short == [], "says hardly why"


def test_marks_are_read_from_the_line_above(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "```sh\na\n```\n<!-- not run: it says why -->\n```sh\nb\n```\n"
        "\n<!-- run on: a new host -->\n\n```toml\nc = 1\n```\n"
        "- x\n\n    <!-- run by: tests/x -->\n    ```sh\n    d\n    ```\n"
    )
    found = [(block.line, block.language, block.text, block.way, block.word) for block in blocks(document)]
    assert found == [
        (1, "sh", "a\n", "", ""),
        (5, "sh", "b\n", "not run", "it says why"),
        (11, "toml", "c = 1\n", "", ""),
        (17, "sh", "d\n", "run by", "tests/x"),
    ]
    document.write_text("text\n```sh\nls\n")
    with pytest.raises(ValueError, match=r"page\.md:2: this block has no end"):
        list(blocks(document))


@pytest.mark.slow
def test_bash_understands_every_block_of_commands() -> None:
    for block in all_blocks(COMMANDS):
        read = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
        assert read.returncode == 0, f"{block}: {read.stderr}"


@pytest.mark.slow
@pytest.mark.keeps("20.90")
@pytest.mark.parametrize("block", DRY, ids=str)
def test_every_target_of_make_that_is_named_is_there(block: Block) -> None:
    targets = re.findall(r"^(?:sudo )?(make [^#&|\n]+)", block.text, re.MULTILINE)
    assert targets
    for target in targets:
        tried = subprocess.run(
            [*target.split(), "-n", "--no-print-directory"], cwd=ROOT, text=True, capture_output=True, check=False
        )
        assert tried.returncode == 0, f"{block}: {target}: {tried.stderr}"


@pytest.mark.parametrize("block", all_blocks(*READERS), ids=str)
def test_every_block_of_data_can_be_read(block: Block) -> None:
    assert READERS[block.language](block.text)
