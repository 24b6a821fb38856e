#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs the gateway into $PREFIX, free of this tree, as a release of its own beside those that are there:
#
#   PREFIX/releases/<version>-<time>/{venv,bin,share}   PREFIX/current -> the one in use   PREFIX/previous -> the one before
#   PREFIX/bin/transfer-gateway and PREFIX/share lead through PREFIX/current
#
# What runs is never touched. A release is made in full, has to pass a test of itself, and is then switched to by the
# renaming of one symbolic link; whatever fails before that leaves everything as it was. The configuration in /etc and
# the state in /var/lib are never touched.
#
#   scripts/install.sh               install this tree's release and switch to it
#   scripts/install.sh rollback      switch back to the release before (a second time: forth again)
#   scripts/install.sh uninstall     take all of it away
#   scripts/install.sh list          the releases that are there
set -euo pipefail
umask 022 # the service runs as a user of its own, who has to read all of it
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/opt/transfer-gateway}
[[ $prefix == /* ]] || prefix=$PWD/$prefix
configuration=${CONFIGURATION:-/etc/transfer-gateway}
shipped=(sip_profiles deploy LICENSE CHANGELOG.md)
documents=(README.md docs)
keeping="with recover_calls, transfer-gateway restart ends no call that is up"
say() { printf 'install: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

target() { readlink "$prefix/$1" 2>/dev/null || true; }
lead() { # a link, and where it is to lead: at once, or not at all
    ln -sfn "$2" "$prefix/$1.new"
    mv -Tf "$prefix/$1.new" "$prefix/$1"
}
in_use() { # whether a process runs from this directory
    # Named on the standard input, or grep would find itself.
    grep -aqsF -f - /proc/[0-9]*/cmdline /proc/[0-9]*/maps <<<"$1/"
}

# Whether a release can run.
works() { scripts/works.sh "$1/venv/bin/python" "$1/share" "$1/bin/transfer-gateway"; }

accepts() { "$1/bin/transfer-gateway" check --config "$configuration" >/dev/null 2>&1; }

# Whether a release takes the configuration that the one in use takes.
fits() {
    local current
    current=$prefix/$(target current)
    [[ ! -e $configuration/gateway.toml || ! -x $current/bin/transfer-gateway ]] && return
    accepts "$1" || ! accepts "$current"
}

# Before there were releases, all lay in PREFIX itself. A virtual environment can't be moved: it becomes a release by name.
adopt() {
    [[ -d $prefix/venv && ! -e $prefix/current ]] || return 0
    local release=$prefix/releases/before-releases
    mkdir -p "$release/bin"
    ln -sfn ../../venv "$release/venv"
    ln -sfn ../venv/bin/transfer-gateway "$release/bin/transfer-gateway"
    [[ -L $prefix/share || ! -d $prefix/share ]] || cp -rT "$prefix/share" "$release/share"
    touch "$release/complete"
    lead current releases/before-releases
}

# What was not finished, and what is neither in use, nor the current release, nor the one before.
prune() {
    local release
    for release in "$prefix"/releases/*/; do
        release=${release%/}
        case releases/${release##*/} in
            "$(target current)" | "$(target previous)" | releases/\*) continue ;;
        esac
        ! in_use "$release" || continue
        rm -rf "$release"
    done
    case "$(target current) $(target previous)" in
        *before-releases*) ;;
        *) [[ ! -e $prefix/current || ! -d $prefix/venv ]] || in_use "$prefix/venv" || rm -rf "$prefix/venv" ;;
    esac
}

switch_to() { # a release: PREFIX/current leads there from now on
    local before
    before=$(target current)
    [[ -z $before || $before == "$1" ]] || lead previous "$before"
    lead current "$1"
    # The paths that units and people know.
    mkdir -p "$prefix/bin"
    lead bin/transfer-gateway ../current/bin/transfer-gateway
    if [[ -d $prefix/share && ! -L $prefix/share ]]; then rm -rf "$prefix/share"; fi
    lead share current/share
}

clean_up() { # a release that was not finished is none
    rm -rf "$wheels"
    [[ -e $release/complete ]] || rm -rf "$release"
}

