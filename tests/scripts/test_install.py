# SPDX-License-Identifier: GPL-2.0-or-later
"""An installation that fails, at whatever step, leaves the release that runs as it was."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.documents.blocks import blocks
from tests.support.processes import eventually

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
PYTHON = """\
#!/usr/bin/env bash
# Stands for Python, pip and what they install. $BREAKS names the step that fails, $HANGS the one that never ends.
step=$*
case "$*" in
    *base_prefix*) step=home ;;
    *'-m venv'*) step=venv ;;
    *'-m pip install'*'--compile'*'--require-hashes'*) step=packages ;;
    *'-m scripts.binding'*) step=binding ;;
    *'-m pip wheel'*) step=wheel ;;
    *'-m scripts.deb.documents'*) step=documents ;;
    *'-m pip install'*'--compile'*'--no-index'*) step=gateway ;;
    *'-c import'*) step=imports ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
[[ $BREAKS != "$step" ]] || { echo "no $step today" >&2; exit 1; }
[[ $HANGS != "$step" ]] || { touch "$HANGING"; exec sleep 60; }
case $step in
    home) echo "${PYTHON_IS_IN:-/usr}" ;;
    venv) mkdir -p "${!#}/bin" "${!#}/lib" && cp "$0" "${!#}/bin/python" ;;
    packages) echo packages >"$here/../lib/packages" ;;
    binding) echo binding.whl ;;
    wheel) while [[ $1 != -w ]]; do shift; done; touch "$2/gateway.whl" ;;
    gateway) cp "$COMMAND" "$here/transfer-gateway" ;;
    documents) mkdir -p "$3/man/man1" && echo "$4" >"$3/man/man1/transfer-gateway.1.gz" ;;
    imports) [[ -f $here/../lib/packages ]] ;;
esac
"""
COMMAND = """\
#!/usr/bin/env bash
# version VERSION
case $1 in
    --version) [[ $BREAKS != version ]] && echo VERSION ;;
    check)
        [[ $BREAKS != check || $3 == */etc ]] || exit 78
        [[ $BREAKS != VERSION-refuses || $3 != */etc ]] || exit 78
        [[ -f $3/gateway.toml && ! ( $3 == */etc && $BREAKS == configuration ) ]] || exit 78 ;;
    run) exec -a "$(dirname "$(realpath "$0")")/python" sleep 60 ;;
