# SPDX-License-Identifier: GPL-2.0-or-later
"""An Asterisk at the far end of the gateway's lines, as platform or as PBX, that speaks whatever a line is to speak.

Behind it, over plain UDP, is one person (a scripted peer): they hear what the Asterisk has made of a line's media, and
are called for every call that comes in. They call `<line>*<number>` to have a number called over a line. When they
refer somebody to a number, Asterisk sends the REFER on over that one's line, by Transfer() in its dialplan; if that
fails, it calls the person again for whom it still has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.support.asterisk_server import AsteriskServer
from tests.support.processes import eventually
from tests.support.sip_message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.ami import Block
    from tests.support.certificates import Identity

OURS = Path(__file__).with_name("far_etc")
PORT = 5070
LINE_PORT = 5060


@dataclass(frozen=True)
class Line:
    """One way to the gateway: where it ends here, and what it speaks."""

    host: str
    gateway: str
    """Where the gateway takes calls over it, e.g. "127.0.0.2:5060"."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    codecs: tuple[str, ...] = ("alaw",)
    """As Asterisk calls them: alaw, ulaw, g722, opus."""
    encrypted: bool = False
    identity: Identity | None = None
    """For TLS: shown to the gateway, and the gateway's is checked against its authority."""
    tls: Literal["tlsv1_2", "tlsv1_3"] = "tlsv1_2"
    """The one version of TLS that is spoken, if any is."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Further settings of the endpoint, e.g. {"dtmf_mode": "info"}."""
    public: str = ""
    """The host that the gateway is told, when something lies between; else `host`."""

    def sections(self, name: str) -> str:
        """The line as pjsip.conf has it."""
        transport = {"type": "transport", "protocol": self.transport, "bind": f"{self.host}:{LINE_PORT}"}
        if self.public:
            transport |= {"external_signaling_address": self.public, "external_signaling_port": str(LINE_PORT)}
        if self.identity:
            transport |= {
                "cert_file": str(self.identity.certificate),
                "priv_key_file": str(self.identity.key),
                "ca_list_file": str(self.identity.authority),
                "method": self.tls,
                "verify_server": "yes",
                "verify_client": "yes",
                "require_client_cert": "yes",
            }
        endpoint = {
            "aors": name,
            "transport": f"{name}-transport",
            "allow": ",".join(self.codecs),
            "media_encryption": "sdes" if self.encrypted else "no",
            "media_address": self.host,
            "bind_rtp_to_media_address": "yes",
            **self.more,
        }
        told = (self.public or self.host).replace(".", r"\.")
        return "".join(
            [
                _section(f"{name}-transport", transport),
                _section(name, endpoint, "(line)"),
                _section(name, {"type": "aor", "contact": f"sip:{self.gateway}\\;transport={self.transport}"}),
                _section(name, {"type": "identify", "endpoint": name, "match_request_uri": f"/[:@]{told}([^0-9.]|$)/"}),
            ]
        )


class FarAsterisk(AsteriskServer):
    """`async with FarAsterisk(host, person, lines, gateway="127.0.0.2") as pbx`; the person calls it at `address`."""

    def __init__(self, host: str, person: str, lines: Mapping[str, Line], *, gateway: str) -> None:
        super().__init__()
        self.address = (host, PORT)
        self.gateway = gateway
        values = {"@HOST@": host, "@PORT@": str(PORT), "@PERSON@": person, "@GATEWAY@": gateway}
        self.install(OURS, values)
        (self.etc / "lines.conf").write_text("".join(line.sections(name) for name, line in lines.items()))

    async def on_line(self, name: str, variable: str) -> str:
        """A channel variable or function of the only call on a line, e.g. "CHANNEL(audionativeformat)"."""
        [channel] = await self._channels_of(name)
        return (await self.action("Getvar", Channel=channel["Channel"], Variable=variable))[0]["Value"]

    async def released(self, name: str) -> None:
        """Wait until no call is left on a line."""

        async def none_left() -> bool:
            return not await self._channels_of(name)

        await eventually(none_left, f"no call on the line {name}")

    async def _channels_of(self, name: str) -> list[Block]:
        found = (await self.action("CoreShowChannels"))[1:]
        return [one for one in found if one["Channel"].startswith(f"PJSIP/{name}-")]

    def messages(self, since: int = 0) -> list[tuple[bool, Message]]:
        """What went between it and the gateway: whether it was sent, and the message; from `log()[since:]`.

        Only while `pjsip set logger on` was in force.
        """
        log = self.log()[since:]
        heading = (
            rf"<--- (Transmitting|Received) SIP \w+ \((\d+) bytes\) (?:to|from) \w+:{re.escape(self.gateway)}:.*\n"
        )
        found = []
        for one in re.finditer(heading, log):
            lines = log[one.end() : one.end() + int(one[2])].splitlines()
            if "" not in lines:
                continue  # the last one, which Asterisk is still writing down; or another thread has written into it
            found.append((one[1] == "Transmitting", Message.parse("\r\n".join([*lines, ""]).encode())))
        return found

    def payload_types(self, since: int = 0) -> dict[str, set[int]]:
        """The payload types of RTP "received" from the gateway and "sent" to it, in `log()[since:]`.

        Only while `rtp set debug on` was in force.
        """
        log = self.log()[since:]
        gateway = re.escape(self.gateway)
        return {
            what: {
                int(one) for one in re.findall(rf"{verb}\s+RTP (?:P2P )?packet \w+\s+{gateway}:\d+ \(type (\d+),", log)
            }
            for what, verb in (("received", "Got"), ("sent", "Sent"))
        }


def _section(name: str, settings: Mapping[str, str], template: str = "") -> str:
    return "\n".join([f"[{name}]{template}", *(f"{key} = {value}" for key, value in settings.items()), "", ""])
