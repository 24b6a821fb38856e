# SPDX-License-Identifier: GPL-2.0-or-later
"""The environment in which a gateway runs on the binding that was compiled with sanitizers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """Built on first use (some two minutes), from the cache afterwards."""
    command = [sys.executable, "-m", "scripts.binding", "--sanitized"]
    module = subprocess.check_output(command, cwd=ROOT, stdin=subprocess.DEVNULL, text=True)
    return {
        # Python itself is not instrumented: the runtimes have to be there before it is.
        "LD_PRELOAD": " ".join(_runtime(name) for name in ("libasan.so", "libubsan.so")),
        "PYTHONPATH": os.pathsep.join([module.strip(), str(ROOT)]),
        "PYTHONMALLOC": "malloc",
        # What Python keeps until its end is no leak (see reports.py), and no reason to end with another code.
        "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=0",
        # Without what threads keep to themselves: to read that of threads that have ended crashes the reader of GCC 12.
        "LSAN_OPTIONS": "use_tls=0:exitcode=0:max_leaks=0:report_objects=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def _runtime(name: str) -> str:
    command = ["gcc", f"-print-file-name={name}"]
    return subprocess.check_output(command, stdin=subprocess.DEVNULL, text=True).strip()
