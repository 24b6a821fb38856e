# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# For what runs in a booted system (scripts/boot.sh): each check prints a line, `ok` or `FAILED`, and how long it took.
unit=transfer-gateway
failed=0
export TERM=xterm
is() { # what it is about, then a command
    local about=$1 began=$EPOCHREALTIME
    shift
    if "$@"; then printf 'ok     %s' "$about"; else printf 'FAILED %s' "$about"; failed=1; fi
    awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf " (%.1f s)\n", b - a }'
}
not() { ! "$@" 2>/dev/null; }
part() { printf '# %s\n' "$1"; }
files() { # all that there is, but for what programs and dpkg keep for themselves
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /trial -o -path /pbx -o -path /var/lib/asterisk \
        -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path '/var/lib/systemd/*' \) \
        -prune -o -print | sort
}
of() { systemctl show --value -p "$1" $unit; }
within() { # seconds, then a command that is to succeed by then
    local end=$((SECONDS + $1))
    shift
    until "$@"; do ((SECONDS < end)) || return 1; sleep 0.1; done
}
serves() { [[ $(of ActiveState) == active && $(curl -s -o /dev/null -w '%{http_code}' 127.0.0.1:9470/readyz) == 200 ]]; }
logged() { journalctl -q -u $unit -o cat | grep -q -- "$1"; }
journal() { if ((failed)); then journalctl -q -u $unit -o short-precise; fi; }
trap journal EXIT

# A trunk that answers, and the PBX that calls it, for how many milliseconds.
trunk() { sipp -sn uas -aa -i 127.0.0.3 -p 5060 -nostdin >/dev/null 2>&1 & }
calls() { sipp -sn uac -s +31201234567 -i 127.0.0.1 -p 5071 -m 1 -d "$1" -timeout 20 -nostdin 127.0.0.2:5060 >/dev/null 2>&1; }
# A PBX's extension that answers, and a caller whom the trunk brings for it.
pbx() { sipp -sn uas -aa -i 127.0.0.1 -p 5070 -nostdin >/dev/null 2>&1 & }
transfers() { sipp -sn uac -s +31612345678 -i 127.0.0.3 -p 5075 -m 1 -d "$1" -timeout 20 -nostdin 127.0.0.2:5060 >/dev/null 2>&1; }
calls_run() { # so many, and no others that status counts: of the history, say
    curl -s 127.0.0.1:9470/api/status | python3 -c 'import json, sys
sys.exit(json.load(sys.stdin)["calls"] != int(sys.argv[1]))' "$1" 2>/dev/null
}

# The shipped configuration, made to fit trunk and calls: the directory with it, then the drain's seconds.
configure() {
    mkdir -p /etc/$unit/sip_profiles
    sed "s/^drain_timeout_s = 30/drain_timeout_s = $2/" "$1/deploy/config/gateway.toml" >/etc/$unit/gateway.toml
    cp "$1"/sip_profiles/{hms,asterisk}.toml /etc/$unit/sip_profiles/
    sed -i 's/203.0.113.10/127.0.0.3/; s/sip.example.net/127.0.0.3/' /etc/$unit/sip_profiles/hms.toml
    (umask 077 && echo a-secret-of-32-characters-or-more >/etc/$unit/sip_profiles/ami.secret)
}
