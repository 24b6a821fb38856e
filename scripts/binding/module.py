# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python module: SWIG's wrapper around pjsua2 and our own C++, compiled and linked with the libraries."""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.binding import cache
from scripts.binding.libraries import Libraries
from scripts.binding.tools import BINDING, BuildError, output_of, run

ENTRY = BINDING / "pjsua2_gateway.i"
# -O2 takes twice as long over SWIG's 10 MB of glue, and no call is measurably faster for it.
WRAPPER_FLAGS = "-O1 -fPIC -DNDEBUG -fvisibility=hidden -w"
OUR_FLAGS = "-O2 -g -fPIC -DNDEBUG -fvisibility=hidden -std=c++17 -Wall -Wextra -Werror=return-type"
SWIG_FLAGS = "-c++ -python -threads"
# Only Python's own entry point is seen from outside, and calls within stay direct.
# pj_sock_accept: see connections.cpp; pjsip_dlg_on_rx_request: see around_dialogs.cpp.
# on_dlg_forked: see forks.cpp; pjsip_endpt_handle_events2: see loop.cpp; pjsip_ua_(un)register_dlg: see dialogs.cpp;
# pj_log_write: see debug_lines.cpp; pjmedia_transport_udp_attach: see media_udp.cpp;
# pjmedia_conf_*: see bridge_ports.cpp; pjsip_tx_data_encode: see printing.cpp; pj_create_unique_string: see
# unique_names.cpp; pjsip_dlg_create_uac: see recovered.cpp; pjsip_dlg_on_tsx_state: see recovered_again.cpp; the
# others: see srtp_sessions.cpp.
WRAPPED = (
    "pj_sock_accept", "pjsip_dlg_on_rx_request", "on_dlg_forked", "pjsip_endpt_handle_events2",
    "pjsip_ua_register_dlg", "pjsip_ua_unregister_dlg", "pjmedia_transport_srtp_create",
    "pj_lock_create_recursive_mutex", "srtp_create", "srtp_dealloc", "pj_log_write", "pjmedia_transport_udp_attach",
    "pjmedia_conf_add_port", "pjmedia_conf_remove_port", "pjmedia_conf_configure_port", "pjmedia_conf_connect_port",
    "pjmedia_conf_disconnect_port", "pjmedia_conf_get_port_info", "pjmedia_conf_destroy", "pjsip_tx_data_encode",
    "pj_create_unique_string", "pjsip_dlg_create_uac", "pjsip_dlg_on_tsx_state",
    "pjsip_endpt_send_request_stateless", "pj_ioqueue_recvfrom", "pj_ioqueue_recv",
)  # fmt: skip
LINK_FLAGS = f"-shared -Wl,--exclude-libs,ALL -Wl,-z,now {' '.join(f'-Wl,--wrap={name}' for name in WRAPPED)}"


@dataclass(frozen=True)
class Module:
    """The two files of the module: pjsua2.py and the shared object _pjsua2."""

    python: Path
    shared: Path


def python_abi() -> str:
    """What a compiled module is bound to, as "cpython-311-x86_64-linux-gnu"."""
    return str(sysconfig.get_config_var("SOABI"))


def module_digest(libraries: Libraries) -> str:
    """Stands for everything that goes into the module."""
    return cache.digest(libraries.digest, python_abi(), *_sources("*.i", "*.hpp", "*.h", "*.cpp"), *_scripts())


def build_module(libraries: Libraries, target: Path, log: Path) -> Module:
    """Compile what changed, and link the module into the directory `target`."""
    # Our own files first, so that a mistake in one shows in seconds and not after the wrapper's minute. A log for each:
    # they are compiled side by side.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        ours = list(
            pool.map(lambda source: _object(source, libraries, log.with_name(f"{source.stem}.log")), _sources("*.cpp"))
        )
    wrapper = _wrapper(libraries, log)
    objects = [wrapper / "wrapper.o", *(one / "object.o" for one in ours)]
    shared = target / f"_pjsua2{sysconfig.get_config_var('EXT_SUFFIX')}"
    # A sanitizer's report names lines.
    flags = [*LINK_FLAGS.split(), *(libraries.flags.split() or ["-Wl,--strip-debug"])]
    command = ["g++", *flags, "-o", str(shared), *map(str, objects), *libraries.link]
    run("linking", command, log=log)
    python = target / "pjsua2.py"
    shutil.copy(wrapper / "pjsua2.py", python)
    return Module(python, shared)


def _sources(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in BINDING.glob(pattern))


def _wrapped() -> list[Path]:
    """The headers that SWIG wraps; a change in any other one leaves the wrapper as it is."""
    interface = "".join(source.read_text() for source in _sources("*.i"))
    named = set(re.findall(r'^%include "(\w+\.hpp)"$', interface, re.MULTILINE))
    return [header for header in _sources("*.hpp") if header.name in named]


def _scripts() -> list[Path]:
    return sorted(Path(__file__).parent.glob("*.py"))


def _includes(libraries: Libraries) -> list[str]:
    return [f"-I{BINDING}", f"-I{libraries.include}"]


def _compile(libraries: Libraries, flags: str, source: Path, target: Path, log: Path) -> None:
    headers = Path(sysconfig.get_paths()["include"])
    if not (headers / "Python.h").is_file():
        raise BuildError(f"there is no Python.h in {headers}: install the development package of this Python")
    includes = [*_includes(libraries), f"-isystem{headers}"]
    command = ["g++", "-c", *flags.split(), *libraries.defines, *includes, str(source), "-o", str(target)]
    run(f"compiling {source.name}", command, log=log)


def _wrapper(libraries: Libraries, log: Path) -> Path:
    """A cache entry with pjsua2.py and wrapper.o; without sanitizers, which would find SWIG's glue alone."""

    def make(work: Path) -> None:
        code = work / "wrapper.cpp"
        flags = [*SWIG_FLAGS.split(), *libraries.defines, f"-I{libraries.swig}", *_includes(libraries)]
        run("swig", ["swig", *flags, "-outdir", str(work), "-o", str(code), str(ENTRY)], log=log)
        _compile(libraries, WRAPPER_FLAGS, code, work / "wrapper.o", log)
        code.unlink()

    declared = [*_sources("*.i", "*.h"), *_wrapped()]
    tools = (python_abi(), WRAPPER_FLAGS, SWIG_FLAGS, output_of("swig", "-version"))
    key = cache.digest(libraries.interface, *tools, *declared)
    return cache.keep("wrapper", key, make)


def _object(source: Path, libraries: Libraries, log: Path) -> Path:
    """A cache entry with object.o, made of one of our own C++ files."""
    flags = f"{OUR_FLAGS} {libraries.flags}".strip()
    key = cache.digest(libraries.digest, python_abi(), flags, source, *_sources("*.hpp", "*.h"))

    def make(work: Path) -> None:
        log.unlink(missing_ok=True)
        _compile(libraries, flags, source, work / "object.o", log)

    return cache.keep("object", key, make)
