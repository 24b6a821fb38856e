# SPDX-License-Identifier: GPL-2.0-or-later
"""Who installs the gateway by a wheel, as packages and images do, gets the page with it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from gateway.web.page.files import files
from scripts.deb.tree import _source_alone

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.keeps("23.1")
def test_every_file_of_the_page_is_in_the_wheel(tmp_path: Path) -> None:
    source = _source_alone(tmp_path / "source")
    words = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *words, "-w", tmp_path, source], check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            name.rpartition("/")[2]: archive.read(name)
            for name in archive.namelist()
            if name.startswith("gateway/web/page/static/")
        }
    assert packed == {name: file.body for name, file in files().items()}
