# SPDX-License-Identifier: GPL-2.0-or-later
"""What every stage of the build needs: saying what goes on, running a program, and failing in words that help."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

BINDING = Path(__file__).resolve().parents[2] / "gateway" / "sip" / "binding"


class BuildError(Exception):
    """The binding cannot be built; the message says why, and what would help."""


def say(text: str) -> None:
    """Tell the user on stderr; stdout is for the wheel's path alone."""
    print(f"binding: {text}", file=sys.stderr, flush=True)


def run(
    what: str, command: Sequence[str], *, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """Run `command`, its output added to the file `log`; a failure shows the end of that output as a BuildError."""
    started = time.monotonic()
    with log.open("ab") as out:
        out.write(f"$ {' '.join(command)}\n".encode())
        out.flush()
        begin = out.tell()
        try:
            code = subprocess.call(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        except FileNotFoundError:
            raise BuildError(f"{what}: there is no '{command[0]}' on this machine; make setup installs it") from None
    if code:
        tail = log.read_bytes()[begin:].decode(errors="replace").splitlines()[-25:]
        raise BuildError("\n  ".join([f"{what} failed with exit code {code}:", *tail, f"the whole output is in {log}"]))
    say(f"{what}: {time.monotonic() - started:.0f} s")


def output_of(*command: str) -> str:
    """What `command` prints, without the white space around it."""
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise BuildError(f"there is no '{command[0]}' on this machine; make setup installs it") from None
    except subprocess.CalledProcessError as error:
        raise BuildError(f"'{' '.join(command)}' failed: {error.stderr.strip()}") from None
    return done.stdout.strip()
