# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m scripts.binding`: the pjsua2 wheel for the Python that runs this; its path is the only line on stdout."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.binding import cache
from scripts.binding.libraries import compile_libraries
from scripts.binding.module import build_module, module_digest
from scripts.binding.source import find
from scripts.binding.tools import BuildError, say
from scripts.binding.wheel import pack


def build_wheel() -> Path:
    """The wheel, built or out of the cache. Raises BuildError."""
    with cache.locked():
        log = cache.root() / "binding" / "build.log"
        log.write_bytes(b"")
        libraries = compile_libraries(find(log), log)
        key = module_digest(libraries)
        version = f"{libraries.version}+gateway.{key[:8]}"

        def make(work: Path) -> None:
            module = build_module(libraries, work, log)
            pack(module, version, work)
            module.python.unlink()
            module.shared.unlink()

        (wheel,) = cache.keep("wheel", key, make).glob("*.whl")
        cache.prune()
    say(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB")
    return wheel


if __name__ == "__main__":
    try:
        print(build_wheel())
    except BuildError as error:
        say(f"cannot be built: {error}")
        sys.exit(1)
