# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m scripts.release VERSION [--dist [RELEASE …]] [--output DIR]`, which is `make release VERSION=1.2.3`.

It makes the files of a release of what is committed, writes the version and the changelog's heading into this tree, and
tells how the release is made public, which it does not do itself.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from gateway import __version__
from scripts.deb.system import RELEASES
from scripts.deb.tree import SOURCE
from scripts.release.building import CHANGELOG, SUMS, VERSION_FILE, build, export, say, write
from scripts.release.plan import Facts, Plan, ReleaseError, plan


def facts() -> Facts:
    """What is so in this tree. Raises ReleaseError where it is no git repository."""

    def asked(*words: str) -> list[str]:
        done = subprocess.run(["git", "-C", str(SOURCE), *words], check=False, capture_output=True, text=True)
        if done.returncode:
            raise ReleaseError(f"git {words[0]}: {done.stderr.strip()}")
        return done.stdout.splitlines()

    return Facts(
        version=__version__,
        changelog=(SOURCE / CHANGELOG).read_text(),
        changes=[line[3:] for line in asked("status", "--porcelain")],
        tags=asked("tag", "--list"),
        tags_here=asked("tag", "--points-at", "HEAD"),
    )


def make_room(output: Path) -> None:
    """Take an earlier release's files away. Raises ReleaseError where there is anything else."""
    if not output.exists():
        return
    sums = output / SUMS
    known = {line.split(maxsplit=1)[1] for line in sums.read_text().splitlines()} if sums.is_file() else set()
    strange = sorted(path.name for path in output.iterdir() if path.name not in known | {SUMS})
    if strange:
        raise ReleaseError(f"{output} has what no release has left there ({', '.join(strange[:5])}): move it away")
    shutil.rmtree(output)


def release(version: str, releases: list[str], output: Path) -> Plan:
    """Make the release. Raises ReleaseError, and leaves everything as it was, where that fails."""
    decided = plan(version, facts(), datetime.now(UTC).date())
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        source, made = Path(name) / "source", Path(name) / "dist"
        source.mkdir()
        made.mkdir()
        export(SOURCE, source)
        write(decided, source)
        build(decided, source, made, releases)
        make_room(output)
        shutil.copytree(made, output)
    if not decided.again:
        write(decided, SOURCE)
    return decided


def tell(made: Plan, output: Path) -> None:
    """Say what is there, and what a person does with it."""
    for path in sorted(output.iterdir()):
        say(f"  {path.stat().st_size / 1e6:6.1f} MB  {path}")
    say("next, by hand:")
    if not made.again:
        say(f"  git commit -m 'Release {made.version}' {CHANGELOG} {VERSION_FILE}")
        say(f"  make release VERSION={made.version}     # of that commit: the same sums in {output}/{SUMS}")
    say(f"  git tag -a {made.tag} -m 'Release {made.version}' && git push origin HEAD {made.tag}")
    say(f"  upload {output}/*, with {output}/*.notes.md as the text; sign {output}/{SUMS} if you sign anything")


def main() -> int:
    """Make it, or say why not."""
    asked = argparse.ArgumentParser(prog="make release")
    asked.add_argument("version", metavar="VERSION")
    asked.add_argument("--dist", nargs="*", choices=tuple(RELEASES), default=list(RELEASES))
    asked.add_argument("--output", type=Path, default=SOURCE / "dist")
    options = asked.parse_args()
    try:
        made = release(options.version, options.dist, options.output)
    except ReleaseError as error:
        say(f"there is no release: {error}")
        return 1
    tell(made, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
