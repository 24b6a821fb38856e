# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m scripts.dashboards`: writes deploy/grafana/dashboards/*.json anew."""

from __future__ import annotations

import sys

from scripts.dashboards.documents import DIRECTORY, documents


def main() -> int:
    """Write all of them."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (DIRECTORY / name).write_text(text)
        print(DIRECTORY / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
