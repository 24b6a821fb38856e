# SPDX-License-Identifier: GPL-2.0-or-later
"""`make setup` says what it does, about how long that takes, and that it goes on; where nothing is to do, nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# Stands for Python in and outside of .venv. Where $GATE names a file, what it is asked to install waits for it.
PYTHON = """#!/bin/bash
case "$*" in
    -) printf '3.11\\nfine\\n%s\\nheaders\\nvenv\\n' "$0" ;;
    "-m venv --clear .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *--require-hashes*) while [[ -n $GATE && ! -e $GATE ]]; do sleep 0.02; done; [[ $BREAKS != pip ]] ;;
    "-m scripts.binding") echo made.whl ;;
esac
"""
PACKAGES = """#!/bin/bash
for name in "${@:3}"; do printf 'ii %s ' "$name"; done
"""


class Tree:
    """A tree to set up, whose Python is a script."""

    def __init__(self, directory: Path) -> None:
        self.path, self.cache, programs = directory / "tree", directory / "cache", directory / "programs"
        for place in ("scripts/binding", "gateway/sip/binding"):
            (self.path / place).mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "setup.sh", self.path / "scripts")
        for file in ("scripts/binding/x.py", *(f"gateway/sip/binding/x.{kind}" for kind in ("h", "hpp", "cpp", "i"))):
            (self.path / file).touch()
        for name in ("pyproject.toml", "gateway/__init__.py", *(path.name for path in ROOT.glob("requirements*"))):
            (self.path / name).touch()
        programs.mkdir()
        for name, text in (("python", PYTHON), ("dpkg-query", PACKAGES)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self._env = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON": str(programs / "python"),
            "TRANSFER_GATEWAY_CACHE": str(self.cache),
            "GATE": "",
            "BREAKS": "",
        }

    def begin(self, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.path / "scripts" / "setup.sh")], env=self._env | env, stderr=subprocess.PIPE, text=True
        )

    def set_up(self, **env: str) -> tuple[int, list[str]]:
        with self.begin(**env) as process:
            assert process.stderr is not None
            told = process.stderr.read().splitlines()
        return process.returncode, [line.removeprefix("setup: ") for line in told]


@pytest.mark.keeps("20.87")
def test_each_step_says_how_long_it_is_likely_to_take_and_then_nothing_is_said(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    code, told = tree.set_up()
    assert code == 0
    assert told[0] == "4 steps (venv dependencies project binding): about 4 min in all"
    assert told[1].startswith("making .venv with Python 3.11 (")
    assert told[1].endswith("): about 5 s")
    assert re.search(r"\): done in [0-9]+ s$", told[2])
    assert told[3].startswith("installing the Python packages of requirements.txt")
    assert told[3].endswith(": about 60 s")
    assert told[7] == "making the SIP binding (pjsua2), from the cache or else compiled: about 3 min"
    assert told[9].startswith("ready: ")
    assert tree.set_up() == (0, [])
    (tree.path / "requirements.txt").write_text("changed\n")
    (tree.cache / "setup-seconds" / "dependencies").write_text("42")
    code, told = tree.set_up()
    assert code == 0
    assert told[0].endswith(": about 42 s")
    assert len(told) == 3, told
    (tree.cache / "setup-seconds" / "dependencies").write_text("no number")
    (tree.path / "requirements.txt").write_text("changed again\n")
    assert tree.set_up()[1][0].endswith(": about 60 s")


def read_until(process: subprocess.Popen[str], word: str) -> list[str]:
    """Its lines up to the first that has the word."""
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or word not in lines[-1]:
        line = process.stderr.readline()
        assert line, f"it ended without: {word}\n{lines}"
        lines.append(line.removeprefix("setup: ").rstrip())
    return lines


@pytest.mark.keeps("20.87")
def test_what_takes_long_says_that_it_goes_on(tmp_path: Path) -> None:
    tree, gate = Tree(tmp_path), tmp_path / "gate"
    with tree.begin(GATE=str(gate), TICK_S="0.2") as process:
        told = read_until(process, ": goes on, ")[-1]
        assert told.startswith("installing the Python packages")
        assert told.endswith(" s so far")
        gate.touch()
        assert process.stderr is not None
        process.stderr.read()
    assert process.returncode == 0


@pytest.mark.keeps("20.87")
def test_what_fails_is_told_and_nothing_is_left_that_keeps_its_output_open(tmp_path: Path) -> None:
    tree, begun = Tree(tmp_path), time.monotonic()
    code, told = tree.set_up(BREAKS="pip", TICK_S="100")
    assert code == 1
    assert "cannot go on: pip could not install them (see above)" in told
    assert time.monotonic() - begun < 90


@pytest.mark.keeps("20.87")
def test_who_waits_for_another_one_is_told(tmp_path: Path) -> None:
    tree, gate = Tree(tmp_path), tmp_path / "gate"
    with tree.begin(GATE=str(gate)) as first:
        read_until(first, "installing the Python packages")
        with tree.begin(TICK_S="0.2") as second:
            told = read_until(second, "waiting for the other make setup: goes on, ")
            assert told[0] == "another make setup is under way; waiting for it"
            gate.touch()
            assert first.stderr is not None
            assert second.stderr is not None
            first.stderr.read()
            second.stderr.read()
    assert (first.returncode, second.returncode) == (0, 0)
