# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a trunk is there: by the answers to our OPTIONS, or by our registration (RFC 3261 §10, §11)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from gateway.core.json_form import timestamp
from tests.support.company import NUMBER, settings
from tests.support.configuration import TOKEN
from tests.support.gateway import Gateway
from tests.support.peer import Entry, Peer
from tests.support.processes import Net, eventually
from tests.support.sip_message import reply

pytestmark = pytest.mark.sip

PASSWORD = "correct horse"  # opens a trunk that lives for one test
REGISTRAR = {"register": True, "username": "hms", "password": PASSWORD}
TRUNK_UP = "transfer_gateway_trunk_up"


@asynccontextmanager
async def gateway_with(own_net: Net, **profile: Any) -> AsyncIterator[Gateway]:
    """A gateway of this test's own, whose trunk has this profile."""
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5070")
    files.sip["bind_address"] = own_net.host(40)
    files.trunk("hms", own_net.trunk, **profile)
    async with Gateway(files) as gateway:
        yield gateway


async def becomes(gateway: Gateway, value: float) -> None:
    async def told() -> bool:
        return await gateway.metric(TRUNK_UP, trunk="hms") == value

    await eventually(told, f"{TRUNK_UP} {value}", timeout_s=15)


async def reloaded(gateway: Gateway) -> None:
    """Have it take its files as they are now."""
    gateway.write()
    status, text = await gateway.http("POST", "/api/reload", token=TOKEN)
    assert status == 200, text


async def nth(peer: Peer, method: str, count: int, timeout_s: float = 15.0) -> Entry:
    """The request of a method that came as number `count`, retransmissions left out."""

    def found() -> Entry | None:
        entries = [one for one in peer.trace if not one.sent and not one.repeated and one.message.is_request]
        matching = [one for one in entries if one.message.method == method]
        return matching[count - 1] if len(matching) >= count else None

    return await peer.until(found, f"{method} number {count}", timeout_s)


def answer(peer: Peer, entry: Entry, code: int, *headers: tuple[str, str]) -> None:
    peer.respond(entry.message, entry.remote, reply(entry.message, code, headers=headers, tag="registrar"))


@pytest.mark.keeps("7.1")
async def test_a_trunk_is_up_when_it_answers_options_and_down_when_it_does_not(own_net: Net) -> None:
    async with Peer(own_net.trunk) as trunk, gateway_with(own_net, options_interval_s=0.5) as gateway:
        options = (await nth(trunk, "OPTIONS", 1)).message
        assert options.uri.startswith(f"sip:{own_net.trunk}")
        await becomes(gateway, 1)
        found = (await gateway.get("/api/status"))["trunks"]["hms"]
        assert (found["up"], found["because"]) == (True, None)
        trunk.answers["OPTIONS"] = 503
        await becomes(gateway, 0)
        status = await gateway.get("/api/status")
        gone = status["trunks"]["hms"]
        assert (gone["up"], gone["because"]) == (False, "OPTIONS: 503, or no way leads there")
        assert found["since"] < gone["since"] <= timestamp(datetime.now(UTC))
        assert "trunk hms: OPTIONS: 503, or no way leads there" in status["problems"]
        trunk.answers["OPTIONS"] = 404  # whoever refuses is there
        await becomes(gateway, 1)
        assert gateway.log.count("trunk-down") == 1


@pytest.mark.keeps("7.2")
async def test_a_trunk_that_is_not_asked_gets_no_options(own_net: Net) -> None:
    async with Peer(own_net.trunk) as trunk, gateway_with(own_net, options_interval_s=0) as gateway:
        assert (await trunk.request("OPTIONS", "sip:gateway", gateway.sip)).code == 200
        assert not trunk.received("OPTIONS")
        assert (await gateway.get("/api/status"))["trunks"] == {"hms": {"up": None, "because": None, "since": None}}


