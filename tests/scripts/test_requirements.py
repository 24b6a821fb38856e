# SPDX-License-Identifier: GPL-2.0-or-later
"""The locked requirements: complete, hashed, and silent about where they were fetched from."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.txt", "requirements-watch.txt", "requirements-dev.txt", "requirements-docs.txt"]


def pins(lock: str) -> dict[str, str]:
    """Each package of a lock file, with the lines that follow its name up to the next one."""
    entries = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)
    return {entry.split("==")[0]: entry for entry in entries if "==" in entry}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    unhashed = [name for name, entry in pins(lock).items() if "--hash=sha256:" not in entry]

    assert pins(lock)
    assert not unhashed


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_asked_for_is_locked(lock: str) -> None:
    lines = (ROOT / lock.replace(".txt", ".in")).read_text().splitlines()
    asked = {re.split(r"[<>=\s]", line)[0] for line in lines if line and not line.startswith(("#", "-"))}

    assert asked <= set(pins(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_no_address_of_an_index_is_written_down(lock: str) -> None:
    assert not re.search(r"://|^\s*--(index|extra|find|trusted)", (ROOT / lock).read_text(), re.MULTILINE)
