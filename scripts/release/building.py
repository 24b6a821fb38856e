# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a release, made of nothing but what is committed, so that the same commit makes the same files."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from scripts.release.components import NAME, bill_of_materials
from scripts.release.plan import Plan, ReleaseError

SUMS = "SHA256SUMS"
VERSION_FILE = Path("gateway", "__init__.py")
CHANGELOG = Path("CHANGELOG.md")


def say(text: str) -> None:
    """Tell what is done."""
    print(f"release: {text}", file=sys.stderr, flush=True)


def export(tree: Path, target: Path) -> None:
    """Unpack the commit of `tree` into the directory `target`, as it is for everybody."""
    command = ["git", "-C", str(tree), "-c", "tar.umask=0022", "archive", "--format=tar", "HEAD"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as packed:
        subprocess.run(["tar", "-x", "-C", str(target)], stdin=packed.stdout, check=True)
    if packed.returncode:
        raise ReleaseError("git cannot archive this commit (see above)")


def write(plan: Plan, tree: Path) -> None:
    """Say in the tree's files that it is this release."""
    file = tree / VERSION_FILE
    lines = file.read_text().splitlines(keepends=True)
    [at] = [index for index, line in enumerate(lines) if line.startswith("__version__ = ")]
    lines[at] = f'__version__ = "{plan.version}"\n'
    file.write_text("".join(lines))
    (tree / CHANGELOG).write_text(plan.changelog)


def build(plan: Plan, source: Path, output: Path, releases: Sequence[str]) -> None:
    """Make all files of the release, of the tree `source`, in the empty directory `output`. Raises ReleaseError."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(plan.epoch), "PYTHONHASHSEED": "0"}

    def run(*words: str) -> None:
        done = subprocess.run([sys.executable, "-m", *words], cwd=source, env=environment, check=False, umask=0o022)
        if done.returncode:
            raise ReleaseError(f"{words[0]} failed (see above): nothing was written")

    say("the source and the wheel, which is made of it")
    run("build", "--no-isolation", "--outdir", str(output), ".")
    [sdist] = output.glob("*.tar.gz")
    repack(sdist, plan.epoch)
    for release in releases:
        say(f"the Debian package for {release}")
        run("scripts.deb", "--dist", release, "--version", plan.version, "--output", str(output))
    say("the bill of materials, the notes and the sums")
    try:
        (output / f"{NAME}-{plan.version}.cdx.json").write_text(bill_of_materials(source, plan.version, plan.epoch))
    except (ValueError, subprocess.CalledProcessError) as error:
        raise ReleaseError(str(getattr(error, "stderr", None) or error)) from None
    (output / f"{NAME}-{plan.version}.notes.md").write_text(plan.notes)
    files = sorted(path for path in output.iterdir() if path.name != SUMS)
    (output / SUMS).write_text("".join(f"{_sha256(path)}  {path.name}\n" for path in files))


def repack(archive: Path, epoch: int) -> None:
    """Write a .tar.gz anew without what differs from one time or machine to another: order, times, owners."""
    with tarfile.open(archive) as old:
        members = sorted(old.getmembers(), key=lambda member: member.name)
        parts = [(member, old.extractfile(member) if member.isfile() else None) for member in members]
        with (
            archive.with_suffix(".new").open("wb") as raw,
            gzip.GzipFile("", "wb", 9, raw, mtime=epoch) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
        ):
            for member, content in parts:
                member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
                member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                member.pax_headers = {}
                new.addfile(member, content)
    archive.with_suffix(".new").rename(archive)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
