#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Brings this tree to where every other make target can run, and says what it does. Each step leaves a stamp that holds
# the hash of what went into it; a step whose stamp still matches is passed over in silence.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
stamps=.venv/.stamps

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    printf 'setup: cannot go on: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

hash_of() { sha256sum "$@" | sha256sum | cut -c1-64; }
done_before() { [[ -f $stamps/$1 && $(<"$stamps/$1") == "$2" ]]; }
remember() { mkdir -p "$stamps" && printf '%s' "$2" >"$stamps/$1"; }

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"
    elif [[ -t 2 ]]; then sudo "$@" # it asks for the password on the terminal itself
    else sudo -n "$@"; fi
}

check_python() {
    command -v "$python" >/dev/null ||
        fail "there is no '$python'" "install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3.12"
    # Written for interpreters of any age, so that an old one can still say that it is old.
    python_facts=$("$python" - <<'PY'
import os, sys, sysconfig
print("%d.%d" % sys.version_info[:2])
print("old" if sys.version_info < (3, 11) else "fine")
print(os.path.realpath(sys.executable))
print("headers" if os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")) else "no-headers")
try:
    import ensurepip
    print("venv")
except ImportError:
    print("no-venv")
PY
    ) || fail "'$python' does not run" "name another: make setup PYTHON=/path/to/python3.12"
    { read -r py_version; read -r py_age; read -r py_path; read -r py_headers; read -r py_venv; } <<<"$python_facts"
    [[ $py_age == fine ]] ||
        fail "'$python' is Python $py_version, and 3.11 or newer is needed" "name another: make setup PYTHON=/path/to/python3.12"
}

install_system_packages() {
    local wanted=(gcc g++ make swig patch pkg-config xz-utils zstd ca-certificates debian-archive-keyring
        libssl-dev libopus-dev libsrtp2-dev libspeexdsp-dev libspeex-dev uuid-dev)
    # A Python from elsewhere (pyenv, python.org) brings its own headers and venv.
    [[ $py_headers == headers ]] || wanted+=("python$py_version-dev")
    [[ $py_venv == venv ]] || wanted+=("python$py_version-venv")

    # What single targets of the Makefile need besides.
    # shellcheck disable=SC2206 # a list of names
    wanted+=(${ALSO:-})

    if ! command -v dpkg-query >/dev/null; then
        command -v g++ >/dev/null && command -v swig >/dev/null ||
            fail "this is not Debian, and there is no g++ or no swig" "install what Debian calls: ${wanted[*]}"
        return
    fi
    local present missing=() package
    # dpkg-query exits 1 when one of them is unknown to it, which is just what is asked here.
    present=" $(dpkg-query -W -f='${db:Status-Abbrev}${Package} ' "${wanted[@]}" 2>/dev/null || true)"
    for package in "${wanted[@]}"; do
        [[ $present == *"ii $package "* ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    say "installing system packages: ${missing[*]}"
    [[ $(id -u) == 0 ]] || command -v sudo >/dev/null ||
        fail "that takes root, and there is no sudo" "as root: apt-get install ${missing[*]}"
    as_root apt-get -q update >&2 ||
        fail "apt-get update failed (see above)" "check the mirror in /etc/apt/sources.list.d and the network"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}" >&2 ||
        fail "apt-get install failed (see above)" "once it is mended: apt-get install ${missing[*]}"
}

make_venv() {
    local key="$py_path $py_version"
    done_before venv "$key" && [[ -x .venv/bin/python ]] && return
    [[ ! -e .venv ]] || say "the Python changed: making .venv anew"
    say "making .venv with Python $py_version ($py_path)"
    "$python" -m venv --clear .venv || fail "python -m venv failed (see above)"
    remember venv "$key"
}

install_dependencies() {
    local key
    key=$(hash_of requirements.txt requirements-dev.txt)
    done_before dependencies "$key" && return
    say "installing the Python packages of requirements.txt and requirements-dev.txt, each checked against its hash"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes \
        -r requirements.txt -r requirements-dev.txt ||
        fail "pip could not install them (see above)" "check the package index pip is set up with (pip config list) and the network"
    remember dependencies "$key"
}

install_project() {
    local key
    key=$(hash_of pyproject.toml requirements.in requirements-built.in requirements-watch.in gateway/__init__.py)
    done_before project "$key" && return
    say "installing the gateway itself, editable"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable . ||
        fail "pip could not install the gateway (see above)"
    remember project "$key"
}

build_binding() {
    local key wheel
    key="$(hash_of gateway/sip/binding/*.{h,hpp,cpp,i} scripts/binding/*.py) ${PJPROJECT_SOURCE:-}"
    done_before binding "$key" && return
    say "the SIP binding (pjsua2): from the cache where it can, else compiled, which takes two to three minutes"
    wheel=$(.venv/bin/python -m scripts.binding) || exit 1
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-index --no-deps --force-reinstall "$wheel" ||
        fail "pip could not install $wheel (see above)"
    .venv/bin/python -c 'import pjsua2' || fail "the binding was built, but does not load (see above)"
    remember binding "$key"
    say "ready: make demo, make test, .venv/bin/transfer-gateway --help"
}

exec </dev/null 9<scripts/setup.sh
flock -n 9 || { say "another make setup is under way; waiting for it"; flock 9; }

check_python
install_system_packages
make_venv
install_dependencies
install_project
build_binding
