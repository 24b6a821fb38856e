# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway that cannot listen where it is told to says so in one line and ends, so that systemd and people see it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.support.company import settings
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway
from tests.support.processes import Child, Net, free_port

pytestmark = pytest.mark.sip

Files = Configuration


def _not_ours(files: Files, own_net: Net, stack: ExitStack) -> str:
    files.sip["bind_address"] = "192.0.2.1"  # RFC 5737: nobody's
    return "192.0.2.1:5060"


def _taken(kind: socket.SocketKind) -> Callable[[Files, Net, ExitStack], str]:
    def take(files: Files, own_net: Net, stack: ExitStack) -> str:
        port = free_port(own_net.gateway, kind)
        files.sip |= {"udp_port": 5060, "udp_port" if kind is socket.SOCK_DGRAM else "tcp_port": port}
        holder = stack.enter_context(socket.socket(socket.AF_INET, kind))
        holder.bind((own_net.gateway, port))
        if kind is socket.SOCK_STREAM:
            holder.listen()
        return f"{own_net.gateway}:{port}"

    return take


def _web_taken(files: Files, own_net: Net, stack: ExitStack) -> str:
    port = files.main["http"]["port"]
    holder = stack.enter_context(socket.socket())
    holder.bind(("127.0.0.1", port))
    holder.listen()
    return str(port)


@pytest.mark.keeps("14.3")
@pytest.mark.parametrize(
    "obstacle",
    [_not_ours, _taken(socket.SOCK_DGRAM), _taken(socket.SOCK_STREAM), _web_taken],
    ids=["no address of this machine", "UDP port taken", "TCP port taken", "HTTP port taken"],
)
async def test_what_it_cannot_have_is_named(own_net: Net, obstacle: Callable[[Files, Net, ExitStack], str]) -> None:
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5070")
    with ExitStack() as stack:
        named = obstacle(files, own_net, stack)
        gateway = Gateway(files)
        command = [sys.executable, "-m", "gateway.cli", "run", "--config", str(gateway.directory)]
        child = Child("gateway", command, gateway.directory / "log")
        assert await child.wait() == 1
        said = [line for line in child.log.read_text().splitlines() if "cannot-start" in line]
        assert len(said) == 1
        assert named in said[0]
        assert "Traceback" not in child.log.read_text()
