# SPDX-License-Identifier: GPL-2.0-or-later
"""What `transfer-gateway` prints, and the exit codes it ends with."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gateway import __version__, cli
from gateway.arguments import EXAMPLES, parser
from gateway.config import load
from tests.config_directory import MAIN, PBX, PRIVATE_TRUNK, TRUNK, write
from tests.support.command_line import run


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write(tmp_path)


def test_check_says_what_it_found(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    write(directory, profiles={"platform": PRIVATE_TRUNK, "asterisk": PBX})
    code, out, _ = run(capsys, directory, "check")
    assert code == 0
    assert out == f"{directory}: no mistakes. Numbers: 1, destinations: 3, trunks: platform, PBXs: asterisk\n"


def test_check_prints_a_line_for_every_mistake(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main = MAIN.replace("udp_port", "upd_port").replace('hours = "office"', 'hours = "ofice"')
    code, out, err = run(capsys, write(tmp_path, main, secrets={}), "check")
    assert code == 78
    assert out.splitlines() == [
        "gateway.toml: sip.upd_port: is no known key; did you mean udp_port?",
        "gateway.toml: sip: no transport is on; set udp_port, tcp_port or tls_port",
        "gateway.toml: numbers[main-line].destinations[sales].hours: there is no [hours.ofice]; did you mean office?",
        f"sip_profiles/asterisk.toml: queues.password_file: there is no file {tmp_path}/sip_profiles/ami.secret",
    ]
    assert not err


@pytest.mark.parametrize(
    "arguments",
    [["explain", "2001"], ["status"], ["tool"], ["probe"], ["transfer", "c1", "2001"], ["cancel", "c1"]],
    ids=lambda each: each[0],
)
def test_no_command_works_with_mistakes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    code, out, err = run(capsys, write(tmp_path, MAIN.replace("udp_port", "upd_port")), *arguments)
    assert code == 78
    assert not out
    assert "gateway.toml: sip.upd_port: is no known key" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check"], 78),
        (["probe"], 78),
        (["transfer", "c1", "2001"], 78),
        (["explain", "2001"], 0),
        (["tool"], 0),
        (["status"], 1),  # no gateway runs
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_who_may_not_read_the_secrets_can_still_ask(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], code: int
) -> None:
    main = MAIN.replace("udp_port = 5060", 'tls_port = 5061\ntls_certificate = "gw.crt"\ntls_key = "gw.key"')
    pbx = PBX.replace("[queues]", 'transport = "tls"\n[queues]')
    directory = write(tmp_path, main, {"platform": f'{TRUNK}transport = "tls"\n', "asterisk": pbx}, secrets={})
    found, out, err = run(capsys, directory, *arguments)
    assert found == code
    missing = "queues.password_file: there is no file"
    assert (missing in out + err) is (code == 78)


def test_tool_is_what_the_platform_expects(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    code, out, err = run(capsys, directory, "tool", "--number", "main-line")
    assert code == 0
    assert json.loads(out) == {
        "type": "transfer_call",
        "destinations": [
            {"type": "number", "number": "+31612345678", "description": "Prices", "message": "One moment."},
            {"type": "number", "number": "+31612345679", "description": ""},
        ],
    }
    assert err == "transfer-gateway: voicemail has no number that an assistant could be told; left out\n"


def test_with_availability_it_is_the_list_of_tools_that_the_platform_expects(
    capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    code, out, err = run(capsys, directory, "tool", "--with-availability")
    tools = json.loads(out)
    assert code == 0
    assert tools[0] == json.loads(run(capsys, directory, "tool")[1])
    assert [tool["name"] for tool in tools[1:]] == ["check_availability", "list_destinations"]
    asked = tools[1]["parameters"]
    assert asked["properties"]["destination"]["enum"] == ["+31612345678", "+31612345679"]
    assert asked["required"] == ["destination"]
    assert "url" not in tools[1]
    assert "no public_url in [platform]" in err
    (directory / "sip_profiles/platform.toml").write_text(f'{TRUNK}[platform]\nform = "hms"\nsecret_files = ["x"]\n')
    for public in ("https://gw.example.com/platform", "https://gw.example.com/platform/"):
        (directory / "gateway.toml").write_text(f'{MAIN}\n[platform]\nport = 9471\npublic_url = "{public}"\n')
        code, out, err = run(capsys, directory, "tool", "--with-availability")
        assert {tool["url"] for tool in json.loads(out)[1:]} == {"https://gw.example.com/platform/platform"}
        assert "public_url" not in err


@pytest.mark.parametrize(("of", "holds"), [("config", "DestinationSettings"), ("event", "TransferData")])
def test_schemas(capsys: pytest.CaptureFixture[str], directory: Path, of: str, holds: str) -> None:
    code, out, _ = run(capsys, directory, "schema", of)
    schema = json.loads(out)
    assert code == 0
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert holds in schema["$defs"]


def test_probe_cannot_call_without_a_gateway(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    code, out, err = run(capsys, directory, "probe", "--call")
    assert (code, out) == (1, "")
    assert "the gateway has no HTTP port" in err


def test_probe_cannot_call_without_a_token_and_says_so_once(
    capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    main = directory / "gateway.toml"
    main.write_text(main.read_text().replace("port = 0\n", "port = 9470\n"))
    code, out, err = run(capsys, directory, "probe", "--call")
    assert (code, out) == (1, "")
    assert "set token_file in [http]" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [[], ["dial"], ["explain"], ["schema", "x"], ["explain", "2001", "--at", "noon"], ["check", "more"]]
)
def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: transfer-gateway" in capsys.readouterr().err


def test_every_help_has_examples_that_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    given = parser(dict.fromkeys(EXAMPLES))
    for command, examples in EXAMPLES.items():
        for example in examples:
            given.parse_args([command, *shlex.split(example.partition(">")[0])])  # would end with 2
        with pytest.raises(SystemExit):
            given.parse_args([command, "--help"])
        assert f"examples:\n  transfer-gateway {command}" in capsys.readouterr().out


@pytest.mark.slow
def test_check_needs_no_sip_stack_and_no_calendar(directory: Path) -> None:
    """In a process of its own: what is not needed is not imported."""
    program = (
        "import sys; from gateway.cli import main; code = main(sys.argv[1:]);"
        "assert not {'pjsua2', 'aiohttp', 'uvloop', 'aiomqtt', 'gateway.app'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "check", "--config", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_run_serves_and_hands_on_its_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    app = ModuleType("gateway.app")
    served: list[Path] = []

    def serve(config: Path) -> int:
        served.append(config)
        load(config)
        return 0

    app.main = serve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gateway.app", app)
    assert run(capsys, directory, "run")[0] == 0
    (directory / "gateway.toml").write_text("")
    code, _, err = run(capsys, directory, "run")
    assert code == 78
    assert err.startswith("gateway.toml: gateway: is missing")
    assert served == [directory, directory]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"transfer-gateway {__version__}\n"


OF_THE_GATEWAY = {"pjsua2", "uvloop", "aiomqtt", "paho", "aiohttp", "prometheus_client", "gateway.app", "gateway.sip"}
OF_THE_CONFIGURATION = {"pydantic", "phonenumbers", "holidays"}
CALENDARS = {"holidays.countries"}


@pytest.mark.thorough
@pytest.mark.keeps("16.104")
@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], OF_THE_GATEWAY | OF_THE_CONFIGURATION),
        (["--version"], OF_THE_GATEWAY | OF_THE_CONFIGURATION),
        (["status", "--help"], OF_THE_GATEWAY | OF_THE_CONFIGURATION),
        (["schema", "config"], OF_THE_GATEWAY | {"holidays"}),
        (["schema", "event"], OF_THE_GATEWAY | {"holidays", "phonenumbers"}),
        (["status"], OF_THE_GATEWAY | CALENDARS),
        (["check"], OF_THE_GATEWAY | CALENDARS),
        (["tool"], OF_THE_GATEWAY | CALENDARS),
        (["transfer", "c1", "2001"], OF_THE_GATEWAY | CALENDARS),
        (["cancel", "c1"], OF_THE_GATEWAY | CALENDARS),
        (["watch", "--once"], OF_THE_GATEWAY | CALENDARS | {"rich"}),
        (["transfers"], OF_THE_GATEWAY | CALENDARS | {"rich"}),
        (["explain", "2001"], OF_THE_GATEWAY),
    ],
    ids=lambda words: " ".join(words if isinstance(words, list) else sorted(words)),
)
def test_a_command_loads_what_it_needs_alone(directory: Path, arguments: list[str], unneeded: set[str]) -> None:
    """What is loaded costs each call of the command; the whole of it, over a second."""
    config = [] if "--help" in arguments or "--version" in arguments else ["--config", str(directory)]
    command = [sys.executable, "-X", "importtime", "-m", "gateway.cli", *arguments, *config]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    lines = [line for line in told.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip() for line in lines}
    assert "gateway.arguments" in loaded
    assert loaded & unneeded == set()
