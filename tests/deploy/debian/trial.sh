# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2024
# The life of a package, from a clean system to a clean system. /trial has the packages first, second, broken (does not
# pass its self-test), stillborn (passes it, and ends when the service starts), earlier (knows only the first version of
# the store) and last, the state that an earlier release has left (tests/upgrade), and two who talk (talks.py).
# A line with # in front begins a part.
source /trial/booted.sh
export DEBIAN_FRONTEND=noninteractive
etc=/etc/$unit
home=/usr/lib/$unit

install() { apt-get install -q -y --allow-downgrades "/trial/$1.deb" >/tmp/installed 2>&1; }
takes_away() { apt-get "$1" -q -y $unit >/tmp/installed 2>&1; }
said() { grep -q -- "$1" /tmp/installed; }
leads() { [[ $(readlink $home/current) == "$1"*/*"$2"* ]]; }
state() { dpkg-query -W -f '${db:Status-Abbrev}' $unit 2>/dev/null; }
checks() { transfer-gateway check >/dev/null 2>&1; }
reconfigures() { dpkg --configure $unit >/tmp/installed 2>&1; }
pid() { of MainPID; }
as_it_was() { [[ $(pid) == "$1" ]] && serves; }
config_kept() { sha256sum --quiet -c /tmp/config.sums; }
remembers() { curl -s '127.0.0.1:9470/api/transfers?cursor=' | grep -q '"transfer": ".*"outcome": "completed"'; }
ended() { curl -s "127.0.0.1:9470/api/transfers?cursor=&$1" | grep -o '"transfer": "' | wc -l; }
tells() { (($(ended 'limit=100') >= $1)); }
told_interrupted() { [[ $(ended 'reason=gateway-stopped') == 1 ]]; }
version() { # of the store, or what it is to be
    python3 -c 'import sqlite3, sys
db = sqlite3.connect("/var/lib/private/transfer-gateway/outbox.db")
print(db.execute("PRAGMA user_version" + "".join(sys.argv[1:])).fetchone() or "")' "$@"
}
conffile() { grep -q '^LoadCredential=ami' /etc/systemd/system/$unit.service.d/secrets.conf; }
completes() { # a line that is begun, and the word that it is completed by
    local -a COMP_WORDS COMPREPLY
    read -ra COMP_WORDS <<<"$unit $1"
    local COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _transfer_gateway
    [[ ${COMPREPLY[*]} == "$2" ]]
}
ends() { wait "$1"; }
told() { # what the two who talk have, of what talks.py keeps of them
    python3 -c 'import json, sys; print(*json.load(open("/tmp/talk"))[sys.argv[1]])' "$1" 2>/dev/null
}
hear() { # one another, from now on
    local caller assistant before
    read -ra before <<<"$(told heard)"
    both_have() {
        read -r caller assistant <<<"$(told heard)"
        ((caller >= ${before[0]:-0} + 25 && assistant >= ${before[1]:-0} + 25))
    }
    within 30 both_have
}
call_id() { curl -s 127.0.0.1:9470/api/calls | sed -n 's/.*"call": "\([^"]*\)".*/\1/p' | head -n 1; }
ends_of() { journalctl -q -u $unit -o cat | grep -c "call-ended.*$1"; }
told_once() { [[ $(ends_of "$1") == 1 ]]; }

set -o pipefail
part install
files >/tmp/before
is 'installs without network or compiler' install first
is 'and says what comes next' said 'transfer-gateway init'
is 'is not enabled' not systemctl --quiet is-enabled $unit
is 'is not started' test "$(of ActiveState)" = inactive
is 'nor does it start without a configuration' not systemctl start $unit
is 'as the journal says' logged 'asserts\? failed'
is 'has its files as they were packed' dpkg --verify $unit
is 'has its command' test "$(transfer-gateway --version)"
is 'has its manual' test -s /usr/share/man/man1/transfer-gateway.1.gz
source /usr/share/bash-completion/completions/$unit
is 'its completion knows the commands' completes 'chec' check
is 'and what an option may be' completes 'report --by ho' hour
is 'systemd finds nothing wrong with the unit' test -z "$(systemd-analyze verify $unit.service 2>&1 | grep -v 'man ')"

part service
configure /usr/share/$unit 4
# What an earlier release has left is as old as it is.
sed -i 's/^\(failures_\)\?days = .*/\1days = 3650/' $etc/gateway.toml
sed -i 's/^#\(LoadCredential=\(ami\|http\)\)/\1/' /etc/systemd/system/$unit.service.d/secrets.conf
sed -i 's/^# \(token_file = \)/\1/' $etc/gateway.toml
(umask 077 && echo a-token-of-32-characters-or-more >$etc/http.secret)
systemctl daemon-reload
find $etc /etc/systemd/system/$unit.service.d -type f -exec sha256sum {} + >/tmp/config.sums
is 'the configuration passes' checks
mkdir -p -m 700 /var/lib/private/$unit
cp /trial/left/state/* /var/lib/private/$unit/
is 'enabled and started, it is ready' systemctl -q enable --now $unit
is '/readyz says 200' serves
trunk && answers=$!
pbx
is 'bridges a call' calls 500
is 'transfers a caller' transfers 500
is 'and remembers it' within 5 remembers
is 'it has taken over what an earlier release left' within 5 tells 5
is 'and told of the transfer that was under way there' told_interrupted

part upgrade
before=$(pid)
calls 60000 & long=$!
is 'a call is under way' within 5 calls_run 1
is 'upgrades' install second
is 'says why calls are not kept' said 'they are not kept: .*without recover_calls = true'
is 'the call was ended by the drain' not ends $long
is 'as the journal says' logged drain-timeout
is 'the new release runs' within 10 serves
is 'it is another process' test "$(pid)" != "$before"
is 'of the new release' leads releases 2.0
is 'nothing is left of the old one' test "$(ls $home/releases | wc -l)$(ls $home)" = $'1current\nreleases'
is 'the configuration is kept' config_kept
is 'so is the conffile' conffile
is 'so is the state' remembers
is 'it is still enabled' systemctl --quiet is-enabled $unit

part broken
before=$(pid)
calls 8000 & during=$!
is 'a call is under way' within 5 calls_run 1
is 'an upgrade to a release that does not work fails' not install broken
is 'and says so' said 'the new release does not work'
is 'as does dpkg' test "$(state)" = 'iF '
is 'what ran goes on' as_it_was "$before"
is 'the call too' ends $during
is 'of the release before' leads kept 2.0
is 'its command works' checks
is 'it can be restarted' systemctl restart $unit
is 'and serves' serves
before=$(pid)
is 'a repeated configuration fails as well' not reconfigures
is 'and changes nothing' as_it_was "$before"

part stillborn
is 'an upgrade to a release that does not start fails' not install stillborn
is 'and says so' said 'the new release does not start'
is 'the one before is back' within 15 serves
is 'as it was before the broken one' leads kept 2.0
is 'and takes calls' calls 200

part refused
before=$(pid)
mv $etc/gateway.toml /tmp/good.toml
echo '[gateway' >$etc/gateway.toml
is 'an upgrade under a configuration with mistakes fails' not install last
is 'and names them' said 'gateway.toml: .*is not TOML'
is 'what ran goes on' as_it_was "$before"
mv /tmp/good.toml $etc/gateway.toml
is 'once it is mended dpkg goes on' reconfigures
is 'with the new release' leads releases 5.0
is 'which serves' within 10 serves
is 'as another process' test "$(pid)" != "$before"
is 'dpkg has it all' test "$(state)" = 'ii '
is 'nothing is left of the others' test "$(ls $home/releases | wc -l)$(ls $home)" = $'1current\nreleases'
is 'an earlier one may take its place' install second
is 'and serves' within 10 serves
is 'it says which it is' leads releases 2.0

part kept
systemctl reset-failed $unit # it has been started often by now
cp $etc/gateway.toml /tmp/good.toml
sed -i 's/^\[sip\]$/&\nrecover_calls = true/' $etc/gateway.toml
is 'a reload takes recover_calls' systemctl reload $unit
! kill $answers || wait $answers # its port is free then
python3 /trial/talks.py /tmp/talk & talk=$!
is 'two talk' within 30 hear
before=$(pid)
call=$(call_id)
is 'upgraded meanwhile' install last
is 'it says that calls are kept' said 'restarting transfer-gateway.service: calls that are up are kept'
is 'the new release runs' within 10 serves
is 'as another process' test "$(pid)" != "$before"
is 'of the new release' leads releases 5.0
is 'both hear one another again' hear
is "for which they have waited $(told silence_s | tr ' ' '\n' | sort -n | tail -n 1) s" true
is 'both were asked once, in the dialogs that they have' test "$(told invites)" = '1 1'
is 'it is the same call' test "$call" -a "$(call_id)" = "$call"
is 'which has not ended' test "$(ends_of "$call")" = 0

part given_back
before=$(pid)
is 'an upgrade to a release that does not start fails' not install stillborn
is 'and says so' said 'the new release does not start'
is 'the one before is back' within 15 serves
is 'as another process' test "$(pid)" != "$before"
is 'of the release before' leads kept 5.0
is 'both hear one another again' hear
is 'by another request in their dialogs' test "$(told invites)" = '2 2'
is 'it is the same call' test "$(call_id)" = "$call"
kill $talk
is 'the one hangs up, and the other is told' ends $talk
is 'the call has one end' within 30 told_once "$call"
cat /tmp/good.toml >$etc/gateway.toml
is 'a reload takes the key out again' systemctl reload $unit
trunk
is 'an earlier release takes its place' install second
is 'and serves' within 10 serves

part later
systemctl reset-failed $unit
before=$(version)
calls 60000 & long=$!
is 'a call is under way' within 5 calls_run 1
is 'a release that does not know the store does not take the place of one that does' not install earlier
is 'the call got its time' not ends $long
is 'the journal says what to do' logged 'made by a newer gateway; .* Install the newer gateway again, or move the file away'
is 'the release before is back' within 15 serves
is 'with all that it knew' tells 5
is 'and the store as it was' test "$(version)" = "$before"
is 'dpkg knows that it is not configured' test "$(state)" = 'iF '
is 'the release before is put back' install second
is 'and serves' within 10 serves
systemctl stop $unit
version ' = 99' >/dev/null
is 'nor does a later store let it start' not systemctl start $unit
is 'as the journal says' logged 'the file is of version 99, made by a newer gateway'
is 'which it leaves as it is' test "$(version)" = '(99,)'
version " = ${before//[^0-9]/}" >/dev/null
systemctl reset-failed $unit
is 'put back, it starts' systemctl start $unit
is 'and serves' within 10 serves

part remove
is 'is removed' takes_away remove
is 'the service is gone' test "$(of LoadState) $(of ActiveState)" = 'not-found inactive'
is 'so are its files' test ! -e $home -a ! -e /usr/bin/$unit -a ! -e /usr/share/$unit
is 'and the link that had it started' test ! -L /etc/systemd/system/multi-user.target.wants/$unit.service
is 'the configuration is there' config_kept
is 'so is the state' test -s /var/lib/$unit/history.db

part purge
is 'is purged' takes_away purge
files >/tmp/after
is 'all is as it was before' diff /tmp/before /tmp/after
((failed)) || echo 'all of it holds'
