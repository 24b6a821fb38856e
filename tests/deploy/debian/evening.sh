# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2016
# From a clean host with an Asterisk to the first transfer and back: writes /trial/transcript.md as it goes. Each command is
# typed as it stands there, or was printed by `init` before.
book=/trial/transcript.md
cd /root || exit 1
cp /trial/first.deb "transfer-gateway_$(dpkg-deb -f /trial/first.deb Version)_$(dpkg --print-architecture).deb"

tell() { printf '%s\n\n' "$*" >>$book; }
took() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }'; }
# What is typed, what is to be left out of what it prints (a pattern), and the code with which it is to end.
types() {
    local began=$EPOCHREALTIME code=0
    bash -c "$1" </dev/null >/tmp/seen 2>&1 || code=$?
    {
        printf '```console\n'
        sed '1s/^/# /; 2,$s/^/> /' <<<"$1"
        grep -Ev "^No ethernet interface|${2:-^No ethernet}" /tmp/seen
        printf '```\n\n%s\n\n' "$(took "$began")"
    } >>$book
    is "$(head -n 1 <<<"$1")" test $code = "${3:-0}"
}
commands_of() { # the commands of a step that init has printed
    sed -n "/^[0-9]*\. $1/,/^\$/p" /tmp/init | sed -n 's/^     //p'
}
noise='^(Reading|Building|\(Reading|Selecting|Preparing|Note,|The following|  transfer-gateway\*?$|[0-9]+ upgraded|[0-9]+ newly|Need to|After|Get:|Fetched|  Freed|debconf|WARNING|N:|$|Installing:|Summary:|  (Upgrading|Download|Space)|REMOVING|Suggested|  asterisk|  mosquitto)'

part transcript
files >/tmp/before
: >$book
is 'the PBX runs' within 20 pbx_up
phone
is 'and Anna can be reached' within 20 rings
evening=$EPOCHREALTIME

tell '## Install'
types 'apt install -y ./transfer-gateway_*.deb' "$noise"

tell '## Ask the PBX, and answer the rest'
tell 'Of the answers a person knows these; the rest `init` proposes from what the PBX says of itself. Without `--answers` it asks for them.'
types 'cat > answers.toml <<END
[gateway]
country = "NL"
address = "127.0.0.2"              # of this host: the platform of this evening is on it, too

[platform]
name = "hms"
addresses = ["127.0.0.3"]
outbound = "sip:127.0.0.3:5060"

[[numbers]]
number = "+31201234567"

[[numbers.destinations]]
queue = "sales"
number = "+31612345678"
description = "Questions about prices, quotes and new products"
END'
types 'transfer-gateway init --answers answers.toml'
cp /tmp/seen /tmp/init

tell '## What is left to do'
tell 'Each command as `init` has printed it. First the files for the PBX, then the line that brings callers to the assistant.'
types "$(commands_of 'Have the PBX read')"
types 'sed -i "/^\[from-provider\]/a exten => 0201234567,1,Goto(to-transfer-gateway,+31201234567,1)" /etc/asterisk/extensions.conf
asterisk -rx "dialplan reload"'
assistant 1 +31612345678 1500
types "$(commands_of 'Let the service read')"
is 'it serves' within 10 serves
types "$(commands_of 'See whether all is well')"

is 'the PBX has found it' within 15 qualified
tell '## The first transfer'
tell 'Somebody calls 020 123 4567 from outside. The assistant answers, and asks for +31612345678 after a second and a half.'
caller 7000 &
in_call=$!
is 'the caller reaches Anna' within 15 completed
reached=$(took "$evening")
types "curl -s localhost:9470/api/transfers | python3 -m json.tool | grep -E '^ {12}\"(transfer|caller|destination|outcome|reason|answered_at)\"'"
types 'transfer-gateway status'
is 'the caller was there to the end' wait $in_call
tell "From the first command to a caller who speaks with Anna: $reached. A script has typed."

tell '## And back'
types 'apt remove -y transfer-gateway' "$noise"
types 'find /etc/transfer-gateway /etc/asterisk/*.d /etc/systemd/system/transfer-gateway.service.d /var/lib/transfer-gateway/ -type f | sort'
tell 'What `init` has written, what was put into the PBX by hand, and what became of the callers is left. `apt purge` takes the first and the last of it; the files of the PBX go by hand, with the lines that include them.'
types 'apt purge -y transfer-gateway' "$noise"
types 'rm /etc/asterisk/*.d/transfer-gateway.conf
rmdir /etc/asterisk/*.d
sed -i /transfer-gateway/d /etc/asterisk/*.conf
rm -r /etc/systemd/system/transfer-gateway.service.d
systemctl daemon-reload
asterisk -rx "core reload"'
rm -f answers.toml
files >/tmp/after
is 'all is as it was before' diff /tmp/before /tmp/after
