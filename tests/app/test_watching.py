# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of a running gateway again and again: as tables, as JSON, and drawn in a window of any size."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import pty
import re
import sys
import threading
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest

from gateway import cli
from gateway.cli.drawing import columns_kept, rows_given
from gateway.cli.watching import _Eye, _pause_s
from gateway.core.json_form import queue_document
from gateway.core.model import PbxState
from gateway.remote import RemoteError
from tests.bench import SALES
from tests.core.gates import NOW, pbx, queue
from tests.running_app import running
from tests.support.command_line import running_gateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[")


@pytest.fixture
def ask(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A command: its exit code, and what it prints besides the log of the gateway that runs here."""

    async def asked(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(cli.main, [*words, "--config", str(directory)])
        out, err = capsys.readouterr()
        return code, "\n".join(line for line in out.splitlines() if not LOGGED.match(line)), err

    return asked


@pytest.mark.keeps("20.81")
async def test_what_goes_on_is_listed(directory: Path, ask: Callable[..., Any]) -> None:
    async with running(directory) as gateway:
        gateway.called()
        [call] = (await gateway.get("/api/calls"))[1]["calls"]
        code, out, _ = await ask("calls")
        head, row = out.splitlines()[-2:]
        assert (code, head.split()) == (0, ["call", "number", "caller", "state", "seconds", "legs", "audio"])
        assert row.split()[:2] == [call["call"], "main-line"]
        _, refused = await gateway.post(f"/api/calls/{call['call']}/transfer", type="transfer", destination=SALES)
        transfer = refused["transfer"]["transfer"]
        code, out, _ = await ask("transfers")
        assert transfer in out.splitlines()[-1]
        assert "refused  not-bridged  the call has nobody to transfer" in out.splitlines()[-1]
        assert (await ask("queues"))[1].splitlines()[-1] == "none"  # the PBX has not told of any yet
        for what in ("calls", "transfers"):
            assert len(json.loads((await ask(what, "--json"))[1].splitlines()[-1])[what]) >= 1
        code, out, _ = await ask("transfers", "--outcome", "completed", "--since", "2026-01-01", "--json")
        assert json.loads(out.splitlines()[-1]) == {"transfers": [], "next": None}
        assert (await ask("transfers", "--outcome", "completed"))[1].splitlines()[-1] == "none"
        code, out, err = await ask("transfers", "--reason", "lost")
        assert code == 1
        assert "reason: must be one of accepted, answered, " in err


@pytest.mark.keeps("20.81")
async def test_a_page_says_that_there_are_more(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        gateway.answer = {"calls": [], "next": "abc"}
        assert cli.main(["calls", "--limit", "7", "--caller", "+31612345678", "--config", str(tmp_path)]) == 0
        assert "these are the newest 0: there are more" in capsys.readouterr().err
    [(_, path, _, _)] = gateway.asked
    assert path == "/api/calls?caller=%2B31612345678&limit=7"


@pytest.mark.keeps("20.81")
def test_queues_are_told_as_the_gate_sees_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        known = queue_document(pbx(queue(available=2), proven_at=NOW), "sales", NOW)
        gateway.answer = {"queues": [known, queue_document(PbxState("other"), "support", NOW)], "pbxs": []}
        assert cli.main(["queues", "--config", str(tmp_path)]) == 0
        head, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["queue", "PBX", "free", "agents", "busy", "paused", "waiting", "longest", "expected"]
    assert rows[0][:4] == ["sales", "asterisk", "2", str(known["logged_in"])]
    assert rows[1][:2] == ["support", "other"]
    assert "unknown:" in rows[1]


@pytest.mark.keeps("20.83")
async def test_a_look_is_a_page_or_a_line_of_json(directory: Path, ask: Callable[..., Any]) -> None:
    async with running(directory) as gateway:
        gateway.called()
        code, out, _ = await ask("watch", "--once", "--json")
        told = json.loads(out.splitlines()[-1])
        assert (code, told["reachable"], len(told["calls"])) == (1, True, 1)  # the PBX is away
        code, out, _ = await ask("watch", "--once")
        assert code == 1
        assert "  ! PBX asterisk: its state is unknown, " in out
        assert "calls " in out
    code, out, err = await ask("watch", "--once", "--json")
    assert (code, json.loads(out.splitlines()[-1])["reachable"]) == (1, False)
    assert "no gateway answers at" in err


@pytest.mark.keeps("20.83")
def test_a_gateway_that_comes_back_elsewhere_is_found(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        eye = _Eye(Namespace(config=tmp_path))
    with running_gateway(tmp_path) as other:
        assert other.port != gateway.port
        with pytest.raises(RemoteError, match=f"no gateway answers at http://127.0.0.1:{gateway.port}"):
            eye.look()
        with pytest.raises(RemoteError, match="what answers is no gateway of this release"):
            eye.look()
    assert other.asked[0][1] == "/api/status"


async def test_mistakes_on_disk_hide_no_gateway_that_runs(directory: Path, ask: Callable[..., Any]) -> None:
    main = directory / "gateway.toml"
    async with running(directory):
        main.write_text(main.read_text().replace("udp_port", "upd_port"))
        code, out, err = await ask("watch", "--once", "--json")
        assert (code, json.loads(out.splitlines()[-1])["reachable"]) == (1, True)
        assert "sip.upd_port: is no known key" in err
    assert (await ask("watch", "--once"))[0] == 78


def test_watch_is_for_terminals(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["watch", "--config", str(directory)]) == 2
    assert "this is none; --once looks once" in capsys.readouterr().err


@pytest.mark.keeps("20.83")
async def test_it_draws_until_q_is_pressed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, where it can be seen what of it runs; tests/sip/test_watch.py has it in one of its own."""
    async with running(directory) as gateway:
        gateway.called()
        [call] = (await gateway.get("/api/calls"))[1]["calls"]
        await gateway.post(f"/api/calls/{call['call']}/transfer", type="transfer", destination=SALES)
        paths = ("/api/status", "/api/calls", "/api/transfers", "/api/queues")
        answers = {path: (await gateway.get(path))[1] for path in paths}
    [refused] = answers["/api/transfers"]["transfers"]
    refused["destination"] = "\x1b]0;gone\x07"
    asked: list[str] = []

    def ask(_http: object, path: str) -> Any:
        asked.append(path)
        return answers[path.partition("?")[0]]

    monkeypatch.setattr("gateway.cli.looks.ask", ask)
    ours, theirs = pty.openpty()
    seen = io.BytesIO()
    full = threading.Event()

    def sit() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(ours, 65536):
                seen.write(piece)
                if b"last outcomes" in seen.getvalue() and not full.is_set():
                    os.write(ours, b"q")
                    full.set()

    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "r+b", buffering=0) as terminal, io.TextIOWrapper(terminal, write_through=True) as text:
        monkeypatch.setattr(sys, "stdin", text)
        monkeypatch.setattr(sys, "stdout", text)
        watcher = threading.Thread(target=sit)
        watcher.start()
        assert cli.main(["watch", "--config", str(directory)]) == 0
        monkeypatch.undo()
    watcher.join()
    os.close(ours)
    assert full.is_set()
    assert b"PBX asterisk: its state is unknown" in seen.getvalue()
    assert rb"\x1b]0;gone\x07" in seen.getvalue()  # written out: what a caller chooses steers no terminal
    assert b"\x1b]0;gone" not in seen.getvalue()
    assert "/api/calls?limit=100" in asked


def test_looking_takes_a_twentieth_of_the_time_at_most() -> None:
    assert _pause_s(2.0, 0.05) == pytest.approx(1.95)
    assert _pause_s(2.0, 1.0) == pytest.approx(19.0)


def test_rows_are_shared_and_columns_go_in_their_order() -> None:
    assert rows_given([2, 10, 3], 9) == [2, 4, 3]
    assert rows_given([2, 1], 9) == [2, 1]
    assert rows_given([2, 1], -1) == [0, 0]
    head, rows = ("id", "caller", "why"), [["1", "+31201112222", "because it is so"]]
    assert columns_kept(head, rows, 80, [2, 1]) == [0, 1, 2]
    assert columns_kept(head, rows, 30, [2, 1]) == [0, 1, 2]  # the last is cut off
    assert columns_kept(head, rows, 20, [2, 1]) == [0, 1]
    assert columns_kept(head, rows, 10, [2, 1]) == [0]
