# SPDX-License-Identifier: GPL-2.0-or-later
"""python -m scripts.website [DIR]: builds the site into DIR (build/site); 1 if there is anything to warn of."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from scripts.website.configuration import DiffersError
from scripts.website.pages import ROOT, write


def main(target: Path) -> int:
    """Build it anew, and say where it is or what is wrong."""
    pages = target.with_name(f"{target.name}-pages")
    try:
        render(pages, target, write(pages))
    except (DiffersError, Abort) as error:
        print(f"docs: {error}", file=sys.stderr)
        return 1
    print(f"docs: {target / 'index.html'}")
    return 0


def render(pages: Path, target: Path, navigation: list[Any]) -> None:
    """Make a site of these pages. Raises Abort where there is anything to warn of, which is told as it goes."""
    logging.basicConfig(level=logging.WARNING, format="docs: %(levelname)s: %(message)s")
    directories = {"docs_dir": str(pages), "site_dir": str(target)}
    build(load_config(str(ROOT / "mkdocs.yml"), nav=navigation, strict=True, **directories))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else ROOT / "build" / "site"))
