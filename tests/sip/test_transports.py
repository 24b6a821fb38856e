# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP, TCP and TLS, chosen by each profile; what TLS lets in; connections that drop in mid call; IPv6."""

from __future__ import annotations

import asyncio
import gc
import ssl
import warnings
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pjsua2 as pj
import pytest
import pytest_asyncio

from gateway.config import SipSettings
from gateway.sip.stack import transports
from tests.sip.bed import ANNA, ASSISTANT_HZ, CALLER_HZ, PORT, TARGET_HZ, TLS_PORT, Bed, Pair, Stage, tls
from tests.support.certificates import Authority, Identity
from tests.support.company import settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net, free_port
from tests.support.wire import Datagrams, Streams, Wire

pytestmark = pytest.mark.sip

PAIRS = {
    "udp": Pair(),
    "tcp": Pair({"transport": "tcp"}),
    "tls": Pair({"transport": "tls"}),
    "pbx-tcp": Pair(pbx={"transport": "tcp"}),
    "pbx-tls": Pair(pbx={"transport": "tls"}),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(own_net: Net, authority: Authority) -> AsyncIterator[Bed]:
    made = Bed(own_net, PAIRS, sip={"tcp_port": PORT, **tls(authority, own_net.gateway)})
    async with made.gateway:
        yield made


def stage(bed: Bed, name: str, authority: Authority) -> Stage:
    """The peers of a pair, each on the wire that its profile says."""
    trunk, pbx = bed.trunk_host(name), bed.pbx_host(name)
    wires: dict[str, dict[str, Wire]] = {
        "udp": {},
        "tcp": {"trunk": Streams()},
        "tls": {"trunk": Streams(authority.identity(trunk), clients=True)},
        "pbx-tcp": {"pbx": Streams()},
        "pbx-tls": {"pbx": Streams(authority.identity(pbx), clients=True)},
    }
    return Stage(bed, name, **wires[name], port=TLS_PORT if name == "pbx-tls" else PORT)


@pytest.mark.keeps("8.1")
@pytest.mark.parametrize("name", PAIRS)
async def test_a_call_and_its_transfer_use_the_transport_of_each_profile(
    bed: Bed, authority: Authority, name: str
) -> None:
    async with stage(bed, name, authority) as at:
        caller, assistant = await at.conversation()
        await assistant.media.hears(CALLER_HZ)
        anna = await at.transfer(caller, assistant)
        await assistant.wait_request("BYE")
        for call, peer in ((assistant, at.trunk), (anna, at.pbx)):
            invite = call.incoming
            assert invite
            wire = peer.wire.name
            assert invite["Via"].startswith(f"SIP/2.0/{wire} ")
            assert ("transport=" in invite["Contact"].lower()) is (wire != "UDP")
            if isinstance(peer.wire, Streams) and wire == "TLS":
                assert set(peer.wire.versions) == {"TLSv1.3"}
        await anna.hang_up()
        await caller.wait_request("BYE")


@pytest.mark.keeps("2.6")
async def test_notifies_go_one_at_a_time_over_a_stream(bed: Bed, authority: Authority) -> None:
    async with stage(bed, "tcp", authority) as at:
        caller, assistant = await at.conversation()
        assistant.answers["NOTIFY"] = None
        assert (await assistant.refer(ANNA)).code == 202
        anna = await at.pbx.wait_call()
        await anna.ring()
        await anna.answer(hz=TARGET_HZ)
        await caller.media.hears(TARGET_HZ)
        assert [one.sipfrag for one in at.trunk.received("NOTIFY")] == [100]  # not answered yet: nothing follows it
        assistant.answers["NOTIFY"] = 200
        assistant.respond(at.trunk.received("NOTIFY")[0], 200)
        assert [one.sipfrag for one in await assistant.notifies()] == [100, 180, 200]
        await assistant.wait_request("BYE")
        await caller.hang_up()
        await anna.wait_request("BYE")


@pytest.mark.keeps("8.2")
@pytest.mark.parametrize("name", ["tcp", "tls"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_call_outlives_its_connection(bed: Bed, authority: Authority, name: str, reset: bool) -> None:
    async with stage(bed, name, authority) as at:
        caller, assistant = await at.conversation()
        assert isinstance(at.trunk.wire, Streams)
        before = at.trunk.wire.accepted
        await at.trunk.wire.dropped(reset=reset)
        await assistant.media.hears(CALLER_HZ)
        # The platform comes back over a connection of its own, and has the caller transferred …
        assistant.remote = (bed.net.gateway, PORT if name == "tcp" else TLS_PORT)
        assert (await assistant.refer(ANNA)).code == 202
        anna = await at.pbx.wait_call()
        await at.trunk.until(lambda: at.trunk.received("NOTIFY") or None, "NOTIFY")
        # … and drops that one too, while it rings: the outcome reaches it over a new one, made by the gateway.
        at.trunk.wire.drop(reset=reset)
        await anna.answer(hz=TARGET_HZ)
        assert (await assistant.notifies())[-1].sipfrag == 200
        await assistant.wait_request("BYE")
        assert at.trunk.wire.accepted > before
        await caller.media.hears(TARGET_HZ)
        await caller.hang_up()
        await anna.wait_request("BYE")


@pytest.mark.keeps("8.2")
async def test_a_bye_reconnects(bed: Bed, authority: Authority) -> None:
    async with stage(bed, "tcp", authority) as at:
        caller, assistant = await at.conversation()
        assert isinstance(at.trunk.wire, Streams)
        await at.trunk.wire.dropped(reset=True)
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.keeps("8.7")
@pytest.mark.parametrize("what", ["stranger", "other-name"])
async def test_nothing_is_sent_to_a_server_that_cannot_prove_its_name(
    bed: Bed, authority: Authority, tmp_path: Path, what: str
) -> None:
    host = bed.trunk_host("tls")
    signed_by = Authority(tmp_path / "other") if what == "stranger" else authority
    shown = signed_by.identity(host if what == "stranger" else "127.0.0.99")
    wire = Streams(Identity(shown.certificate, shown.key, authority.certificate))
    async with Stage(bed, "tls", trunk=wire) as at:
        refused = await at.call().final()
        assert refused.code in (480, 502, 503), refused.start
        assert not at.trunk.trace  # no byte of SIP


@pytest.mark.keeps("8.7")
async def test_who_connects_has_to_show_a_certificate(bed: Bed, authority: Authority) -> None:
    host = bed.pbx_host("pbx-tls")
    wire = Streams(authority.identity(host), shown=False)
    async with Stage(bed, "pbx-tls", pbx=wire, port=TLS_PORT) as at:
        call = at.call()
        await asyncio.sleep(0.3)
        assert not [one for one in at.pbx.trace if not one.sent]
        assert not at.trunk.received("INVITE")
        at.pbx.calls.remove(call)
        call.close()


@pytest.mark.keeps("8.7")
@pytest.mark.parametrize(("version", "fits"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_no_tls_older_than_1_2(bed: Bed, authority: Authority, version: str, fits: bool) -> None:
    context = authority.identity(bed.pbx_host("pbx-tls")).client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 1.1 is what is refused
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    connecting = asyncio.open_connection(bed.net.gateway, TLS_PORT, ssl=context)
    if not fits:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connecting
        return
    _, writer = await connecting
    assert writer.get_extra_info("ssl_object").version() == version.replace("_", ".")
    writer.transport.abort()


CIPHERS = [
    ("ECDHE-{}-AES128-GCM-SHA256", True),
    ("ECDHE-{}-AES256-GCM-SHA384", True),
    ("ECDHE-{}-CHACHA20-POLY1305", True),
    ("ECDHE-{}-AES256-SHA384", False),  # CBC
    ("ECDHE-{}-AES128-SHA256", False),
    ("ECDHE-{}-AES256-SHA", False),
    ("AES256-GCM-SHA384", False),  # the key is exchanged by RSA
    ("AES128-GCM-SHA256", False),
    ("AES256-SHA256", False),
    ("AES128-SHA", False),
]


@pytest.mark.keeps("16.111")
@pytest.mark.parametrize("keys", ["ECDSA", "RSA"])
async def test_tls_1_2_has_forward_secrecy_and_no_cbc(own_net: Net, tmp_path: Path, keys: str) -> None:
    authority = Authority(tmp_path / "authority", rsa=keys == "RSA")
    host = own_net.host(43)
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5070", sip={"bind_address": host, **tls(authority, host)})
    taken: dict[str, bool] = {}
    async with Gateway(files):
        for cipher in [cipher.format(keys) for cipher, _ in CIPHERS]:
            context = authority.identity(own_net.trunk).client()
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(f"{cipher}:@SECLEVEL=0")
            try:
                _, writer = await asyncio.open_connection(host, TLS_PORT, ssl=context)
            except (ssl.SSLError, ConnectionError):
                taken[cipher] = False
                continue
            taken[cipher] = writer.get_extra_info("cipher")[0] == cipher
            writer.transport.abort()
    assert taken == {cipher.format(keys): fits for cipher, fits in CIPHERS}


@pytest.mark.keeps("16.111")
@pytest.mark.parametrize("cipher", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
async def test_tls_1_3_has_its_usual_ciphers(bed: Bed, authority: Authority, cipher: str) -> None:
    host = authority.identity(bed.pbx_host("pbx-tls"))
    command = ["openssl", "s_client", "-connect", f"{bed.net.gateway}:{TLS_PORT}", "-tls1_3", "-ciphersuites", cipher,
               "-cert", str(host.certificate), "-key", str(host.key), "-CAfile", str(host.authority)]  # fmt: skip
    asked = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(asked.communicate(), 10)
    assert f"Cipher is {cipher}" in output.decode()


@pytest.mark.keeps("16.112")
@pytest.mark.parametrize("name", ["tcp_port", "tls_port"])
def test_socket_options_last_until_pjsip_has_copied_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[object]] = []

    def remembered(*values: int) -> object:
        option = pj.SockOpt(*values)
        made.append(weakref.ref(option))
        return option

    class Listening:
        """Stands for PJSIP's endpoint."""

        def transportCreate(self, _kind: int, config: pj.TransportConfig) -> int:  # noqa: N802 - pjsua2's name
            gc.collect()
            options = (config.tlsConfig.sockOptParams if name == "tls_port" else config.sockOptParams).sockOpts
            assert len(options) == len(transports.STREAM_OPTIONS)
            assert [option() is not None for option in made] == [True] * len(options)
            return 0

    monkeypatch.setattr(transports, "pj", SimpleNamespace(**{**vars(pj), "SockOpt": remembered}))
    transports.Transports(
        cast("pj.Endpoint", Listening()), SipSettings.model_validate({"bind_address": "127.0.0.1", name: PORT})
    )
    assert made


@pytest.mark.keeps("8.8")
@pytest.mark.parametrize("wire", [Datagrams, Streams])
async def test_a_trunk_on_ipv6_and_a_pbx_on_ipv4(own_net: Net, wire: type[Datagrams | Streams]) -> None:
    port, peer_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    transport = "udp" if wire is Datagrams else "tcp"
    trunk = {"addresses": ["::1"], "outbound": f"sip:[::1]:{peer_port}", "transport": transport}
    sip = {"bind_address6": "::1", "udp_port": port, "tcp_port": port}
    made = Bed(own_net, {"six": Pair(trunk)}, sip=sip)
    async with made.gateway, Peer("::1", peer_port, wire=wire()) as platform:
        at = Stage(made, "six", port=port)
        at.trunk = platform
        async with at.pbx:
            caller, assistant = await at.conversation()
            assert assistant.incoming
            assert "[::1]" in assistant.incoming["Contact"]
            assert b"IN IP6 ::1" in assistant.incoming.body
            assert b"127.0." not in bytes(assistant.incoming)
            await assistant.media.hears(CALLER_HZ)
            await caller.media.hears(ASSISTANT_HZ)
            anna = await at.transfer(caller, assistant)
            await assistant.wait_request("BYE")
            await anna.hang_up()
            await caller.wait_request("BYE")
            await made.gateway.idle()
