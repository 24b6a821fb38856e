# SPDX-License-Identifier: GPL-2.0-or-later
"""All files are written, or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.setting_up.writing import NewFile, WritingError, write_all

FILES = {"a.toml": NewFile("new a"), "sub/b.secret": NewFile("new b", secret=True), "c.toml": NewFile("new c")}


def content(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


def modes(directory: Path) -> dict[str, int]:
    return {str(path.relative_to(directory)): path.stat().st_mode & 0o777 for path in directory.rglob("*")}


def fine(directory: Path) -> None:
    assert content(directory) == {name: file.text for name, file in FILES.items()}


@pytest.fixture(params=["absent", "empty", "kept"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory that is not there, is empty, or has something else in it."""
    directory = tmp_path / "etc" / "gateway"
    if request.param != "absent":
        directory.mkdir(parents=True)
    if request.param == "kept":
        (directory / "other").write_text("theirs")
    return directory


def test_written_with_the_right_modes_whatever_the_umask(target: Path) -> None:
    before = os.umask(0o077)
    try:
        assert write_all(target, FILES, fine) == []
    finally:
        os.umask(before)
    assert {name: text for name, text in content(target).items() if name != "other"} == {
        name: file.text for name, file in FILES.items()
    }
    assert {"a.toml": 0o644, "sub": 0o755, "sub/b.secret": 0o600, "c.toml": 0o644}.items() <= modes(target).items()
    assert [path.name for path in target.parent.iterdir()] == ["gateway"]


@pytest.mark.keeps("20.62")
def test_what_does_not_hold_together_is_not_written(target: Path) -> None:
    before = content(target) if target.exists() else None

    def wrong(_: Path) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_all(target, FILES, wrong)
    assert (content(target) if target.exists() else None) == before
    assert not [path for path in target.parent.rglob("*") if "init" in path.name]


@pytest.mark.keeps("20.62")
def test_nothing_is_overwritten_without_being_told(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("mine")
    with pytest.raises(WritingError, match=r"c\.toml in .* would be overwritten; with --force"):
        write_all(tmp_path, FILES, fine)
    assert content(tmp_path) == {"c.toml": "mine"}
    [backup] = write_all(tmp_path, FILES, fine, force=True)
    assert (tmp_path / backup).read_text() == "mine"
    assert (tmp_path / "c.toml").read_text() == "new c"
    assert len(set(write_all(tmp_path, FILES, fine, force=True))) == 3
    assert len(content(tmp_path)) == 3 + 1 + 3


@pytest.mark.keeps("20.62")
def test_what_fails_in_the_middle_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.toml").write_text("mine")
    (tmp_path / "c.toml").write_text("mine too")
    rename = Path.rename

    def full(path: Path, target: Path) -> Path:
        if target == tmp_path / "c.toml" and ".transfer-gateway-init-" in str(path):
            raise OSError(28, "No space left on device", str(target))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(WritingError, match=r"nothing was written: .*No space left"):
        write_all(tmp_path, FILES, fine, force=True)
    assert content(tmp_path) == {"a.toml": "mine", "c.toml": "mine too"}


def test_a_place_that_takes_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WritingError, match="nothing was written: "):
        write_all(tmp_path / "file" / "gateway", FILES, fine)


def test_a_directory_that_may_not_be_replaced_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "mounted"
    target.mkdir()
    rename = Path.rename

    def busy(path: Path, to: Path) -> Path:
        if to == target:
            raise OSError(16, "Device or resource busy", str(to))
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", busy)
    assert write_all(target, FILES, fine) == []
    fine(target)
