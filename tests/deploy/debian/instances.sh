# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2024
# Two gateways of one configuration, by the package's transfer-gateway@.service: started, asked, restarted one after the
# other under a call of each, upgraded, removed. /trial has the packages first and second. After booted.sh.
source /trial/booted.sh
export DEBIAN_FRONTEND=noninteractive
etc=/etc/$unit
single=$unit
declare -A host=([gw-1]=127.0.0.2 [gw-2]=127.0.0.5) port=([gw-1]=9470 [gw-2]=9471)

on() { unit=$single@$1; } # whom `of` and `logged` are about
install() { apt-get install -q -y "/trial/$1.deb" >/tmp/installed 2>&1; }
said() { grep -q -- "$1" /tmp/installed; }
ready() { [[ $(curl -s -o /dev/null -w '%{http_code}' "127.0.0.1:${port[$1]}/readyz") == 200 ]]; }
has() { # which instance, so many calls
    curl -s "127.0.0.1:${port[$1]}/api/status" | python3 -c 'import json, sys
sys.exit(json.load(sys.stdin)["calls"] != int(sys.argv[1]))' "$2" 2>/dev/null
}
is_instance() { curl -s "127.0.0.1:${port[$1]}/api/status" | grep -q "\"instance\": *\"$1\""; }
runs_from() { grep -q "/usr/lib/$single/releases/$1-" "/proc/$(of MainPID)/maps"; }
quietly() { "$@" >/tmp/quiet 2>&1; }
talks() { # with which instance, from which port, for how many milliseconds; it fails where the call is ended otherwise
    sipp -sn uac -s +31201234567 -i 127.0.0.1 -p "$2" -m 1 -d "$3" -timeout 60 -nostdin "${host[$1]}:5060" >/dev/null 2>&1
}
ends() { wait "$1"; }
all_well() { transfer-gateway status --all >/tmp/page 2>&1; }
names() { grep -q -- "$1" /tmp/page; }

part instances
files >/tmp/before
is 'the package installs' install first
is 'with a unit for instances' quietly systemctl cat $single@gw-1.service
is 'which is not enabled' test ! -e /etc/systemd/system/multi-user.target.wants/$single@gw-1.service
is 'nor started' test -z "$(systemctl list-units --no-legend "$single*")"
is 'systemd finds nothing wrong with it' test -z "$(systemd-analyze verify $single@gw-1.service 2>&1 | grep -v 'man ')"
is 'without a configuration it does not start' not systemctl start $single@gw-1
on gw-1
is 'as the journal says' logged 'asserts\? failed'
quietly systemctl reset-failed $unit || true
configure_all() {
    unit=$single
    configure /usr/share/$single 2
    sed -i 's/^#\(LoadCredential=ami\)/\1/' /etc/systemd/system/$single.service.d/secrets.conf
    for name in gw-1 gw-2; do
        mkdir -p $etc/instances/$name
        cat >$etc/instances/$name/gateway.toml <<TOML
base = "../.."
[gateway]
instance = "$name"
state_dir = "/var/lib/$single-$name"
[sip]
bind_address = "${host[$name]}"
[http]
port = ${port[$name]}
TOML
    done
    systemctl daemon-reload
}
configure_all
trunk
for name in gw-1 gw-2; do
    is "$name: enabled and started, it is ready" systemctl -q enable --now $single@$name
    is 'it serves' within 30 ready $name
    is 'under its name' is_instance $name
    is 'with a state of its own' test -s /var/lib/private/$single-$name/outbox.db
    is 'and a copy of the secret that both name' test -s /run/credentials/$single@$name.service/ami.secret
done
all_well || true # the PBX of the example is not there
is 'status --all has the one' names gw-1
is 'and the other' names gw-2
is 'the service for one gateway does not run' test "$(systemctl is-active $single)" = inactive

part rolling
talks gw-1 5071 8000 & one=$!
talks gw-2 5072 60000 & other=$!
is 'each has a call' within 30 has gw-1 1
is 'of its own' within 30 has gw-2 1
on gw-1
before=$(of MainPID)
on gw-2
kept=$(of MainPID)
sed -i 's/^drain_timeout_s = 2/drain_timeout_s = 30/' $etc/gateway.toml
is 'a reload of one takes the common file' systemctl reload $single@gw-1
is 'it is restarted' systemctl restart $single@gw-1
is 'its call had its time' ends $one
is 'it is ready again' within 30 ready gw-1
on gw-1
is 'as another process' test "$(of MainPID)" != "$before"
on gw-2
is 'the other one is the same' test "$(of MainPID)" = "$kept"
is 'with its call' has gw-2 1
is 'which goes on' kill -0 $other

part upgraded
on gw-1
before=$(of MainPID)
is 'an upgrade' install second
is 'says which it restarts' said 'restarting transfer-gateway@gw-1.service'
is 'and the next' said 'restarting transfer-gateway@gw-2.service'
for name in gw-1 gw-2; do
    is "$name is ready" within 30 ready $name
    on $name
    is 'of the new release' runs_from 2.0
done
on gw-1
is 'as another process' test "$(of MainPID)" != "$before"
is 'the call that was too long was ended by the drain' not ends $other
on gw-2
is 'as the journal says' logged drain-timeout
is 'nothing is left of the old release' test "$(ls /usr/lib/$single/releases | wc -l)$(ls /usr/lib/$single)" = $'1current\nreleases'
echo '[gateway' >$etc/instances/gw-2/gateway.toml
before=$(of MainPID)
is 'under an instance whose configuration has mistakes' not install third
is 'as it says' said 'gateway.toml: .*is not TOML'
is 'nothing is restarted' test "$(of MainPID)" = "$before"
is 'and it serves' ready gw-2

part removed
is 'removed' quietly apt-get remove -q -y $single
is 'they are stopped' test -z "$(systemctl list-units --no-legend --state=active "$single*")"
is 'and enabled no more' test -z "$(ls /etc/systemd/system/multi-user.target.wants | grep $single)"
is 'their state is there' test -s /var/lib/private/$single-gw-2/outbox.db
is 'purged' quietly apt-get purge -q -y $single
files >/tmp/after
is 'all is as it was before' diff /tmp/before /tmp/after
unit="$single*"
((failed)) || echo 'all of it holds'
