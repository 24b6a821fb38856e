#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs the gateway into $PREFIX, free of this tree: a virtual environment of its own with what runs in production,
# and the files that are shipped beside it. Safe to repeat; the configuration in /etc is never touched.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/opt/transfer-gateway}
say() { printf 'install: %s\n' "$*" >&2; }

wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT

mkdir -p "$prefix" || { say "cannot write to $prefix: run as root, or choose another: make install PREFIX=DIR"; exit 1; }
say "making $prefix/venv"
"${PYTHON:-python3}" -m venv --clear "$prefix/venv"
into() { "$prefix/venv/bin/python" -m pip install -qq --disable-pip-version-check "$@"; }
into --require-hashes -r requirements.txt

say "installing the SIP binding and the gateway"
binding=$(.venv/bin/python -m scripts.binding)
rm -rf build # or files deleted since the last time would be installed too
.venv/bin/python -m pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation -w "$wheels" .
into --no-index --no-deps --force-reinstall "$binding" "$wheels"/*.whl

mkdir -p "$prefix/bin" "$prefix/share"
ln -sfn ../venv/bin/transfer-gateway "$prefix/bin/transfer-gateway"
for shipped in sip_profiles deploy LICENSE CHANGELOG.md; do
    [[ ! -e $shipped ]] || cp -rT "$shipped" "$prefix/share/$shipped"
done
"$prefix/venv/bin/python" -c 'import pjsua2, gateway'
say "done; next, as root:"
say "  mkdir -p /etc/transfer-gateway, and put gateway.toml and sip_profiles/ there (examples in $prefix/share)"
say "  $prefix/bin/transfer-gateway check --config /etc/transfer-gateway"
say "  cp $prefix/share/deploy/systemd/transfer-gateway.service /etc/systemd/system/"
say "  systemctl enable --now transfer-gateway"
