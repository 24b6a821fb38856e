# SPDX-License-Identifier: GPL-2.0-or-later
"""Several gateways of one configuration: what each says for itself, and what it has from its base."""

import json
from pathlib import Path

import pytest

from gateway.config import ConfigError, in_force, load
from tests.config_directory import MAIN, write
from tests.support.command_line import run
from tests.support.processes import free_port

OWN = """\
base = "../.."

[gateway]
instance = "test-2"
state_dir = "/tmp/transfer-gateway-test-2"

[sip]
udp_port = 5062
"""


def instance(base: Path, name: str = "test-2", own: str = OWN) -> Path:
    directory = base / "instances" / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "gateway.toml").write_text(own)
    return directory


def mistakes(directory: Path) -> list[str]:
    with pytest.raises(ConfigError) as found:
        load(directory)
    return [str(each) for each in found.value.mistakes]


def test_what_an_instance_says_stands_and_all_else_is_the_base_s(tmp_path: Path) -> None:
    config = load(instance(write(tmp_path)))
    base = load(tmp_path)
    assert (config.gateway.instance, config.sip.udp_port) == ("test-2", 5062)
    assert config.gateway.default_country == base.gateway.default_country == "NL"
    assert (config.sip.bind_address, config.sip.max_calls) == (base.sip.bind_address, base.sip.max_calls)
    assert [each.id for each in config.numbers] == [each.id for each in base.numbers]
    assert config.trunks == base.trunks
    assert (config.directory, config.home) == (tmp_path / "instances" / "test-2", tmp_path)


def test_secrets_lie_with_the_base(tmp_path: Path) -> None:
    base = write(tmp_path, MAIN.replace("port = 0\n", 'port = 0\ntoken_file = "http.token"\n'))
    (base / "http.token").write_text("let-the-tests-in\n")
    config = load(instance(base))
    assert config.http.token is not None
    assert set(config.files) == {"http.token", "sip_profiles/ami.secret"}


def test_a_reload_of_an_instance_takes_what_changes_in_the_base(tmp_path: Path) -> None:
    directory = instance(write(tmp_path))
    started = load(directory)
    write(tmp_path, MAIN.replace('"Prices"', '"Prices and quotes"'))
    now, restart_needed = in_force(started, load(directory))
    assert restart_needed == ()
    assert now.numbers[0].destinations["sales"].description == "Prices and quotes"


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ("base = 5\n", "base: must be the directory of the configuration that this one rests on"),
        (f"{OWN}\n[[numbers]]\n", "numbers: belongs into {base}/gateway.toml; here may be gateway, sip, http, "),
        (f'{OWN}\n[cluster]\nsecret_file = "x"\n', "cluster: belongs into {base}/gateway.toml"),
        (OWN.replace("udp_port", "upd_port"), "sip.upd_port: is no known key; did you mean udp_port?"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(tmp_path: Path, own: str, told: str) -> None:
    found = mistakes(instance(write(tmp_path), own=own))
    assert found[0].startswith(f"gateway.toml: {told.format(base=tmp_path)}")


def test_a_base_that_is_not_there_or_has_one_itself_is_told(tmp_path: Path) -> None:
    directory = instance(tmp_path)
    assert mistakes(directory)[0].startswith(f"{tmp_path}/gateway.toml: file: ")
    (tmp_path / "gateway.toml").write_text(OWN)
    assert mistakes(directory) == [f"gateway.toml: base: {tmp_path}/gateway.toml names a base too; one is enough"]


def test_status_of_all_has_a_line_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, write(tmp_path), "status", "--all")
    assert code == 1
    assert "there are no instances" in err
    for name in ("test-2", "test-3"):
        instance(tmp_path, name, f"{OWN}\n[http]\nport = {free_port()}\n")
    code, out, _ = run(capsys, tmp_path, "status", "--all")
    assert (code, [line.split(":")[0].strip() for line in out.splitlines()]) == (1, ["test-2", "test-3"])
    told = json.loads(run(capsys, tmp_path, "status", "--all", "--json")[1])
    assert set(told["instances"]) == {"test-2", "test-3"}
