# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel says a process has used."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MILLION = 1 << 20


def cpu_s(pid: int) -> float:
    """Processor time so far, of all its threads, also of those that have ended; in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MILLION


def reads_and_writes(pid: int) -> int:
    """System calls of the kinds read and write; those on sockets alone (sendto, recvfrom) are not among them."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    counts = dict(line.split(": ") for line in lines)
    return int(counts["syscr"]) + int(counts["syscw"])


def load() -> float:
    """How many processes have wanted a processor on average in the last minute."""
    return os.getloadavg()[0]


def processor() -> str:
    """The model's name, if the kernel tells."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return os.uname().machine