@pytest.mark.keeps("7.3")
async def test_it_registers_with_its_password_and_takes_itself_out_at_the_end(own_net: Net) -> None:
    async with Peer(own_net.trunk) as trunk:
        trunk.answers["REGISTER"] = None
        async with gateway_with(own_net, **REGISTRAR) as gateway:
            first = await nth(trunk, "REGISTER", 1)
            assert first.message.get("Authorization") is None
            assert f"sip:hms@{own_net.trunk}" in first.message["To"]
            answer(
                trunk, first, 401, ("WWW-Authenticate", 'Digest realm="hms", nonce="abc", algorithm=MD5, qop="auth"')
            )
            second = await nth(trunk, "REGISTER", 2)
            assert 'username="hms"' in second.message["Authorization"]
            assert await gateway.metric(TRUNK_UP, trunk="hms") == 0
            answer(trunk, second, 200, ("Contact", second.message["Contact"]), ("Expires", "300"))
            await becomes(gateway, 1)
            assert not trunk.received("OPTIONS")
            trunk.answers["REGISTER"] = 200
        assert leaves(await nth(trunk, "REGISTER", 3))


@pytest.mark.keeps("16.76")
@pytest.mark.parametrize(
    ("headers", "to", "extension"),
    [
        ([], f"<sip:{NUMBER}@carrier.example>", "6500"),
        ([("P-Called-Party-ID", f"<sip:{NUMBER}@carrier.example>")], "<sip:hms@carrier.example>", "6500"),
        ([("P-Called-Party-ID", "<tel:+31612345681>")], f"<sip:{NUMBER}@carrier.example>", "6001"),
    ],
)
async def test_a_call_to_what_we_registered_is_for_the_number_that_was_called(
    own_net: Net, headers: list[tuple[str, str]], to: str, extension: str
) -> None:
    async with Peer(own_net.trunk) as trunk, Peer(own_net.pbx, 5070) as pbx:
        trunk.answers["REGISTER"] = 200
        async with gateway_with(own_net, **REGISTRAR) as gateway:
            contact = (await nth(trunk, "REGISTER", 1)).message["Contact"].partition("<")[2].partition(">")[0]
            caller = trunk.invite(contact, gateway.sip, to=to, headers=headers)
            phone = await pbx.wait_call()
            assert phone.incoming
            assert phone.incoming.uri.startswith(f"sip:{extension}@")
            phone.reject(486)
            await caller.final()


@pytest.mark.keeps("16.76")
async def test_a_call_to_what_we_registered_goes_nowhere_else(own_net: Net) -> None:
    async with Peer(own_net.trunk) as trunk, Peer(own_net.pbx, 5070) as pbx:
        trunk.answers["REGISTER"] = 200
        async with gateway_with(own_net, **REGISTRAR) as gateway:
            for user, to in (("hms", "+31209999999"), ("+31209999999", NUMBER), ("hms", "hms")):
                refused = trunk.invite(f"sip:{user}@gateway", gateway.sip, to=f"<sip:{to}@carrier.example>")
                assert (await refused.final()).code == 404
        assert not pbx.received("INVITE")


def leaves(entry: Entry) -> bool:
    """Whether a REGISTER ends the registration (RFC 3261 §10.2.2)."""
    return "expires=0" in entry.message["Contact"] or entry.message.get("Expires") == "0"


@pytest.mark.keeps("16.79")
async def test_it_registers_with_the_first_of_two_challenges(own_net: Net) -> None:
    async with Peer(own_net.trunk) as trunk:
        trunk.answers["REGISTER"] = None
        async with gateway_with(own_net, **REGISTRAR):
            first = await nth(trunk, "REGISTER", 1)
            strong = 'Digest realm="hms", nonce="strong", algorithm=SHA-256, qop="auth"'
            weak = 'Digest realm="hms", nonce="weak", algorithm=MD5, qop="auth"'
            answer(trunk, first, 401, ("WWW-Authenticate", strong), ("WWW-Authenticate", weak))
            second = await nth(trunk, "REGISTER", 2)
            assert ["strong" in value for value in second.message.all("Authorization")] == [True]
            answer(trunk, second, 200, ("Contact", second.message["Contact"]), ("Expires", "300"))
            trunk.answers["REGISTER"] = 200


