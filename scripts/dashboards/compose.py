# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m scripts.dashboards.compose SCHEMA`: holds deploy/compose.yaml against the Compose Specification's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import yaml

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose.yaml"


def mistakes(schema: Path) -> list[str]:
    """What the schema finds wrong, and where."""
    found = jsonschema.Draft201909Validator(json.loads(schema.read_text())).iter_errors(
        yaml.safe_load(COMPOSE.read_text())
    )
    return [f"{error.json_path}: {error.message}" for error in found]


def main() -> int:
    """Print them; the exit code."""
    found = mistakes(Path(sys.argv[1]))
    print("\n".join(found) or "compose.yaml: as the Compose Specification has it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
