#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots a Debian with a systemd of its own, without any network but loopback, runs a script in it, and powers it off:
#
#   boot.sh ROOT TRIAL [OPTION…]   ROOT is the system, TRIAL a directory that is /trial in it, OPTIONs are systemd-nspawn's
#
# TRIAL/trial.sh is run, and what it prints is in TRIAL/findings; scripts/booted.sh is there for it as /trial/booted.sh.
# Takes root and systemd-container. Five minutes at most.
set -euo pipefail
root=$1 trial=$2
shift 2
cp "$(dirname "$0")/booted.sh" "$trial/"
rm -f "$trial/findings"
cat >"$trial/trial.service" <<'UNIT'
[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
TimeoutStartSec=280
ExecStart=/usr/bin/bash /trial/trial.sh
StandardOutput=truncate:/trial/findings
StandardError=inherit
UNIT
# As on a host: one hierarchy of cgroups, and a systemd that may attach filters to it (IPAddressDeny=, SocketBindDeny=)
# wherever we may.
filters=()
bounds=$(sed -n 's/^CapBnd:\t//p' /proc/self/status)
if (((0x$bounds >> 38 & 3) == 3)); then filters=(--capability=CAP_BPF,CAP_PERFMON --system-call-filter=bpf); fi
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout 300 systemd-nspawn -q -D "$root" --machine="trial-$$" --boot --register=no --keep-unit --private-network \
    --link-journal=no --bind="$trial:/trial" --bind-ro="$trial/trial.service:/etc/systemd/system/trial.service" "${filters[@]}" "$@" \
    systemd.wants=trial.service </dev/null >"$trial/console" 2>&1 || true
[[ -s $trial/findings ]] || { cat "$trial/console" >&2; exit 1; }
