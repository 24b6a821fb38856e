# SPDX-License-Identifier: GPL-2.0-or-later
"""Which broker it is, and what a command's sender is answered by: what others know of MQTT without its client.

A gateway without a broker does not load that client: its start would take longer for nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

CommandHandler = Callable[[bytes, str | None, bytes | None], Awaitable[Mapping[str, object] | None]]
"""Carries out a command before it waits for anything: payload, response topic, correlation data -> reply or None."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and who we are to it."""

    instance: str  # slug
    host: str
    port: int = 1883
    base_topic: str = "transfer-gateway"
    tls: bool = False
    ca_file: Path | None = None  # None: the system's authorities
    ca_digest: str = ""  # of what it holds: a renewed one is another broker, and is logged in to anew
    username: str | None = None
    password: str | None = None
    keepalive_s: int = 15
    home_assistant: bool = False  # it is told of the gateway

    @property
    def base(self) -> str:
        """What every topic begins with, without a slash at its end."""
        return f"{self.base_topic}/{self.instance}"
