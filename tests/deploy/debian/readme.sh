# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The README's steps from its own text: each block of its section is run as it stands, in the order in which a newcomer
# would, and in between happens what the text has a person do. /trial/README.md and /trial/asterisk.md are the documents.
# After evening.sh, in the same system.
export PATH=$PATH:/sbin
section() { sed -n "/^## $1/,/^## /p" /trial/README.md; }
# The commands of the first block of the section after a line with these words; that there is none is a finding.
block() { section 'On a PBX host' | sed -n "/$1/,\$p" | sed -n '/^```sh$/,/^```$/p' | sed '1d; /^```$/,$d'; }
follows() { # after which words of the text, then code to end with
    local code=0 text
    text=$(block "$1")
    is "the README has commands after '$1'" test -n "$text"
    bash -euc "$text" </dev/null >/tmp/followed 2>&1 || code=$?
    is "which do what they should" test $code = "${2:-0}"
    ((code == ${2:-0})) || sed 's/^/    /' /tmp/followed
}
prints() { grep -qE -- "$1" /tmp/followed; }
edits() { # a file, then what sed is to do there, which has to change it
    local file=$1 before
    before=$(sha256sum "$file")
    shift
    sed -i "$@" "$file"
    is "there is in $file what the README has one change" test "$(sha256sum "$file")" != "$before"
}
step() { sed -n "/^$1\. /,/^[0-9]*\. /p" /trial/asterisk.md; }

etc=/etc/$unit
part readme
mkdir -p build && cp /trial/first.deb build/transfer-gateway_1.0_all.deb
follows '^\*\*1\. Install'
is 'the command is there' test "$(transfer-gateway --version)"

# At a terminal: nothing but what a person knows, else what is proposed.
{ printf '%s\n' '' '' hms 127.0.0.3 sip:127.0.0.3:5060 '' '' '' +31201234567 && printf '\n%.0s' {1..60}; } >/tmp/answers
timeout 60 script -qec "$(block '^\*\*2\. Configure')" /trial/asked </tmp/answers >/dev/null 2>&1 || true
is 'init asks at a terminal, and proposes' grep -q 'Its number' /trial/asked
is 'and writes the configuration' test -s $etc/gateway.toml
rm -rf $etc

follows '^Or by hand: start'
edits $etc/gateway.toml '/^\[mqtt\]/,/^$/d'
# Sales alone, whatever the hour.
awk '/^\[\[numbers\.destinations/ && ++n == 2 { exit } { print }' $etc/gateway.toml >/tmp/gateway.toml
cat /tmp/gateway.toml >$etc/gateway.toml
edits $etc/gateway.toml -E '/^(answer|fallback|overflow|hours) = /d'
edits $etc/gateway.toml 's/^# token_file = /token_file = /'
edits $etc/gateway.toml 's/^drain_timeout_s = 30/drain_timeout_s = 2/'
edits $etc/sip_profiles/hms.toml 's/203\.0\.113\.10/127.0.0.3/; s/sip\.example\.net/127.0.0.3/'
edits $etc/sip_profiles/asterisk.toml 's/127\.0\.0\.1:5070/127.0.0.1:5060/'
follows 'asks the gateway with a token'
follows 'The manager user.s secret'
is 'check finds nothing wrong' not prints 'gateway.toml: '

# deploy/asterisk/README.md, by its numbered steps.
cp -r /usr/share/transfer-gateway/deploy/asterisk/*.d /etc/asterisk/
for kind in pjsip extensions manager; do
    line=$(grep -oE "#include $kind\.d/transfer-gateway\.conf" /etc/asterisk/$kind.d/transfer-gateway.conf | head -n 1)
    is "the file for $kind.conf says how it is included" test -n "$line"
    grep -q 'include manager.d' /etc/asterisk/$kind.conf || echo "$line" >>/etc/asterisk/$kind.conf
done
step 3 | sed -n '/^ *```[a-z]/,/^ *```$/p' | sed 's/^ *//; /^```/d' >/tmp/destinations
is 'there is an example of the context that is to be defined' grep -q '^\[transfer-destinations\]' /tmp/destinations
cat /tmp/destinations >>/etc/asterisk/extensions.conf
step 4 | sed -n 's/^ *\(exten => .*\)/\1/p' >/tmp/line
is 'and of the line that sends the number to the assistant' grep -q . /tmp/line
sed -i '/^\[from-provider\]/r /tmp/line' /etc/asterisk/extensions.conf
edits /etc/asterisk/manager.d/transfer-gateway.conf "s/CHANGE-ME/$(cat $etc/sip_profiles/ami.secret)/"
is 'the PBX takes it' test "$(console 'core reload' 2>&1)"

cat >/usr/local/bin/editor-of-the-trial <<'EDITOR'
#!/bin/sh
exec sed -i 's/^#\(LoadCredential=\(ami\|http\)\.secret\)/\1/' "$1"
EDITOR
chmod 755 /usr/local/bin/editor-of-the-trial
export EDITOR=/usr/local/bin/editor-of-the-trial
assistant 100 +31612345678 1000
follows '^\*\*5\. Start'
is 'all is well' prints 'all is well'
is 'it knows the queue' prints '"sales"'
is 'the PBX has found it' within 15 qualified
follows '^\*\*6\. Ask before'
is 'sales would be called' prints '6500'
is 'the tool names sales' prints 'transfer_call'
caller 3000 5061 &
in_call=$!
is 'a caller is put through' within 15 completed
bash -c "$(section 'On a PBX host' | sed -n 's/.*what became of it: `\(transfer-gateway transfers\)`.*/\1/p')" >/tmp/followed
is 'which the last command tells of' prints 'completed'
is 'the caller was there to the end' wait $in_call
