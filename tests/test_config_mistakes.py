# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - the tables below read best with a mistake a line
"""Configurations that are wrong: every mistake is told, at once, with where it is and what would be right."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from tests.config_directory import MAIN, PBX, TRUNK, write
from tests.support.certificates import Authority


def mistakes(directory: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(directory)
    assert str(caught.value) == "\n".join(str(mistake) for mistake in caught.value.mistakes)
    return [str(mistake) for mistake in caught.value.mistakes]


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


PLATFORM = "[platform]\n"
NO_PEM = 'tls_certificate = "sip_profiles/ami.secret"\ntls_key = "sip_profiles/ami.secret"\n'
TOKEN = '[[http.tokens]]\nname = "crm"\nsecret_file = "sip_profiles/ami.secret"\nmay = ["read"]\n'
WEBHOOK = '[[webhooks]]\nid = "crm"\nurl = "https://crm.example.com/hook"\nsecret_file = "crm.secret"\n'
NO_ADDRESS = 'must be an address such as "https://crm.example.com/hooks/transfers"'
SALES = "numbers[main-line].destinations[sales]"
SUPPORT = "numbers[main-line].destinations[support]"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('instance = "test-1"', "", "gateway.instance: is missing, and there is no default"),
        ('"test-1"', '"Test 1"', 'gateway.instance: must be lower-case letters, digits and hyphens, such as "main-line"; is "Test 1"'),
        ('"/tmp/transfer', '"tmp/transfer', 'gateway.state_dir: must be an absolute path such as "/var/lib/transfer-gateway"; is "tmp/transfer-gateway-test"'),
        ('"NL"\n\n[sip]', '"Holland"\n\n[sip]', 'gateway.default_country: must be a country\'s two capital letters (ISO 3166-1), such as "NL"; is "Holland"'),
        ("udp_port", "upd_port", "sip.upd_port: is no known key; did you mean udp_port?"),
        ('"127.0.0.2"', '"localhost"', 'sip.bind_address: must be an IP address such as "127.0.0.2"; is "localhost"'),
        ("udp_port = 5060", 'udp_port = "5060"', 'sip.udp_port: must be a whole number, is "5060"'),
        ("udp_port = 5060", "udp_port = 70000", "sip.udp_port: must be at most 65535, is 70000"),
        ('instance = "test-1"', 'instance = "test-1"\nudp_port = 5061', "gateway.udp_port: is no known key; it belongs under [sip]"),
        ('instance = "test-1"', 'instance = "test-1"\nnumber = "x"', "gateway.number: is no known key; it belongs under [[numbers]] or it belongs under [[numbers.destinations]]"),
        ('instance = "test-1"', 'instance = "test-1"\nsip = {}', "gateway.sip: is no known key; it is written [sip]"),
        ('extension = "6501"', 'extension = "6501"\nfallback = "sales"', SUPPORT + ".fallback: is no known key; it belongs under [[numbers]]"),
        ('"+31201234567"', '"+31 (20) 123-45.67"', 'numbers[main-line].number: must be an international number such as "+31201234567"; is "+31 (20) 123-45.67"; did you mean "+31201234567"?'),
        ('"+31201234567"', '"0031201234567"', 'numbers[main-line].number: must be an international number such as "+31201234567"; is "0031201234567"; did you mean "+31201234567"?'),
        ("udp_port = 5060", "udp_port = 0", "sip: no transport is on; set udp_port, tcp_port or tls_port"),
        ("udp_port = 5060", "udp_port = 25000", "sip.udp_port: 25000 lies among the RTP ports 20000-29999; move one of them"),
        ("udp_port = 5060", "udp_port = 5060\ntls_port = 5061", "sip.tls_key: is missing; tls_port needs it"),
        ("udp_port = 5060", 'udp_port = 5060\nbind_address6 = "127.0.0.3"', 'sip.bind_address6: must be an IPv6 address; is "127.0.0.3"'),
        ("udp_port = 5060", "udp_port = 5060\ntls_verify_client = true", "sip.tls_verify_client: needs tls_ca, the authority whose certificates are let in"),
        ("udp_port = 5060", 'udp_port = 5060\nname_servers = ["ns.example"]', 'sip.name_servers[1]: must be an address such as "192.0.2.53" or "[2001:db8::53]:53"; is "ns.example"'),
        ("max_calls = 10", "max_calls = 10\nrtp_port_min = 30001", "sip.rtp_port_min: 30001 is above rtp_port_max, 29999"),
        ("max_calls = 10", "max_calls = 10\nrtp_port_max = 20050", "sip.rtp_port_max: 20000-20050 are 51 ports; 60 are needed, 6 for each of max_calls"),
        ("max_calls = 10", "max_calls = true", "sip.max_calls: must be a whole number, is true"),
        ("port = 0", 'port = 0\nhost_names = ["pbx.example.com:9470"]', 'http.host_names[1]: must be a host\'s name such as "pbx.example.com", without a port; is "pbx.example.com:9470"'),
        ("port = 0", 'port = 0\nhost_names = ["*"]', 'http.host_names[1]: must be a host\'s name such as "pbx.example.com", without a port; is "*"'),
        ("port = 0", 'port = 0\ntoken_file = "no.secret"', "http.token_file: there is no file {directory}/no.secret"),
        ("port = 0", "port = 0\n[mqtt]\nport = 1883", "mqtt.host: is missing, and there is no default"),
        ("port = 0", f'port = 0\n{WEBHOOK.replace("https", "ftp")}', f"webhooks[crm].url: {NO_ADDRESS}"),
        ("port = 0", f'port = 0\n{WEBHOOK.replace("/hook", "/a b")}', f"webhooks[crm].url: {NO_ADDRESS}"),
        ("port = 0", f'port = 0\n{WEBHOOK.replace("//", "//us:secret@")}', "webhooks[crm].url: must not hold a user or a password: the receiver knows us by the signature"),
        ("port = 0", f"port = 0\n{WEBHOOK}events = []\n", "webhooks[crm].events: must not be empty"),
        ("port = 0", f'port = 0\n{WEBHOOK}events = ["transfer.over.v1"]\n', 'webhooks[crm].events[1]: must be \'transfer.requested.v1\', \'transfer.accepted.v1\', \'transfer.ringing.v1\', \'transfer.connected.v1\', \'transfer.ended.v1\', \'call.ended.v1\' or \'platform.call.v1\', is "transfer.over.v1"'),
        ("port = 0", f'port = 0\n{WEBHOOK.replace("crm.secret", "sip_profiles/ami.secret")}', 'webhooks[crm].secret_file: its file must hold "whsec_" and a key of 24 to 64 bytes in base64'),
        *(
            ("port = 0", f'port = 0\n[hep]\naddress = "{wrong}"\n', f'hep.address: must be a host and a port, such as "192.0.2.20:9060" or "[2001:db8::20]:9060"; is "{wrong}"')
            for wrong in ("192.0.2.20", "udp:192.0.2.20:9060", "homer:0", "homer:65536", "[2001:db8]:9060", "2001:db8::1:9060", "ho mer:9060")
        ),
        ("port = 0", 'port = 0\n[hep]\naddress = "homer:9060"\ntransport = "tls"\n', "hep.transport: must be 'udp' or 'tcp', is \"tls\""),
        ("port = 0", 'port = 0\n[hep]\naddress = "[2001:db8::1]:9060"\n[messages]\nmax_mb = 0\n', "hep: sends what [messages] keeps, and messages.max_mb is 0; give it 1 at least"),
        ("port = 0", "port = 0\n[messages]\nmax_mb = 0\ndisk_mb = 1\n", "messages.disk_mb: keeps what is in memory, and max_mb is 0; give that 1 at least"),
        ("port = 0", f"port = 0\n{PLATFORM}", "platform.port: is missing, and there is no default"),
        ("port = 0", f"port = 0\n{PLATFORM}port = 0\n", "platform.port: must be at least 1, is 0"),
        ("port = 0", f"port = 9470\n{PLATFORM}port = 9470\n", "platform.port: 9470 is http.port on the same address; give it one of its own"),
        ("port = 0", f'port = 0\n{PLATFORM}port = 9471\npath = "/a/"\n', 'platform.path: must be a path such as "/platform", without a slash at its end; is "/a/"'),
        ("port = 0", f'port = 0\n{PLATFORM}port = 9471\npath = "/../a"\n', 'platform.path: must be a path such as "/platform", without a slash at its end; is "/../a"'),
        ("port = 0", f'port = 0\n{PLATFORM}port = 9471\ntls_key = "sip_profiles/ami.secret"\n', "platform: tls_certificate and tls_key go together: give both, or neither"),
        ("port = 0", f'port = 0\n{PLATFORM}port = 9471\n{NO_PEM}', "platform.tls_certificate: {directory}/sip_profiles/ami.secret holds no certificate in PEM"),
        ("port = 0", f"port = 0\n{TOKEN}{TOKEN}", 'http.tokens[crm].name: "crm" is taken by another token'),
        ("port = 0", f'port = 0\n{TOKEN}{TOKEN.replace("crm", "bot")}', "http.tokens[bot].secret_file: holds the secret of crm: nobody could tell the two apart"),
        ("port = 0", f'port = 0\n{TOKEN}numbers = ["main-lin"]\n', 'http.tokens[crm].numbers: "main-lin" is no assigned number; did you mean main-line?'),
        ("port = 0", f"port = 0\n{TOKEN.replace('read', 'sing')}", "http.tokens[crm].may[1]: must be 'read', 'transfer', 'callback', 'probe', 'forget', 'reload' or 'restart', is \"sing\""),
        ('"Europe/Amsterdam"', '"GMT+1"', 'hours.office.time_zone: "GMT+1" is no known time zone; a name such as "Europe/Amsterdam" is needed'),
        ('"Europe/Amsterdam"', '"Europe/Amsterdm"', 'hours.office.time_zone: "Europe/Amsterdm" is no known time zone; did you mean Europe/Amsterdam?'),
        ('holidays = "NL"', 'holidays = "BE-XX"', "hours.office.holidays: BE has no subdivision XX; known are Flemish, French, German"),
        ('holidays = "NL"', 'holidays = "Nowhere"', 'hours.office.holidays: "Nowhere" is no country whose holidays are known; such as "NL" or "DE-BY" is needed'),
        ('"2026-12-24"', '"Xmas"', 'hours.office.closed[1]: must be a date such as "2026-12-24", is "Xmas"'),
        ('closed = ["2026-12-24"]', 'closed = ["2026-12-24"]\nopen = {"2026-12-24" = ["10:00-16:00"]}', "hours.office: 2026-12-24 is under closed and under open; it must be one of them"),
        ('closed = ["2026-12-24"]', 'open = {"2026-12-24" = ["10:00-16:00", "15:00-17:00"]}', "hours.office: 2026-12-24 10:00-16:00 overlaps 2026-12-24 15:00-17:00; make them one"),
        ('closed = ["2026-12-24"]', 'open = {"2026-12-24" = ["10-16"]}', 'hours.office.open.2026-12-24[1]: must be hours such as "09:00-17:30"; is "10-16"'),
        ('closed = ["2026-12-24"]', 'open = {"2026-12-24" = []}', "hours.office.open.2026-12-24: must not be empty"),
        ('closed = ["2026-12-24"]', 'open = {"Xmas" = ["10:00-16:00"]}', 'hours.office.open.Xmas: must be a date such as "2026-12-24", is "Xmas"'),
        ('default_country = "NL"', 'default_country = "NL"\nlocale = "tlh"', 'gateway.locale: must be one of en, nl; is "tlh"'),
        ('mon = ["09:00-17:30"]', 'mon = ["9-17"]', 'hours.office.weekly.mon[1]: must be hours such as "09:00-17:30"; is "9-17"'),
        ('mon = ["09:00-17:30"]', 'mon = ["09:00-25:00"]', 'hours.office.weekly.mon[1]: "09:00-25:00" holds no times of a day; hours go from 00:00 to 24:00'),
        ('mon = ["09:00-17:30"]', 'mon = ["00:00-00:00"]', 'hours.office.weekly.mon[1]: "00:00-00:00" is no time at all; the whole day is "00:00-24:00"'),
        ('mon = ["09:00-17:30"]', 'mon = "09:00-17:30"', 'hours.office.weekly.mon: must be a list, [in, brackets], is "09:00-17:30"'),
        ('mon = ["09:00-17:30"]', 'maandag = ["09:00-17:30"]', "hours.office.weekly.maandag: is no known key; known here are fri, mon, sat, sun, thu, tue, wed"),
        ('"09:00-12:00"]', '"09:00-23:00"]', "hours.office.weekly: fri 09:00-23:00 overlaps fri 22:00-02:00; make them one"),
        ('sun = ["20:00-24:00"]', 'sun = ["20:00-09:30"]', "hours.office.weekly: sun 20:00-09:30 overlaps mon 09:00-17:30; make them one"),
        ('[hours.office]', '[hours."Het Kantoor"]', 'hours.Het Kantoor: must be lower-case letters, digits and hyphens, such as "main-line"; is "Het Kantoor"'),
        ('"+31201234567"', '"0201234567"', 'numbers[main-line].number: must be an international number such as "+31201234567"; is "0201234567"'),
        ('trunk = "platform"', 'trunk = "platfrom"', "numbers[main-line].trunk: there is no sip_profiles/platfrom.toml; did you mean platform?"),
        ('trunk = "platform"', 'trunk = "asterisk"', 'numbers[main-line].trunk: sip_profiles/asterisk.toml is of kind "pbx"; one of kind "trunk" is needed here'),
        ('pbx = "asterisk"', 'pbx = "fritzbox"', "numbers[main-line].pbx: there is no sip_profiles/fritzbox.toml; known here are asterisk, platform"),
        ('answer = "support"', 'answer = "suport"', 'numbers[main-line].answer: "suport" is no destination of this number; did you mean support?'),
        ('fallback = "voicemail"', 'fallback = "nobody"', 'numbers[main-line].fallback: "nobody" is no destination of this number; known here are sales, support, voicemail'),
        ('hours = "office"', 'hours = "!ofice"', SALES + ".hours: there is no [hours.ofice]; did you mean office?"),
        ('hours = "office"', 'hours = "!!office"', SALES + '.hours: must name hours, such as "office", or "!office" for whenever they are over; is "!!office"'),
        ('hours = "office"', 'hours = "ofice"', SALES + ".hours: there is no [hours.ofice]; did you mean office?"),
        ('queue = "sales"', 'queue = "sales/1"', SALES + '.queue: must be the queue\'s name on the PBX: letters, digits and _.@-; is "sales/1"'),
        ('queue = "sales"\n', "", SALES + ": max_wait_s needs a queue"),
        ('queue = "sales"\n', "wrap_up_s = 20\n", SALES + ": max_wait_s and wrap_up_s need a queue"),
        ('queue = "sales"', 'queue = "sales"\ngroup = ["100"]', SALES + ": group and queue are two ways to find out who is there; give one of them"),
        ('extension = "6501"', 'extension = "65 01"', SUPPORT + '.extension: must be what the PBX dials, such as "6500": letters, digits and *#+_.!-; is "65 01"'),
        ('extension = "6501"', 'extension = "112"', SUPPORT + '.extension: "112" is an emergency number; if it is to be called, say so once more: emergency = "112"'),
        ('extension = "6501"', 'extension = "6501"\nemergency = "112"', SUPPORT + '.emergency: must be the extension once more, "6501"; is "112"'),
        ('extension = "6501"', "extension = 6501", SUPPORT + ".extension: must be text in quotes, is 6501"),
        ('extension = "6501"', 'extension = "6501"\nwhen_unknown = "maybe"', SUPPORT + ".when_unknown: must be 'allow' or 'refuse', is \"maybe\""),
        ('extension = "6501"', 'extension = "6501"\nring_timeout_s = 0', SUPPORT + ".ring_timeout_s: must be more than 0, is 0"),
        ('extension = "6501"', 'extension = "6501"\nmin_available = -1', SUPPORT + ".min_available: must be at least 0, is -1"),
        ('extension = "6501"', 'extension = "6501"\naliases = ["2001"]', SUPPORT + '.aliases: "2001" means sales as well; it must mean one destination'),
        ('extension = "6501"', 'extension = "6501"\naliases = ["0612345678"]', SUPPORT + '.aliases: "0612345678" means sales as well; it must mean one destination'),
        ('extension = "6501"', 'extension = "6501"\naliases = ["SIP:Sales@Example.COM"]', SUPPORT + '.aliases: "SIP:Sales@Example.COM" means sales as well; it must mean one destination'),
        ('extension = "6501"', 'extension = "6501"\naliases = ["sales"]', "numbers[main-line].destinations[support].aliases"),
        ('extension = "6501"', 'extension = "6501"\naliases = ["http://x"]', SUPPORT + '.aliases: "http://x" can never be asked for: http: is no scheme that can be called'),
        ('"+31612345679"', '"+31201234567"', SUPPORT + '.number: "+31201234567" is the assigned number of main-line, where the assistant answers'),
        ('"+31612345679"', '"+31612345678"', SUPPORT + '.number: "+31612345678" means sales as well; it must mean one destination'),
        ('id = "voicemail"\n', 'id = "voicemail"\nextension = "1"\n[[numbers.destinations]]\nid = "sales"\n', SALES + '.id: "sales" is taken by another destination of main-line'),
        ('overflow = ["voicemail"]', 'overflow = ["voicmail"]', SUPPORT + '.overflow: "voicmail" is no destination of this number; did you mean voicemail?'),
        ('overflow = ["voicemail"]', 'overflow = ["sales"]', SUPPORT + ".overflow: sales -> support -> sales is a loop; the last destination must overflow to none of the others"),
        ('overflow = ["voicemail"]', 'overflow = ["support"]', SUPPORT + ".overflow: support -> support is a loop; the last destination must overflow to none of the others"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_main_file(tmp_path: Path, old: str, new: str, told: str) -> None:
    found = mistakes(write(tmp_path, main=changed(MAIN, old, new)))
    told = told.replace("{directory}", str(tmp_path))
    if told.endswith("aliases"):
        assert any(each.startswith(f"gateway.toml: {told}: ") for each in found)
    else:
        assert f"gateway.toml: {told}" in found
    assert len(found) <= 2  # the mistake, and at most one that follows from it


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('kind = "trunk"', 'kind = "provider"', 'kind: must be "trunk", "pbx" or "carrier"; is "provider"'),
        ('kind = "trunk"\n', "", 'kind: must be "trunk", "pbx" or "carrier"; it is missing'),
        ('"203.0.113.10",', '"203.0.113",', 'addresses[1]: must be an address or network such as "203.0.113.10" or "198.51.100.0/24"; is "203.0.113"'),
        ('"198.51.100.0/24"', '"198.51.100.9/24"', 'addresses[2]: must be an address or network such as "203.0.113.10" or "198.51.100.0/24"; is "198.51.100.9/24"; did you mean "198.51.100.0/24"?'),
        ('"198.51.100.0/24"', '"0.0.0.0/0"', 'addresses[2]: "0.0.0.0/0" would let everybody in; name the networks that requests come from'),
        ('"198.51.100.0/24"', '"127.0.0.1"', None),
        ('addresses = ["203.0.113.10", "198.51.100.0/24", "127.0.0.0/8"]', "addresses = []", "addresses: must not be empty"),
        ('"sip:203.0.113.10:5060"', '"203.0.113.10"', 'outbound: must be a SIP URI such as "sip:sip.example.net:5060"; is "203.0.113.10"'),
        ('"sip:203.0.113.10:5060"', '"sip:127.0.0.2"', 'outbound: "sip:127.0.0.2" is the gateway itself; calls would come back to it'),
        ('kind = "trunk"', 'kind = "trunk"\ntransport = "tcp"', 'transport: "tcp" is off; set tcp_port under [sip] in gateway.toml'),
        ('kind = "trunk"', 'kind = "trunk"\ncodecs = ["G729"]', "codecs[1]: must be 'PCMA', 'PCMU', 'G722' or 'opus', is \"G729\""),
        ('kind = "trunk"', 'kind = "trunk"\nfinal_notify = "on-beep"', "final_notify: must be 'on-ring', 'on-answer', 'on-human' or 'on-accept', is \"on-beep\""),
        ('kind = "trunk"', 'kind = "trunk"\npass_headers = ["Via"]', "pass_headers[1]: Via belongs to one leg and can't be passed on"),
        ('kind = "trunk"', 'kind = "trunk"\npass_headers = ["X A"]', 'pass_headers[1]: must be a header\'s name, or its beginning and a star, such as "X-*"; is "X A"'),
        ('kind = "trunk"', 'kind = "trunk"\nusername = "me"', "file: username and password_file go together: give both, or neither"),
        ('kind = "trunk"', 'kind = "trunk"\nmedia = "direct"\nrtp_source = "latched"', 'file: media = "direct" has audio go past the gateway, and rtp_source = "latched" needs the audio here; change one of the two'),
        ('kind = "trunk"', 'kind = "trunk"\nchallenge = true', "file: challenge = true needs the username and password_file it asks for"),
        ('kind = "trunk"', 'kind = "trunk"\nregister = "yes"', 'register: must be true or false, is "yes"'),
        ('kind = "trunk"', 'kind = "trunk"\npassword = "x"', "password: is no known key; did you mean password_file?"),
        ('kind = "trunk"', 'kind = "trunk"\nname = "x"', "name: is no known key; did you mean username?"),
        ('kind = "trunk"', "kind = trunk", 'line 1, column 8: is not TOML: text stands in quotes: "trunk"'),
    ],
)  # fmt: skip
def test_a_mistake_in_a_profile(tmp_path: Path, old: str, new: str, told: str | None) -> None:
    found = mistakes(write(tmp_path, profiles={"platform": changed(TRUNK, old, new), "asterisk": PBX}))
    if told is None:
        assert found == [
            "sip_profiles/asterisk.toml: addresses: 127.0.0.1 is an address of platform as well; it must mean one of them"
        ]
    else:
        assert found == [f"sip_profiles/platform.toml: {told}"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"ami.secret"', '"none.secret"', "queues.password_file: there is no file {directory}/sip_profiles/none.secret"),
        ('source = "ami"', 'source = "ami"\noutside_lines = ["provider"]', 'queues.outside_lines[1]: must be a technology and a name, such as "PJSIP/provider"; is "provider"'),
        ('username = "transfer-gateway"\n', "", 'queues: source = "ami" needs username and password_file'),
        ('source = "ami"', 'source = "ami"\nextension_context = "from internal"', 'queues.extension_context: must be the name of a dialplan context, such as "from-internal"; is "from internal"'),
        ('source = "ami"', 'source = "snmp"', "queues.source: must be 'none', 'ami' or 'dialog-info', is \"snmp\""),
        ("sip:127.0.0.1:5070", "sip:pbx.example", 'file: address is the name pbx.example; put the IP addresses that its requests come from into addresses = ["…"]'),
    ],
)  # fmt: skip
def test_a_mistake_in_a_pbx_profile(tmp_path: Path, old: str, new: str, told: str) -> None:
    found = mistakes(write(tmp_path, profiles={"platform": TRUNK, "asterisk": changed(PBX, old, new)}))
    assert found == [f"sip_profiles/asterisk.toml: {told.replace('{directory}', str(tmp_path))}"]


def test_refusing_what_nothing_can_tell_refuses_everything(tmp_path: Path) -> None:
    main = changed(MAIN, 'extension = "6501"', 'extension = "6501"\nwhen_unknown = "refuse"')
    silent = PBX[: PBX.index("[queues]")]
    assert mistakes(write(tmp_path, main, {"platform": TRUNK, "asterisk": silent})) == [
        f'gateway.toml: {SUPPORT}.when_unknown: "refuse" refuses every call: the [queues] source of asterisk is "none"'
    ]


def test_two_numbers_with_one_number_or_one_id(tmp_path: Path) -> None:
    second = MAIN[MAIN.index("[[numbers]]") :]
    assert mistakes(write(tmp_path, MAIN + second.replace("main-line", "second-line"))) == [
        'gateway.toml: numbers[second-line].number: "+31201234567" is main-line already; a number can be assigned once'
    ]
    assert mistakes(write(tmp_path, MAIN + second.replace("+31201234567", "+31201234568"))) == [
        'gateway.toml: numbers[main-line].id: "main-line" is taken by another number'
    ]


def test_http_and_sip_on_one_port(tmp_path: Path) -> None:
    main = changed(MAIN, "udp_port = 5060", "tcp_port = 5060\ntls_port = 5060\nudp_port = 5060")
    main = changed(main, "[http]\nport = 0", '[http]\nbind_address = "0.0.0.0"\nport = 5060')
    found = mistakes(write(tmp_path, main))
    assert "gateway.toml: http.port: 5060 is sip.tcp_port on the same address; give it one of its own" in found
    assert "gateway.toml: http.port: 5060 is sip.tls_port on the same address; give it one of its own" in found
    assert "gateway.toml: sip.tls_port: 5060 is tcp_port already; give it one of its own" in found


def test_secrets_that_hold_nothing_or_cannot_be_read(tmp_path: Path) -> None:
    directory = write(tmp_path, secrets={"sip_profiles/ami.secret": "\n"})
    where = f"sip_profiles/asterisk.toml: queues.password_file: {directory}/sip_profiles/ami.secret"
    assert mistakes(directory) == [f"{where} is empty; it should hold the secret"]
    (directory / "sip_profiles/ami.secret").unlink()
    (directory / "sip_profiles/ami.secret").mkdir()
    assert mistakes(directory) == [f"{where} can't be read: Is a directory"]


@pytest.mark.keeps("16.163")
@pytest.mark.parametrize("secret", ["s3cret\nof another", "s3\0cret", "s3cret\r\n\r\nold", "\x7fs3cret"])
def test_secrets_that_nobody_could_type(tmp_path: Path, secret: str) -> None:
    directory = write(tmp_path, secrets={"sip_profiles/ami.secret": secret})
    [found] = mistakes(directory)
    assert "ami.secret holds more than one line, or a control character" in found
    assert "s3" not in found.replace("test_secrets", "")


@pytest.mark.keeps("16.163")
@pytest.mark.parametrize(
    "main",
    [MAIN.replace("max_calls = 10", f"max_calls = {'1' * 5000}"), f"{MAIN}\n[x]\ny = {'[' * 5000}"],
    ids=["digits", "brackets"],
)
def test_toml_that_python_gives_up_on_is_a_mistake(tmp_path: Path, main: str) -> None:
    [found] = mistakes(write(tmp_path, main=main))
    assert found.startswith("gateway.toml: file: is not TOML: ")


@pytest.mark.keeps("16.163")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "gateway.toml").unlink()
    os.mkfifo(tmp_path / "gateway.toml")
    assert mistakes(tmp_path) == ["gateway.toml: file: is no regular file"]


@pytest.mark.slow
@pytest.mark.keeps("16.168")
def test_certificates_and_keys_that_do_not_go_together(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    ours, others = authority.identity("192.0.2.1"), authority.identity("192.0.2.2")
    rubbish, locked = tmp_path / "rubbish.pem", tmp_path / "locked.key"
    rubbish.write_text("no certificate\n")
    encrypt = ["openssl", "pkey", "-aes128", "-passout", "pass:secret", "-in", str(ours.key), "-out", str(locked)]
    subprocess.run(encrypt, check=True)

    def found(certificate: Path, key: Path, ca: Path, *, tls: str = "tls_port = 5061") -> list[str]:
        files = {"tls_certificate": certificate, "tls_key": key, "tls_ca": ca}
        lines = [tls, *(f'{name} = "{file}"' for name, file in files.items())]
        main = MAIN.replace("udp_port = 5060", "\n".join(["udp_port = 5060", *lines]))
        main += f'\n[mqtt]\nhost = "127.0.0.1"\ntls = true\nca_file = "{ca}"\n'
        try:
            load(write(tmp_path / "etc", main))
        except ConfigError as error:
            return [str(mistake) for mistake in error.mistakes]
        return []

    assert found(ours.certificate, ours.key, authority.certificate) == []
    assert found(ours.certificate, others.key, authority.certificate) == [
        f"gateway.toml: sip.tls_key: {others.key} is not the key of the certificate in {ours.certificate}"
    ]
    assert found(ours.certificate, rubbish, authority.certificate) == [
        f"gateway.toml: sip.tls_key: {rubbish} holds no private key in PEM"
    ]
    assert found(ours.certificate, locked, authority.certificate) == [
        f"gateway.toml: sip.tls_key: {locked} is encrypted; the gateway is given no password for it"
    ]
    no_certificate = f"{rubbish} holds no certificate in PEM"
    assert found(rubbish, ours.key, rubbish) == [
        f"gateway.toml: {key}: {no_certificate}" for key in ("mqtt.ca_file", "sip.tls_ca", "sip.tls_certificate")
    ]
    # What is off is not looked at.
    assert found(rubbish, rubbish, authority.certificate, tls="tls_port = 0") == []


def test_files_that_are_no_toml_or_not_there(tmp_path: Path) -> None:
    ways = "`transfer-gateway init` writes one, and --config names another directory"
    assert mistakes(tmp_path / "nowhere") == [f"gateway.toml: file: there is none in {tmp_path}/nowhere; {ways}"]
    (found,) = mistakes(write(tmp_path, main=MAIN + "\n[sip]\n"))
    assert re.fullmatch(r"gateway\.toml: line \d+, column \d+: is not TOML: .*twice.*", found)
    (found,) = mistakes(write(tmp_path, main=MAIN.replace("udp_port = 5060", "udp_port = 5060\nudp_port = 5061")))
    assert found.startswith("gateway.toml: line 9, column ")
    assert found.endswith("is not TOML: the key stands there twice; the second time up to here")
    (tmp_path / "gateway.toml").write_bytes(b"\xff\xfe")
    assert mistakes(tmp_path) == ["gateway.toml: file: is not UTF-8 text, as TOML must be"]


@pytest.mark.keeps("20.116")
@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("a = pbx-1", 'text stands in quotes: "pbx-1"'),
        ("a = 127.0.0.2  # ours", 'text stands in quotes: "127.0.0.2"'),
        ("a = 09:00-17:30", 'text stands in quotes: "09:00-17:30"'),
        ("a = +31 20 123 45 67", 'text stands in quotes: "+31 20 123 45 67"'),
        ("a = True", "write true"),
        ("a = off", "write false"),
        ("a = 05060", "05060 begins with 0, as no number here does; what is dialled stands in quotes"),
        ("a = \u201cpbx\u201d", '\u201c is no quotation mark here; text stands in "straight ones"'),
        ('a = ["x", \u201ey\u201c]', '\u201e is no quotation mark here; text stands in "straight ones"'),
        ('a = "x', "text ends by the quotation mark that it began with, in the same line"),
        ('a: "x"', 'a line is to be like this: key = "value"'),
        ("[a]\n[a]", "[a] stands there twice; put the keys of both under one, or, of a list, begin each by [[a]]"),
        ("[a.b]\n[[a.b]]", "there are [a.b] and [[a.b]]; of a list each begins by [[a.b]]"),
        ("a = 1\na = 2", "the key stands there twice; the second time up to here"),
        ("a = [1 2]", "Unclosed array"),
    ],
)  # fmt: skip
def test_what_is_no_toml_is_told_to_who_does_not_know_its_grammar(tmp_path: Path, typed: str, told: str) -> None:
    (found,) = mistakes(write(tmp_path, main=f"# first\n{typed}\n"))
    place, _, problem = found.partition(": is not TOML: ")
    assert problem == told
    assert place.startswith(f"gateway.toml: line {1 + len(typed.splitlines())}, column ")


@pytest.mark.keeps("20.116")
def test_a_list_of_tables_in_single_brackets_is_told_of(tmp_path: Path) -> None:
    single = MAIN.replace("[[numbers]]", "[numbers]")
    assert "gateway.toml: numbers: must be a list; begin each of its tables by [[numbers]], in double brackets" in (
        mistakes(write(tmp_path, main=single))
    )


def test_a_port_that_is_wrong_is_not_said_to_be_missing(tmp_path: Path) -> None:
    wrong = MAIN.replace("udp_port = 5060", 'udp_port = "5060"')
    assert mistakes(write(tmp_path, main=wrong)) == ['gateway.toml: sip.udp_port: must be a whole number, is "5060"']


def test_an_empty_file_is_told_what_belongs_in_it(tmp_path: Path) -> None:
    assert [each.partition(": is missing")[0] for each in mistakes(write(tmp_path, main=""))] == [
        "gateway.toml: gateway",
        "gateway.toml: sip",
        "gateway.toml: numbers",
    ]


@pytest.mark.parametrize(
    "main", ["numbers = 5", "gateway = []", "hours = 1\nsip = 2", "numbers = [1, 2]", "[[numbers]]"]
)
def test_nonsense_is_told_and_never_crashes(tmp_path: Path, main: str) -> None:
    assert mistakes(write(tmp_path, main=main))


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """One directory with mistakes of every kind, in three files."""
    main = changed(MAIN, "udp_port", "upd_port")
    main = changed(main, 'instance = "test-1"', 'instance = "Test 1"')
    main = changed(main, '"Europe/Amsterdam"', '"Europe/Amsterdm"')
    main = changed(main, 'answer = "support"', 'answer = "suport"')
    main = changed(main, 'hours = "office"', 'hours = "ofice"')
    main = changed(main, 'overflow = ["voicemail"]', 'overflow = ["sales"]')
    main = changed(main, 'extension = "6501"', 'extension = "6501"\naliases = ["2001"]\nmax_concurrent = 0')
    main += '\n[[numbers.destinations]]\nid = "night"\nqeue = "night"\n'
    trunk = changed(TRUNK, '"203.0.113.10"', '"203.0.113.0/33"')
    pbx = changed(PBX, '"ami.secret"', '"none.secret"')
    found = mistakes(write(tmp_path, main, {"platform": trunk, "asterisk": pbx}))
    loop = "sales -> support -> sales is a loop; the last destination must overflow to none of the others"
    address = 'must be an address or network such as "203.0.113.10" or "198.51.100.0/24"; is "203.0.113.0/33"'
    assert found == [
        'gateway.toml: gateway.instance: must be lower-case letters, digits and hyphens, such as "main-line"; is "Test 1"',
        "gateway.toml: sip.upd_port: is no known key; did you mean udp_port?",
        'gateway.toml: hours.office.time_zone: "Europe/Amsterdm" is no known time zone; did you mean Europe/Amsterdam?',
        "gateway.toml: numbers[main-line].destinations[support].max_concurrent: must be at least 1, is 0",
        "gateway.toml: numbers[main-line].destinations[night].extension: is missing, and there is no default",
        "gateway.toml: numbers[main-line].destinations[night].qeue: is no known key; did you mean queue?",
        "gateway.toml: sip: no transport is on; set udp_port, tcp_port or tls_port",
        'gateway.toml: numbers[main-line].answer: "suport" is no destination of this number; did you mean support?',
        "gateway.toml: numbers[main-line].destinations[sales].hours: there is no [hours.ofice]; did you mean office?",
        f"gateway.toml: {SUPPORT}.overflow: {loop}",
        f'gateway.toml: {SUPPORT}.aliases: "2001" means sales as well; it must mean one destination',
        f"sip_profiles/asterisk.toml: queues.password_file: there is no file {tmp_path}/sip_profiles/none.secret",
        f"sip_profiles/platform.toml: addresses[1]: {address}",
    ]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (
            'form = "hms"\nsecret_files = ["ami.secret"]\n',
            "platform: nobody listens for its requests; set [platform] in gateway.toml, or leave it out here",
        ),
        ('form = "hms"\nsecret_files = []\n', "platform.secret_files: must not be empty"),
        (
            'form = "hms"\nsecret_files = ["none.secret"]\n',
            "platform.secret_files[1]: there is no file {directory}/sip_profiles/none.secret",
        ),
        (
            'form = "hsm"\nsecret_files = ["ami.secret"]\n',
            "platform.form: must be 'hms', 'vapi' or 'retell', is \"hsm\"",
        ),
        ('secret_files = ["ami.secret"]\n', "platform.form: is missing, and there is no default"),
    ],
)
def test_a_mistake_in_what_a_platform_asks(tmp_path: Path, table: str, told: str) -> None:
    found = mistakes(write(tmp_path, profiles={"platform": f"{TRUNK}\n[platform]\n{table}", "asterisk": PBX}))
    assert f"sip_profiles/platform.toml: {told.replace('{directory}', str(tmp_path))}" in found


def test_subscriptions_need_no_login_and_tell_nothing_of_queues(tmp_path: Path) -> None:
    told = f'{PBX[: PBX.index("[queues]")]}[queues]\nsource = "dialog-info"\n'
    main = changed(MAIN, 'extension = "6501"', 'extension = "6501"\nqueue = "support"\nwhen_unknown = "refuse"')
    [mistake] = mistakes(write(tmp_path, main, {"platform": TRUNK, "asterisk": told}))
    assert mistake.startswith(f'gateway.toml: {SUPPORT}.when_unknown: "refuse" refuses every call')
    assert mistake.endswith('"dialog-info", which tells nothing of queues')


def test_only_the_manager_interface_lets_a_pbx_move_callers(tmp_path: Path) -> None:
    told = f'transfer_mode = "hand-down"\n{PBX[: PBX.index("[queues]")]}[queues]\nsource = "dialog-info"\n'
    [mistake] = mistakes(write(tmp_path, profiles={"platform": TRUNK, "asterisk": told}))
    assert mistake.startswith('sip_profiles/asterisk.toml: file: transfer_mode = "hand-down" needs source = "ami"')
