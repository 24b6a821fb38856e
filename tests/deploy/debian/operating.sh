# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What an operator does of an evening, while people talk: after readme.sh, in the same system, with what it has set up. /trial/operations.md is
# the document.
restarts=0
reloads() { curl -s localhost:9470/api/status | sed -n 's/.*"reloads": *\([0-9]*\).*/\1/p' | head -n 1; }
warns() { transfer-gateway check 2>&1 | grep -q "warning: .*$1"; }
well() { transfer-gateway status >/tmp/page; }
says() { grep -qE -- "$1" /tmp/page; }
same() { [[ $(of MainPID) == "$pid" ]] && calls_run 1 && kill -0 "$in_call" 2>/dev/null; }
call_id() { curl -s localhost:9470/api/calls | sed -n 's/.*"call": "\([^"]*\)".*/\1/p' | head -n 1; }
hangs_up() { transfer-gateway hangup "$1" >/dev/null; }
opens() { transfer-gateway explain "$1" --number main-line --at "$2" >/tmp/explained 2>&1; }
restarted() { [[ $(of NRestarts) -gt $restarts ]] && serves; }
quietly() { "$@" >/tmp/quiet 2>&1; }
is_gone() { calls_run 0; }
version=$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')

part unit
exposure=$(systemd-analyze security --no-pager $unit.service 2>/dev/null | sed -n 's/.*exposure level for .*: \([0-9.]*\).*/\1/p')
is "systemd-analyze security gives the running service ${exposure:-nothing}, 2.0 at most" \
    awk -v e="$exposure" 'BEGIN { exit !(e != "" && e + 0 <= 2.0) }'
kind=notify
((version < 253)) || kind=notify-reload
is "systemd $version has it as $kind" test "$(of Type)" = "$kind"
is 'its secrets are copies of its own' test -s /run/credentials/$unit.service/ami.secret -a -s /run/credentials/$unit.service/http.secret

part operating
# One who asks for nothing while people talk.
! kill $talking 2>/dev/null || wait $talking # its port is free then
assistant 100 +31612345678 60000
pid=$(of MainPID)
caller 60000 5062 &
in_call=$!
is 'a call is under way' within 10 calls_run 1
# 84, 85: all or nothing, and truthful.
cp $etc/gateway.toml /tmp/good.toml
echo '[gateway' >$etc/gateway.toml
is '84: a reload with a mistake fails' not systemctl reload $unit
is 'and says where it is' logged 'gateway.toml: .*is not TOML'
is 'what ran goes on, the call too' same
cat /tmp/good.toml >$etc/gateway.toml
cp $etc/sip_profiles/hms.toml /tmp/hms.toml
sed -i 's/^udp_port = 5060/&\ntcp_port = 5060/' $etc/gateway.toml
sed -i 's/^transport = "udp"/transport = "tcp"/' $etc/sip_profiles/hms.toml
is '85: what only the running gateway refuses fails the reload' not systemctl reload $unit
is 'and the journal has the reason' logged 'refused: sip_profiles/hms.toml: transport'
is 'nothing of it is in force, the call goes on' same
cat /tmp/good.toml >$etc/gateway.toml
cat /tmp/hms.toml >$etc/sip_profiles/hms.toml
# 83: another log level, while people talk.
sed -i 's/^log_level = "info"/log_level = "debug"/' $etc/gateway.toml
before=$(reloads)
is '83: a reload takes another log level' systemctl reload $unit
is 'the journal names it' logged 'applied: gateway.log_level'
sed -i 's/^log_level = "debug"/log_level = "info"/' $etc/gateway.toml
is 'and the level before again' systemctl reload $unit
is 'those were two reloads' test "$(reloads)" = $((before + 2))
is 'as the same process, the call goes on' same
# 82: another secret, on both sides.
secret=another-secret-of-32-characters-or-more
sed -i "s/^secret = .*/secret = $secret/" /etc/asterisk/manager.d/transfer-gateway.conf
console 'manager reload' >/dev/null
echo $secret >$etc/sip_profiles/ami.secret
is '82: a reload with a rotated secret' systemctl reload $unit
rotated() { # systemd 252 copies it anew, others do not
    grep -q "$secret" /run/credentials/$unit.service/ami.secret || { not well && says 'restart.*ami.secret'; }
}
is 'has it, or says that it takes a restart' rotated
is 'the call goes on' same
is 'no secret is in the journal' not logged "$secret"
# 86: warnings.
chmod 644 $etc/sip_profiles/ami.secret
is '86: check warns of a secret that everybody reads' warns 'ami.secret: .*everybody on this machine'
chmod 600 $etc/sip_profiles/ami.secret
is 'and of nothing once it is mended' not warns 'everybody on this machine'
# 89: a call that is stuck.
kill -STOP $talking
is '89: a call that nobody ends any more is ended by command' hangs_up "$(call_id)"
is 'it is gone' within 40 is_gone
kill -CONT $talking
wait $in_call
# 94: ready, and well.
systemctl restart $unit
is '94: started anew, it is ready' within 10 serves
is 'and all is well' within 10 well
# A restart that keeps its calls.
is 'without recover_calls it is refused' not quietly transfer-gateway restart
is 'and the gateway goes on' serves
sed -i 's/^\[sip\]$/&\nrecover_calls = true/' $etc/gateway.toml
is 'a reload takes the key' systemctl reload $unit
restarts=$(of NRestarts)
pid=$(of MainPID)
is 'it restarts, and waits for the next one' quietly transfer-gateway restart
is 'which serves' serves
is 'as another process' test "$(of MainPID)" != "$pid"
is 'that systemd has started' test "$(of NRestarts)" = $((restarts + 1))
is 'after an end that was no failure' not logged 'status=75'
sed -i '/^recover_calls = true$/d' $etc/gateway.toml
is 'and a reload takes it out again' systemctl reload $unit
systemctl stop asterisk
is 'without the PBX it still takes calls' serves
is 'but not all is well' within 10 not well
is 'and the page says what is not' says '[Aa]sterisk'
systemctl start asterisk
is 'with it, all is well again' within 20 well
# 90: hours that complement.
cat >>$etc/gateway.toml <<'TOML'

