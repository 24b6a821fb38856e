# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A gateway by `make install`, on a clean host with an Asterisk: the README's block as it stands, `init`, a transferred
# caller, then the blocks of operations.md that go back to the release before, while people talk, and take all of it away.
# /opt/transfer-gateway has two releases, which the test has installed from this tree (there is neither compiler nor
# network here); /tree is the tree.
etc=/etc/$unit
export PATH=$PATH:/sbin
export EDITOR=true
cat >/usr/local/bin/git <<'SHIM'
#!/bin/sh
exec mkdir -p transfer-gateway
SHIM
cat >/usr/local/bin/make <<'SHIM'
#!/bin/sh
# What was made is in its place already; all else is the tree's own.
[ "$1" = install ] && exec test -x /opt/transfer-gateway/current/bin/transfer-gateway
exec /tree/scripts/install.sh "$1"
SHIM
chmod 755 /usr/local/bin/{git,make}

blocks_with() { # the blocks of commands in a document that have this line
    awk -v wanted="$2" '/^```sh$/ { text = ""; on = 1; next } /^```$/ { if (on && index(text, wanted)) printf "%s", text; on = 0 }
        on { text = text $0 "\n" }' "$1"
}
follows() { # a document, a line of the block that is carried out, and where
    local code=0 text
    text=$(blocks_with "$1" "$2")
    # From systemd 253 on, as the text around it says.
    ((version >= 253)) || text=$(grep -v notify-reload.conf <<<"$text")
    is "there are commands with '$2'" test -n "$text"
    (cd "${3:-/tree}" && bash -euc "$text") </dev/null >/tmp/followed 2>&1 || code=$?
    is 'which do what they should' test $code = 0
    ((code == 0)) || sed 's/^/    /' /tmp/followed
}
prints() { grep -qE -- "$1" /tmp/followed; }
releases() { /tree/scripts/install.sh list; }
in_use() { releases | sed -n 's/ (current)//p'; }
runs_from() { tr '\0' ' ' 2>/dev/null <"/proc/$(of MainPID)/cmdline" | grep -qF "$1/"; }
release_of() { curl -s localhost:9470/api/status | grep -q "\"version\": *\"$1\""; }
commands_of() { sed -n "/^[0-9]*\. $1/,/^\$/p" /tmp/followed | sed -n 's/^     //p'; }
types() { bash -euc "$1" </dev/null >/tmp/typed 2>&1; }
well() { transfer-gateway status >/tmp/page 2>&1; }
remembers() { curl -s '127.0.0.1:9470/api/transfers?cursor=' | grep -q '"outcome": "completed"'; }
version=$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')

part installed
is 'the PBX runs' within 30 pbx_up
phone
is 'and Anna can be reached' within 30 rings
follows /trial/README.md 'sudo make install' /root
is 'the command is there' test "$(transfer-gateway --version)"
is 'and its manual' test -s /usr/local/share/man/man1/transfer-gateway.1.gz
is 'and its completion' grep -q complete /usr/local/share/bash-completion/completions/transfer-gateway
is 'the unit leads to the documents' test -s "$(sed -n 's,^Documentation=file://,,p' /etc/systemd/system/$unit.service)/README.md"
is 'systemd finds nothing wrong with it' test -z "$(systemd-analyze verify $unit.service 2>&1)"
is 'before there is a configuration it does not start' not systemctl start $unit
is 'as it has no configuration' logged 'there is none in /etc/transfer-gateway'
systemctl reset-failed $unit
cat >/tmp/answers.toml <<'TOML'
[gateway]
country = "NL"
address = "127.0.0.2"
[platform]
name = "hms"
addresses = ["127.0.0.3"]
outbound = "sip:127.0.0.3:5060"
[[numbers]]
number = "+31201234567"
[[numbers.destinations]]
queue = "sales"
number = "+31612345678"
description = "Questions about prices"
TOML
is 'init writes a configuration' bash -c 'transfer-gateway init --answers /tmp/answers.toml >/tmp/followed 2>&1'
sed -i 's/^\[gateway\]$/&\ndrain_timeout_s = 2/' $etc/gateway.toml
is 'its commands for the PBX' types "$(commands_of 'Have the PBX read')"
sed -i '/^\[from-provider\]/a exten => 0201234567,1,Goto(to-transfer-gateway,+31201234567,1)' /etc/asterisk/extensions.conf
console 'dialplan reload' >/dev/null
is 'its commands for the service' types "$(commands_of 'Let the service read')"
is 'it serves' within 30 serves
newest=$(in_use)
is 'of two releases the newest' test "$(releases | wc -l)" = 2 -a -n "$newest"
is 'runs' runs_from "$newest"
is 'and says so' release_of 2.0
is 'the PBX has found it' within 30 qualified
assistant 1 +31612345678 1000
caller 3000 5061 &
in_call=$!
is 'a caller is put through' within 30 remembers
is 'and stays to the end' wait $in_call

part rollback
# One who asks for nothing while people talk.
! kill $talking 2>/dev/null || wait $talking
assistant 100 +31612345678 120000
caller 120000 5062 &
in_call=$!
is 'a call is under way' within 30 calls_run 1
before=$(of MainPID)
rolls_back() { /usr/local/bin/make rollback >/tmp/followed 2>&1; } # what it prints is no finding
is 'make rollback goes back' rolls_back
is 'to the release before' test "$(in_use)" != "$newest"
is 'what runs goes on, with its call' test "$(of MainPID)" = "$before" -a -d "/proc/$in_call"
is 'which is there' calls_run 1
is 'from its own release' runs_from "$newest"
follows /trial/operations.md 'sudo make rollback' # once more: forth again; and a restart
is 'the document goes forth again' test "$(in_use)" = "$newest"
is 'what ran was given its time' logged drain-timeout
is 'it serves' within 30 serves
is 'as another process' test "$(of MainPID)" != "$before"
is 'of the newest release' release_of 2.0
wait $in_call
caller 120000 5063 &
in_call=$!
is 'with a call under way again' within 30 calls_run 1
follows /trial/operations.md 'sudo make rollback'
is 'the document goes back' prints 'is in use again from the next start'
is 'to the release before' test "$(in_use)" != "$newest"
is 'it serves' within 30 serves
is 'that release runs' runs_from "$(in_use)"
is 'and says so' release_of 1.0
is 'all is well' within 30 well
is 'it knows of the transfer before' within 30 remembers
wait $in_call

part uninstalled
is 'while it runs it is not taken away' not /usr/local/bin/make uninstall
is 'and goes on' serves
follows /trial/operations.md 'sudo make uninstall'
is 'nothing is left of it' test ! -e /opt/transfer-gateway
is 'but the configuration' test -s $etc/gateway.toml
is 'and the state' test -s /var/lib/private/$unit/history.db
