# SPDX-License-Identifier: GPL-2.0-or-later
"""What commands come to, over HTTP and over MQTT, where no gateway runs behind them."""

from __future__ import annotations

import asyncio

from gateway.core.record import CallRecord, TransferRecord
from gateway.ports import Author, GivenCommand, KeptWhisper, NoRoomError, NotAllowedError, TooLateError
from tests.report import samples


class Commanded:
    """Some of ports.Operations: there is a call c1 of main-line, and transfers 01A, 01B and late."""

    def __init__(self, answer: TransferRecord) -> None:
        self.answer = answer
        """What a transfer comes to."""
        self.asked: list[tuple[object, ...]] = []
        self.given: list[GivenCommand] = []
        self.kept = 0
        """So many of them outlive the gateway."""
        self.authors: list[Author | None] = []

    def note_command(self, command: GivenCommand) -> None:
        self.given.append(command)

    async def commands_kept(self) -> None:
        await asyncio.sleep(0)
        self.kept = len(self.given)

    def call_back(
        self, which: str, destination: str, command_id: str | None = None, author: Author | None = None
    ) -> TransferRecord:
        self.authors.append(author)
        if author is not None and not author.may_command("main-line"):
            raise NotAllowedError(f"{author.name} may not command calls of main-line")
        self.asked.append(("callback", which, destination, *((command_id,) if command_id else ())))
        if which not in ("c1", "01A", "+31201112222"):
            raise LookupError(which)
        return self.answer

    def cancel_transfer(
        self, which: str, command_id: str | None = None, author: Author | None = None
    ) -> TransferRecord:
        self.authors.append(author)
        self.asked.append((which, command_id))
        if which == "late":
            raise TooLateError("transfer late is switching and can't be cancelled any more")
        if which not in ("01A", "01B", "c1"):
            raise LookupError(which)
        return samples.refused()

    def hang_up_call(self, call: str, command_id: str | None = None, author: Author | None = None) -> CallRecord:
        self.authors.append(author)
        if author is not None and not author.may_command("main-line"):
            raise NotAllowedError(f"{author.name} may not command calls of main-line")
        self.asked.append(("hangup", call, *((command_id,) if command_id else ())))
        if call != "c1":
            raise LookupError(call)
        return samples.call()

    def keep_whisper(self, data: bytes, author: Author) -> KeptWhisper:
        self.authors.append(author)
        if data == b"full":
            raise NoRoomError("32 sounds are kept already")
        if not data.startswith(b"RIFF"):
            raise ValueError("can't be played: file does not start with RIFF id")
        return KeptWhisper("4QzYp0", 1.5, samples.call().started_at)

    def transfer_call(
        self,
        call: str,
        destination: str,
        message: str | None,
        command_id: str | None = None,
        author: Author | None = None,
        whisper: str | None = None,
    ) -> TransferRecord:
        self.authors.append(author)
        if author is not None and not author.may_command("main-line"):
            raise NotAllowedError(f"{author.name} may not command calls of main-line")
        self.asked.append(
            (call, destination, message, *((command_id,) if command_id else ()), *((whisper,) if whisper else ()))
        )
        if call == "broken":
            raise RuntimeError("secret inner workings")
        if call != "c1":
            raise LookupError(call)
        return self.answer
