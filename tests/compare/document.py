# SPDX-License-Identifier: GPL-2.0-or-later
"""What was measured is kept in a file, part by part, and docs/benchmarks.md is written from it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.compare import process
from tests.compare.figures import Figure, lines
from tests.compare.parts import PARTS
from tests.compare.search import PROCEDURE
from tests.compare.systems import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.compare.parts import Bench
    from tests.support.fetch import Programs

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "bench.json"
DOCUMENT = ROOT / "docs" / "benchmarks.md"

INTRODUCTION = Path(__file__).with_name("introduction.md")


def keep(name: str, figures: list[Figure], bench: Bench, programs: Programs, load: float, took_s: float) -> None:
    """Keep what a part has measured, in place of what was kept of it."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept[name] = {
        "figures": [asdict(figure) for figure in figures],
        "at": datetime.now(UTC).strftime("%d %B %Y %H:%M UTC"),
        "commit": commit(),
        "rounds": bench.rounds,
        "seconds": bench.seconds,
        "load": load,
        "took_s": took_s,
        "machine": machine(programs),
    }
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(kept, indent=1))


def write() -> None:
    """Write the document of all that is kept."""
    DOCUMENT.write_text("\n".join(text(json.loads(KEPT.read_text()))) + "\n")


def text(kept: dict[str, Any]) -> Iterator[str]:
    """The document's lines."""
    yield INTRODUCTION.read_text()
    yield "| | settings |\n|---|---|"
    yield f"| gateway | {SETTINGS['gateway']} |"
    yield f"| Asterisk | {SETTINGS['asterisk']} |"
    for machine_of in dict.fromkeys(part["machine"] for part in kept.values()):
        yield f"\nMeasured on {machine_of}."
    for name in PARTS:
        if name not in kept:
            continue
        part = kept[name]
        yield f"\n## {name}\n"
        if name.startswith("most-"):
            yield f"{PROCEDURE}\n"
        yield from lines([Figure.of(figure) for figure in part["figures"]])
        command = f"make bench BENCH='--parts {name} --rounds {part['rounds']} --seconds {part['seconds']}'"
        took = f"took {part['took_s']:.0f} s; load of the machine at the beginning: {part['load']:.1f}"
        yield f"\n`{command}`: {part['at']}, commit {part['commit']}, {took}."
    if missing := [name for name in PARTS if name not in kept]:
        yield f"\nNot measured: {', '.join(missing)}."


def machine(programs: Programs) -> str:
    """What it was measured on, in words."""
    with Path("/proc/meminfo").open() as memory:
        gigabytes = int(memory.readline().split()[1]) / (1 << 20)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    versions = {
        "Asterisk": _output([*programs.command("usr/sbin/asterisk"), "-V"]).removeprefix("Asterisk "),
        "SIPp": _output([*programs.command("usr/bin/sipp"), "-v"]).partition("SIPp v")[2].partition("-")[0],
        "mosquitto": _output([*programs.command("usr/sbin/mosquitto"), "-h"]).split()[2],
    }
    told = ", ".join(f"{program} {version}" for program, version in versions.items())
    return (
        f"{os.cpu_count()} cores, {process.processor()}, {gigabytes:.0f} GB, {system}, kernel {platform.release()}, "
        f"Python {platform.python_version()}; {told}"
    )


def commit() -> str:
    """The tree's, "+" where the gateway was changed since."""
    head, changed = _output(["git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD"]), ["status", "--porcelain"]
    return (head or "unknown") + ("+" if _output(["git", "-C", str(ROOT), *changed, "gateway"]) else "")


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=10)
    return (done.stdout + done.stderr).strip()
