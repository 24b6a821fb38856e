# SPDX-License-Identifier: GPL-2.0-or-later
"""What licences the packages in a private tree are under, as they say themselves."""

from __future__ import annotations

from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from scripts.binding.tools import BuildError


def component_table(site: Path) -> str:
    """A line for each package in `site`: its name, its version, its licence. Raises BuildError where one has none."""
    said = [HeaderParser().parsestr(path.read_text()) for path in site.glob("*.dist-info/METADATA")]
    rows = sorted((head["Name"].lower(), head["Version"], _licence(head)) for head in said)
    nameless = [name for name, _, licence in rows if not licence]
    if nameless:
        raise BuildError(f"these packages do not say what their licence is: {', '.join(nameless)}")
    return "".join(f"  {name:<20} {version:<24} {licence}\n" for name, version, licence in rows)


def _licence(head: Message) -> str:
    """As an SPDX expression, where the package has one; else its classifiers, else its first line of free text."""
    classified = [
        each.rpartition(" :: ")[2] for each in head.get_all("Classifier", []) if each.startswith("License :: ")
    ]
    first = str(head["License"] or "").strip().partition("\n")[0]
    return str(head["License-Expression"] or "") or ", ".join(classified) or first
