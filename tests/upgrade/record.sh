#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes tests/upgrade/<commit>.tar.xz: what the gateway of an earlier commit has left on disk when it was killed with a caller
# who waits, after transfers of several outcomes, with a broker that was never there. It is really built and run:
#
#   tests/upgrade/record.sh COMMIT
#
# In the archive: etc, its configuration; shipped, that which was shipped with it; state; expected.json, what it said of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
commit=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git -C "$here/../.." archive --prefix=tree/ "$commit" | tar -x -C "$work"
make -C "$work/tree" setup
cp "$here/recording.py" "$work/tree/tests/e2e/test_recording.py"
mkdir -p "$work/out/shipped"
cp "$work/tree/deploy/config/gateway.toml" "$work/out/shipped/"
cp -r "$work/tree/sip_profiles" "$work/out/shipped/"
(cd "$work/tree" && RECORD_TO="$work/out" unshare -n sh -c 'ip link set lo up; exec .venv/bin/pytest -q -p no:cacheprovider tests/e2e/test_recording.py')
find "$work/out" -name '*.lock' -delete
tar -C "$work/out" --sort=name --owner=0 --group=0 --numeric-owner -cJf "$here/$commit.tar.xz" .
ls -l "$here/$commit.tar.xz"
