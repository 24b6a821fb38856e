# SPDX-License-Identifier: GPL-2.0-or-later
"""What `transfer-gateway restart` says and ends with, whatever it meets."""

import json
import time
from pathlib import Path

import pytest

from gateway import remote
from gateway.cli import running
from gateway.cli.terminal import RESTARTED
from gateway.restarting import EXIT_CODE
from tests.support.command_line import run, running_gateway

pytestmark = [pytest.mark.slow, pytest.mark.keeps("22.50")]

BEGUN = {"restarting": True, "started_at": "2026-03-02T09:30:00+00:00", "calls": 2, "transfers": 1, "within_s": 0.2}
ONLINE = {"state": "online", "started_at": "2026-03-02T09:31:00+00:00", "version": "1.0", "calls": 2}


def test_it_waits_for_the_next_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        before = {**ONLINE, "state": "draining", "started_at": BEGUN["started_at"]}
        answers = [BEGUN, before, ONLINE]
        monkeypatch.setattr(running, "ask", lambda *arguments, **_: _asked(gateway, answers, *arguments))
        monkeypatch.setattr(remote, "ask", lambda *arguments, **_: _asked(gateway, answers, *arguments))
        code, out, _ = run(capsys, tmp_path, "restart")
        assert (code, out.splitlines()[-1]) == (0, "restarted: version 1.0, 2 calls")
        assert not answers
        answers += [BEGUN, ONLINE]
        code, out, _ = run(capsys, tmp_path, "restart", "--json")
        restarted = {"restarted": True, **{key: ONLINE[key] for key in ("version", "started_at", "calls")}}
        assert (code, json.loads(out)) == (0, restarted)
        answers += [BEGUN]
        assert run(capsys, tmp_path, "restart", "--no-wait")[:2] == (0, "")
        answers += [BEGUN]
        assert json.loads(run(capsys, tmp_path, "restart", "--no-wait", "--json")[1]) == BEGUN


def _asked(_gateway: object, answers: list[dict[str, object]], *_arguments: object) -> dict[str, object]:
    return answers.pop(0)


def test_by_its_token(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        gateway.status, gateway.answer = 202, BEGUN
        assert run(capsys, tmp_path, "restart", "--no-wait")[0] == 0
    method, path, headers, _ = gateway.asked[0]
    assert (method, path, headers["Authorization"]) == ("POST", "/api/restart", "Bearer s3cret")


def test_where_none_comes_after_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RESTART_S", 0.2)
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        gateway.status, gateway.answer = 202, {**BEGUN, "state": "draining"}
        code, _, err = run(capsys, tmp_path, "restart")
    assert (code, "the gateway has not ended within 0 s" in err) == (1, True)


def test_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_arguments: object) -> dict[str, object]:
        raise remote.UnreachableError("nobody")

    monkeypatch.setattr(remote, "ask", gone)
    monkeypatch.setattr(remote, "RESTART_S", 0.2)
    began = time.monotonic()
    with pytest.raises(remote.RemoteError, match="none was started after it"):
        remote.restarted(object(), BEGUN)  # type: ignore[arg-type]  # nobody looks at it
    assert time.monotonic() - began >= 0.4


def test_mistakes_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        error = {"code": "bad-configuration", "message": "the configuration has mistakes"}
        gateway.status, gateway.answer = 422, {"error": error, "mistakes": ["a.toml: b: is wrong"]}
        code, out, err = run(capsys, tmp_path, "restart")
    assert (code, out) == (1, "")
    assert "refused: a.toml: b: is wrong" in err
    assert "the configuration has mistakes" in err


def test_the_code_of_the_gateway_is_that_of_the_command() -> None:
    assert RESTARTED == EXIT_CODE
