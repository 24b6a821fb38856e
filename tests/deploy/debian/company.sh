# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A company's host before the gateway comes: an Asterisk that is a service, Anna's phone, and who calls from outside. /pbx
# has the programs, /trial/asterisk its configuration, /trial/*.xml what is played. The host's addresses on loopback:
# 127.0.0.1 the PBX, .2 the gateway, .3 the platform, .4 the telephone line, .6 Anna's phone, .7 Bert's, which is unplugged.
loader=$(echo /pbx/usr/lib/*-linux-gnu*/ld-linux*.so.*)
program() { # where it is to be called from, and where it is
    printf '#!/bin/sh\nexec %s --library-path %s /pbx/%s "$@"\n' "$loader" "$(dirname "$loader")" "$2" >"$1"
    chmod 755 "$1"
}
program /usr/sbin/asterisk usr/sbin/asterisk
program /usr/sbin/sipp usr/bin/sipp
mkdir -p /etc/asterisk /var/lib/asterisk/{var/keys,spool,log,music}
cp /trial/asterisk/* /etc/asterisk/
cat >/etc/systemd/system/asterisk.service <<'UNIT'
[Service]
ExecStart=/usr/sbin/asterisk -f
StandardOutput=truncate:/var/log/asterisk.console
StandardError=inherit
UNIT
systemctl daemon-reload
systemctl start asterisk

playing=(/usr/sbin/sipp -nostdin -timeout 280)
phone() { "${playing[@]}" -sn uas -aa -rtp_echo -i 127.0.0.6 -p 5060 >/dev/null 2>&1 & }
# The assistant, for how many calls: it asks for a transfer to a number after so many milliseconds. Its process: $talking.
assistant() {
    printf 'SEQUENTIAL\n<sip:%s@127.0.0.2>\n' "$2" >/tmp/wanted.csv
    "${playing[@]}" -sf /trial/assistant.xml -aa -inf /tmp/wanted.csv -i 127.0.0.3 -mi 127.0.0.3 -p 5060 -d "$3" -m "$1" \
        -trace_err -error_file /tmp/assistant.errors >/tmp/assistant.out 2>&1 &
    talking=$!
}
# Somebody calls the company's number from outside, and stays for so many milliseconds.
caller() {
    "${playing[@]}" -sf /trial/call.xml -i 127.0.0.4 -mi 127.0.0.4 -p "${2:-5061}" -s 0201234567 -d "$1" -m 1 \
        -trace_err -error_file /tmp/caller.errors 127.0.0.1:5060 >/tmp/caller.out 2>&1
}
console() { /usr/sbin/asterisk -rx "$1"; }
pbx_up() { console 'core show uptime' 2>/dev/null | grep -q uptime; }
rings() { console 'queue show sales' | grep -q 'Anna.*Not in use'; }
# Whether the PBX has found the gateway, which it asks every ten seconds by itself.
qualified() {
    console 'pjsip qualify transfer-gateway' >/dev/null
    console 'pjsip show contacts' | grep -q 'transfer-gateway/.*Avail'
}
completed() { curl -s localhost:9470/api/transfers | grep -q '"outcome": "completed"'; }
