# SPDX-License-Identifier: GPL-2.0-or-later
"""What `transfer-gateway reload` says and ends with, whatever it meets."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway import cli, remote
from tests.config_directory import write
from tests.support.command_line import run, running_gateway

pytestmark = pytest.mark.slow


@contextmanager
def process(on_hang_up: str) -> Iterator[str]:
    """The id of a process that does this when it is told to reload."""
    line = ["sh", "-c", f"trap '{on_hang_up}' HUP; echo; while :; do sleep 0.05; done"]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as started:
        assert started.stdout
        started.stdout.readline()
        try:
            yield str(started.pid)
        finally:
            started.kill()


@pytest.mark.keeps("20.1")
def test_with_a_token_it_asks_and_tells(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        gateway.answer = {"reloaded": True, "applied": ["history.days"], "restart_needed": ["sip.max_calls"]}
        code, out, _ = run(capsys, tmp_path, "reload")
        assert (code, out.splitlines()) == (0, ["applied: history.days", "restart needed: sip.max_calls"])
        code, out, _ = run(capsys, tmp_path, "reload", "--json")
        assert (code, json.loads(out)) == (0, gateway.answer)
        gateway.answer = {"reloaded": True, "applied": [], "restart_needed": []}
        assert run(capsys, tmp_path, "reload")[:2] == (0, "nothing has changed\n")
        error = {"code": "bad-configuration", "message": "the configuration has mistakes"}
        gateway.status, gateway.answer = 422, {"error": error, "mistakes": ["a.toml: b: is wrong"]}
        code, out, err = run(capsys, tmp_path, "reload")
        assert (code, out) == (1, "")
        assert "transfer-gateway: refused: a.toml: b: is wrong\n" in err
        gateway.status, gateway.answer = 403, {"error": {"code": "not-allowed", "message": "not with this token"}}
        code, out, err = run(capsys, tmp_path, "reload")
        assert (code, out) == (1, "")
        assert "not with this token" in err
    method, path, headers, _ = gateway.asked[0]
    assert (method, path, headers["Authorization"]) == ("POST", "/api/reload", "Bearer s3cret")


@pytest.mark.keeps("20.1")
def test_by_a_signal_it_says_where_nobody_tells_what_came_of_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(tmp_path)  # without an HTTP port
    with process("") as pid:
        code, _, err = run(capsys, tmp_path, "reload", "--pid", pid)
        assert code == 0
        assert "what came of it is in its log" in err
    code, _, err = run(capsys, tmp_path, "reload", "--pid", pid)
    assert (code, err) == (1, f"transfer-gateway: process {pid} cannot be told to reload: No such process\n")
    for wrong in ("0", "-7", "gateway"):
        with pytest.raises(SystemExit):
            cli.main(["reload", f"--pid={wrong}"])


@pytest.mark.keeps("20.108")
@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["/venv/bin/python3", "/venv/bin/transfer-gateway", "run", "--config", "/etc/transfer-gateway"], ""),
        (["/sbin/docker-init", "--", "transfer-gateway", "run"], ""),
        (["/sbin/init"], "process 1 is init and no gateway; systemctl show -P MainPID transfer-gateway tells"),
        (["/lib/systemd/systemd --system --deserialize=31"], "process 1 is systemd and no gateway"),
        (["/venv/bin/python3", "/venv/bin/transfer-gateway", "reload"], "process 1 is python3 and no gateway"),
        (["transfer-gateway-exporter", "run"], "process 1 is transfer-gateway-exporter and no gateway"),
        ([""], "process 1 is unknown and no gateway"),
        (None, "process 1 is unknown (No such file or directory) and no gateway"),
    ],
)
def test_the_first_process_is_told_to_reload_where_it_is_a_gateway_as_in_a_container(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str] | None,
    refused: str,
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(remote, "_FIRST_WORDS", tmp_path / "cmdline")
    monkeypatch.setattr("gateway.remote.os.kill", lambda *what: told.append(what))
    if words is not None:
        (tmp_path / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))
    code, _, err = run(capsys, write(tmp_path), "reload", "--pid", "1")  # without an HTTP port
    if refused:
        assert (code, told) == (1, [])
        assert err.startswith(f"transfer-gateway: {refused}")
    else:
        assert (code, told) == (0, [(1, signal.SIGHUP)])


@pytest.mark.keeps("20.1")
def test_a_gateway_that_does_not_end_its_reload_is_told_of(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RELOAD_S", 0.3)
    with running_gateway(tmp_path) as gateway, process("") as pid:
        # One that was under way before has ended, and ours has not.
        gateway.answer = {"instance": "test-1", "configuration": {"reloads": 3, "reloading": True}}
        code, _, err = run(capsys, tmp_path, "reload", "--pid", pid)
        assert code == 1
        assert "the gateway has not ended its reload within" in err
        # Another gateway's counts say nothing of this one.
        gateway.answer = {"instance": "other", "configuration": {"reloads": 3}}
        assert "what came of it is in its log" in run(capsys, tmp_path, "reload", "--pid", pid)[2]


@pytest.mark.keeps("20.105")
def test_a_reload_that_others_have_asked_for_is_waited_for_and_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RELOAD_S", 0.3)
    told = {"reloads": 3, "reloading": False, "applied": ["gateway.locale"], "refused_at": None, "mistakes": []}
    with running_gateway(tmp_path) as gateway, process("exit") as pid:  # which would end by a signal
        # Already over when it is asked, and under way for as long as it waits.
        gateway.answer = {"instance": "test-1", "configuration": told, "restart_needed": ["sip.max_calls"]}
        code, out, _ = run(capsys, tmp_path, "reload", "--pid", pid, "--sent")
        assert (code, out.splitlines()) == (0, ["applied: gateway.locale", "restart needed: sip.max_calls"])
        gateway.answer = {"instance": "test-1", "configuration": {**told, "reloading": True}}
        code, _, err = run(capsys, tmp_path, "reload", "--pid", pid, "--sent")
        assert code == 1
        assert "the gateway has not ended its reload within" in err
        refused = {"refused_at": "2026-11-29T20:00:00.000+00:00", "mistakes": ["a.toml: b: is wrong"]}
        gateway.answer = {"instance": "test-1", "configuration": {**told, **refused}}
        code, out, err = run(capsys, tmp_path, "reload", "--pid", pid, "--sent")
        assert (code, out) == (1, "")
        assert "refused: a.toml: b: is wrong" in err
        gateway.answer = {"instance": "other", "configuration": told}
        code, _, err = run(capsys, tmp_path, "reload", "--pid", pid, "--sent")
        assert code == 0
        assert "what came of it is in its log" in err
    code, _, err = run(capsys, tmp_path, "reload", "--sent")
    assert (code, "name it by --pid" in err) == (2, True)


@pytest.mark.keeps("20.1")
def test_a_gateway_that_ends_meanwhile_is_told_of(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    # Whoever has the tests run may have them ignore the signal (nohup), and their children with them.
    mortal = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_DFL); print(flush=True); time.sleep(60)"
    command = [sys.executable, "-c", mortal]
    with running_gateway(tmp_path) as gateway, subprocess.Popen(command, stdout=subprocess.PIPE) as ends:
        assert ends.stdout
        ends.stdout.readline()
        gateway.answer = {"instance": "test-1", "configuration": {"reloads": 3}}
        threading.Thread(target=ends.wait).start()  # or it would be there still, as a zombie
        code, _, err = run(capsys, tmp_path, "reload", "--pid", str(ends.pid))
        assert (code, err) == (1, f"transfer-gateway: process {ends.pid} has ended\n")
