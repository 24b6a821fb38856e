# SPDX-License-Identifier: GPL-2.0-or-later
"""What `transfer-gateway check` warns of: no mistakes, and yet hardly meant, or not possible on this machine."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import host, load
from gateway.config.advice import advise
from tests.config_directory import ASKING, MAIN, PBX, PRIVATE_TRUNK, TALKING, write, write_whisper
from tests.support.command_line import run

TRUNK = PRIVATE_TRUNK
UNIT = """\
# /etc/systemd/system/transfer-gateway.service
[Service]
ExecStart=/opt/transfer-gateway/bin/transfer-gateway run --config {config}
DynamicUser=yes
User=transfer-gateway
StateDirectory=transfer-gateway
ProtectSystem=strict
#LoadCredential=mqtt.secret:/etc/transfer-gateway/mqtt.secret
{more}
"""


def advice(tmp_path: Path, main: str = MAIN, trunk: str = TRUNK, pbx: str = PBX, holds: str = "s3cret") -> list[str]:
    write(tmp_path, main, {"platform": trunk, "asterisk": pbx}, {"sip_profiles/ami.secret": holds})
    return [str(each) for each in advise(load(tmp_path))]


def seen(directory: Path, unit: str = "") -> list[str]:
    """What this machine speaks against."""
    return [str(each) for each in host.look_around(load(directory), unit)]


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that everybody may come to: pytest keeps its own to itself."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def directory(open_path: Path) -> Path:
    made = write(open_path / "etc", profiles={"platform": TRUNK, "asterisk": PBX})
    for each in (made, made / "sip_profiles"):
        each.chmod(0o755)
    (made / "sip_profiles" / "ami.secret").chmod(0o600)
    return made


@pytest.mark.keeps("20.4")
def test_nothing_is_warned_of_where_all_is_meant(tmp_path: Path) -> None:
    assert advice(tmp_path) == []
    assert advice(tmp_path, MAIN.replace("port = 0", 'port = 9470\nhost_names = ["pbx.company.nl"]')) == []


@pytest.mark.keeps("20.116")
def test_an_assigned_number_with_a_digit_too_few_or_too_many(tmp_path: Path) -> None:
    def of(number: str) -> list[str]:
        return advice(tmp_path, MAIN.replace("+31201234567", number))

    why = "is as long as no number of its country: has it a digit too few, or too many?"
    for wrong in ("+3120123456", "+312012345678", "+1202555010"):
        assert of(wrong) == [f'gateway.toml: numbers[main-line].number: "{wrong}" {why}']
    # Numbers kept for films, short ones that are in use, and those of no country.
    for right in ("+441632960000", "+318001234", "+80012345678", "+4930123456"):
        assert of(right) == []


@pytest.mark.keeps("20.116")
def test_listening_everywhere_is_told_to_nobody_as_an_address(tmp_path: Path) -> None:
    everywhere = MAIN.replace('"127.0.0.2"', '"0.0.0.0"')
    why = "peers would be told to send audio there, which leads nowhere"
    way = "name the address by which they reach this machine, here or as public_address"
    assert advice(tmp_path, everywhere) == [f"gateway.toml: sip.bind_address: 0.0.0.0: {why}; {way}"]
    assert advice(tmp_path, everywhere.replace("udp_port", 'public_address = "10.0.0.5"\nudp_port')) == []
    six = MAIN.replace("udp_port", 'bind_address6 = "::"\nudp_port')
    assert [each.partition(": peers")[0] for each in advice(tmp_path, six)] == ["gateway.toml: sip.bind_address6: ::"]


EXAMPLES = {
    "addresses": TRUNK.replace("10.1.0.0/16", "203.0.113.10"),
    "outbound": TRUNK.replace("10.1.2.3", "sip.example.net"),
}


@pytest.mark.keeps("20.4")
@pytest.mark.parametrize("key", EXAMPLES)
def test_addresses_of_the_documentation(tmp_path: Path, key: str) -> None:
    [warning] = advice(tmp_path, trunk=EXAMPLES[key])
    assert warning.startswith(f"sip_profiles/platform.toml: {key}: ")
    assert "is an example of the documentation" in warning


@pytest.mark.keeps("20.4")
@pytest.mark.parametrize(
    "table",
    [
        '[mqtt]\nhost = "broker.example"',
        '[mqtt]\nhost = "2001:db8::7"',
        '[[webhooks]]\nid = "crm"\nurl = "https://crm.example.com/hooks"\nsecret_file = "crm.secret"',
    ],
)
def test_other_hosts_of_the_documentation(tmp_path: Path, table: str) -> None:
    (tmp_path / "crm.secret").write_text("whsec_" + "A" * 48)
    [warning] = advice(tmp_path, f"{MAIN}\n{table}\n")
    assert warning.partition(": ")[2].startswith(("mqtt.host: ", "webhooks[crm].url: "))


@pytest.mark.keeps("20.4")
def test_a_secret_that_nobody_has_set_is_told_without_what_it_holds(tmp_path: Path) -> None:
    [warning] = advice(tmp_path, holds="CHANGE-ME-to-3141592")
    assert warning.startswith("sip_profiles/asterisk.toml: queues.password_file: its file holds a placeholder")
    assert "3141592" not in warning
    [warning] = advice(tmp_path, pbx=PBX.replace('username = "transfer-gateway"', 'username = "change_me"'))
    assert warning.startswith("sip_profiles/asterisk.toml: queues.username: is a placeholder")
    assert advice(tmp_path, MAIN.replace('"Prices"', '"Who wants to change me to another plan"')) == []


@pytest.mark.keeps("20.4")
def test_phones_that_are_not_let_ring_as_long_as_it_says(tmp_path: Path) -> None:
    rings = MAIN.replace('extension = "6500"', 'extension = "6500"\nring_timeout_s = 45')
    where = "gateway.toml: numbers[main-line].destinations[sales].ring_timeout_s: 45 s are "
    [warning] = advice(tmp_path, rings)
    assert warning == f"{where}more than platform waits for the outcome (deadline_s, 30): the dialling ends before"
    [warning] = advice(tmp_path, rings, f'{TRUNK}at_deadline = "continue"\n')
    assert warning.endswith("the platform is told that nobody answered before")
    assert advice(tmp_path, rings, f"{TRUNK}deadline_s = 45\n") == []
    assert advice(tmp_path, rings, f'{TRUNK}final_notify = "on-ring"\n') == []
    total = rings.replace('pbx = "asterisk"', 'pbx = "asterisk"\ntotal_ring_s = 30')
    [warning] = advice(tmp_path, total, f"{TRUNK}deadline_s = 60\n")
    assert warning == f"{where}never reached: total_ring_s of main-line is 30"


WITHOUT_AMI = PBX.partition("[queues]")[0]


@pytest.mark.keeps("21.27")
@pytest.mark.parametrize(
    ("main", "key", "then"),
    [
        (ASKING, "accept", "hears the whisper, and presses no key"),
        (TALKING, "whisper", "hears it, and no agent"),
        (TALKING, "while_waiting", "takes the caller from the assistant"),
    ],
)
def test_agents_who_are_waited_for_and_whom_nobody_tells_of(tmp_path: Path, main: str, key: str, then: str) -> None:
    write_whisper(tmp_path)
    assert advice(tmp_path, main) == []
    where = f"gateway.toml: numbers[main-line].destinations[sales].{key}: "
    for pbx in (WITHOUT_AMI, f'{WITHOUT_AMI}[queues]\nsource = "dialog-info"\n'):
        [warning] = [each for each in advice(tmp_path, main, pbx=pbx) if each.startswith(where)]
        assert warning.removeprefix(where) == (
            'asterisk does not tell which agent takes a caller ([queues] source = "ami" would): '
            f"a queue that answers before an agent does (sales?) {then}"
        )
        # A phone that rings is answered by whoever picks it up.
        assert not [each for each in advice(tmp_path, main, pbx=pbx) if "[support]" in each]


@pytest.mark.keeps("21.27")
def test_an_assistant_that_leaves_when_the_phone_rings(tmp_path: Path) -> None:
    write_whisper(tmp_path)
    told = [each.split(": ", 2)[1:] for each in advice(tmp_path, TALKING, f'{TRUNK}final_notify = "on-ring"\n')]
    assert [key for key, _ in told] == [
        f"numbers[main-line].destinations[{one}].while_waiting" for one in ("sales", "support")
    ]
    assert {problem for _, problem in told} == {
        '"assistant" ends when the phone rings: platform is told of success then, and leaves (final_notify = "on-ring")'
    }


@pytest.mark.keeps("20.4")
def test_a_number_whose_assistant_nobody_can_call(tmp_path: Path) -> None:
    no_way = TRUNK.replace('outbound = "sip:10.1.2.3:5060"\n', "")
    assert advice(tmp_path, trunk=no_way) == []  # its calls come from the trunk: it has an answer
    [warning] = advice(tmp_path, MAIN.replace('answer = "support"\n', ""), no_way)
    assert warning.startswith('sip_profiles/platform.toml: outbound: "" lets nobody call the assistant of main-line')
    [warning] = advice(tmp_path, trunk=no_way, pbx=PBX.replace("[queues]", 'transfer_mode = "hand-down"\n[queues]'))
    assert "asterisk hands down callers of its own" in warning


@pytest.mark.keeps("20.4")
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_http_for_everybody(tmp_path: Path, address: str) -> None:
    http = f'port = 9470\nbind_address = "{address}"'
    [warning] = advice(tmp_path, MAIN.replace("port = 0", http))
    assert warning.startswith(f"gateway.toml: http.bind_address: {address}: ")


@pytest.mark.keeps("19.21")
def test_a_listener_for_platforms_that_is_hardly_meant(tmp_path: Path) -> None:
    asking = f'{TRUNK}\n[platform]\nform = "hms"\nsecret_files = ["ami.secret"]\n'
    local = f"{MAIN}\n[platform]\nport = 9471\n"
    assert advice(tmp_path, local, asking) == []
    [warning] = advice(tmp_path, f'{local}bind_address = "10.1.0.1"\n', asking)
    assert warning.startswith("gateway.toml: platform.bind_address: 10.1.0.1 without tls_certificate: ")
    [warning] = advice(tmp_path, local)
    assert warning.startswith("gateway.toml: platform.port: nobody may ask there: ")
    (tmp_path / "acme.json").write_text('{"type": "transfer_call", "destinations": []}')
    told = MAIN.replace('answer = "support"\n', 'answer = "support"\nassistant_file = "acme.json"\n')
    [warning] = advice(tmp_path, told)
    assert warning == (
        "gateway.toml: numbers[main-line].assistant_file: nobody asks for it: "
        "sip_profiles/platform.toml has no [platform]"
    )


@pytest.mark.keeps("20.4")
def test_strict_ends_with_1_where_there_is_a_warning(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write(tmp_path, profiles={"platform": TRUNK, "asterisk": PBX})
    assert run(capsys, tmp_path, "check", "--strict")[0] == 0
    write(tmp_path, profiles={"platform": EXAMPLES["addresses"], "asterisk": PBX})
    assert run(capsys, tmp_path, "check")[0] == 0
    code, out, _ = run(capsys, tmp_path, "check", "--strict")
    assert code == 1
    assert out.startswith("warning: sip_profiles/platform.toml: addresses: ")
    write(tmp_path, MAIN.replace("udp_port", "upd_port"))
    assert run(capsys, tmp_path, "check", "--strict")[0] == 78


# --- this machine


@pytest.mark.keeps("20.5")
def test_addresses_that_this_machine_does_not_have(directory: Path) -> None:
    assert seen(directory) == []
    write(directory, MAIN.replace("127.0.0.2", "192.0.2.77"), {"platform": TRUNK, "asterisk": PBX})
    assert seen(directory)[0].startswith("gateway.toml: sip.bind_address: 192.0.2.77 is no address of this machine")


@pytest.mark.keeps("20.5")
def test_a_secret_that_everybody_can_read(directory: Path) -> None:
    secret = directory / "sip_profiles" / "ami.secret"
    for mode, is_open in ((0o600, False), (0o640, False), (0o644, True), (0o604, True)):
        secret.chmod(mode)
        assert bool(seen(directory)) is is_open
    assert seen(directory) == [
        "sip_profiles/ami.secret: mode: everybody on this machine can read this secret; chmod o-rwx"
    ]
    directory.chmod(0o750)  # nobody comes as far as that
    assert seen(directory) == []


@pytest.mark.keeps("20.5")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what the service cannot")
def test_what_root_reads_and_the_service_cannot(directory: Path) -> None:
    credential = f"LoadCredential=ami.secret:{directory}/sip_profiles/ami.secret"
    write(directory, MAIN.replace("/tmp/transfer-gateway-test", "/var/lib/transfer-gateway"), {}, {})
    (directory / "sip_profiles" / "asterisk.toml").chmod(0o600)
    unit = UNIT.format(config=directory, more=credential)
    assert seen(directory, unit) == [
        "sip_profiles/asterisk.toml: mode: the service's user, transfer-gateway, cannot read it"
    ]
    unit = UNIT.format(config=directory, more="")
    handing = f"nor is it handed to it ({credential})"
    assert seen(directory, unit)[0].endswith(f"transfer-gateway, cannot read it, {handing}")
    assert seen(directory, UNIT.format(config="/etc/elsewhere", more="")) == []  # another gateway's
    # A group of the service's may read it, and so may who owns it.
    (directory / "sip_profiles" / "asterisk.toml").chmod(0o640)
    assert len(seen(directory, f"{unit}SupplementaryGroups=root\n")) == 1
    assert seen(directory, f"{unit}User=root\n") == []


@pytest.mark.keeps("20.5")
@pytest.mark.skipif(os.geteuid() != 0, reason="for anybody else it depends on whose the directory is")
def test_a_state_directory_that_cannot_be_written_to(directory: Path, open_path: Path) -> None:
    def said(state: Path | str, more: str = "") -> list[str]:
        write(directory, MAIN.replace("/tmp/transfer-gateway-test", str(state)), {"platform": TRUNK, "asterisk": PBX})
        (directory / "sip_profiles" / "ami.secret").chmod(0o600)
        unit = UNIT.format(config="/etc/transfer-gateway", more=more)
        return [each.removeprefix("gateway.toml: gateway.state_dir: ") for each in seen(directory, unit)]

    assert said("/var/lib/transfer-gateway") == []  # systemd makes it
    [warning] = said(open_path / "state")
    assert warning.endswith("ReadWritePaths= adds to that")
    [warning] = said(open_path / "state", f"ReadWritePaths={open_path}")
    assert warning == (
        f"{open_path}/state is not there, and {open_path} cannot be written to by the service (transfer-gateway)"
    )
    open_path.chmod(0o777)
    assert said(open_path / "state", f"ReadWritePaths={open_path}") == []
    (open_path / "file").touch()
    [warning] = said(open_path / "file" / "state", f"ReadWritePaths={open_path}")
    assert warning == f"{open_path}/file is no directory"
