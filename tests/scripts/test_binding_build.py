# SPDX-License-Identifier: GPL-2.0-or-later
"""The binding's build: what it accepts as a source, and what its cache promises."""

import hashlib
import zipfile
from pathlib import Path

import pjsua2
import pytest

from scripts.binding import cache, known, source
from scripts.binding.__main__ import prove
from scripts.binding.module import Module
from scripts.binding.source import Source
from scripts.binding.tools import BuildError, run
from scripts.binding.wheel import pack


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFER_GATEWAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "binding").mkdir(parents=True)
    return tmp_path / "cache"


def tree(path: Path, major: int, minor: int, revision: str = "") -> Path:
    path.mkdir()
    (path / "version.mak").write_text(
        f"export PJ_VERSION_MAJOR  := {major}\nexport PJ_VERSION_MINOR  := {minor}\n"
        f"export PJ_VERSION_REV    := {revision}\nexport PJ_VERSION_SUFFIX :=\n"
    )
    return path


def test_a_newer_pjproject_is_taken(tmp_path: Path) -> None:
    assert source.version_of(tree(tmp_path / "a", 2, 17)) == "2.17"
    assert source.version_of(tree(tmp_path / "b", 2, 18, "1")) == "2.18.1"
    assert source.version_of(tree(tmp_path / "c", 3, 0)) == "3.0"


def test_an_old_pjproject_is_refused_by_its_version(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"pjproject 2\.15\.1 is too old: 2\.17 or newer"):
        source.version_of(tree(tmp_path / "a", 2, 15, "1"))


def test_something_else_is_not_taken_for_pjproject(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no pjproject"):
        source.version_of(tmp_path)


def test_an_override_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PJPROJECT_SOURCE", str(tmp_path / "missing"))

    with pytest.raises(BuildError, match="missing"):
        source.find(tmp_path / "log")


def test_an_edited_tree_is_another_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tree(tmp_path / "a", 2, 17)
    monkeypatch.setenv("PJPROJECT_SOURCE", str(path))
    before = source.find(tmp_path / "log").digest

    (path / "pjlib.c").write_text("int changed;")

    assert source.find(tmp_path / "log").digest != before


def test_an_entry_is_made_once() -> None:
    made: list[Path] = []

    for _ in range(2):
        entry = cache.keep("wheel", "key", made.append)

    assert len(made) == 1
    assert entry.is_dir()


def test_a_build_that_fails_leaves_nothing_behind(own_cache: Path) -> None:
    def fail(work: Path) -> None:
        (work / "half").write_text("made")
        raise BuildError("no compiler")

    with pytest.raises(BuildError):
        cache.keep("libs", "key", fail)

    assert not list((own_cache / "binding").iterdir())


def test_a_failed_program_shows_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"(?s)make lib failed with exit code 3.*no rule to make it"):
        run("make lib", ["sh", "-c", "echo no rule to make it; exit 3"], log=tmp_path / "log")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no 'no-such-compiler' on this machine"):
        run("compiling", ["no-such-compiler"], log=tmp_path / "log")


def test_a_wheel_holds_the_module_and_accounts_for_every_file(tmp_path: Path) -> None:
    python, shared = tmp_path / "pjsua2.py", tmp_path / "_pjsua2.so"
    python.write_text("import _pjsua2")
    shared.write_bytes(b"\x7fELF")

    wheel = pack(Module(python, shared), "2.17+gateway.0a1b2c3d", tmp_path)

    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        record = archive.read("pjsua2-2.17+gateway.0a1b2c3d.dist-info/RECORD").decode()
    assert {"pjsua2.py", "_pjsua2.so"} <= set(names)
    assert [line.split(",")[0] for line in record.splitlines()] == names


def test_a_source_that_the_suite_has_passed_with_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tarball = tmp_path / "pjproject.tar.xz"
    tarball.write_bytes(b"as it was tested")
    monkeypatch.setenv("PJPROJECT_SOURCE", str(tarball))
    monkeypatch.setitem(known.KNOWN, hashlib.sha256(b"as it was tested").hexdigest(), "2.17")

    assert source.find(tmp_path / "log").known
    tarball.write_bytes(b"of tomorrow")
    assert not source.find(tmp_path / "log").known


@pytest.mark.sip
def test_the_binding_in_use_calls_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    [module] = {Path(pjsua2.__file__).parent}

    prove(Source(Path("pjproject-3.0.tar.xz"), "0", known=False), module, tmp_path / "log")

    said = capfd.readouterr().err
    assert "pjproject-3.0.tar.xz is not among the sources that were tested (2.17): trying it" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "why"),
    [("raise ImportError('undefined symbol')", "undefined symbol"), ("class Endpoint: pass", "set_log_level")],
    ids=["does-not-load", "lacks-what-is-needed"],
)
def test_a_binding_that_is_of_no_use_is_not_kept(module: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "pjsua2.py").write_text(module)

    with pytest.raises(BuildError, match=rf"(?s)of no use.*{why}.*PJPROJECT_SOURCE=PATH"):
        prove(Source(Path("pjproject-3.0.tar.xz"), "0"), tmp_path, tmp_path / "log")
