# SPDX-License-Identifier: GPL-2.0-or-later
"""pjproject's static libraries, configured for a gateway, with the headers and SWIG files they go with."""

from __future__ import annotations

import json
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from scripts.binding import cache
from scripts.binding.source import Source, version_of
from scripts.binding.tools import BINDING, output_of, run, say

# -DNDEBUG, because pj_assert would otherwise end the process over what a peer sent; -fwrapv, because PJSIP counts with
# numbers that a peer chooses (time stamps, sequence numbers) and expects them to wrap around, which C does not promise.
C_FLAGS = "-O2 -g -fPIC -DNDEBUG -fwrapv"
# For the fuzzer: every read and write outside of what was allocated, and what C leaves undefined, is told. PJSIP counts
# on unaligned reads and on shifts into the sign, which every compiler that it supports does as one expects.
# A report names functions and lines, and needs no more to debug with; -O1 compiles in two thirds of the time.
SANITIZER_FLAGS = "-O1 -g1 -fsanitize=address,undefined -fno-sanitize=alignment,shift,vptr -fno-omit-frame-pointer"

# No sound card, no video, and of the codecs those that voice platforms and PBXs offer.
CONFIGURE = """
    --enable-epoll --disable-sound --disable-video --disable-sdl --disable-ffmpeg --disable-v4l2 --disable-openh264
    --disable-vpx --disable-libyuv --disable-libwebrtc --disable-speex-aec --disable-upnp --disable-bcg729
    --disable-lyra --disable-silk --disable-opencore-amr --with-external-srtp --with-external-speex
    --enable-speex-resample --disable-ilbc-codec --disable-gsm-codec --disable-speex-codec --disable-g7221-codec
    --disable-l16-codec
"""

# In the build tree's own make syntax: asks build.mak for what a program must be compiled and linked with.
_ASK_FLAGS = """
include build.mak
ask:
	@echo '$(filter -D%,$(PJ_CXXFLAGS))'
	@echo '$(PJ_LIBXX_FILES)'
	@echo '$(filter -l%,$(PJ_LDXXLIBS))'
"""


@dataclass(frozen=True)
class Libraries:
    """The compiled libraries.

    `link` is what the linker takes, in its order; `digest` stands for all of them, `interface` for what programs see of
    them; `flags` is what has to be added to compile and link with them.
    """

    home: Path
    digest: str
    interface: str
    version: str
    defines: tuple[str, ...]
    link: tuple[str, ...]
    flags: str

    @property
    def include(self) -> Path:
        """The directory of the headers."""
        return self.home / "include"

    @property
    def swig(self) -> Path:
        """The directory of pjproject's own pjsua2.i."""
        return self.home / "swig"


def compile_libraries(source: Source, log: Path, *, sanitized: bool = False) -> Libraries:
    """The libraries of `source`, out of the cache when they were compiled before."""
    site = BINDING / "config_site.h"
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    system = f"{platform.machine()} {release} {output_of('gcc', '-dumpfullversion')}"
    added = SANITIZER_FLAGS if sanitized else ""
    flags = f"{C_FLAGS} {added}".strip()
    interface = cache.digest(source.digest, site, CONFIGURE, system, Path(__file__))
    key = cache.digest(interface, flags)
    home = cache.keep("libs", key, lambda work: _compile(source, site, flags, work, log))
    facts = json.loads((home / "facts.json").read_text())
    link = (*(str(home / "lib" / name) for name in facts["archives"]), *facts["libraries"])
    return Libraries(home, key, interface, facts["version"], tuple(facts["defines"]), link, added)


def _compile(source: Source, site: Path, flags: str, work: Path, log: Path) -> None:
    build = work / "build"
    source.unpack(build, log)
    version = version_of(build)
    say(f"compiling pjproject {version}{', with sanitizers' if '-fsanitize' in flags else ''}")
    shutil.copy(site, build / "pjlib/include/pj/config_site.h")
    # Debian's tarball leaves out this sound driver, which is never compiled in but always looked at.
    (build / "pjmedia/src/pjmedia-audiodev/bdimad_dev.c").touch()
    flags = f"{flags} -ffile-prefix-map={build}=pjproject"
    env = {**os.environ, "CFLAGS": flags, "CXXFLAGS": flags, "LIBS": "-lspeexdsp", "MAKEFLAGS": "", "MAKELEVEL": ""}
    run("configure", ["./configure", *CONFIGURE.split()], log=log, cwd=build, env=env)
    # Without `make dep`: what depends on which header matters to those who compile a second time.
    run("make lib", ["make", f"-j{os.cpu_count() or 1}", "lib"], log=log, cwd=build, env=env)
    _collect(build, version, work)
    shutil.rmtree(build)


def _collect(build: Path, version: str, home: Path) -> None:
    """Take out of the build tree what the next stages need, free of the paths it was built under."""
    ask = build / "ask.mak"
    ask.write_text(_ASK_FLAGS)
    answer = output_of("make", "-s", "--no-print-directory", "-C", str(build), "-f", "ask.mak", "ask")
    defines, archives, libraries = (line.split() for line in answer.splitlines())
    (home / "lib").mkdir()
    for archive in archives:
        shutil.copy(archive, home / "lib")
    for part in ("pjlib", "pjlib-util", "pjnath", "pjmedia", "pjsip"):
        shutil.copytree(build / part / "include", home / "include", dirs_exist_ok=True)
    (home / "swig").mkdir()
    for interface in (build / "pjsip-apps/src/swig").glob("*.i"):
        shutil.copy(interface, home / "swig")
    names = [Path(archive).name for archive in archives]
    facts = {
        "version": version,
        "defines": defines,
        "archives": names,
        # The archives stand in for their own -l names; what is left comes from the system.
        "libraries": [name for name in libraries if f"lib{name[2:]}.a" not in names],
    }
    (home / "facts.json").write_text(json.dumps(facts, indent=1))
