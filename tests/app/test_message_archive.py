# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP messages of transfers on disk: there after a restart and without a gateway, and gone when they are to go."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway import cli
from gateway.core.sip_message import KeptMessages
from gateway.message_archive import SETTLE_S
from tests.bench import SALES
from tests.running_app import Running, running
from tests.support.processes import eventually
from tests.test_call_messages import message

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

EVE = "+31201112222"
SAID = f"BYE sip:x SIP/2.0\r\nFrom: <sip:{EVE}@pbx>;tag=1\r\n\r\n"
DISK = "\n[messages]\ndisk_mb = 10\n"


def add(directory: Path, more: str) -> None:
    main = directory / "gateway.toml"
    main.write_text(main.read_text() + more)


async def refused(gateway: Running, leg: str = "in-1") -> str:
    """A transfer that is refused, of a call with a message."""
    gateway.called(leg)
    call = (await gateway.get("/api/calls"))[1]["calls"][0]
    gateway.sip.kept_of[f"{leg}@test"] = KeptMessages((message(SAID), message("SIP/2.0 200 OK\r\n\r\n", 1, sent=True)))
    _, told = await gateway.post(f"/api/calls/{call['call']}/transfer", type="transfer", destination=SALES)
    which: str = told["transfer"]["transfer"]
    return which


async def stored(gateway: Running, count: int = 1) -> None:
    async def is_so() -> bool:
        gateway.clock.advance(SETTLE_S)
        return bool((await gateway.get("/api/status"))[1]["messages"]["disk_transfers"] == count)

    await eventually(is_so, f"{count} are on disk", timeout_s=30)


async def messages(gateway: Running, transfer: str) -> dict[str, Any]:
    status, told = await gateway.get(f"/api/transfers/{transfer}/messages")
    assert status == 200
    return told


@pytest.mark.keeps("23.44")
async def test_messages_are_there_after_a_restart_and_without_a_gateway(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(directory, DISK)
    async with running(directory) as gateway:
        transfer = await refused(gateway)
        await stored(gateway)
        told = await messages(gateway, transfer)
        assert [one["text"] for one in told["messages"]] == [SAID, "SIP/2.0 200 OK\r\n\r\n"]
        # What comes later in the call is stored when that is over: here by the end of the gateway.
        later = (*gateway.sip.kept_of["in-1@test"].messages, message("ACK sip:x SIP/2.0\r\n\r\n", 2))
        gateway.sip.kept_of["in-1@test"] = KeptMessages(later)
        whole = await messages(gateway, transfer)
    async with running(directory) as gateway:

        async def known() -> bool:
            return len((await messages(gateway, transfer))["messages"]) == 3

        await eventually(known, "all of them are there", timeout_s=30)
        assert await messages(gateway, transfer) == whole
        async with asyncio.timeout(30):
            status, told = await gateway.get("/api/transfers/01NOTHING/messages")
        assert status == 404
    assert await asyncio.to_thread(cli.main, ["why", transfer, "--json", "--config", str(directory)]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed["messages"]["messages"] == whole["messages"]


@pytest.mark.keeps("23.45")
async def test_a_caller_who_is_forgotten_goes_and_so_does_the_file_with_its_setting(directory: Path) -> None:
    add(directory, DISK)
    async with running(directory) as gateway:
        transfer = await refused(gateway)
        await stored(gateway)
        _, told = await gateway.post("/api/forget", caller=EVE)
        assert told["erased"]["message_transfers"] == 1
        answer = await messages(gateway, transfer)
        assert (answer["kept"], answer["because"]) == (False, "neither memory nor disk has them any more")
        other = await refused(gateway, "in-2")
        await stored(gateway)
        assert (await messages(gateway, other))["kept"] is True
        state = gateway.app.reloader.config.gateway.state_dir
        assert (state / "messages.db").exists()
        main = directory / "gateway.toml"
        main.write_text(main.read_text().replace(DISK, ""))
        assert (await gateway.post("/api/reload"))[0] == 200

        async def gone() -> bool:
            return not (state / "messages.db").exists()

        await eventually(gone, "the file is deleted", timeout_s=30)


@pytest.mark.keeps("23.45")
async def test_a_change_of_callers_masks_what_is_stored(directory: Path) -> None:
    add(directory, DISK)
    async with running(directory) as gateway:
        transfer = await refused(gateway)
        await stored(gateway)
        gateway.sip.kept_of.clear()
        assert EVE[3:] in str((await messages(gateway, transfer))["messages"])
        add(directory, '\n[history]\ncallers = "masked"\n')
        assert (await gateway.post("/api/reload"))[0] == 200
        told = await messages(gateway, transfer)
        assert (told["masked"], EVE[3:] in str(told)) == (True, False)


@pytest.mark.keeps("23.46")
async def test_a_disk_that_refuses_is_told_of_once_and_costs_no_call(directory: Path) -> None:
    add(directory, DISK)
    async with running(directory) as gateway:
        state = gateway.app.reloader.config.gateway.state_dir
        store = gateway.app.archive._store

        def refuses(*_: object) -> None:
            raise OSError("No space left on device")

        whole = store._database
        store._database = refuses  # type: ignore[method-assign, assignment]
        with capture_logs() as told:
            for number in range(3):
                await refused(gateway, f"in-{number}")
                gateway.clock.advance(SETTLE_S)

            async def noticed() -> bool:
                gateway.clock.advance(SETTLE_S)
                return any(one["event"] == "messages-unwritable" for one in told)

            await eventually(noticed, "it is told", timeout_s=30)
            store._database = whole  # type: ignore[method-assign]
            await refused(gateway, "in-4")

            async def writable() -> bool:
                gateway.clock.advance(SETTLE_S)
                return any(one["event"] == "messages-writable" for one in told)

            await eventually(writable, "and that it is there again", timeout_s=30)
        events = [one["event"] for one in told]
        assert (events.count("messages-unwritable"), events.count("messages-writable")) == (1, 1)
        assert (state / "messages.db").exists()
