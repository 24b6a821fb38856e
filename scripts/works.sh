#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Whether an installed gateway can run: its imports, its command, the configuration that is shipped with it.
#
#   works.sh PYTHON SHARE COMMAND…   PYTHON runs the release's modules, SHARE has deploy/ and sip_profiles/
#
# It runs from elsewhere, so that nothing of a source tree is found. What install.sh asks of a release, the Debian
# package asks of one too, before either switches to it.
set -eu
python=$1 share=$2
shift 2
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
cd /
unset PYTHONPATH PYTHONHOME CREDENTIALS_DIRECTORY
"$python" -I -B -c 'import pjsua2, gateway.app, gateway.probe'
"$@" --version >&2
cp "$share/deploy/config/gateway.toml" "$trial/"
cp -r "$share/sip_profiles" "$trial/"
echo secret-of-a-trial >"$trial/sip_profiles/ami.secret"
# What it warns of are the examples in it.
said=$("$@" check --config "$trial" 2>&1) || { printf '%s\n' "$said" >&2; exit 1; }
