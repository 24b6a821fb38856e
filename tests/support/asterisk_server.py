# SPDX-License-Identifier: GPL-2.0-or-later
"""An Asterisk as a child process, whatever it plays: started, stopped, killed, asked and watched.

The files of asterisk_etc are what every Asterisk of the test bed has; who plays a part adds files of their own.
"""

from __future__ import annotations

import random
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support import tones
from tests.support.ami import Ami, AmiError, Block
from tests.support.fetch import Programs, programs
from tests.support.processes import Child, Server, eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMON = Path(__file__).with_name("asterisk_etc")

# Configurations whose defaults suit us, empty so that the log holds no error but real ones.
ABSENT = (
    *("acl", "ccss", "cel", "confbridge", "features", "followme", "pjproject", "queuerules", "queues", "res_parking"),
    *("stasis", "udptl", "voicemail"),
)

MUSIC_HZ = 350


class AsteriskServer(Server):
    """`async with` starts it, and ends it with its directory; in between it can be stopped, killed and started again.

    Its constructor installs the files every Asterisk has; a subclass adds its own to `etc` with `install`.
    """

    def __init__(self, installed: Programs | None = None) -> None:
        self.installed = installed or programs()
        self.ami_port = free_port()
        # Short, since the path of its control socket may have 107 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="pbx-"))
        self.etc = self.directory / "etc"
        for name in ("etc", "var/keys", "spool", "log", "music"):
            (self.directory / name).mkdir(parents=True)
        # The music file is whole periods long, so that its repetition is not heard as another tone.
        tones.write_wav(self.directory / "music" / "tone.wav", tones.tone(MUSIC_HZ, 2))
        for name in ABSENT:
            (self.etc / f"{name}.conf").touch()
        self.install(COMMON, {
            "@BED@": str(self.directory),
            "@ROOT@": str(self.installed.root),
            "@ROOT_LIB@": str(self.installed.lib),
            "@AMI_PORT@": str(self.ami_port),
        })  # fmt: skip

    def install(self, folder: Path, values: Mapping[str, str]) -> None:
        """Copy the configuration files of a folder, each key of `values` replaced by its value."""
        for source in sorted(folder.glob("*.conf")):
            install(source, self.etc / source.name, values)

    @property
    def running(self) -> bool:
        """Whether it runs, as far as its process tells."""
        return self.child is not None and self.child.exit_code is None

    @property
    def pid(self) -> int:
        """Of its process, which has been started."""
        assert self.child is not None
        return self.child.pid

    async def start(self) -> Self:
        """Start it and wait until it is fully booted."""
        command = [*self.installed.command("usr/sbin/asterisk"), "-f", "-C", f"{self.etc}/asterisk.conf"]
        self.child = Child("asterisk", command, self.directory / "log" / "console")

        async def booted() -> bool:
            try:
                async with Ami(self.ami_port) as ami:
                    await ami.event("FullyBooted", timeout_s=0.5)
            except (TimeoutError, AmiError):
                return False
            return True

        await self.child.ready(booted)
        return self

    async def restart(self) -> None:
        """Stop it and start it again; registrations survive in its database."""
        await self.stop()
        await self.start()

    def ami(self) -> Ami:
        """A manager connection of the administrator: `async with pbx.ami() as ami`."""
        return Ami(self.ami_port)

    async def action(self, name: str, /, **fields: str | int) -> list[Block]:
        """Carry out one manager action; returns the response, then the events of its list. Raises AmiError."""
        async with self.ami() as ami:
            return await ami.action(name, **fields)

    async def cli(self, command: str) -> str:
        """What its console prints for a command, e.g. "pjsip show contacts"."""
        return (await self.action("Command", Command=command))[0].get("Output", "")

    async def channels(self) -> int:
        """How many channels exist: 0 when every call has ended."""
        return len(await self.action("CoreShowChannels")) - 1

    async def quiet(self) -> None:
        """Wait until every call has ended."""

        async def none_left() -> bool:
            return await self.channels() == 0

        await eventually(none_left, "every channel hung up")

    async def logged(self) -> None:
        """Wait until it has printed all that it did up to now: its log is written in order, by a thread of its own."""
        stranger = f"marker-{random.getrandbits(64):x}"
        # That somebody unknown wants to log in is a line in the log, and nothing else.
        with suppress(AmiError):
            async with Ami(self.ami_port, (stranger, "")):
                pass

        async def told() -> bool:
            return stranger in self.log()

        await eventually(told, "the log's end")

    def log(self) -> str:
        """Everything it printed."""
        return (self.directory / "log" / "console").read_text(errors="replace")


def install(source: Path, target: Path, values: Mapping[str, str]) -> None:
    """Copy a file, each key of `values` replaced by its value."""
    text = source.read_text()
    for old, new in values.items():
        text = text.replace(old, new)
    target.write_text(text)
