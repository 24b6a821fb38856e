# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line, and a stand-in for the running gateway that it asks."""

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway import cli
from tests.config_directory import MAIN, PBX, TRUNK, write


def run(capsys: pytest.CaptureFixture[str], directory: Path, *arguments: str) -> tuple[int, str, str]:
    code = cli.main([*arguments, "--config", str(directory)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


async def transfer_gateway(*arguments: str) -> tuple[int, str, str]:
    """Run the command in a process of its own: exit code, output, complaints."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


class Gateway:
    """A stand-in for a running gateway: answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Any = {}
        self.status = 200
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.port = 0


@contextmanager
def running_gateway(directory: Path, main: str = MAIN, token: str | None = None) -> Iterator[Gateway]:
    """A stand-in on a port of its own, and the configuration that leads to it."""
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            gateway.asked.append((self.command, self.path, dict(self.headers), body))
            content = json.dumps(gateway.answer).encode()
            self.send_response(gateway.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - BaseHTTPRequestHandler's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - BaseHTTPRequestHandler's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gateway.port = server.server_address[1]
        secrets = {"sip_profiles/ami.secret": "x"} | ({"http.secret": token} if token else {})
        http = f"port = {gateway.port}\n" + ('token_file = "http.secret"\n' if token else "")
        write(directory, main.replace("port = 0\n", http), {"platform": TRUNK, "asterisk": PBX}, secrets)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
