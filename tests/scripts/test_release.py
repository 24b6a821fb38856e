# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases: which are refused and why, what the changelog becomes, and archives that tell nothing of their maker."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from scripts.release.__main__ import make_room
from scripts.release.building import SUMS, repack
from scripts.release.changelog import sections
from scripts.release.plan import Facts, ReleaseError, plan

TODAY = date(2026, 11, 29)
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
CHANGELOG = """\
# Changelog

## [Unreleased]

### Added
- A button.

## [1.1.0] - 2026-01-02

### Fixed
- A hole.

## [1.0.0] - 2025-12-24

First release.
"""
TREE = Facts("1.1.0", CHANGELOG, changes=(), tags=("v1.0.0", "v1.1.0", "a-place"), tags_here=())


def test_what_was_unreleased_becomes_the_release() -> None:
    made = plan("1.2.0", TREE, TODAY)
    told = sections(made.changelog)
    assert list(told) == ["Unreleased", "1.2.0", "1.1.0", "1.0.0"]
    assert told["Unreleased"].empty
    assert (told["1.2.0"].day, told["1.2.0"].body) == (TODAY, "### Added\n- A button.")
    assert told["1.0.0"] == sections(CHANGELOG)["1.0.0"]
    assert (made.notes, made.tag, made.again) == ("### Added\n- A button.\n", "v1.2.0", False)
    assert made.epoch == 1795910400  # 2026-11-29T00:00:00Z


def test_the_first_release_is_what_the_code_says_already() -> None:
    text = "# Changelog\n\n## [Unreleased]\n\n### Added\n- All of it.\n"
    assert plan("0.1.0", Facts("0.1.0", text, (), (), ()), TODAY).notes == "### Added\n- All of it.\n"


def test_a_release_that_is_committed_is_made_again_as_of_its_day() -> None:
    committed = plan("1.2.0", TREE, TODAY).changelog
    tree = replace(TREE, version="1.2.0", changelog=committed)
    for tags in ((), ("v1.2.0",)):
        made = plan("1.2.0", replace(tree, tags=(*TREE.tags, *tags), tags_here=tags), date(2027, 3, 1))
        assert (made.again, made.day, made.changelog) == (True, TODAY, committed)


@pytest.mark.keeps("20.68")
@pytest.mark.parametrize(
    ("wanted", "changed", "why"),
    [
        ("1.2", {}, "'1.2' is no version"),
        ("v1.2.0", {}, "is no version"),
        ("1.2.0rc1", {}, "is no version"),
        ("1.2.٣", {}, "is no version"),
        ("", {}, "is no version"),
        ("1.2.0", {"changes": ["Makefile", "new.py"]}, r"differs from its commit \(Makefile, new.py\)"),
        ("1.1.0", {}, "not newer than the tag v1.1.0"),
        ("1.0.5", {}, "not newer than the tag v1.1.0"),
        ("1.1.0", {"tags": ()}, r"not newer than CHANGELOG.md's \[1.1.0\]"),
        ("1.2.0", {"version": "2.0.0"}, "older than the 2.0.0 of gateway/__init__.py"),
        ("1.2.0", {"changelog": "# Changelog\n"}, r"no section \[Unreleased\]"),
        ("1.2.0", {"changelog": "## [Unreleased]\n\n### Added\n\n## [1.1.0] - 2026-01-02\n- x\n"}, "is empty"),
        ("1.2.0", {"changelog": CHANGELOG.replace("2026-01-02", "2026-02-30")}, "CHANGELOG.md: "),
    ],
)
def test_there_is_no_release_of(wanted: str, changed: dict[str, object], why: str) -> None:
    with pytest.raises(ReleaseError, match=why):
        plan(wanted, replace(TREE, **changed), TODAY)  # type: ignore[arg-type]


def test_a_tagged_release_is_not_made_again_of_another_commit() -> None:
    tree = replace(TREE, version="1.2.0", changelog=plan("1.2.0", TREE, TODAY).changelog, tags=("v1.2.0",))
    with pytest.raises(ReleaseError, match=r"not newer than the tag v1\.2\.0"):
        plan("1.2.0", tree, TODAY)


def test_nor_one_to_which_something_was_added() -> None:
    text = plan("1.2.0", TREE, TODAY).changelog.replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n- More.\n")
    with pytest.raises(ReleaseError, match=r"not newer than CHANGELOG.md's \[1.2.0\]"):
        plan("1.2.0", replace(TREE, version="1.2.0", changelog=text), TODAY)


def test_the_changelog_of_this_tree_is_as_keep_a_changelog_has_it() -> None:
    text = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    assert "keepachangelog.com/en/1.1.0" in text
    told = sections(text)
    assert next(iter(told)) == "Unreleased"
    assert all(section.day for name, section in told.items() if name != "Unreleased")
    assert {line[4:] for line in text.splitlines() if line.startswith("### ")} <= KINDS


def packed(target: Path, names: list[str], mtime: int, uid: int) -> str:
    with tarfile.open(target, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uid, member.uname = len(name), mtime, uid, f"user{uid}"
            member.mode = 0o775 if name == "a" else 0o600
            archive.addfile(member, io.BytesIO(name.encode()))
    repack(target, 1_000_000_000)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def test_a_source_archive_tells_nothing_of_time_place_and_person(tmp_path: Path) -> None:
    one = packed(tmp_path / "one.tar.gz", ["a", "b"], 1_700_000_000, 1000)
    assert one == packed(tmp_path / "other.tar.gz", ["b", "a"], 1_800_000_000, 0)
    with tarfile.open(tmp_path / "one.tar.gz") as archive:
        assert [(each.name, each.mode, each.uname) for each in archive] == [("a", 0o755, ""), ("b", 0o644, "")]
        found = archive.extractfile("b")
        assert found
        assert found.read() == b"b"


def test_only_what_a_release_has_left_makes_room_for_the_next(tmp_path: Path) -> None:
    output = tmp_path / "dist"
    make_room(output)
    output.mkdir()
    (output / "old.whl").touch()
    (output / SUMS).write_text("0" * 64 + "  old.whl\n")
    (output / "letters").touch()
    with pytest.raises(ReleaseError, match="letters"):
        make_room(output)
    (output / "letters").unlink()
    make_room(output)
    assert not output.exists()


@pytest.mark.slow
@pytest.mark.keeps("20.68")
def test_the_command_refuses_a_tree_with_changes_and_leaves_it(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    shutil.copytree(
        root / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__", "node_modules")
    )
    (tmp_path / "gateway").mkdir()
    shutil.copy(root / "gateway/__init__.py", tmp_path / "gateway")
    shutil.copy(root / ".gitignore", tmp_path)  # for what Python leaves where it may
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    author = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
    for words in (["init", "-q"], ["add", "--all"], [*author, "commit", "-q", "-m", "A tree"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / "forgotten.py").touch()
    command = [sys.executable, "-m", "scripts.release", "9.0.0"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no release: the tree differs from its commit (forgotten.py)" in done.stderr
    assert (tmp_path / "CHANGELOG.md").read_text() == CHANGELOG
    assert not (tmp_path / "dist").exists()
