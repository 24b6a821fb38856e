# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway in its container, started by the command that docs/operations.md has people type."""

from __future__ import annotations

import asyncio
import ctypes
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.deploy.container.engine import documented
from tests.support import own_network
from tests.support.gateway import Gateway
from tests.support.processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deploy.container.engine import Engine
    from tests.support.configuration import Configuration

NAME = "transfer-gateway"
USER = 947
HTTP_PORT = 9470
"""The one that the image's HEALTHCHECK asks, as long as nobody says another."""
STATE = "/var/lib/transfer-gateway"


def hand_over(directory: Path) -> None:
    """Give the files of a configuration to the user in the container, and hide the secrets from all others."""
    for path in (directory, *directory.rglob("*")):
        os.chown(path, USER, USER)
        if path.suffix in {".secret", ".token"}:
            path.chmod(0o600)


class Contained(Gateway):
    """Its state is in a volume, which outlives it."""

    copied = False

    def __init__(self, podman: Engine, files: Configuration) -> None:
        self.podman = podman
        files.main["http"]["port"] = HTTP_PORT
        files.main["gateway"]["state_dir"] = STATE
        super().__init__(files)

    def write(self) -> None:
        """Write the configuration (anew)."""
        self.files.write(self.directory)
        hand_over(self.directory)

    async def start(self, timeout_s: float = 60.0) -> None:
        """Start it and wait until it says that it is ready."""
        words = documented("docker run -d")
        words[words.index("-v") + 1] = f"{self.directory}:/etc/transfer-gateway:ro"
        words.remove("-d")
        # Docker mounts nothing that can be written to where it is not asked to; nor does this podman, then.
        words[1:1] = ["--replace", "--pull=never", "--read-only-tmpfs=false"]
        log = self.podman.work / f"{self.directory.name}.log"
        self._child = Child("gateway", ["podman", *words], log, env=self.podman.environment)
        await self.child.ready(self._is_ready, timeout_s)

    async def stop(self) -> int:
        """Have it stopped as people do; the exit code of what was in the container."""
        code = asyncio.ensure_future(self.child.wait(60))
        await self.does(*documented("docker stop"))
        return await code

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await super().__aexit__(kind)
        await asyncio.to_thread(self.podman.tidy)

    async def inside(self, *words: str) -> str:
        """What a command in the container prints. Raises AssertionError where it fails."""
        return await self.does("exec", NAME, *words)

    async def does(self, *words: str) -> str:
        """What a command of the engine's prints. Raises AssertionError where it fails."""
        return await asyncio.to_thread(self.podman, *words)

    async def healthy(self) -> bool:
        """Whether the image's own check finds it well."""
        with suppress(AssertionError):
            await self.does("healthcheck", "run", NAME)
            return True
        return False


@contextmanager
def empty_network() -> Iterator[None]:
    """For this thread, and for what it starts: a network with nothing in it but loopback."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        own_network.enter()
        yield
    finally:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(before, own_network.CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot go back to this machine's network")
        os.close(before)
