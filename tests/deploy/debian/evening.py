# SPDX-License-Identifier: GPL-2.0-or-later
"""An evening on a PBX host: a clean Debian with an Asterisk in it, booted, and what was typed there as a document.

`python -m tests.deploy.debian.evening`, which is what `make transcript` runs, writes docs/first-evening.md anew.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.deb.__main__ import version
from scripts.deb.package import staged
from scripts.deb.system import RELEASES
from tests.deploy.debian.packages import chosen_release, clean_root, findings, why_no_boot
from tests.support import asterisk_server, sipp
from tests.support.fetch import programs

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs" / "first-evening.md"
README = HERE.parents[2] / "README.md"
END = "((failed)) || echo 'all of it holds'\n"
COMPANY = HERE / "pbx_etc"
SCENARIOS = ("assistant", "call")
HEAD = (
    "# The first evening: from nothing to the first transfer\n\n"
    "<!-- all run by: tests/deploy/debian/evening.py -->\n\n"
    "A transcript, made by `make transcript` on {day}: a Debian {release} that was just installed, with an Asterisk 22 "
    "that has two phones, a queue and a telephone line, and knows nothing of a gateway. Everything is on one host, the "
    "platform too, whose part SIPp plays; no command had anything but loopback for a network. Of a command stands what "
    "was typed, what it printed, and how long it took. What apt says of itself is left out.\n\n"
)
# What differs from one evening to the next: times, ids, versions, numbers of files and processes.
VARIABLE = (
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+Z?(?:\+00:00)?", "TIME"),
    (r"\b\d{4}-\d\d-\d\d", "DAY"),
    (r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b", "TIME"),
    (r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "ULID"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
    (r"\(?\b\d+\.\d+[~\w.]*-1~deb\d+\)?", "VERSION"),
    (r"Asterisk 2\d\.[\w.~-]+", "Asterisk VERSION"),
    (r"Debian 1\d", "Debian"),
    (r"\b\d+-\d+@[\d.]+", "CALL-ID"),
    (r"\b\d+(?:\.\d+)? ?(?:s|ms|MB|kB|seconds?|minutes?)\b", "MUCH"),
    (r"'(/[^ ']*)'", r"\1"),
    (r" /lib/systemd/", " /usr/lib/systemd/"),
)


def prepare(trial: Path, package: Path, *scripts: str) -> None:
    """Put into the directory `trial` what the scripts of this directory need, which are run one after the other."""
    etc = trial / "asterisk"
    etc.mkdir(parents=True)
    for name in asterisk_server.ABSENT:
        (etc / f"{name}.conf").touch()
    installed = programs()
    places = {
        "@BED@/etc": "/etc/asterisk",
        "@BED@": "/var/lib/asterisk",
        "@ROOT_LIB@": str(Path("/pbx") / installed.lib.relative_to(installed.root)),
        "@ROOT@": "/pbx",
    }
    for folder in (asterisk_server.COMMON, COMPANY):
        for source in sorted(folder.glob("*.conf")):
            asterisk_server.install(source, etc / source.name, places)
    values = {**sipp.DEFAULTS, "CALLER_SPEAKS": ""}
    for name in SCENARIOS:
        text = (sipp.SCENARIOS / f"{name}.xml").read_text()
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        (trial / f"{name}.xml").write_text(text)
    if not (trial / "first.deb").exists():
        shutil.copy(package, trial / "first.deb")
    for script in ("company.sh", *scripts):
        shutil.copy(HERE / script, trial)
    shutil.copy(README, trial)
    shutil.copy(DOCUMENT.with_name("operations.md"), trial)
    shutil.copy(README.parent / "deploy" / "asterisk" / "README.md", trial / "asterisk.md")
    calls = "".join(f"source /trial/{script}\n" for script in scripts)
    (trial / "trial.sh").write_text(f"source /trial/booted.sh\nsource /trial/company.sh\n{calls}{END}")


def play(root: Path, trial: Path, *options: str) -> dict[str, list[str]]:
    """What the scripts in `trial` found, by their parts, in the system `root`, which stays as it is.

    `options` are systemd-nspawn's.
    """
    return findings(root, trial, f"--bind-ro={programs().root}:/pbx", *options)


def alike(document: str) -> list[str]:
    """The lines of a transcript, without what differs from one evening to the next."""
    for pattern, word in VARIABLE:
        document = re.sub(pattern, word, document)
    # Columns are as wide as what is in them.
    return [re.sub(" +", " ", line).rstrip() for line in document.splitlines()]


def written(release: str, transcript: str, day: datetime) -> str:
    """The whole document."""
    return HEAD.format(day=f"{day:%Y-%m-%d}", release=RELEASES[release]) + transcript.rstrip() + "\n"


def main(words: Sequence[str] = ()) -> int:
    """Spend the evening, and write what was typed."""
    release = words[0] if words else chosen_release()
    if why := why_no_boot():
        print(f"transcript: {why}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name, staged(release) as staging:
        trial = Path(name) / "trial"
        package = staging.pack(version(), Path(name), quick=True)
        prepare(trial, package, "evening.sh")
        told = play(clean_root(release, package), trial)
        if told.get("transcript", [])[-1:] != ["all of it holds"]:
            print("\n".join(line for part in told.values() for line in part), file=sys.stderr)
            return 1
        DOCUMENT.write_text(written(release, (trial / "transcript.md").read_text(), datetime.now(UTC)))
    print(DOCUMENT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
