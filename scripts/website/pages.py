# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of the site: the documents of the tree at their own places, and those that are made of the code."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.website import configuration, lists, messages

ROOT = Path(__file__).parents[2]
ASSETS = Path(__file__).with_name("assets")
SOURCES = ("README.md", "CHANGELOG.md", "docs/**/*.md", "deploy/**/*.md")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_MARK = re.compile(r"^ *<!-- (?:all run by|run on|run by|dry run|not run): .* -->\n", re.MULTILINE)
"""What tests read above a block of commands."""

NAVIGATION: list[Any] = [
    {"Quick start": "README.md"},
    {"The first evening": "docs/first-evening.md"},
    {"Guides": [
        {"Which platform, which PBX": "docs/guides/README.md"},
        {"HMS Sovereign": "docs/guides/hms.md"},
        {"LiveKit": "docs/guides/livekit.md"},
        {"Vapi": "docs/guides/vapi.md"},
        {"Retell": "docs/guides/retell.md"},
        {"OpenAI Realtime": "docs/guides/openai.md"},
        {"Twilio": "docs/guides/twilio.md"},
        {"jambonz": "docs/guides/jambonz.md"},
        {"Asterisk": "deploy/asterisk/README.md"},
        {"FreePBX": "deploy/freepbx/README.md"},
        {"Other PBXs": "docs/guides/other-pbx.md"},
    ]},
    {"Operation": [
        {"Operations": "docs/operations.md"},
        {"Runbook": "docs/runbook.md"},
        {"Upgrading": "docs/upgrading.md"},
        {"Dashboards": "docs/dashboards.md"},
        {"Grafana and Prometheus": "deploy/grafana/README.md"},
        {"Scaling": "docs/scaling.md"},
        {"Kamailio": "deploy/kamailio/README.md"},
        {"rtpengine": "deploy/rtpengine/README.md"},
        {"Performance": "docs/performance.md"},
        {"Beside Asterisk": "docs/benchmarks.md"},
        {"Security": "docs/SECURITY.md"},
    ]},
    {"Contract": [
        {"Configuration": "docs/configuration.md"},
        {"Events": "docs/events.md"},
        {"Conformance": "docs/conformance.md"},
        {"Glossary": "docs/glossary.md"},
        {"Changelog": "CHANGELOG.md"},
    ]},
    {"Reference": [
        {"Keys of the configuration": "reference/configuration.md"},
        {"Events and other messages": "reference/events.md"},
        {"Addresses over HTTP": "reference/http.md"},
        {"Metrics": "reference/metrics.md"},
        {"Reasons": "reference/reasons.md"},
        {"Commands": "reference/commands.md"},
    ]},
    {"Development": [
        {"Contributing": "docs/CONTRIBUTING.md"},
        {"Releasing": "docs/releasing.md"},
        {"Architecture": "docs/architecture.md"},
        {"PJSIP": "docs/pjproject.md"},
        {"Plan": "docs/plan.md"},
    ]},
]  # fmt: skip
"""What stands beside each page, but for what `navigation` adds: the decisions, and documents that nobody has placed."""


def write(target: Path) -> list[Any]:
    """Write all pages below `target`, and return the navigation. Raises configuration.DiffersError."""
    shutil.rmtree(target, ignore_errors=True)
    documents = sorted({path for pattern in SOURCES for path in ROOT.glob(pattern)})
    for document in documents:
        text = document.read_text()
        _put(target / document.relative_to(ROOT), _MARK.sub("", text))
        for linked in _linked(document, text):
            if linked not in documents:
                copy = target / linked.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(linked, copy)
    shutil.copytree(ASSETS, target / "assets")
    for name, text in reference():
        _put(target / "reference" / name, text)
    return navigation([str(path.relative_to(ROOT)) for path in documents])


def reference() -> Iterator[tuple[str, str]]:
    """Each page that is made of the code: its file's name, and what it says."""
    yield "configuration.md", configuration.page((ROOT / configuration.DOCUMENT).read_text())
    yield "events.md", messages.events((ROOT / messages.DOCUMENT).read_text())
    yield "http.md", messages.addresses()
    yield "metrics.md", lists.metrics()
    yield "reasons.md", lists.reasons((ROOT / lists.OPERATIONS).read_text())
    yield "commands.md", lists.command_line()


def navigation(documents: list[str]) -> list[Any]:
    """NAVIGATION with these documents in it: the decisions by their titles, and what is new under `More`."""
    placed = {page for section in NAVIGATION for page in _placed(section)}
    decisions = [name for name in documents if name.startswith("docs/decisions/")]
    more = [name for name in documents if name not in placed and name not in decisions]
    made = [*NAVIGATION, {"Decisions": sorted(decisions, key=lambda name: (not name.endswith("README.md"), name))}]
    return [*made, {"More": more}] if more else made


def _placed(entry: Any) -> Iterator[str]:
    for value in entry.values():
        if isinstance(value, str):
            yield value
        else:
            for each in value:
                yield from _placed(each)


def _linked(document: Path, text: str) -> Iterator[Path]:
    """Files of the tree that it leads to."""
    for link in _LINK.findall(text):
        path = (document.parent / link).resolve()
        if path.is_file() and path.is_relative_to(ROOT):
            yield path


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
