# SPDX-License-Identifier: GPL-2.0-or-later
"""How the package's postinst restarts what runs: what it asks, and what it does with what it is told.

systemd and the releases are scripts here, which write down what they are asked. The real ones: tests/deploy/debian.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.deb.package import HAND_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.keeps("20.120")]

SERVICE, ONE, OTHER = "transfer-gateway.service", "transfer-gateway@gw-1.service", "transfer-gateway@gw-2.service"
OLD, NEW = "releases/1.0", "releases/2.0"
BEGUN = '{\n  "calls": 1,\n  "restarting": true,\n  "within_s": 0.0\n}'
# A unit is a file in `units` with the process that it has, and in `refused` it does not start with that release.
SYSTEMCTL = """
unit=$(for word; do :; done; echo "$word")
case $1 in
    list-units) ls $ROOT/units ;;
    show) cat "$ROOT/units/$unit" ;;
    daemon-reload) ;;
    *)
        release=$(readlink $ROOT/home/current)
        echo "$1 $unit $release" >>$ROOT/asked
        [ "$1" = stop ] || [ ! -e "$ROOT/refused/$release/$unit" ]
        ;;
esac
"""
PYTHON = """
case "$*" in
    *" restart "*)
        unit=$(basename "$9")
        echo "restart $9 $(readlink $ROOT/home/current)" >>$ROOT/asked
        [ -e "$ROOT/keeps/$unit" ] || { echo 'transfer-gateway: the gateway says no' >&2; exit 1; }
        cat "$ROOT/keeps/$unit"
        ;;
