# SPDX-License-Identifier: GPL-2.0-or-later
"""How the command behaves, whichever of its commands it is: what it says, how it ends, and to whom it writes."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway import cli
from gateway.arguments import EXAMPLES, examples
from gateway.cli import output
from scripts.deb.documents import commands
from tests.config_directory import MAIN, write
from tests.support.command_line import run, running_gateway
from tests.support.processes import free_port
from tests.support.pseudo_terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "01J8Z3K4M5N6P7Q8R9S0T1V2W3"
WORDS: dict[str, list[str]] = {
    "explain": ["2001"],
    "schema": ["config"],
    "why": [ID],
    "transfer": [ID, "sales"],
    "callback": ["+31201112222", "sales"],
    "cancel": [ID],
    "hangup": [ID],
    "forget": ["+31612345678"],
    "watch": ["--once"],
}
"""What a command cannot do without."""
OPERATIONS = Path(__file__).resolve().parents[1] / "docs" / "operations.md"


def options_of(command: argparse.ArgumentParser) -> set[str]:
    return {option for action in command._actions for option in action.option_strings}


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, str, str]:
    """Of words that the parser itself ends with: exit code, output, complaints."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return (ended.value.code, *capsys.readouterr())


@pytest.fixture(autouse=True)
def colors() -> Iterator[None]:
    yield
    output.choose_colors("auto")


