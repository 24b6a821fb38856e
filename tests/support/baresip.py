# SPDX-License-Identifier: GPL-2.0-or-later
"""A real phone with a person at it: baresip, registered at the PBX, speaking a tone and recording what it hears.

`async with Agent(pbx, "6001", hz=440) as anna`: it is registered when the block is entered, unregisters at its end,
and is at an address of its own. G.711 only.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from tests.support import tones
from tests.support.bound import bound_to
from tests.support.late_numpy import np
from tests.support.processes import WAIT_S, Child, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.ami import Block
    from tests.support.asterisk import Asterisk

Manner = Literal["answer", "ring", "busy"]
"""What the person does when it rings: picks up at once; lets it ring; rejects the call (486)."""

VOICE_S = 300
MISSED_S = 3.0
"""A queue that still takes a registered phone for unavailable has missed it, as happens on a busy machine."""
APPLICATIONS = ("account", "menu", "ctrl_tcp")


class Agent:
    """One phone. `hz` is the tone its person speaks; None: it returns what it hears (an echo), unrecorded."""

    modules: tuple[str, ...] = ("g711", "aubridge", "aufile", "uuid")
    voice_rate = tones.RATE
    voice: tones.Pcm | None = None
    """What its person says again and again, at that rate; None: the tone."""

    def __init__(
        self,
        pbx: Asterisk,
        extension: str,
        *,
        hz: int | None = 440,
        manner: Manner = "answer",
        codecs: Iterable[str] = ("PCMA", "PCMU"),
    ) -> None:
        self.extension = extension
        self.host = pbx.net.agent(extension)
        self.hz = hz
        self.manner = manner
        self.events: list[dict[str, Any]] = []
        """What happened to it, oldest first; `type` is CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED …"""
        self._pbx = pbx
        self._installed = pbx.installed
        self._codecs = ",".join(codecs)
        self._directory = Path(tempfile.mkdtemp(prefix=f"phone-{extension}-"))
        self._control_port = free_port(self.host)
        self._child: Child | None = None

    @property
    def recording(self) -> Path:
        """What it hears, or heard in its last call."""
        return self._directory / "heard.wav"

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        if self._child is not None:  # shown where the test has failed
            told = [f"{event['type']} {event.get('param', '')}" for event in self.events]
            sys.stderr.write(f"--- the phone {self.extension}: {told}\n{self._child.tail()}\n")
        await self.stop()
        shutil.rmtree(self._directory)

    async def start(self) -> Self:
        """Start it, and wait until the PBX has registered it and counts it as available."""
        self._configure()
        self.events.clear()
        command = [*self._installed.command("usr/bin/baresip"), "-f", str(self._directory)]
        log = self._directory / "log"
        log.unlink(missing_ok=True)
        env = await bound_to(self.host, self._directory)
        self._child = Child(f"phone {self.extension}", command, log, env=env)
        try:
            await self._child.ready(self._connect)
            self._changed = asyncio.Condition()
            self._task = asyncio.create_task(self._listen())
            async with self._pbx.ami() as ami:
                missed_at = time.monotonic() + MISSED_S

                async def available() -> bool:
                    # The PBX may still count a contact from before a crash, so the phone must have its own 200 too.
                    if " 200 OK " not in log.read_text(errors="replace"):
                        return False
                    where = {"Context": self._pbx.hints, "Exten": self.extension}
                    if (await ami.action("ExtensionState", **where))[0]["Status"] != "0":
                        return False
                    # A queue hears of it by itself, and lets nobody in before.
                    is_away = any(self._is_away(member) for member in await ami.action("QueueStatus"))
                    if is_away and time.monotonic() > missed_at:
                        await ami.action("QueueReload", Members="yes", Rules="no", Parameters="no")
                    return not is_away

                await self._child.ready(available)
        except BaseException:
            await self._child.kill()
            raise
        return self

    async def _connect(self) -> bool:
        # The first connection that it takes is the one that is kept: it has room for one, and lets go of the newer one
        # at times where an older one has just been closed.
        self._reader, self._writer = await asyncio.open_connection(self.host, self._control_port)
        return True

    def _is_away(self, member: Block) -> bool:
        """Whether this is the phone as a member of a queue that takes it for unavailable."""
        interface = member.get("StateInterface", "")
        is_ours = interface == f"PJSIP/{self.extension}" or interface.startswith(f"hint:{self.extension}@")
        return is_ours and member["Status"] == "5"

    async def stop(self) -> None:
        """Log out: unregister and end."""
        if self._child is not None:
            # Without its PBX it would wait for an answer to its unregistration.
            await self._child.stop(timeout_s=2)
            await self._disconnect()

    async def kill(self) -> None:
        """Pull the plug: nobody is told."""
        if self._child is not None:
            await self._child.kill()
            await self._disconnect()

    async def hang_up(self) -> None:
        """End the call, or reject the one that rings (486)."""
        await self._command("hangup")

    async def pick_up(self) -> None:
        """Answer the call that rings."""
        await self._command("accept")

    async def dial(self, number: str) -> None:
        """Call a number at the PBX."""
        await self._command("dial", f"sip:{number}@{self._pbx.host}:5070")

    async def press(self, keys: str) -> None:
        """Press keys of the keypad, each an RFC 4733 event."""
        for key in keys:
            await self._command("sndcode", key)

    async def has_keys(self, keys: str) -> None:
        """Wait until so many keys have come; they have to be these."""
        pressed = "CALL_DTMF_START"
        await self.event(pressed, count=len(keys))
        assert "".join(one["param"] for one in self.events if one["type"] == pressed) == keys

    async def event(self, name: str, *, timeout_s: float = WAIT_S, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`th event of this type since the start, past ones included."""
        found: list[dict[str, Any]] = []

        def happened() -> bool:
            found[:] = [event for event in self.events if event["type"] == name]
            return len(found) >= count

        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(happened)
        return found[count - 1]

    def heard(self, seconds: float = 0.3) -> tones.Pcm:
        """The last so many seconds of what it hears."""
        if not self.recording.exists():
            return tones.tone(0, 0)
        return tones.read_wav(self.recording)[-round(seconds * tones.RATE) :]

    async def hears(self, hz: float, *, timeout_s: float = WAIT_S) -> float:
        """Wait until it hears this tone; returns the seconds that took. Raises AssertionError."""
        return await tones.until_heard(self.heard, hz, timeout_s=timeout_s, who=f"phone {self.extension}")

    async def _disconnect(self) -> None:
        self._child = None
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _command(self, command: str, params: str = "") -> None:
        # A netstring around JSON, as the module ctrl_tcp wants it.
        body = json.dumps({"command": command, "params": params}).encode()
        self._writer.write(b"%d:%s," % (len(body), body))
        await self._writer.drain()

    async def _listen(self) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                length = int((await self._reader.readuntil(b":"))[:-1])
                message = json.loads((await self._reader.readexactly(length + 1))[:-1])
                if not message.get("event"):
                    continue
                async with self._changed:
                    self.events.append(message)
                    self._changed.notify_all()
                if message["type"] == "CALL_INCOMING" and self.manner == "busy":
                    await self.hang_up()

    def _configure(self) -> None:
        if self.hz is None:
            source = player = "aubridge,echo"
        else:
            # It does not repeat a file, so the file outlasts every call.
            second = tones.tone(self.hz, 1, rate=self.voice_rate) if self.voice is None else self.voice
            voice = np.tile(second, VOICE_S)
            source = f"aufile,{tones.write_wav(self._directory / 'voice.wav', voice, self.voice_rate)}"
            player = f"aufile,{self.recording}"
        mode = "auto" if self.manner == "answer" else "manual"
        config = {
            "sip_listen": f"{self.host}:5060",
            "net_interface": self.host,
            "audio_source": source,
            "audio_player": player,
            "audio_alert": "aubridge,alert",
            "ausrc_srate": str(self.voice_rate),
            "auplay_srate": "8000",
            "ausrc_channels": "1",
            "auplay_channels": "1",
            "jitter_buffer_type": "off",
            "call_max_calls": "1",
            "rtp_ports": "10000-19998",
            "ringback_disabled": "yes",
            "ctrl_tcp_listen": f"{self.host}:{self._control_port}",
            "module_path": f"{self._installed.root}/usr/lib/baresip/modules",
            **self._settings(),
        }
        lines = [f"{key} {value}" for key, value in config.items()]
        lines += [f"module {name}.so" for name in self.modules] + [f"module_app {name}.so" for name in APPLICATIONS]
        (self._directory / "config").write_text("\n".join([*lines, ""]))
        (self._directory / "accounts").write_text(f"{self._account()};answermode={mode};audio_codecs={self._codecs}\n")
        (self._directory / "contacts").touch()

    def _account(self) -> str:
        return f"<sip:{self.extension}@{self._pbx.host}:5070>;auth_pass=none;regint=60"

    def _settings(self) -> dict[str, str]:
        """Settings of a phone that is different."""
        return {}