@pytest.mark.keeps("7.4")
async def test_a_trunk_that_is_taken_out_of_the_configuration_is_registered_at_no_longer(own_net: Net) -> None:
    async with Peer(own_net.trunk) as trunk:
        trunk.answers["REGISTER"] = None

        async def registers(count: int) -> Entry:
            entry = await nth(trunk, "REGISTER", count)
            expires = "0" if leaves(entry) else "300"
            answer(trunk, entry, 200, ("Contact", entry.message["Contact"]), ("Expires", expires))
            return entry

        async with gateway_with(own_net, **REGISTRAR) as gateway:
            assert not leaves(await registers(1))
            await becomes(gateway, 1)
            number = gateway.files.line
            hms = gateway.files.profiles.pop("hms")
            (gateway.directory / "sip_profiles/hms.toml").unlink()
            gateway.files.trunk("other", own_net.host(41), options_interval_s=0)
            number["trunk"] = "other"
            await reloaded(gateway)
            assert leaves(await registers(2))
            # … and back again.
            gateway.files.profiles["hms"] = hms
            number["trunk"] = "hms"
            await reloaded(gateway)
            assert not leaves(await registers(3))
            await becomes(gateway, 1)
            trunk.answers["REGISTER"] = 200


@pytest.mark.keeps("16.133")
async def test_a_registrar_that_answers_at_once_is_heard(own_net: Net) -> None:
    async with Peer(own_net.trunk) as trunk:
        trunk.answers["REGISTER"] = 200
        async with gateway_with(own_net, **REGISTRAR) as gateway:
            await becomes(gateway, 1)


@pytest.mark.keeps("16.188")
@pytest.mark.parametrize("granted", ["1", "2", "4", ";expires=1"])
async def test_a_registration_for_a_moment_is_renewed_every_five_seconds(own_net: Net, granted: str) -> None:
    async with Peer(own_net.trunk) as trunk:
        trunk.answers["REGISTER"] = None
        async with gateway_with(own_net, **REGISTRAR) as gateway:
            times = []
            for count in (1, 2, 3):
                entry = await nth(trunk, "REGISTER", count)
                times.append(entry.at)
                contact = entry.message["Contact"]
                if granted.startswith(";"):
                    answer(trunk, entry, 200, ("Contact", f"{contact.partition('>')[0]}>{granted}"))
                else:
                    answer(trunk, entry, 200, ("Contact", contact), ("Expires", granted))
            assert [4 < later - earlier < 9 for earlier, later in pairwise(times)] == [True, True], times
            assert gateway.log.count("registration-short") == 1
            await becomes(gateway, 1)
            trunk.answers["REGISTER"] = 200


@pytest.mark.keeps("7.5")
async def test_a_refused_registration_is_tried_again_and_calls_go_on_meanwhile(own_net: Net) -> None:
    async with Peer(own_net.trunk) as trunk, Peer(own_net.pbx, 5070) as pbx:
        trunk.answers["REGISTER"] = 503
        async with gateway_with(own_net, **REGISTRAR) as gateway:
            await nth(trunk, "REGISTER", 1)
            caller = pbx.invite(f"sip:{NUMBER}@gateway", gateway.sip)
            assistant = await trunk.wait_call()
            await assistant.answer()
            await caller.answered()
            assert await gateway.metric(TRUNK_UP, trunk="hms") == 0
            trunk.answers["REGISTER"] = None
            again = await nth(trunk, "REGISTER", 2)
            answer(trunk, again, 200, ("Contact", again.message["Contact"]), ("Expires", "300"))
            await becomes(gateway, 1)
            await caller.hang_up()
            await gateway.idle()