esac
"""


class Tree:
    """A tree to install from, whose Python is a script, and the place to install to."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "tree"
        self.prefix = directory / "opt"
        self.etc = directory / "etc"
        self.hanging = directory / "hanging"
        self.command = directory / "command"
        (self.path / "scripts").mkdir(parents=True)
        for script in ("install.sh", "works.sh"):
            shutil.copy(ROOT / "scripts" / script, self.path / "scripts")
        for shipped in ("deploy", "sip_profiles"):
            shutil.copytree(ROOT / shipped, self.path / shipped)
        for name in ("README.md", "CHANGELOG.md", "LICENSE"):
            shutil.copy(ROOT / name, self.path)
        (self.path / "docs").mkdir()
        shutil.copy(ROOT / "docs" / "operations.md", self.path / "docs")
        (self.path / "requirements.txt").touch()
        python = self.path / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(PYTHON)
        python.chmod(0o755)
        self.python = python
        self.etc.mkdir()
        (self.etc / "gateway.toml").write_text("of the operator\n")

    def command_line(self, *words: str) -> list[str]:
        return [str(self.path / "scripts" / "install.sh"), *words]

    def environment(self, version: str, **more: str) -> dict[str, str]:
        (self.path / "gateway").mkdir(exist_ok=True)
        (self.path / "gateway" / "__init__.py").write_text(f'__version__ = "{version}"\n')
        self.command.write_text(COMMAND.replace("VERSION", version))
        self.command.chmod(0o755)
        return {
            "PATH": os.environ["PATH"], "PREFIX": str(self.prefix), "CONFIGURATION": str(self.etc),
            "PYTHON": str(self.python), "COMMAND": str(self.command), "HANGING": str(self.hanging), "BREAKS": "",
            "HANGS": "", **more,
        }  # fmt: skip

    def install(self, version: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment(version, **more)
        command = self.command_line(*words)
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def begin(self, version: str, **more: str) -> subprocess.Popen[bytes]:
        """An installation in a session of its own, which goes on."""
        environment = self.environment(version, **more)
        return subprocess.Popen(self.command_line(), env=environment, start_new_session=True, stderr=subprocess.DEVNULL)

    @property
    def version(self) -> str:
        """What the command says that people and units know."""
        command = [str(self.prefix / "bin" / "transfer-gateway"), "--version"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    @property
    def releases(self) -> list[str]:
        return sorted(path.name.partition("-")[0] for path in (self.prefix / "releases").iterdir())

    def contents(self) -> dict[str, str]:
        """Every file and link below PREFIX."""
        paths = [path for path in sorted(self.prefix.rglob("*")) if path.name != ".lock"]
        return {
            str(path): str(path.readlink()) if path.is_symlink() else path.read_text()
            for path in paths
            if path.is_symlink() or path.is_file()
        }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_an_upgrade_keeps_the_release_before_and_the_known_paths(tree: Tree) -> None:
    assert tree.install("1").returncode == 0
    assert tree.version == "1"
    first = (tree.prefix / "current").resolve()
    assert tree.install("2").returncode == 0
    assert tree.version == "2"
    assert (tree.prefix / "previous").resolve() == first
    assert (tree.prefix / "share" / "deploy" / "systemd" / "transfer-gateway.service").is_file()
    assert (tree.prefix / "share" / "sip_profiles" / "hms.toml").is_file()
    assert tree.install("3").returncode == 0
    assert tree.releases == ["2", "3"]


@pytest.mark.keeps("20.111")
def test_the_documents_come_with_it_and_it_ends_with_the_steps_of_the_readme(tree: Tree) -> None:
    (tree.etc / "gateway.toml").unlink()
    done = tree.install("1")
    documents = tree.prefix / "share" / "doc"
    for name in ("README.md", "docs/operations.md", "deploy/asterisk/README.md", "sip_profiles/hms.toml", "LICENSE"):
        assert (documents / name).is_file(), name
    manual = tree.prefix / "share" / "man" / "man1" / "transfer-gateway.1.gz"
    assert manual.read_text() == f"{documents}\n", "where the manual says that they are"
    told = [line.removeprefix("install:   ") for line in done.stderr.splitlines() if line.startswith("install:   ")]
    [block] = [one for one in blocks(ROOT / "README.md") if "make install\n" in one.text and "ln -s" in one.text]
    for line in block.text.partition("make install\n")[2].splitlines():
        step = line.removeprefix("sudo ").replace("/opt/transfer-gateway", str(tree.prefix))
        # The last of them is for a newer systemd than some machines have.
        assert step in told or "notify-reload.conf" in step, step
    assert f"sed -i 's|/opt/transfer-gateway/|{tree.prefix}/|' " in "\n".join(told)
    assert told[-1].startswith("transfer-gateway init ")


@pytest.mark.keeps("16.105")
def test_a_rollback_goes_back_and_forth(tree: Tree) -> None:
    tree.install("1")
    assert tree.install("1", "rollback").returncode == 1, "there is none before"
    tree.install("2")
    assert tree.install("2", "rollback").returncode == 0
    assert tree.version == "1"
    assert tree.install("2", "rollback").returncode == 0
    assert tree.version == "2"
    listed = tree.install("2", "list").stdout.splitlines()
    assert [line.rpartition(" ")[2] for line in listed] == ["(previous)", "(current)"]


def test_no_rollback_to_a_release_that_works_no_more(tree: Tree) -> None:
    tree.install("1")
    tree.install("2")
    (tree.prefix / "previous" / "venv" / "lib" / "packages").unlink()
    before = tree.contents()
    assert tree.install("2", "rollback").returncode == 1
    assert tree.contents() == before


@pytest.mark.keeps("20.111")
def test_a_python_that_no_service_can_run_replaces_nothing(tree: Tree) -> None:
    tree.install("1")
    before = tree.contents()
    refused = tree.install("2", PYTHON_IS_IN="/root/python")
    assert refused.returncode == 1
    assert "make install PYTHON=/usr/bin/python3" in refused.stderr
    assert tree.contents() == before


@pytest.mark.keeps("16.174")
def test_no_rollback_to_a_release_that_refuses_the_configuration(tree: Tree) -> None:
    tree.install("1")
    tree.install("2")
    before = tree.contents()
    refused = tree.install("2", "rollback", BREAKS="1-refuses")
    assert refused.returncode == 1
    assert "refuses the configuration" in refused.stderr
    assert tree.contents() == before
    # Where the current one refuses it too, there is nothing to lose.
    assert tree.install("2", "rollback", BREAKS="configuration").returncode == 0
    assert tree.version == "1"


@pytest.mark.keeps("16.105")
@pytest.mark.parametrize(
    "step",
    ["venv", "packages", "binding", "wheel", "gateway", "documents", "imports", "version", "check", "configuration"],
)
def test_an_upgrade_that_fails_changes_nothing(tree: Tree, step: str) -> None:
    assert tree.install("1").returncode == 0
    before = tree.contents()
    failed = tree.install("2", BREAKS=step) if step != "configuration" else refused_configuration(tree)
    assert failed.returncode == 1
    assert tree.contents() == before
    assert tree.version == "1"
    assert tree.install("2").returncode == 0
    assert tree.version == "2"


def refused_configuration(tree: Tree) -> subprocess.CompletedProcess[str]:
    """The new release does not take what the operator has, and the old one does."""
    environment = tree.environment("2")
    text = tree.command.read_text()
    tree.command.write_text(text.replace("$BREAKS == configuration", "new == new"))
    command = tree.command_line()
    failed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert "refuses the configuration" in failed.stderr
    return failed


@pytest.mark.keeps("16.105")
@pytest.mark.parametrize("program", ["cp", "ln", "mv", "sync", "mktemp"])
def test_a_full_disk_changes_nothing(tree: Tree, tmp_path: Path, program: str) -> None:
    assert tree.install("1").returncode == 0
    before = tree.contents()
    full = tmp_path / "full"
    full.mkdir()
    (full / program).write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 1\n")
    (full / program).chmod(0o755)
    failed = tree.install("2", PATH=f"{full}:{os.environ['PATH']}")
    assert failed.returncode == 1
    assert tree.version == "1"
    assert {name: text for name, text in tree.contents().items() if name in before} == before
    assert tree.install("2").returncode == 0
    assert tree.version == "2"
    assert tree.releases == ["1", "2"]


@pytest.mark.keeps("16.105")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("step", ["packages", "gateway"])
async def test_an_upgrade_that_is_killed_in_the_middle_changes_nothing(
    tree: Tree, step: str, how: signal.Signals
) -> None:
    assert tree.install("1").returncode == 0
    before = tree.contents()
    running = tree.begin("2", HANGS=step)

    async def in_the_middle() -> bool:
        return tree.hanging.exists()

    try:
        await eventually(in_the_middle, f"it is at {step}")
    finally:
        os.killpg(running.pid, how)
        running.wait(10)
    assert tree.version == "1"
    left = tree.contents()
    assert {name: left[name] for name in before} == before
    if how is signal.SIGTERM:
        assert left == before
    assert tree.install("3").returncode == 0
    assert tree.version == "3"
    assert tree.releases == ["1", "3"], "what was not finished is gone"


@pytest.fixture
def start(tree: Tree) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Run the gateway that is installed, until the test ends."""
    running: list[subprocess.Popen[bytes]] = []

    def started() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([str(tree.prefix / "bin" / "transfer-gateway"), "run"])
        running.append(process)
        return process

    yield started
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.keeps("16.105")
def test_a_release_that_runs_stays_however_often_others_are_installed(
    tree: Tree, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    tree.install("1")
    gateway = start()
    for version in ("2", "3", "4"):
        assert tree.install(version).returncode == 0
    assert tree.releases == ["1", "3", "4"]
    refused = tree.install("4", "uninstall")
    assert (refused.returncode, tree.version) == (1, "4")
    assert "runs from" in refused.stderr
    gateway.kill()
    gateway.wait()
    assert tree.install("5").returncode == 0
    assert tree.releases == ["4", "5"]


def test_what_was_installed_before_there_were_releases_is_one(tree: Tree) -> None:
    environment = tree.environment("0")
    venv = tree.prefix / "venv"
    subprocess.run([str(tree.python), "-m", "venv", str(venv)], env=environment, check=True)
    (venv / "lib" / "packages").touch()
    shutil.copy(tree.command, venv / "bin" / "transfer-gateway")
    (tree.prefix / "bin").mkdir()
    (tree.prefix / "bin" / "transfer-gateway").symlink_to("../venv/bin/transfer-gateway")
    for shipped in ("deploy", "sip_profiles"):
        shutil.copytree(ROOT / shipped, tree.prefix / "share" / shipped)
    assert tree.install("1", BREAKS="packages").returncode == 1
    assert tree.version == "0"
    assert tree.install("1").returncode == 0
    assert tree.version == "1"
    assert tree.install("1", "rollback").returncode == 0
    assert tree.version == "0"
    assert tree.install("2").returncode == 0
    assert tree.install("3").returncode == 0
    assert not venv.exists()
    assert tree.releases == ["2", "3"]


def test_an_uninstallation_takes_all_of_it_and_nothing_else(tree: Tree) -> None:
    tree.install("1")
    tree.install("2")
    other = tree.prefix / "bin" / "of-somebody-else"
    other.touch()
    assert tree.install("2", "uninstall").returncode == 0
    assert [path for path in tree.prefix.rglob("*") if path.is_file()] == [other]
    assert (tree.etc / "gateway.toml").is_file()
    other.unlink()
    assert tree.install("2", "uninstall").returncode == 1, "there is nothing left"
    tree.install("3")
    tree.install("3", "uninstall")
    assert not tree.prefix.exists()


def test_one_installation_at_a_time(tree: Tree) -> None:
    tree.install("1")
    with subprocess.Popen(["flock", str(tree.prefix / ".lock"), "cat"], stdin=subprocess.PIPE) as holder:
        assert holder.stdin
        while subprocess.run(["flock", "-n", str(tree.prefix / ".lock"), "true"], check=False).returncode == 0:
            pass
        failed = tree.install("2")
        holder.stdin.close()
    assert failed.returncode == 1
    assert "under way" in failed.stderr
    assert tree.version == "1"
