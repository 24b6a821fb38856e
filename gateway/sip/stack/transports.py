# SPDX-License-Identifier: GPL-2.0-or-later
"""Where we listen: UDP, TCP and TLS, each on an address of IPv4, of IPv6 or of both; and which of them a peer uses."""

from __future__ import annotations

import contextlib
import ipaddress
import resource
import socket
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pjsua2 as pj

from gateway.config import TrunkProfile
from gateway.config.fields import uri_host
from gateway.config.memory_file import MemoryFile, shared
from gateway.sip.stack.refusals import refused_as

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.config import PbxProfile, SipSettings

KINDS = {
    ("udp", 4): pj.PJSIP_TRANSPORT_UDP, ("udp", 6): pj.PJSIP_TRANSPORT_UDP6,
    ("tcp", 4): pj.PJSIP_TRANSPORT_TCP, ("tcp", 6): pj.PJSIP_TRANSPORT_TCP6,
    ("tls", 4): pj.PJSIP_TRANSPORT_TLS, ("tls", 6): pj.PJSIP_TRANSPORT_TLS6,
}  # fmt: skip
STREAM_OPTIONS = {
    # Or the kernel holds a NOTIFY back until the 202 before it is acknowledged.
    socket.TCP_NODELAY: 1,
    # Or it goes on for a quarter of an hour to send on a connection whose other end is gone without a word. In time for
    # a request to be sent again over a new one, before its transaction ends (RFC 3261 §17.1.2.2: after 32 s).
    socket.TCP_USER_TIMEOUT: 10_000,
}
# Forward secrecy and authenticated encryption alone: no exchange of keys by RSA, no CBC (RFC 9325 §4.1, §4.2; TLS 1.3
# has nothing else). By their numbers in IANA's registry.
CIPHERS = (
    0x1301,  # TLS_AES_128_GCM_SHA256
    0x1302,  # TLS_AES_256_GCM_SHA384
    0x1303,  # TLS_CHACHA20_POLY1305_SHA256
    0xC02B,  # TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    0xC02F,  # TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    0xC02C,  # TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
    0xC030,  # TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
    0xCCA9,  # TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    0xCCA8,  # TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
)
HANDSHAKE_MS = 5000
# Four for a bridged call and one for a connection: more than this is more than one process can serve.
DESCRIPTORS = 65536


class Transports:
    """The open listeners. Raises SipError when an address or port cannot be had."""

    def __init__(self, endpoint: pj.Endpoint, sip: SipSettings) -> None:
        self._sip = sip
        self._opened: dict[tuple[str, int], int] = {}
        self._files = {file: _copy(file) for file in _tls_files(sip) if file}
        raise_descriptor_limit()
        ports = {"udp": sip.udp_port, "tcp": sip.tcp_port, "tls": sip.tls_port}
        for name, port in ports.items():
            for version in versions(sip) if port else ():
                config = _tls_config(sip, version, self._files) if name == "tls" else _config(sip, port, version)
                # A copy of an option points to the value in what it was copied from: these have to last until PJSIP has
                # made copies of its own.
                options = [pj.SockOpt(socket.IPPROTO_TCP, *each) for each in STREAM_OPTIONS.items()]
                if name != "udp":
                    wanted = config.tlsConfig.sockOptParams if name == "tls" else config.sockOptParams
                    for option in options:
                        wanted.sockOpts.append(option)
                with refused_as(f"cannot listen on {name} {config.boundAddress}:{port}"):
                    self._opened[name, version] = endpoint.transportCreate(KINDS[name, version], config)

    def of(self, profile: TrunkProfile | PbxProfile) -> int:
        """PJSUA's number of the transport that calls to and from this peer use."""
        return self._opened[profile.transport, version_of(self._sip, profile)]


def raise_descriptor_limit() -> None:
    """Have as many descriptors as the system lets us have without being asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@lru_cache(maxsize=1024)
def _version(host: str) -> int | None:
    """The version of IP of an address; of a name there is none."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None


_host = lru_cache(maxsize=1024)(uri_host)


def versions(sip: SipSettings) -> list[int]:
    """The versions of IP that we listen on."""
    addresses = [sip.bind_address, sip.bind_address6] if sip.bind_address6 else [sip.bind_address]
    return [version for address in addresses if (version := _version(address))]


def version_of(sip: SipSettings, profile: TrunkProfile | PbxProfile) -> int:
    """The version of IP that a peer is reached by: that of its address; of a name, the first we listen on."""
    host = _host(profile.outbound if isinstance(profile, TrunkProfile) else profile.address)
    if version := _version(host):
        return version
    if not host and profile.addresses and profile.addresses[0].version in versions(sip):
        return profile.addresses[0].version
    return versions(sip)[0]


def bound(sip: SipSettings, version: int) -> str:
    """The address we listen on."""
    return sip.bind_address6 if version == 6 and sip.bind_address6 else sip.bind_address


def seen(sip: SipSettings, version: int) -> str:
    """The address that peers are told."""
    own = bound(sip, version)
    return (sip.public_address6 if own == sip.bind_address6 else sip.public_address) or own


def uri_address(address: str) -> str:
    """An address as it stands in a URI (RFC 3261 §25.1)."""
    return f"[{address}]" if ":" in address else address


def _config(sip: SipSettings, port: int, version: int) -> pj.TransportConfig:
    config = pj.TransportConfig()
    config.port = port
    config.boundAddress = bound(sip, version)
    public = seen(sip, version)
    config.publicAddress = public if public != config.boundAddress else ""
    return config


def _tls_files(sip: SipSettings) -> tuple[str, str, str]:
    """Certificate, key and authorities; empty: none."""
    authorities = sip.tls_ca or ssl.get_default_verify_paths().cafile or ""
    return (str(sip.tls_certificate or ""), str(sip.tls_key or ""), str(authorities)) if sip.tls_port else ("", "", "")


def _copy(file: str) -> MemoryFile | None:
    """PJSIP reads it for each connection that it makes, in the loop's thread. None: it has to read the file itself."""
    try:
        return shared(Path(file).read_bytes(), "tls")
    except OSError:
        return None


def _tls_config(sip: SipSettings, version: int, copies: Mapping[str, MemoryFile | None]) -> pj.TransportConfig:
    """1.2 and 1.3, with today's ciphers, and nobody unverified (PJSIP's own defaults are none of these)."""
    config = _config(sip, sip.tls_port, version)
    tls = config.tlsConfig
    tls.certFile, tls.privKeyFile, tls.CaListFile = (
        copy.name if (copy := copies.get(file)) else file for file in _tls_files(sip)
    )
    tls.proto = pj.PJ_SSL_SOCK_PROTO_TLS1_2 | pj.PJ_SSL_SOCK_PROTO_TLS1_3
    tls.ciphers = pj.IntVector(CIPHERS)
    tls.msecTimeout = HANDSHAKE_MS
    tls.verifyServer = True
    tls.verifyClient = tls.requireClientCert = sip.tls_verify_client
    return config