install_release() {
    local version name binding each home
    mkdir -p "$prefix/releases" || fail "cannot write to $prefix: run as root, or choose another: make install PREFIX=DIR"
    exec 9>"$prefix/.lock"
    flock -n 9 || fail "another installation into $prefix is under way"
    adopt
    prune
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' gateway/__init__.py)
    name=releases/$version-$(date -u +%Y%m%dT%H%M%S)-$$
    release=$prefix/$name
    wheels=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 1' INT TERM HUP

    say "making $release"
    "${PYTHON:-python3}" -m venv "$release/venv"
    home=$("$release/venv/bin/python" -c 'import sys; print(sys.base_prefix)')
    case $home/$prefix in
        /root/*/root/* | /root/*/home/* | /home/*/root/* | /home/*/home/*) ;; # for somebody alone
        /root/* | /home/*)
            fail "the Python in $home cannot be run by the service, which sees no home directory; once more with another:" \
                "make install PYTHON=/usr/bin/python3"
            ;;
    esac
    # Compiled here, whatever pip is set up for: the service writes no bytecode, and would compile all of it at each start.
    into() { "$release/venv/bin/python" -m pip install -qq --disable-pip-version-check --compile "$@"; }
    into --require-hashes -r requirements.txt -r requirements-watch.txt
    say "installing the SIP binding and the gateway"
    binding=$(.venv/bin/python -m scripts.binding)
    rm -rf build/lib build/bdist.* # or files deleted since the last time would be installed too
    .venv/bin/python -m pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation -w "$wheels" .
    into --no-index --no-deps "$binding" "$wheels"/*.whl
    mkdir -p "$release/bin" "$release/share"
    ln -s ../venv/bin/transfer-gateway "$release/bin/transfer-gateway"
    for each in "${shipped[@]}"; do
        [[ ! -e $each ]] || cp -rT "$each" "$release/share/$each"
    done
    # As they lie in the source, so that each leads to the others.
    mkdir "$release/share/doc"
    for each in "${documents[@]}"; do
        [[ ! -e $each ]] || cp -rT "$each" "$release/share/doc/$each"
    done
    for each in "${shipped[@]}"; do ln -s "../$each" "$release/share/doc/$each"; done
    .venv/bin/python -m scripts.deb.documents "$release/share" "$prefix/share/doc"
    say "trying it"
    works "$release" || fail "the new release does not work (see above); nothing was switched, what was installed stays in use"
    fits "$release" || fail "the new release refuses the configuration in $configuration: $release/bin/transfer-gateway check" \
        "tells why; nothing was switched"
    sync -f "$release"
    touch "$release/complete"
    switch_to "$name"
    prune
    say "done: $release"
}

rollback() {
    local before
    [[ -w $prefix ]] || fail "cannot write to $prefix: run as root"
    exec 9>"$prefix/.lock"
    flock -n 9 || fail "another installation into $prefix is under way"
    before=$(target previous)
    [[ -n $before && $before != "$(target current)" && -e $prefix/$before/complete ]] ||
        fail "there is no release before $(target current)"
    works "$prefix/$before" || fail "$prefix/$before does not work any more (see above); nothing was switched"
    fits "$prefix/$before" || fail "$prefix/$before refuses the configuration in $configuration, which the current release" \
        "takes: $prefix/$before/bin/transfer-gateway check tells why; change that first. Nothing was switched"
    switch_to "$before"
    say "$prefix/$before is in use again from the next start: systemctl restart transfer-gateway"
    say "$keeping"
}

uninstall() {
    [[ -d $prefix/releases || -d $prefix/venv ]] || fail "there is nothing installed in $prefix"
    if in_use "$prefix/releases" || in_use "$prefix/venv"; then
        fail "a gateway runs from $prefix; first: systemctl disable --now transfer-gateway"
    fi
    rm -rf "${prefix:?}"/{current,previous,share,bin/transfer-gateway}{,.new} "${prefix:?}"/{releases,venv,.lock}
    rmdir --ignore-fail-on-non-empty "$prefix/bin" "$prefix"
    say "gone; left as they are: $configuration, /var/lib/transfer-gateway, /etc/systemd/system/transfer-gateway.service, and links in /usr/local"
}

next_steps() { # the README's, for this place and this systemd
    local unit=/etc/systemd/system/transfer-gateway.service files
    files=$unit
    say "next, as root:"
    say "  ln -s $prefix/bin/transfer-gateway /usr/local/bin/"
    say "  cp -rs $prefix/share/{man,bash-completion,zsh} /usr/local/share/"
    say "  cp $prefix/share/deploy/systemd/transfer-gateway.service /etc/systemd/system/"
    if [[ $(systemctl --version 2>/dev/null) =~ systemd\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= 253)); then
        say "  install -D -m 644 -t $unit.d $prefix/share/deploy/systemd/notify-reload.conf"
        files+=" $unit.d/notify-reload.conf"
    fi
    [[ $prefix == /opt/transfer-gateway ]] || say "  sed -i 's|/opt/transfer-gateway/|$prefix/|' $files"
    say "  transfer-gateway init        (it asks, and says what is left; by hand: $prefix/share/doc/README.md, step 2)"
}

list() {
    local release
    for release in "$prefix"/releases/*/complete; do
        [[ -e $release ]] || continue
        release=releases/$(basename "$(dirname "$release")")
        case $release in
            "$(target current)") printf '%s (current)\n' "$prefix/$release" ;;
            "$(target previous)") printf '%s (previous)\n' "$prefix/$release" ;;
            *) printf '%s\n' "$prefix/$release" ;;
        esac
    done
}

case ${1:-install} in
    install)
        install_release
        if [[ -e $configuration/gateway.toml ]]; then
            say "it is in use from the next start: systemctl restart transfer-gateway"
            say "$keeping"
            say "back to the release before: make rollback"
        else
            next_steps
        fi
        ;;
    rollback | uninstall | list) "$1" ;;
    *) fail "unknown: $1; one of install, rollback, uninstall, list" ;;
esac
