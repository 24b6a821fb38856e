# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Kamailio with deploy/kamailio's configuration in front of gateways, whose list the command prints."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.support.command_line import transfer_gateway
from tests.support.fetch import proxy_programs
from tests.support.processes import Child, Server

if TYPE_CHECKING:
    from tests.support.certificates import Identity

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PORT, TLS_PORT = 5060, 5061
DTLS, KEYS = "UDP/TLS/RTP/SAVPF ICE=force SDES-off rtcp-mux-offer", "RTP/SAVP ICE=remove"
"""What rtpengine may be told to offer the platform: SRTP by DTLS, with ICE; SRTP by keys in the description."""
ANSWERS_S = 1.0
"""How long a question to it waits; while it starts, nobody reads it."""
TLS = """
[server:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
private_key = {key}
certificate = {certificate}

[client:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
ca_list = {authority}
"""


@dataclass(frozen=True)
class Places:
    """The addresses of a proxy: to the outside, and to the inside for what the platform and for what the PBX sends."""

    outside: str
    trunk_side: str
    pbx_side: str
    platform: str
    """A SIP URI."""
    pbx: str
    """Likewise."""
    second: str = ""
    """Likewise, of a second platform; empty: there is none."""
    second_side: str = ""
    relays: str = ""
    """Where rtpengines are asked, divided by spaces; empty: audio goes past the proxy."""
    media: str = DTLS
    """What rtpengine is told to offer the platform."""


class Kamailio(Server):
    """`async with Kamailio(places, identity, configuration) as proxy`; the last is a gateway's, with [cluster]."""

    def __init__(self, places: Places, identity: Identity, configuration: Path, **defines: Any) -> None:
        self.places = places
        self.identity = identity
        self.configuration = configuration
        self.defines = defines
        self.directory = Path(tempfile.mkdtemp(prefix="kamailio-"))

    async def start(self) -> Self:
        """Write its configuration, start it, and wait until it answers questions."""
        await self._write()
        installed = proxy_programs()
        modules = installed.lib / "kamailio" / "modules"
        command = [
            *installed.command("usr/sbin/kamailio"), "-f", f"{self.directory}/kamailio.cfg", "-L", str(modules),
            "-Y", str(self.directory), "-DD", "-E", "-m", "32", "-M", "4",
        ]  # fmt: skip
        self.child = Child("kamailio", command, self.directory / "log", cwd=self.directory, family=True)
        await self.child.ready(self._answers)
        return self

    @property
    def log(self) -> str:
        """The end of what it has written."""
        file = self.directory / "log"
        return file.read_text(errors="replace")[-6000:] if file.exists() else ""

    async def _answers(self) -> bool:
        return "kamailio" in str(await self.ask("core.version"))

    async def ask(self, method: str, *params: str) -> Any:
        """A question to its JSON-RPC socket; what it answers. Raises OSError where it does not."""
        return await asyncio.to_thread(self._ask, method, params)

    def _ask(self, method: str, params: tuple[str, ...]) -> Any:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as asking:
            own = self.directory / f"ask-{id(asking)}"
            asking.bind(str(own))
            try:
                asking.settimeout(ANSWERS_S)
                asking.connect(str(self.directory / "rpc.sock"))
                asking.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode())
                answer = json.loads(asking.recv(65536))
            finally:
                own.unlink()
        return answer.get("result", answer)

    async def active(self) -> set[str]:
        """The URIs of the gateways to which new calls go."""
        told = await self.ask("dispatcher.list")
        [targets] = [one["SET"]["TARGETS"] for one in told["RECORDS"] if one["SET"]["ID"] == 1]
        return {one["DEST"]["URI"] for one in targets if one["DEST"]["FLAGS"].startswith("A")}

    async def _write(self) -> None:
        for file in ("kamailio/kamailio.cfg", "rtpengine/media.cfg"):
            shutil.copy(DEPLOY / file, self.directory)
        values = {
            "CONFIG_DIR": str(self.directory), "RUN_DIR": str(self.directory), "PROXY_NAME": "sip.example.com",
            "TOPOLOGY_KEY": "of this test alone", "MASK_ADDRESS": "192.0.2.1",
            "TRUNK_SIDE": self.places.trunk_side, "PBX_SIDE": self.places.pbx_side,
            "MEDIA_RELAYS": self.places.relays, "MEDIA_TO_OUTSIDE": self.places.media,
        }  # fmt: skip
        lines = [f'#!substdef "!{name}!{value}!g"' for name, value in values.items()]
        lines += [f"#!define {name} {value}" for name, value in self.defines.items()]
        if self.places.second:
            lines += [
                f'#!substdef "!SECOND_SIDE!{self.places.second_side}!g"',
                f'listen=udp:SECOND_SIDE:{PORT} name "inside-second"',
            ]
        if self.places.relays:
            lines += ["#!define WITH_RTPENGINE"]
        tls = "transport=tls" in self.places.platform
        if tls:
            lines += ["#!define WITH_TLS", f'listen=tls:{self.places.outside}:{TLS_PORT} name "outside"']
        lines += [
            f'listen=udp:{self.places.outside}:{PORT} name "{"outside-udp" if tls else "outside"}"',
            f'listen=udp:TRUNK_SIDE:{PORT} name "inside"',
            f'listen=udp:PBX_SIDE:{PORT} name "inside-pbx"',
        ]
        (self.directory / "local.cfg").write_text("\n".join(lines) + "\n")
        own = self.identity
        (self.directory / "tls.cfg").write_text(
            TLS.format(key=own.key, certificate=own.certificate, authority=own.authority)
        )
        nodes = await self._printed("nodes")
        (self.directory / "nodes.cfg").write_text(nodes)
        peers = f"2 {self.places.platform} 32\n3 {self.places.pbx} 32\n"
        if self.places.second:
            peers += f"4 {self.places.second} 32\n"
        (self.directory / "dispatcher.list").write_text(await self._printed("dispatcher") + peers)

    async def _printed(self, form: str) -> str:
        code, out, err = await transfer_gateway("cluster-tokens", "--format", form, "--config", str(self.configuration))
        assert code == 0, err
        return out
