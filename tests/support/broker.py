# SPDX-License-Identifier: GPL-2.0-or-later
"""A real MQTT broker (mosquitto) on a port of its own, which can be stopped, killed, frozen and started again."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.fetch import Programs, programs
from tests.support.processes import Child, Server, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence


class Broker(Server):
    """One broker: `async with Broker() as broker`. With persistence it keeps sessions over a restart.

    `login` is the only user and password let in; None: everybody. `tls` holds certificate, key and CA file. `rights`
    are the lines of its ACL file (None: everybody may do everything), `options` further lines of its configuration.
    """

    def __init__(
        self,
        *,
        persistent: bool = False,
        login: tuple[str, str] | None = None,
        tls: tuple[Path, Path, Path] | None = None,
        rights: Sequence[str] | None = None,
        options: Sequence[str] = (),
        installed: Programs | None = None,
    ) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self.login = login
        self.installed = installed or programs()
        self.directory = Path(tempfile.mkdtemp(prefix="broker-"))
        more = list(options)
        if rights is not None:
            self.grant(*rights)
            more.append(f"acl_file {self.directory}/rights")
        self._configure(persistent, tls, more)

    async def start(self) -> Self:
        """Start it on its port and wait until it listens."""
        command = [*self.installed.command("usr/sbin/mosquitto"), "-c", f"{self.directory}/mosquitto.conf"]
        self.child = Child("mosquitto", command, self.directory / "log")
        await self.child.accepts(self.host, self.port)
        return self

    def grant(self, *rights: str) -> None:
        """Write its ACL file, which it reads when it starts or is told to reload."""
        file = self.directory / "rights"
        file.write_text("".join(f"{line}\n" for line in rights))
        file.chmod(0o600)

    def reload(self) -> None:
        """Have it read its ACL file anew, with every connection kept."""
        if self.child is not None:
            self.child.signal(signal.SIGHUP)

    def freeze(self, *, frozen: bool = True) -> None:
        """Make it accept and answer nothing, with every connection left open; or end that."""
        if self.child is not None:
            self.child.signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def _configure(self, persistent: bool, tls: tuple[Path, Path, Path] | None, more: Sequence[str]) -> None:
        lines = [f"listener {self.port} {self.host}", f"allow_anonymous {str(self.login is None).lower()}"]
        # Started by root it would otherwise look for a user of its own.
        lines += ["user root", f"persistence {str(persistent).lower()}", f"persistence_location {self.directory}/"]
        if persistent:
            # Saved at every change: what a subscriber has subscribed to survives a crash too.
            lines += ["autosave_on_changes true", "autosave_interval 1"]
        if self.login is not None:
            secrets = self.directory / "passwords"
            command = [*self.installed.command("usr/bin/mosquitto_passwd"), "-b", "-c", str(secrets), *self.login]
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
            lines.append(f"password_file {secrets}")
        if tls is not None:
            certificate, key, authority = tls
            lines += [f"certfile {certificate}", f"keyfile {key}", f"cafile {authority}"]
        (self.directory / "mosquitto.conf").write_text("\n".join([*lines, *more, ""]))