@pytest.mark.keeps("20.80")
def test_without_arguments_it_says_what_to_do_first_and_what_is_used_most(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gateway.arguments.DEFAULT_DIRECTORY", tmp_path)
    code, out, err = said(capsys)
    assert (code, out) == (2, "")
    assert err.startswith("usage: transfer-gateway ")
    assert f"there is no {tmp_path}/gateway.toml yet; to begin:\n  transfer-gateway init " in err
    (tmp_path / "gateway.toml").touch()
    err = said(capsys)[2]
    assert "to begin" not in err
    most_used = [line.split()[1] for line in err.splitlines() if line.startswith("  transfer-gateway ")]
    assert len(most_used) == 5
    assert set(most_used) < set(commands())
    assert {each.split()[0] for each, _ in (*examples._FIRST, *examples._MOST_USED)} < set(commands())


@pytest.mark.keeps("20.80")
def test_where_there_is_no_configuration_it_says_how_to_get_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        code, _, err = run(capsys, directory, "status")
        assert code == 78
        ways = "`transfer-gateway init` writes one, and --config names another directory"
        assert err.splitlines() == [f"transfer-gateway: gateway.toml: file: there is none in {directory}; {ways}"]


@pytest.mark.keeps("20.80")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["chek"], "there is no command chek; did you mean check?"),
        (["staus", "--json"], "there is no command staus; did you mean status?"),
        (["frobnicate"], "there is no command frobnicate; there are init, run, check, "),
        (["status", "--jsno"], "there is no option --jsno; did you mean --json?"),
        (["probe", "--cals"], "there is no option --cals; did you mean --call?"),
        (["status", "now"], "now is one word too many"),
        (["transfers", "--outcome", "fialed"], "fialed is none of them; did you mean failed?"),
        (["schema", "evnt"], "evnt is none of them; did you mean event?"),
        (["--colour=never", "status"], "there is no option --colour; did you mean --color?"),
        (["watch", "--interval", "0"], "0 is no number of seconds from 0.5 to 3600"),
        (["calls", "--limit", "1001"], "1001 is no number from 1 to 1000"),
    ],
)
def test_what_is_misspelt_is_told_with_what_was_meant(
    capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert why in err.splitlines()[-1]
    assert err.startswith("usage: transfer-gateway")


def test_config_and_color_may_stand_before_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write(tmp_path)
    assert cli.main(["--config", str(tmp_path), "--color", "always", "check"]) == 0
    assert f"\x1b[32m{tmp_path}: no mistakes." in capsys.readouterr().out


@pytest.mark.keeps("20.81")
def test_whatever_prints_something_prints_json() -> None:
    without = {name for name, command in commands().items() if "--json" not in options_of(command)}
    assert without == {"run"}  # whose log is JSON by [gateway] log_format


@pytest.mark.keeps("20.81")
@pytest.mark.parametrize("name", ["check", "explain", "tool", "schema"])
def test_json_of_the_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    code, out, _ = run(capsys, write(tmp_path), name, *WORDS.get(name, []), "--json")
    assert (code, type(json.loads(out))) == (0, dict)


@pytest.mark.keeps("20.81")
def test_json_of_check_has_mistakes_warnings_and_differences(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(tmp_path)
    tool = tmp_path / "tool.json"
    tool.write_text(run(capsys, tmp_path, "tool")[1])
    assert json.loads(run(capsys, tmp_path, "check", "--tool", str(tool), "--json")[1]) == {
        "ok": True,
        "differences": [],
    }
    tool.write_text(tool.read_text().replace("Prices", "Prizes"))
    code, out, _ = run(capsys, tmp_path, "check", "--tool", str(tool), "--json")
    assert (code, json.loads(out)["ok"], len(json.loads(out)["differences"])) == (1, False, 1)
    code, out, _ = run(capsys, tmp_path, "check", "--strict", "--json")
    told = json.loads(out)
    assert (code, told["ok"], bool(told["warnings"])) == (1, False, True)
    code, out, _ = run(capsys, write(tmp_path, MAIN.replace("udp_port", "upd_port")), "check", "--json")
    assert code == 78
    assert {"file": "gateway.toml", "key": "sip.upd_port"}.items() <= json.loads(out)["mistakes"][0].items()


@pytest.mark.slow
@pytest.mark.keeps("20.82")
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_command_ends_with_the_codes_that_are_documented(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    """Without a gateway; with mistakes in the configuration; with a word too many."""
    section = OPERATIONS.read_text().partition("\n## The command\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \|([^|]*)\|([^|]*)\|[^|]*\|$", section, flags=re.MULTILINE)
    documented = {command: (done, failed) for command, done, failed in rows}
    assert set(documented) == set(EXAMPLES)
    words = WORDS.get(name, [])
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--no-such-option"])
    assert ended.value.code == 2
    if name in {"init", "run"}:  # ask and serve: tests/test_cli_init.py, test_run_serves_and_hands_on_its_exit_code
        return
    main = MAIN.replace("/tmp/transfer-gateway-test", str(tmp_path / "state")).replace(
        "port = 0\n", f"port = {free_port()}\n"
    )
    (tmp_path / "state").mkdir()
    away = {"explain": 0, "tool": 0, "schema": 0, "check": 0, "forget": 0}
    assert run(capsys, write(tmp_path / "etc", main), name, *words)[0] == away.get(name, 1)
    mistaken = main.replace("udp_port", "upd_port").replace('bind_address = "127.0.0.2"', "bind_address = 1")
    broken = run(capsys, write(tmp_path / "etc", mistaken), name, *words)
    assert broken[0] == (0 if name == "schema" else 78)
    capsys.readouterr()


def in_a_process(*words: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
    # With the signals as a shell hands them on, whoever started the tests may have them ignored.
    command = ["env", "--default-signal", sys.executable, "-m", "gateway.cli", *words]
    # Written at the end, as it is where nothing else is said.
    env = {**os.environ, "PYTHONUNBUFFERED": "", **(env or {})}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env, **more)


@pytest.mark.slow
@pytest.mark.keeps("20.84")
@pytest.mark.parametrize("words", [["schema", "config"], ["--help"], ["--version"]], ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_fault(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with in_a_process(*words, stdout=writing) as process:
        os.close(writing)
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait() == 1


@pytest.mark.slow
@pytest.mark.keeps("20.84")
def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("w") as full, in_a_process("schema", "config", stdout=full) as process:
        assert process.stderr is not None
        told = process.stderr.read()
    assert (process.wait(), told) == (1, "transfer-gateway: the output cannot be written: No space left on device\n")


@pytest.mark.slow
@pytest.mark.keeps("20.84")
@pytest.mark.parametrize("name", ["status", "explain", "reload"])
def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path, name: str) -> None:
    """While a gateway that answers nothing is asked."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        main = MAIN.replace("port = 0\n", f"port = {silent.getsockname()[1]}\n")
        write(tmp_path, main)
        with in_a_process(name, *WORDS.get(name, []), "--config", str(tmp_path)) as process:
            asked, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert process.stderr.read() == "\n"
            asked.close()
        assert process.wait() == 130


@pytest.mark.slow
@pytest.mark.keeps("20.84")
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no gateway (BadStatusLine)"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "is no gateway\n"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000, "is no gateway\n"),
        (b"HTTP/1.0 200 OK\r\n\r\n[]", "is no gateway\n"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", "is no gateway of this release"),
        (b"", "no gateway answers at http://127.0.0.1:"),
    ],
)
def test_what_is_no_gateway_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, answer: bytes, why: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            while True:
                try:
                    asking, _ = other.accept()
                except OSError:
                    return
                with asking:
                    asking.recv(4096)
                    asking.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        main = MAIN.replace("port = 0\n", f"port = {other.getsockname()[1]}\n")
        code, out, err = run(capsys, write(tmp_path, main), "queues")
        other.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert (code, out) == (1, "")
    assert why in err
    assert len(err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.keeps("20.84")
def test_nothing_that_a_caller_chooses_steers_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        evil = "\x1b]0;gone\x07\x1b[2J\u202e\x9b31m\nfine"
        gateway.answer = {
            "decision": "refuse", "destination": None, "extension": None, "reason": "unknown-destination",
            "sip_code": 404, "trail": [f"target: {evil}"], "sentence": evil,
        }  # fmt: skip
        _, out, _ = run(capsys, tmp_path, "explain", "2001")
        assert r"target: \x1b]0;gone\x07\x1b[2J\u202e\x9b31m\nfine" in out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out)
        _, out, _ = run(capsys, tmp_path, "explain", "2001", "--json")
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out)
        assert json.loads(out) == gateway.answer
        gateway.status, gateway.answer = 404, {"error": {"code": "unknown-call", "message": evil}}
        err = run(capsys, tmp_path, "hangup", "c1")[2]
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", err)


@pytest.mark.slow
def test_a_terminal_without_the_letters_is_shown_their_codes(tmp_path: Path) -> None:
    write(tmp_path, MAIN.replace('"Prices"', '"Pr\u00fcfung"'))
    env = {"PYTHONIOENCODING": "ascii"}
    with in_a_process("tool", "--config", str(tmp_path), stdout=subprocess.PIPE, env=env) as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (
        0,
        "transfer-gateway: voicemail has no number that an assistant could be told; left out\n",
    )
    assert json.loads(out)["destinations"][0]["description"] == "Pr\u00fcfung"


@pytest.mark.slow
@pytest.mark.keeps("20.80")
@pytest.mark.parametrize(
    ("env", "words", "colored"),
    [
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": ""}, [], True),
        ({"TERM": "dumb"}, [], False),
        ({}, ["--color", "never"], False),
        ({"NO_COLOR": "1", "TERM": "dumb"}, ["--color=always"], True),
    ],
)
async def test_colors_are_for_terminals_that_have_them(
    tmp_path: Path, env: dict[str, str], words: list[str], colored: bool
) -> None:
    write(tmp_path)
    async with Terminal("check", *words, "--config", str(tmp_path), env=env) as terminal:
        assert await terminal.ended() == 0
        assert (b"\x1b[" in terminal.written) is colored
        assert "no mistakes" in terminal.text


@pytest.mark.slow
@pytest.mark.keeps("20.80")
async def test_a_page_is_no_wider_than_the_terminal(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        why = "the queue sales has nobody who is logged in, and the overflow is closed until Wednesday at nine"
        gateway.answer = {
            "decision": "refuse", "destination": None, "extension": None, "reason": "queue-unstaffed", "sip_code": 480,
            "trail": [why], "sentence": why,
        }  # fmt: skip
        words = ("explain", "2001", "--config", str(tmp_path))
        async with Terminal(*words, columns=40) as terminal:
            assert await terminal.ended() == 1
    lines = terminal.text.splitlines()
    at = lines.index("trail") + 1
    assert lines[at : at + 3] == [
        "  the queue sales has nobody who is",
        "    logged in, and the overflow is",
        "    closed until Wednesday at nine",
    ]
    assert [line[13:] for line in lines[at + 3 :]] == [
        "the queue sales has nobody",
        "  who is logged in, and the",
        "  overflow is closed until",
        "  Wednesday at nine",
    ]


@pytest.mark.keeps("20.80")
@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (None, ["to     why", "sales  nobody is logged in, and the overflow is closed"]),
        (50, ["to     why", "sales  nobody is logged in, and the overflow is", "       closed"]),
        (30, ["to     why", "sales  nobody is logged in,", "       and the overflow is", "       closed"]),
        (26, ["to     why", "sales", "    nobody is logged in,", "    and the overflow is", "    closed"]),
    ],
)
def test_a_table_is_no_wider_than_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int | None, lines: list[str]
) -> None:
    monkeypatch.setattr(output, "columns", lambda: width)
    output.print_rows(("to", "why"), [("sales", "nobody is logged in, and the overflow is closed")])
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.slow
@pytest.mark.keeps("20.80")
async def test_no_terminal_gets_no_colors_unless_it_is_told(tmp_path: Path) -> None:
    write(tmp_path, MAIN.replace("udp_port", "upd_port"))
    for words, colored in (([], False), (["--color", "always"], True)):
        with in_a_process("check", *words, "--config", str(tmp_path), stdout=subprocess.PIPE) as process:
            out, _ = await asyncio.to_thread(process.communicate)
        assert ("\x1b[31m" in out) is colored


@pytest.mark.keeps("20.84")
@pytest.mark.parametrize(
    ("raised", "code", "said_of_it"),
    [
        (KeyboardInterrupt(), 130, "\n"),
        (BrokenPipeError(), 1, ""),
        (OSError(28, "No space left on device"), 1, "transfer-gateway: the output cannot be written: No space left"),
    ],
    ids=["ctrl-c", "closed", "full"],
)
def test_whatever_ends_a_command_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    code: int,
    said_of_it: str,
) -> None:
    def ended(_options: object) -> int:
        raise raised

    monkeypatch.setitem(cli._COMMANDS, "schema", ended)
    assert cli.main(["schema", "event"]) == code
    assert capsys.readouterr().err.startswith(said_of_it)
    monkeypatch.setitem(cli._COMMANDS, "schema", lambda _options: (_ for _ in ()).throw(FileNotFoundError(2, "", "x")))
    with pytest.raises(FileNotFoundError):  # a fault of ours is not hidden
        cli.main(["schema", "event"])
