# SPDX-License-Identifier: GPL-2.0-or-later
"""What the log of a gateway says of faults: the sanitizers' reports, memory that nobody knows any more, tracebacks."""

from __future__ import annotations

import re
from itertools import pairwise

REPORT = ("ERROR: AddressSanitizer", "runtime error:", "AddressSanitizer:DEADLYSIGNAL", "terminate called")
"""What stands in the log of a process that the sanitizers, or C++, have something to say of."""
HARMLESS = ("which is declared to never be null",)
"""PJSIP copies empty strings, whose pointer may be null: nothing is read then, whatever the C library declares."""
CALLBACKS = ("sip-callback-failed", "callback-failed")
LINES = 30
MOST = 3
"""Of one kind; the others are mostly the same again."""
_LEAK = re.compile(r"^(Direct leak of .*):$")
_FRAME = re.compile(r"^\s+#(\d+) 0x[0-9a-f]+ (?:in )?(.*)$")
_ALLOCATES = re.compile(r"^(__interceptor_|operator new|std::|__gnu_cxx::|default_block_alloc|pj_pool_|cpool_)")
_OURS = re.compile(r"(\.\./src/pj|\.\./include/pj|gateway/sip/binding/|_pjsua2)")


def of_sanitizers(log: str) -> list[str]:
    """The reports of AddressSanitizer and UBSan, each with its stack."""
    lines = log.splitlines()
    starts = [
        at
        for at, line in enumerate(lines)
        if any(sign in line for sign in REPORT) and not any(sign in line for sign in HARMLESS)
    ]
    return ["\n".join(lines[at : at + LINES]) for at in starts[:MOST]]


def of_leaks(log: str) -> list[str]:
    """Memory of PJSIP's and of our C++ that nothing points to any more, with where it was allocated.

    What Python keeps until its end is none: only what was asked for by the binding itself is looked at.
    """
    blocks: list[list[str]] = []
    for line in log.splitlines():
        if _LEAK.match(line):
            blocks.append([line])
        elif blocks and blocks[-1][-1] and (not line or _FRAME.match(line)):
            blocks[-1].append(line)
    return ["\n".join(block).strip() for block in blocks if _is_ours(block)][:MOST]


def _is_ours(block: list[str]) -> bool:
    frames = [found[2] for line in block if (found := _FRAME.match(line))]
    asked = next((frame for frame in frames if not _ALLOCATES.match(frame)), "")
    return bool(_OURS.search(asked))


def of_the_gateway(log: str) -> list[str]:
    """Tracebacks, and callbacks that failed; with what was raised."""
    lines = log.splitlines()
    faults = [f"a callback failed: {line}" for line in lines if any(f" {sign}" in line for sign in CALLBACKS)]
    for at, (_, line) in enumerate(pairwise(["", *lines])):
        if "Traceback (most recent call last)" in line:
            ends = next((end for end in range(at + 1, len(lines)) if lines[end][:1].strip()), len(lines) - 1)
            faults.append(f"a traceback: {' | '.join(lines[max(at - 1, 0) : ends + 1])[-1500:]}")
    return faults[:MOST]


def could_look_for_leaks(log: str) -> bool:
    """Whether LeakSanitizer was let do its work at the end; some containers keep it from looking."""
    return "LeakSanitizer has encountered a fatal error" not in log