[[numbers.destinations]]
id = "by-day"
extension = "6001"
hours = "office"

[[numbers.destinations]]
id = "by-night"
extension = "6001"
hours = "!office"
TOML
is '90: hours, and whenever they are not' systemctl reload $unit
is 'by day one is open' opens by-day 2026-11-24T11:00
is 'and the other closed' not opens by-night 2026-11-24T11:00
is 'by night the one is closed' not opens by-day 2026-11-24T23:00
is 'and the other open' opens by-night 2026-11-24T23:00

part watched
mkdir -p /run/systemd/system/$unit.service.d
printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/$unit.service.d/watchdog.conf
text=$(sed -n '/^## What the unit allows/,/^## The/p' /trial/operations.md | sed -n '/^```sh$/,/^```$/p' | sed '1d; $d')
is 'operations.md says how ports and addresses are restricted' test -n "$text"
is 'restricted to them it starts' env EDITOR=true bash -euc "exec </dev/null >/tmp/restricted 2>&1; $text"
is 'and serves' within 10 serves
is 'and all is well' within 20 well
# Whether the kernel keeps to that. Where systemd can attach no filter this says so, as it does of ports where it was built without.
drop_in=/etc/systemd/system/$unit.service.d/addresses.conf
does() { systemd-run -q --wait -p "$1" python3 -c "import socket; socket.socket(type=socket.SOCK_DGRAM).$2" 2>/dev/null; }
forbids() { does Description=- "$2" && ! does "$1" "$2"; }
knocks() { # from this address, with a request that a stranger is told of for
    python3 - "$1" <<'PYTHON'
import socket, sys
stranger = socket.socket(type=socket.SOCK_DGRAM)
stranger.bind((sys.argv[1], 5060))
lines = ("INVITE sip:100@127.0.0.2 SIP/2.0", f"Via: SIP/2.0/UDP {sys.argv[1]}:5060;branch=z9hG4bK{sys.argv[1]}",
         f"From: <sip:a@{sys.argv[1]}>;tag=1", "To: <sip:100@127.0.0.2>", f"Call-ID: knocks@{sys.argv[1]}", "CSeq: 1 INVITE",
         f"Contact: <sip:a@{sys.argv[1]}>", "Max-Forwards: 70", "Content-Length: 0", "", "")
stranger.sendto("\r\n".join(lines).encode(), ("127.0.0.2", 5060))
PYTHON
}
told_of() { journalctl -q -u $unit -o cat | grep request-rejected | grep -q "$1"; }
refused_port() { logged 'cannot listen on udp 127.0.0.2:5090: Operation not permitted'; }
knocks 127.0.0.8
is 'a stranger is told of' within 10 told_of '127\.0\.0\.8'
if forbids IPAddressDeny=any 'sendto(b"", ("127.0.0.1", 9))'; then
    sed -i 's/^IPAddressAllow=localhost$/IPAddressAllow=127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.6 127.0.0.10/' $drop_in
    systemctl daemon-reload
    is 'restricted to its peers it starts' systemctl restart $unit
    is 'and all is well' within 20 well
    knocks 127.0.0.9
    knocks 127.0.0.10
    is 'a stranger whose address is allowed is told of' within 10 told_of '127\.0\.0\.10'
    is 'of any other the gateway hears nothing' not told_of '127\.0\.0\.9'
else
    is 'addresses: not tried, as systemd can attach no filter here' true
fi
if forbids SocketBindDeny=any 'bind(("127.0.0.1", 5999))'; then
    sed -i 's/^udp_port = 5060/udp_port = 5090/' $etc/gateway.toml
    is 'a port that is not named is not had' not systemctl restart $unit
    is 'as the journal says' within 5 refused_port
    sed -i 's/^udp_port = 5090/udp_port = 5060/' $etc/gateway.toml
    systemctl reset-failed $unit
    is 'the one that is, is' systemctl restart $unit
    is 'and all is well' within 20 well
else
    is "ports: not tried, as systemd $version keeps none here ($(systemctl --version | grep -o '.BPF_FRAMEWORK'))" true
fi
restarts=$(of NRestarts)
kill -STOP "$(of MainPID)"
is 'frozen, it is back by the watchdog' within 20 restarted
is 'as the journal says' logged 'Watchdog timeout'
is 'the PBX has found it again' within 15 qualified
# What the PBX asked while it was frozen may time out only now, and have the PBX take it for gone once more.
in_call=
calling() { # until somebody has come through
    calls_run 1 && return
    [[ $in_call && -d /proc/$in_call ]] || { caller 60000 5063 & in_call=$!; }
    return 1
}
is 'a call is under way' within 30 calling
is 'it stops' systemctl stop $unit
is 'which gave the call its time' logged drain-timeout
is 'and ended well' test "$(of ActiveState) $(of Result)" = 'inactive success'
is 'its copies of secrets are gone' test ! -e /run/credentials/$unit.service
wait $in_call
