#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Boots a Debian with a systemd of its own, installs the committed gateway and this tree's unit there, and tries what
# the unit promises, and what docs/runbook.md has one do with systemctl and journalctl. Takes root, mmdebstrap and
# systemd-container; about two minutes, and less when DIR keeps the machine from the last time:
# scripts/try_systemd.sh [DIR]
set -euo pipefail
cd "$(dirname "$0")/.."

work=${1:-$(mktemp -d)}
[[ $# -gt 0 ]] || trap 'rm -rf "$work"' EXIT
root=$work/root

if [[ ! -d $root ]]; then
    mkdir -p "$work"
    mmdebstrap --quiet --variant=minbase \
        --include=systemd,systemd-sysv,dbus,python3,curl,sip-tester,libssl3,libopus0,libsrtp2-1,libspeexdsp1,libuuid1 \
        "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" "$root" \
        "$(python3 -c 'from scripts.debian_mirror import mirror; print(mirror())')"
fi
if [[ ! -x $root/opt/transfer-gateway/bin/transfer-gateway ]]; then
    git clone -q . "$work/tree"
    PYTHON=/usr/bin/python3 make -C "$work/tree" setup
    # Its own mount namespace, so that the paths are those of the installed gateway and this machine's /opt stays as is.
    # shellcheck disable=SC2016 # $0 and $1 are for the inner shell
    PYTHON=/usr/bin/python3 unshare --mount bash -euc '
        mkdir -p "$0/opt" && mount --bind "$0/opt" /opt && make -C "$1" install PREFIX=/opt/transfer-gateway
    ' "$root" "$work/tree"
fi

etc=$root/etc/transfer-gateway
rm -rf "$etc" "$root"/var/lib/{private/,}transfer-gateway "$root"/var/log/journal
mkdir -p "$etc/sip_profiles"
sed 's/^drain_timeout_s = 30/drain_timeout_s = 3/' deploy/config/gateway.toml >"$etc/gateway.toml"
cp sip_profiles/{hms,asterisk}.toml "$etc/sip_profiles/"
# A trunk within the machine, which answers.
sed -i 's/203.0.113.10/127.0.0.3/; s/sip.example.net/127.0.0.3/' "$etc/sip_profiles/hms.toml"
(umask 077 && echo a-secret-of-32-characters-or-more >"$etc/sip_profiles/ami.secret")
# As the README has the administrator do.
sed 's/^#\(LoadCredential=ami\)/\1/' deploy/systemd/transfer-gateway.service >"$root/etc/systemd/system/transfer-gateway.service"

cp docs/runbook.md "$root/runbook.md"

mkdir -p "$work/trial"
cat >"$work/trial/trial.sh" <<'TRIAL'
source /trial/booted.sh
restarted() { [[ $(of NRestarts) == "$1" ]] && serves; }
rotated() { grep -q rotated "$credential" || restart_told; } # systemd 252 copies it anew, others do not
refusal_told() { [[ $(of StatusText) == *refused*gateway.toml* && $(of ActiveState) == active ]]; }
restart_told() { [[ $(of StatusText) == *'restart needed for sip_profiles/ami.secret' ]]; }
nothing_waits() {
    local page
    page=$(transfer-gateway status) || true # which fails where anything is not well
    grep -q '^listens ' <<< "$page" && ! grep -q 'a restart is needed' <<< "$page"
}
hidden() { ! setpriv --reuid=65534 --regid=65534 --clear-groups cat "$1" >/dev/null 2>&1; }
ended() { [[ $(of ActiveState) == "$1" && $(of Result) == "$2" && $(of ExecMainStatus) == "$3" ]]; }
# The commands of an alert's section, carried out; each of the patterns is to be found in what they print.
steps() { sed -n "/^## $1\$/,/^## [^ ]*\$/p" /runbook.md | sed -n '/^```sh$/,/^```$/p' | grep -v '^```'; }
sees() {
    local alert=$1 pattern
    shift
    steps "$alert" | while read -r step; do bash -c "$step" </dev/null; done >/tmp/seen 2>&1
    for pattern; do is "the runbook's steps of $alert show '$pattern'" grep -qE -- "$pattern" /tmp/seen; done
}
export PATH=$PATH:/opt/$unit/bin

trunk

complaints=$(systemd-analyze verify $unit.service 2>&1)
is "systemd finds nothing wrong with the unit${complaints:+: $complaints}" test -z "$complaints"
is 'starts, and says when it is ready' systemctl start $unit
((!failed)) || exit 1
is '/readyz says 200' serves
pid=$(of MainPID)
user=$(stat -c %u /proc/"$pid")
is 'has a user of its own' test "$user" -ge 61184 -a "$user" -le 65519 # the range of systemd's dynamic users
state=/var/lib/private/$unit
is 'writes to its state directory' test -n "$(find $state -type f -uid "$user")"
is 'which nobody else reads' test -z "$(find $state -perm /077)"
credential=/run/credentials/$unit.service/ami.secret
is 'has its secret' test -s $credential
for file in $credential /etc/$unit/sip_profiles/ami.secret /proc/"$pid"/environ; do is "others do not read $file" hidden "$file"; done

is 'bridges a call from the PBX to the trunk' calls 1000

is 'reloads' systemctl reload $unit
is 'and has done so' within 5 logged reloaded
is 'as the same process' test "$(of MainPID)" = "$pid"
mv /etc/$unit/gateway.toml /tmp/good.toml
echo '[gateway' >/etc/$unit/gateway.toml
is 'refuses a wrong configuration on reload' not systemctl reload $unit
is 'and says what is wrong with it' logged 'gateway.toml: .*is not TOML'
is 'and goes on with the old one' serves
kill -HUP "$pid"
is 'refuses it when nobody has checked it' within 5 refusal_told
sees TransferGatewayReloadRefused 'gateway.toml: .*is not TOML' '"mistakes": \[.*is not TOML'
is 'and goes on all the same' serves
mv /tmp/good.toml /etc/$unit/gateway.toml
sed 's/^udp_port = 5060/&\ntcp_port = 5060/' /etc/$unit/gateway.toml >/tmp/tcp.toml
cp /etc/$unit/gateway.toml /tmp/good.toml
cp /etc/$unit/sip_profiles/hms.toml /tmp/hms.toml
cp /tmp/tcp.toml /etc/$unit/gateway.toml
sed -i 's/^transport = "udp"/transport = "tcp"/' /etc/$unit/sip_profiles/hms.toml
chmod 600 /etc/$unit/gateway.toml
warned() { transfer-gateway check | grep -q "$1"; }
is 'check warns root of what the service cannot read' warned "warning: gateway.toml: mode: the service's user"
chmod 644 /etc/$unit/gateway.toml
is 'and not of what it can, nor of a secret that systemd hands it' not warned 'cannot read it'
is 'check takes what only the running gateway refuses' transfer-gateway check
is 'which fails the reload all the same' not systemctl reload $unit
is 'and the journal has it from the command' logged 'refused: sip_profiles/hms.toml: transport'
is 'and goes on as before' serves
cp /tmp/good.toml /etc/$unit/gateway.toml
cp /tmp/hms.toml /etc/$unit/sip_profiles/hms.toml
sed -i 's/^log_level = "info"/log_level = "debug"/' /etc/$unit/gateway.toml
is 'reloads with another log level' systemctl reload $unit
is 'and the journal says that it was applied' logged 'applied: gateway.log_level'
sed -i 's/^log_level = "debug"/log_level = "info"/' /etc/$unit/gateway.toml
is 'and goes back to the one before' systemctl reload $unit
rm /tmp/good.toml
echo a-rotated-secret-of-32-characters >/etc/$unit/sip_profiles/ami.secret
is 'reloads with a rotated secret' systemctl reload $unit
is 'and has it, or says that it takes a restart' within 5 rotated
echo a-rotated-secret-of-more-characters >/etc/$unit/sip_profiles/ami.secret
kill -HUP "$pid"
is 'a secret that systemd has not copied takes a restart' within 5 logged 'restart-needed.*ami.secret'
is 'as does its status' restart_told
sees TransferGatewayRestartNeeded 'a restart is needed for .*sip_profiles/ami.secret'
is 'which ends with the restart' within 5 nothing_waits
pid=$(of MainPID)
sees TransferGatewayHistoryTooSmall '"history": ' 'Filesystem'
mv /etc/$unit/gateway.toml /tmp/good.toml
echo '[gateway' >/etc/$unit/gateway.toml

kill -KILL "$pid"
is 'restarted: with a wrong configuration it ends with 78' within 10 ended failed exit-code 78
restarts=$(of NRestarts)
sleep 5
sees TransferGatewayDown 'status=78' 'gateway.toml: .*is not TOML'
is 'and is left alone then' test "$(of ActiveState) $(of NRestarts)" = "failed $restarts"
is 'nor does it start by hand' not systemctl start $unit
is 'with 78' ended failed exit-code 78
mv /tmp/good.toml /etc/$unit/gateway.toml

is 'starts with a good one' systemctl start $unit
kill -KILL "$(of MainPID)"
is 'killed: is back' within 10 restarted 1
kill -STOP "$(of MainPID)"
is 'frozen: the watchdog brings it back' within 40 restarted 2
is 'as the journal says' logged 'Watchdog timeout'
calls 15000 &
is 'takes a call' within 5 calls_run 1
is 'stops, with a call under way' systemctl stop $unit
is 'which got its time' logged drain-timeout
is 'with 0' ended inactive success 0
sees TransferGatewayTransfersInterrupted drain-timeout 'app: started' 'app: stopped'
is 'its secret is gone' test ! -e $credential
is 'and was never in the journal' not logged 'a-secret-of\|a-rotated-secret'
((failed)) || echo 'all of it holds'
exit $failed
TRIAL

scripts/boot.sh "$root" "$work/trial"
cat "$work/trial/findings"
grep -qx 'all of it holds' "$work/trial/findings"
