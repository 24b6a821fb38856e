# SPDX-License-Identifier: GPL-2.0-or-later
"""From a clean Debian with an Asterisk to the first transfer, as docs/first-evening.md and the README have it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.deploy.debian import evening
from tests.deploy.debian.packages import chosen_release, holds, tried_root

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.deb.package import Staging

pytestmark = [pytest.mark.booted, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evening")


@pytest.fixture(scope="module")
def told(staging: Staging, trial: Path) -> dict[str, list[str]]:
    package = staging.pack("1.0", trial, quick=True)
    root = tried_root(package)
    evening.prepare(trial, package, "evening.sh", "readme.sh", "operating.sh")
    said = evening.play(root, trial)
    print("\n".join(line for part in said.values() for line in part))
    return said


@pytest.mark.keeps("20.101")
def test_the_transcript_is_what_happens(told: dict[str, list[str]], trial: Path) -> None:
    holds(told["transcript"])
    typed = (trial / "transcript.md").read_text()
    now = evening.written(chosen_release(), typed, datetime.now(UTC))
    assert evening.alike(now) == evening.alike(evening.DOCUMENT.read_text())


@pytest.mark.keeps("20.100")
def test_the_steps_of_the_readme_lead_to_a_transfer(told: dict[str, list[str]]) -> None:
    holds(told["readme"])


@pytest.mark.keeps("20.102")
def test_the_unit_is_what_its_systemd_knows_and_exposes_little(told: dict[str, list[str]]) -> None:
    holds(told["unit"])


@pytest.mark.keeps("20.103")
def test_what_an_operator_does_while_people_talk_ends_no_call(told: dict[str, list[str]]) -> None:
    holds(told["operating"])


@pytest.mark.keeps("20.104")
@pytest.mark.keeps("20.114")
def test_watched_and_restricted_by_systemd_it_serves_and_drains(told: dict[str, list[str]]) -> None:
    *lines, last = told["watched"]
    holds(lines)
    assert last == "all of it holds"
