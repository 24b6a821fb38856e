# SPDX-License-Identifier: GPL-2.0-or-later
"""`make setup` says what it does, about how long that takes, and that it goes on; where nothing is to do, nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# Stands for Python in and outside of .venv: what it is asked to install takes as long as $TAKES says.
PYTHON = """#!/bin/bash
case "$*" in
    -) printf '3.11\\nfine\\n%s\\nheaders\\nvenv\\n' "$0" ;;
    "-m venv --clear .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *--require-hashes*) sleep "$TAKES"; [[ $BREAKS != pip ]] ;;
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
            "TAKES": "0",
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
    assert told[2].endswith("): done in 0 s")
    assert told[3].startswith("installing the Python packages of requirements.txt")
    assert told[3].endswith(": about 60 s")
    assert told[7] == "making the SIP binding (pjsua2), from the cache or else compiled: about 3 min"
    assert told[9].startswith("ready: ")
    assert tree.set_up() == (0, [])
    (tree.path / "requirements.txt").write_text("changed\n")
    (tree.cache / "setup-seconds" / "dependencies").write_text("42")
    code, told = tree.set_up()
    assert (code, told[0].rpartition(": ")[2], len(told)) == (0, "about 42 s", 3)
    (tree.cache / "setup-seconds" / "dependencies").write_text("no number")
    (tree.path / "requirements.txt").write_text("changed again\n")
    assert tree.set_up()[1][0].endswith(": about 60 s")


@pytest.mark.keeps("20.87")
def test_what_takes_long_says_that_it_goes_on_and_leaves_nothing_behind(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    code, told = tree.set_up(TAKES="1", TICK_S="0.2")
    begun = time.monotonic()
    goes_on = [line for line in told if ": goes on, " in line]
    assert code == 0
    assert goes_on
    assert all(line.startswith("installing the Python packages") and line.endswith(" s so far") for line in goes_on)
    code, told = tree.set_up(TICK_S="30")
    (tree.path / "requirements.txt").write_text("changed\n")
    code, told = tree.set_up(TICK_S="30", BREAKS="pip")
    assert code == 1
    assert "cannot go on: pip could not install them (see above)" in told
    assert time.monotonic() - begun < 20  # whoever read its output to the end did not wait for what ticks


@pytest.mark.keeps("20.87")
def test_who_waits_for_another_one_is_told(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    with tree.begin(TAKES="3") as first:
        while not (tree.path / ".venv" / ".stamps" / "venv").exists():
            assert first.poll() is None
            time.sleep(0.01)
        code, told = tree.set_up(TICK_S="0.2")
        assert first.wait() == 0
        assert first.stderr is not None
        first.stderr.read()
    assert code == 0
    assert told[0] == "another make setup is under way; waiting for it"
    assert told[1].startswith("waiting for the other make setup: goes on, ")