esac
"""


@dataclass
class Host:
    """A machine with a release in use and another that was unpacked."""

    root: Path

    def gateway(self, unit: str, answer: str | None = None, process: int = 2**22 + 1) -> None:
        """One that runs, and what it answers who asks for a restart; None: no. Its process is over by default."""
        (self.root / "units" / unit).write_text(f"{process}\n")
        if answer is not None:
            named = unit.partition("@")[2].removesuffix(".service") or "etc"
            (self.root / "keeps" / named).write_text(answer)

    def refuses(self, unit: str, release: str) -> None:
        """The release does not start there."""
        (self.root / "refused" / release).mkdir(parents=True, exist_ok=True)
        (self.root / "refused" / release / unit).touch()

    def configure(self) -> tuple[int, list[str], str]:
        """The exit code of postinst, what was asked of gateways and systemd, and what it said."""
        done = subprocess.run(
            ["sh", self.root / "postinst", "configure"],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": f"{self.root}/programs:/usr/bin:/bin", "ROOT": str(self.root)},
        )
        asked = self.root / "asked"
        lines = asked.read_text().splitlines() if asked.exists() else []
        return done.returncode, [line.replace(f"{self.root}/", "") for line in lines], done.stderr

    @property
    def in_use(self) -> str:
        """Which release."""
        return str((self.root / "home" / "current").readlink())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for name in ("home", "etc/instances", "units", "keeps", "refused", "programs", "systemd"):
        (tmp_path / name).mkdir(parents=True)
    for release in (OLD, NEW):
        _program(tmp_path / "home" / release / "bin" / "python3", PYTHON)
        _program(tmp_path / "home" / release / "works", "")
    (tmp_path / "home" / "current").symlink_to(OLD)
    _program(tmp_path / "programs" / "systemctl", SYSTEMCTL)
    for directory in ("etc", "etc/instances/gw-1", "etc/instances/gw-2"):
        (tmp_path / directory).mkdir(exist_ok=True)
        (tmp_path / directory / "gateway.toml").touch()
    text = (HAND_WRITTEN / "postinst").read_text().replace("@LIBRARY@", (HAND_WRITTEN / "library.sh").read_text())
    places = {
        "@VERSION@": "2.0",
        "home=/usr/lib/transfer-gateway": f"home={tmp_path}/home",
        "configuration=/etc/transfer-gateway": f"configuration={tmp_path}/etc",
        "/run/systemd/system": f"{tmp_path}/systemd",
        "last_words_s=60": "last_words_s=1",
    }
    for word, value in places.items():
        assert word in text
        text = text.replace(word, value)
    (tmp_path / "postinst").write_text(text)
    return Host(tmp_path)


def _program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)


def test_one_that_keeps_its_calls_is_not_stopped(host: Host) -> None:
    host.gateway(SERVICE, BEGUN)
    code, asked, said = host.configure()
    assert (code, host.in_use) == (0, NEW)
    assert asked == [f"restart etc {NEW}", f"start {SERVICE} {NEW}"]
    assert f"restarting {SERVICE}: calls that are up are kept" in said


def test_one_that_says_no_is_stopped_and_the_reason_is_told(host: Host) -> None:
    host.gateway(SERVICE)
    code, asked, said = host.configure()
    assert (code, host.in_use) == (0, NEW)
    assert asked == [f"restart etc {NEW}", f"stop {SERVICE} {NEW}", f"start {SERVICE} {NEW}"]
    assert f"restarting {SERVICE}: running calls get drain_timeout_s; they are not kept: the gateway says no\n" in said


def test_one_that_does_not_end_is_stopped(host: Host) -> None:
    host.gateway(SERVICE, BEGUN, process=1)
    code, asked, _ = host.configure()
    assert (code, host.in_use) == (0, NEW)
    assert asked[1:] == [f"stop {SERVICE} {NEW}", f"start {SERVICE} {NEW}"]


def test_instances_are_asked_one_after_the_other_each_by_its_own_configuration(host: Host) -> None:
    host.gateway(ONE, BEGUN)
    host.gateway(OTHER)
    code, asked, _ = host.configure()
    assert (code, host.in_use) == (0, NEW)
    first = [f"restart etc/instances/gw-1 {NEW}", f"start {ONE} {NEW}"]
    assert asked == [*first, f"restart etc/instances/gw-2 {NEW}", f"stop {OTHER} {NEW}", f"start {OTHER} {NEW}"]


def both_keep(host: Host) -> None:
    host.gateway(ONE, BEGUN)
    host.gateway(OTHER, BEGUN)


def one_says_no(host: Host) -> None:
    host.gateway(ONE)
    host.gateway(OTHER, BEGUN)


@pytest.mark.parametrize("have", [both_keep, one_says_no])
def test_where_the_new_release_does_not_start_what_was_restarted_goes_back(
    host: Host, have: Callable[[Host], None]
) -> None:
    have(host)
    host.refuses(OTHER, NEW)
    code, asked, said = host.configure()
    assert (code, host.in_use) == (1, OLD)
    stopped = [] if have is both_keep else [f"stop {ONE} {OLD}"]
    again = [f"restart etc/instances/gw-1 {OLD}", *stopped, f"start {ONE} {OLD}"]
    assert asked[asked.index(f"start {OTHER} {NEW}") + 1 :] == [f"restart {OTHER} {OLD}", *again]
    assert f"the new release does not start: journalctl -u {OTHER} tells why" in said
    assert f"the release before ({OLD}) stays in use" in said


def test_one_that_has_not_had_its_turn_goes_on(host: Host) -> None:
    both_keep(host)
    host.refuses(ONE, NEW)
    code, asked, _ = host.configure()
    assert (code, host.in_use) == (1, OLD)
    assert asked[-1] == f"restart {ONE} {OLD}"
    assert not [line for line in asked if "gw-2" in line]


def test_where_the_release_before_does_not_start_either_that_is_told(host: Host) -> None:
    host.gateway(SERVICE, BEGUN)
    for release in (OLD, NEW):
        host.refuses(SERVICE, release)
    code, _, said = host.configure()
    assert (code, host.in_use) == (1, OLD)
    assert f"nor does {SERVICE} of the one before" in said


def test_what_does_not_run_is_left_alone(host: Host) -> None:
    code, asked, _ = host.configure()
    assert (code, host.in_use, asked) == (0, NEW, [])
