#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Brings this tree to where every other make target can run, and says what it does. Each step leaves a stamp that holds
# the hash of what went into it; a step whose stamp still matches is passed over in silence. Of the others it tells how long
# they took here the last time, or are likely to, and that they go on.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
stamps=.venv/.stamps
times=${TRANSFER_GATEWAY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/transfer-gateway}/setup-seconds
declare -A usual=([system]=60 [venv]=5 [dependencies]=60 [project]=5 [binding]=180)

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    printf 'setup: cannot go on: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

# How long what is being done lasts already: on a terminal each 10 s, in a log each 30 s.
tick() {
    local what=$1 begun=$SECONDS every=${TICK_S:-30}
    [[ ! -t 2 ]] || every=${TICK_S:-10}
    # Nothing ever comes there: a wait without a process, which would be left over and keep our output open.
    while ! read -r -t "$every" -u 7; do say "$what: goes on, $(in_words $((SECONDS - begun))) so far"; done
}
ticker=
# No job of the shell's, which might tell that it was terminated.
start_ticking() { tick "$1" 9<&- & ticker=$!; disown "$ticker"; }
stop_ticking() {
    [[ -n $ticker ]] || return 0
    kill "$ticker" 2>/dev/null || true
    ticker=
}

in_words() { if (($1 < 100)); then printf '%d s' "$1"; else printf '%d min' $((($1 + 30) / 60)); fi; }

# The last time here, else what is usual; of each step, as steps() has it.
likely_s() {
    local last=
    [[ ! -r $times/$1 ]] || last=$(<"$times/$1")
    [[ $last =~ ^[0-9]{1,5}$ ]] || last=${usual[$1]}
    printf '%d' "$last"
}

# step NAME WHAT COMMAND…
step() {
    local name=$1 what=$2 begun=$SECONDS
    shift 2
    say "$what: about $(in_words "$(likely_s "$name")")"
    start_ticking "$what"
    "$@"
    stop_ticking
    say "$what: done in $(in_words $((SECONDS - begun)))"
    # Nobody needs it more than the step itself: a cache that cannot be written is no fault.
    { mkdir -p "$times" && printf '%d' $((SECONDS - begun)) >"$times/$name"; } 2>/dev/null || true
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

look_for_system_packages() {
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
    local present package
    # dpkg-query exits 1 when one of them is unknown to it, which is just what is asked here.
    present=" $(dpkg-query -W -f='${db:Status-Abbrev}${Package} ' "${wanted[@]}" 2>/dev/null || true)"
    for package in "${wanted[@]}"; do
        [[ $present == *"ii $package "* ]] || missing+=("$package")
    done
}

install_system_packages() {
    [[ $(id -u) == 0 ]] || command -v sudo >/dev/null ||
        fail "that takes root, and there is no sudo" "as root: apt-get install ${missing[*]}"
    as_root apt-get -q update >&2 ||
        fail "apt-get update failed (see above)" "check the mirror in /etc/apt/sources.list.d and the network"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}" >&2 ||
        fail "apt-get install failed (see above)" "once it is mended: apt-get install ${missing[*]}"
}

make_venv() {
    "$python" -m venv --clear .venv || fail "python -m venv failed (see above)"
    remember venv "$venv_key"
}

install_dependencies() {
    .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes \
        -r requirements.txt -r requirements-dev.txt -r requirements-docs.txt ||
        fail "pip could not install them (see above)" "check the package index pip is set up with (pip config list) and the network"
    remember dependencies "$dependencies_key"
}

install_project() {
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable . ||
        fail "pip could not install the gateway (see above)"
    remember project "$project_key"
}

build_binding() {
    local wheel
    wheel=$(.venv/bin/python -m scripts.binding) || exit 1
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-index --no-deps --force-reinstall "$wheel" ||
        fail "pip could not install $wheel (see above)"
    .venv/bin/python -c 'import pjsua2' || fail "the binding was built, but does not load (see above)"
    remember binding "$binding_key"
}

exec </dev/null 9<scripts/setup.sh
apart=$(mktemp -d)
mkfifo "$apart/never"
exec 7<>"$apart/never"
rm -r "$apart"
trap stop_ticking EXIT
if ! flock -n 9; then
    say "another make setup is under way; waiting for it"
    start_ticking "waiting for the other make setup"
    flock 9
    stop_ticking
fi

check_python
missing=()
look_for_system_packages
venv_key="$py_path $py_version"
dependencies_key=$(hash_of requirements.txt requirements-dev.txt requirements-docs.txt)
project_key=$(hash_of pyproject.toml requirements.in requirements-built.in requirements-watch.in requirements-traces.in gateway/__init__.py)
binding_key="$(hash_of gateway/sip/binding/*.{h,hpp,cpp,i} scripts/binding/*.py) ${PJPROJECT_SOURCE:-}"

due=()
((${#missing[@]} == 0)) || due+=(system)
if ! done_before venv "$venv_key" || [[ ! -x .venv/bin/python ]]; then
    due+=(venv dependencies project binding) # a new one has nothing in it
else
    done_before dependencies "$dependencies_key" || due+=(dependencies)
    done_before project "$project_key" || due+=(project)
    done_before binding "$binding_key" || due+=(binding)
fi
((${#due[@]})) || exit 0
if ((${#due[@]} > 1)); then
    total=0
    for name in "${due[@]}"; do total=$((total + $(likely_s "$name"))); done
    say "${#due[@]} steps (${due[*]}): about $(in_words "$total") in all"
fi
for name in "${due[@]}"; do
    case $name in
        system) step system "installing system packages (${missing[*]})" install_system_packages ;;
        venv)
            [[ ! -e .venv ]] || say "the Python changed: making .venv anew"
            step venv "making .venv with Python $py_version ($py_path)" make_venv
            ;;
        dependencies)
            step dependencies "installing the Python packages of requirements.txt, requirements-dev.txt and requirements-docs.txt, each checked against its hash" install_dependencies
            ;;
        project) step project "installing the gateway itself, editable" install_project ;;
        binding) step binding "making the SIP binding (pjsua2), from the cache or else compiled" build_binding ;;
    esac
done
say "ready: make demo, make test, .venv/bin/transfer-gateway --help"
