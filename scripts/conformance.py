# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes into docs/conformance.md which test files keep each promise, as the tests' `keeps` markers say.

A row of the tables there is a promise in words, with a number of its own. A test that keeps it is marked
`@pytest.mark.keeps("2.7")`, or one of its parameters is; `pytest --keeps 2.7` runs the tests of a row.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "conformance.md"
TESTS = ROOT / "tests"
COLUMN = "kept by"

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_ROW = re.compile(r"\| (\d+\.\d+) \|")
_CELL = re.compile(r"(?<!\\)\|")


def shared(tree: ast.Module) -> dict[str, ast.AST]:
    """The decorators to which a test file gives a name."""
    above = [each for node in tree.body if isinstance(node, _FUNCTIONS) for each in node.decorator_list]
    used = {each.id for each in above if isinstance(each, ast.Name)}
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in used
    }


def marks(tree: ast.AST, decorators: Mapping[str, ast.AST]) -> Iterator[str]:
    """The numbers in every `pytest.mark.keeps(…)` of a piece of a test file, but for what its tests do.

    `decorators` are the file's shared ones, which count for each test that they stand above.
    """
    left = [tree]
    while left:
        match node := left.pop():
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                above = node.decorator_list
                left += [decorators.get(each.id, each) if isinstance(each, ast.Name) else each for each in above]
            case ast.Assign() if node.value in decorators.values():
                pass
            case ast.Call(func=ast.Attribute(attr="keeps") as marker) if ast.unparse(marker) == "pytest.mark.keeps":
                yield from (
                    each.value for each in node.args if isinstance(each, ast.Constant) and type(each.value) is str
                )
            case _:
                left += ast.iter_child_nodes(node)


def keepers(tests: Path = TESTS) -> dict[str, Counter[str]]:
    """For each number: the test files with markers of it, by their short names, and how many markers."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for path in sorted(tests.rglob("test_*.py")):
        folder = path.parent.relative_to(tests).as_posix()
        name = path.stem.removeprefix("test_")
        short = name if folder == "sip" else f"{'tests' if folder == '.' else folder}/{name}"
        if "pytest.mark.keeps" not in (code := path.read_text()):
            continue
        tree = ast.parse(code)
        for number in marks(tree, shared(tree)):
            found[number][short] += 1
    return found


def rows(table: str) -> list[str]:
    """The numbers of the rows, in their order."""
    return [match[1] for line in table.splitlines() if (match := _ROW.match(line))]


def written(table: str, found: dict[str, Counter[str]]) -> str:
    """The table with the column of who keeps each row written anew."""
    lines, column = [], None
    for line in table.splitlines():
        cells = _CELL.split(line)
        titles = [cell.strip() for cell in cells]
        if COLUMN in titles:
            column = titles.index(COLUMN)
        elif column is not None and (match := _ROW.match(line)):
            files = found.get(match[1], Counter())
            cells[column] = f" {', '.join(f'{name} ({n})' if n > 1 else name for name, n in files.items())} "
            lines.append("|".join(cells))
            continue
        lines.append(line)
    return "\n".join(lines) + "\n"


def faults(table: str, found: dict[str, Counter[str]]) -> list[str]:
    """What is wrong with rows and markers, in words."""
    numbers = rows(table)
    known = set(numbers)
    return [
        *(f"row {number} stands twice" for number, times in Counter(numbers).items() if times > 1),
        *(f"no test keeps row {number}" for number in numbers if number not in found),
        *(f"{', '.join(files)}: there is no row {number}" for number, files in found.items() if number not in known),
    ]


def main() -> int:
    """Write the column; exit code 1 when rows and markers do not fit."""
    table, found = TABLE.read_text(), keepers()
    TABLE.write_text(written(table, found))
    wrong = faults(table, found)
    for line in wrong:
        print(f"docs/conformance.md: {line}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
