# SPDX-License-Identifier: GPL-2.0-or-later
"""A reload of the running gateway: all of it is applied, or none, and what takes a restart is said."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.sip.test_trunks import PASSWORD, REGISTRAR, answer, nth
from tests.support.company import NUMBER, settings
from tests.support.configuration import TOKEN
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net, eventually
from tests.support.systemd import Systemd

pytestmark = pytest.mark.sip

METRIC = "transfer_gateway_config"
CHALLENGE = ("WWW-Authenticate", 'Digest realm="hms", nonce="abc", algorithm=MD5')


@asynccontextmanager
async def reloadable(own_net: Net, **sip: Any) -> AsyncIterator[Gateway]:
    """A gateway of this test's own."""
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5070", sip={"bind_address": own_net.host(42), **sip})
    async with Gateway(files) as gateway:
        yield gateway


async def reload(gateway: Gateway, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
    """Have it take its files as they are now: the answer."""
    gateway.write()
    status, text = await gateway.http("POST", "/api/reload", token=token)
    return status, json.loads(text)


def taken(applied: list[str], restart_needed: list[str] | None = None) -> tuple[int, dict[str, Any]]:
    """What `reload` gives when it has been taken."""
    return 200, {"reloaded": True, "applied": applied, "restart_needed": restart_needed or []}


async def command(gateway: Gateway, *arguments: str) -> tuple[int, str]:
    """The exit code of `transfer-gateway`, and what it prints."""
    line = [sys.executable, "-m", "gateway.cli", *arguments, "--config", str(gateway.directory)]
    asked = await asyncio.create_subprocess_exec(
        *line, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed = (await asked.communicate())[0].decode()
    return asked.returncode or 0, printed


async def check(gateway: Gateway) -> str:
    """What `transfer-gateway check` prints."""
    return (await command(gateway, "check"))[1]


async def numbers(gateway: Gateway) -> bool:
    """Whether the gateway knows the destination that these tests add."""
    answer = await gateway.get(f"/api/explain?target=added&number={NUMBER.replace('+', '%2B')}")
    return bool(answer["destination"] == "added")


def add_destination(gateway: Gateway) -> None:
    gateway.files.line["destinations"].append({"id": "added", "extension": "6777"})


@pytest.mark.keeps("16.113")
async def test_what_takes_a_restart_is_told_until_it_is_put_back(own_net: Net) -> None:
    async with reloadable(own_net) as gateway:
        sip = gateway.files.sip
        assert (await gateway.get("/api/status"))["restart_needed"] == []
        sip["max_calls"], sip["rtp_timeout_s"] = 77, 100
        for applied in (["sip.rtp_timeout_s"], []):
            assert await reload(gateway) == taken(applied, restart_needed=["sip.max_calls"])
            status = await gateway.get("/api/status")
            assert status["restart_needed"] == ["sip.max_calls"]
            assert status["configuration"]["mistakes"] == []
            assert await gateway.metric(f"{METRIC}_restart_needed") == 1
            assert await gateway.metric(f"{METRIC}_last_reload_successful") == 1
        del sip["max_calls"]
        assert await reload(gateway) == taken([])
        assert (await gateway.get("/api/status"))["restart_needed"] == []
        assert await gateway.metric(f"{METRIC}_restart_needed") == 0


@pytest.mark.keeps("16.106")
async def test_a_configuration_that_pjsip_cannot_take_changes_nothing(own_net: Net) -> None:
    async with reloadable(own_net) as gateway, Peer(own_net.trunk) as trunk:
        assert (await trunk.request("OPTIONS", "sip:gateway", gateway.sip)).code == 200
        main = gateway.files.main
        [number] = main["numbers"]
        add_destination(gateway)
        # More peers than PJSUA was compiled for.
        for each in range(40):
            gateway.files.profiles[f"t{each}"] = {
                "kind": "trunk", "addresses": [f"203.0.113.{each + 1}"], "options_interval_s": 0,
            }  # fmt: skip
            main["numbers"].append(
                {**number, "id": f"n{each}", "number": f"+3120765{each:04}", "trunk": f"t{each}",
                 "destinations": [{"id": "desk", "extension": "190"}], "answer": "desk", "fallback": "desk"}
            )  # fmt: skip
        status, body = await reload(gateway)
        assert status == 422
        assert body["mistakes"]
        assert not await numbers(gateway)
        assert await gateway.metric(f"{METRIC}_last_reload_successful") == 0
        told = await gateway.get("/api/status")
        assert told["configuration"]["mistakes"] == body["mistakes"]
        assert told["configuration"]["refused_at"]
        assert list(told["trunks"]) == ["hms"]
        assert (await trunk.request("OPTIONS", "sip:gateway", gateway.sip)).code == 200
        # Those that PJSIP had taken have been given back: there is room for as many again.
        del main["numbers"][11:]
        status, body = await reload(gateway)
        assert status == 200
        added = f"numbers[{gateway.files.line['id']}].destinations[added]"
        peers = [f"numbers[n{each}]" for each in range(10)] + [f"sip_profiles/t{each}.toml" for each in range(10)]
        assert body["applied"] == [added, *peers]
        assert await numbers(gateway)
        assert (await gateway.get("/api/status"))["configuration"]["refused_at"] is None


@pytest.mark.keeps("16.106")
async def test_peers_may_come_and_go_for_as_long_as_one_likes(own_net: Net) -> None:
    async with reloadable(own_net) as gateway, Peer(own_net.trunk) as trunk:
        number = gateway.files.line
        assistant_at = gateway.files.profiles["hms"]
        for each in range(40):  # PJSUA was compiled for 32
            gateway.files.profiles[f"t{each}"] = {**assistant_at, "options_interval_s": 0}
            number["trunk"] = f"t{each}"
            assert (await reload(gateway))[0] == 200
        assert list((await gateway.get("/api/status"))["trunks"]) == ["t39"]
        assert (await trunk.request("OPTIONS", "sip:gateway", gateway.sip)).code == 200


def status_of(pid: int) -> str:
    """What the kernel tells of a process (proc_pid_status(5))."""
    return Path(f"/proc/{pid}/status").read_text()


@pytest.mark.keeps("16.106")
async def test_a_signal_while_the_gateway_starts_does_not_end_it(own_net: Net) -> None:
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5070", sip={"bind_address": own_net.host(44)})
    gateway = Gateway(files)
    gateway.copied = False  # the start itself is what this is about
    starting = asyncio.create_task(gateway.start())
    await asyncio.sleep(0)

    async def hung_up() -> bool:
        # Before its own first line Python has the signal end it; from then on it may come at any moment.
        masks = re.findall(r"Sig(?:Ign|Cgt):\t(\w+)", status_of(gateway.child.pid))
        if any(int(mask, 16) & 1 << signal.SIGHUP - 1 for mask in masks):
            gateway.child.signal(signal.SIGHUP)
        return starting.done()

    await eventually(hung_up, "it serves", timeout_s=30, every_s=0.05)
    await starting
    assert (await gateway.get("/api/status"))["state"] == "online"
    assert await gateway.stop() == 0
    shutil.rmtree(gateway.directory)


@pytest.mark.keeps("16.113")
async def test_a_peer_whose_transport_takes_a_restart_is_refused_as_a_whole(own_net: Net) -> None:
    async with reloadable(own_net) as gateway:
        gateway.files.sip["tcp_port"] = 5060
        gateway.files.profiles["asterisk"]["transport"] = "tcp"
        add_destination(gateway)
        status, body = await reload(gateway)
        assert status == 422
        [mistake] = body["mistakes"]
        assert "sip_profiles/asterisk.toml: transport" in mistake
        assert "restarted" in mistake
        assert not await numbers(gateway)


@pytest.mark.keeps("16.108")
async def test_sip_messages_are_seen_and_hidden_again_without_a_restart(own_net: Net) -> None:
    async with reloadable(own_net) as gateway, Peer(own_net.trunk) as trunk:

        async def seen(call_id: str) -> bool:
            asked = await trunk.request("OPTIONS", f"sip:gateway;{call_id}", gateway.sip)
            assert asked.code == 200
            return f"OPTIONS sip:gateway;{call_id}" in gateway.log

        assert not await seen("before")
        log = gateway.files.main["gateway"]
        log["log_level"] = "debug"
        assert await reload(gateway) == taken(["gateway.log_level"])
        assert await seen("meanwhile")
        assert "RX " in gateway.log
        log |= {"log_level": "info", "log_format": "json"}
        assert (await reload(gateway))[0] == 200
        lines = len(gateway.log.splitlines())
        assert not await seen("afterwards")
        assert (await reload(gateway))[0] == 200
        written = gateway.log.splitlines()[lines:]
        # The trunk's answer to our first OPTIONS may come in between, and each reload was asked for by somebody.
        events = {json.loads(line)["event"] for line in written}
        assert events - {"trunk-up", "command-given"} == {"reloaded"}


@pytest.mark.keeps("16.107")
async def test_a_new_token_holds_from_the_reload_on(own_net: Net) -> None:
    async with reloadable(own_net) as gateway:
        gateway.files.secrets["http.token"] = "another-one"
        gateway.write()
        assert "http.token: changed since the running gateway read it; a reload brings it" in await check(gateway)
        assert (await reload(gateway))[0] == 200
        assert (await reload(gateway))[0] == 401
        assert (await reload(gateway, "another-one"))[0] == 200


@pytest.mark.keeps("16.107")
async def test_a_changed_password_is_proved_by_a_new_registration(own_net: Net) -> None:
    async with Peer(own_net.trunk) as trunk:
        trunk.answers["REGISTER"] = None
        async with reloadable(own_net) as gateway:
            gateway.files.trunk("hms", own_net.trunk, **REGISTRAR)
            assert (await reload(gateway))[0] == 200
            count = await registers(trunk, 0, PASSWORD)
            gateway.files.secrets["sip_profiles/hms.secret"] = "rotated"
            assert (await reload(gateway))[0] == 200
            count = await registers(trunk, count, "rotated")
            trunk.answers["REGISTER"] = 200


async def registers(trunk: Peer, count: int, password: str) -> int:
    """Answer its REGISTERs until one comes that proves this password; how many have come then."""
    while True:
        count += 1
        entry = await nth(trunk, "REGISTER", count)
        given = entry.message.get("Authorization")
        if given is None:
            answer(trunk, entry, 401, CHALLENGE)
            continue
        answer(trunk, entry, 200, ("Contact", entry.message["Contact"]), ("Expires", "300"))
        part = dict(re.findall(r'(\w+)="([^"]*)"', given))
        secret = md5(f"{part['username']}:hms:{password}")
        asked = md5(f"REGISTER:{part['uri']}")
        if part["response"] == md5(f"{secret}:{part['nonce']}:{asked}"):
            return count


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.keeps("16.109")
async def test_the_names_by_which_it_may_be_asked_hold_from_the_reload_on(own_net: Net) -> None:
    async with reloadable(own_net) as gateway:
        assert (await gateway.http("GET", "/readyz", host="pbx.example.com"))[0] == 421
        gateway.files.main["http"]["host_names"] = ["pbx.example.com"]
        assert await reload(gateway) == taken(["http.host_names"])
        assert (await gateway.http("GET", "/readyz", host="pbx.example.com"))[0] == 200
        assert (await gateway.http("GET", "/readyz", host="eve.example.com"))[0] == 421


@pytest.mark.keeps("16.106", "16.110", "19.42")
async def test_systemd_hears_the_end_of_every_reload_and_why_one_was_refused(own_net: Net, systemd: Systemd) -> None:
    told: list[str] = []

    async def heard(text: str) -> bool:
        told.extend(systemd.messages())
        return any(text in each for each in told)

    async with reloadable(own_net) as gateway:
        await eventually(lambda: heard("STATUS=serving"), "it is ready")
        told.clear()
        (gateway.directory / "gateway.toml").write_text("[gateway")
        for _ in range(3):
            gateway.child.signal(signal.SIGHUP)
        await eventually(lambda: heard("was refused: gateway.toml"), "systemd is told why")
        gateway.write()
        gateway.child.signal(signal.SIGHUP)

        async def taken() -> bool:
            await heard("")
            return told[-1].endswith("STATUS=serving")

        await eventually(taken, "a good one is taken")
        states = [each.split("\n")[0] for each in told if not each.startswith("WATCHDOG")]
        assert states == ["RELOADING=1", "READY=1"] * (len(states) // 2)
        assert all(re.search(r"^MONOTONIC_USEC=\d+$", each, re.MULTILINE) for each in told if "RELOADING" in each)
        assert await gateway.metric(f"{METRIC}_last_reload_successful") == 1
        # Who asked is kept, too, and what came of it.
        status, text = await gateway.http("GET", "/api/audit", token=TOKEN)
        entries = json.loads(text)["commands"]
        assert (status, len(entries)) == (200, len(states) // 2)
        assert {(one["author"], one["via"], one["action"], one["remote"]) for one in entries} == {
            ("signal", "signal", "reload", None)
        }
        assert [entries[0]["result"], entries[-1]["result"]] == ["done", "bad-configuration"]


@pytest.mark.keeps("20.1")
@pytest.mark.parametrize("by_signal", [True, False], ids=["by signal", "with the token"])
async def test_the_command_says_what_a_reload_has_applied_and_fails_where_it_was_refused(
    own_net: Net, by_signal: bool
) -> None:
    async with reloadable(own_net) as gateway:
        arguments = ["reload", *(["--pid", str(gateway.child.pid)] if by_signal else [])]
        add_destination(gateway)
        gateway.files.sip["max_calls"] = 77
        gateway.write()
        code, printed = await command(gateway, *arguments)
        assert (code, printed.splitlines()) == (
            0, [f"applied: numbers[{gateway.files.line['id']}].destinations[added]", "restart needed: sip.max_calls"],
        )  # fmt: skip
        assert await numbers(gateway)
        assert (await gateway.get("/api/status"))["configuration"]["applied"]
        # What only what runs makes a mistake: `check` by itself has nothing against it.
        gateway.files.sip["tcp_port"] = 5060
        gateway.files.profiles["asterisk"]["transport"] = "tcp"
        gateway.write()
        code, printed = await command(gateway, *arguments)
        assert code == 1
        assert "transfer-gateway: refused: sip_profiles/asterisk.toml: transport: " in printed
        assert printed.endswith("the configuration before it stays in force\n")
        (gateway.directory / "gateway.toml").write_text("[gateway")
        assert (await command(gateway, *arguments))[0] == 78
        assert (await gateway.get("/api/status"))["configuration"]["reloads"] == 2
