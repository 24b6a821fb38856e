# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m scripts.binding`: the pjsua2 wheel for the Python that runs this; its path is the only line on stdout.

`--sanitized` makes a directory with a module for the fuzzer instead, compiled with AddressSanitizer and UBSan.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.binding import cache
from scripts.binding.known import KNOWN
from scripts.binding.libraries import compile_libraries
from scripts.binding.module import build_module, module_digest
from scripts.binding.source import Source, find
from scripts.binding.tools import BuildError, run, say
from scripts.binding.wheel import pack

WAY_OUT = "make setup PJPROJECT_SOURCE=PATH takes a tarball of one that was tested"


def build_wheel() -> Path:
    """The wheel, built or out of the cache. Raises BuildError."""
    with cache.locked():
        log = cache.root() / "binding" / "build.log"
        log.write_bytes(b"")
        source = find(log)
        libraries = compile_libraries(source, log)
        key = module_digest(libraries)
        version = f"{libraries.version}+gateway.{key[:8]}"

        def make(work: Path) -> None:
            module = build_module(libraries, work, log)
            prove(source, work, log)
            pack(module, version, work)
            module.python.unlink()
            module.shared.unlink()

        (wheel,) = cache.keep("wheel", key, make).glob("*.whl")
        cache.prune()
    say(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB")
    return wheel


def prove(source: Source, module: Path, log: Path) -> None:
    """Have the module in the directory `module` make a call. Raises BuildError when it does not get through."""
    if not source.known:
        say(f"{source.path.name} is not among the sources that were tested ({', '.join(KNOWN.values())}): trying it")
    test = Path(__file__).with_name("selftest.py")
    try:
        run("a call to itself", [sys.executable, str(test), str(module)], log=log)
    except BuildError as error:
        raise BuildError(f"the binding was built, but is of no use.\n{error}\n{WAY_OUT}") from None


def build_sanitized() -> Path:
    """A directory with pjsua2.py and its shared object, under AddressSanitizer and UBSan. Raises BuildError."""
    with cache.locked():
        log = cache.root() / "binding" / "build-sanitized.log"
        log.write_bytes(b"")
        libraries = compile_libraries(find(log), log, sanitized=True)

        def make(work: Path) -> None:
            build_module(libraries, work, log)

        directory = cache.keep("sanitized", module_digest(libraries), make)
        cache.prune()
    return directory


if __name__ == "__main__":
    try:
        print(build_sanitized() if "--sanitized" in sys.argv[1:] else build_wheel())
    except BuildError as error:
        say(f"cannot be built: {error}")
        sys.exit(1)
