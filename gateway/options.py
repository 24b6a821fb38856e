# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a PBX by OPTIONS whether it is there and whether its dialplan has an extension (RFC 3261 §11).

The request comes from the gateway's own address, by which a PBX knows whose it is, and rings nobody. Another gateway is
asked so too, whether anything of it lives.
"""

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from gateway.config import PbxProfile, SipSettings, uri_host, uri_port
from gateway.config.authorities import trusting
from gateway.core.system_error import in_words

WITHIN_S = 3.0
_T1_S = 0.5  # RFC 3261 §17.1.2.2: when a request over UDP is sent again, doubled each time


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an OPTIONS: the code of the final response, or why there was none."""

    code: int | None
    problem: str = ""

    @property
    def good(self) -> bool:
        """Whether a call to the extension would get anywhere.

        A challenge (401, 407) and a PBX that does not serve OPTIONS (405, 501) tell that it is there, and no more.
        """
        return self.code is not None and (self.code < 300 or self.code in {401, 405, 407, 501})

    @property
    def text(self) -> str:
        """For people."""
        match self.code:
            case None:
                return self.problem
            case 401 | 407:
                return f"is there, wants a password ({self.code})"
            case 404 | 484:
                return f"has no such extension ({self.code})"
            case 405 | 501:
                return f"is there, serves no OPTIONS ({self.code})"
            case code if code < 300:
                return f"has the extension ({code})"
            case code:
                return f"answers {code}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody who is no PBX of ours is asked."""

    address: str  # a SIP URI
    transport: str  # udp, tcp or tls


async def lives(uri: str, sip: SipSettings, within_s: float = WITHIN_S) -> bool:
    """Whether anything at a SIP URI answers an OPTIONS, whatever it says, or takes a connection."""
    transport = "tls" if uri.lower().startswith("sips:") or "transport=tls" in uri.lower() else "udp"
    place = Place(uri, "tcp" if "transport=tcp" in uri.lower() else transport)
    if place.transport == "udp":
        return (await ask(place, sip, "", within_s)).code is not None
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(uri_host(uri), uri_port(uri))
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True


async def ask(pbx: PbxProfile | Place, sip: SipSettings, extension: str, within_s: float = WITHIN_S) -> Answer:
    """Send an OPTIONS for `extension`, or for nobody, and wait for the answer; never raises OSError."""
    try:
        async with asyncio.timeout(within_s):
            found = await asyncio.get_running_loop().getaddrinfo(
                uri_host(pbx.address), uri_port(pbx.address), type=socket.SOCK_DGRAM
            )
            sources = {socket.AF_INET: sip.bind_address, socket.AF_INET6: sip.bind_address}
            if sip.bind_address6:
                sources[socket.AF_INET6] = sip.bind_address6
            family, _, _, _, address = next(each for each in found if _fits(sources.get(each[0]), each[0]))
            return await _exchange(pbx, sip, extension, sources[family], (str(address[0]), int(address[1])))
    except TimeoutError:
        return Answer(None, f"does not answer within {within_s:g} s")
    except StopIteration:
        return Answer(None, f"{uri_host(pbx.address)} has no address that can be reached from {sip.bind_address}")
    except asyncio.IncompleteReadError:
        return Answer(None, "closes the connection without an answer")
    except OSError as error:
        return Answer(None, f"can't be asked: {in_words(error)}")


def _fits(source: str | None, family: int) -> bool:
    return source is not None and (":" in source) is (family == socket.AF_INET6)


async def _exchange(
    pbx: PbxProfile | Place, sip: SipSettings, extension: str, source: str, address: tuple[str, int]
) -> Answer:
    if pbx.transport == "udp":
        return await _over_udp(extension, source, address)
    tls = _tls(sip) if pbx.transport == "tls" else None
    name = uri_host(pbx.address) if tls else None
    reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0), ssl=tls, server_hostname=name)
    try:
        own = writer.get_extra_info("sockname")
        request = _Request(extension, address, (own[0], own[1]), pbx.transport)
        writer.write(request.text)
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            if (code := request.answered_by(head)) is not None:
                return Answer(code)
    finally:
        writer.close()


def _tls(sip: SipSettings) -> ssl.SSLContext:
    context = trusting(sip.tls_ca)
    if sip.tls_certificate and sip.tls_key:
        context.load_cert_chain(str(sip.tls_certificate), str(sip.tls_key))
    return context


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, took: Callable[[bytes], int | None], answer: asyncio.Future[int]) -> None:
        self._took = took
        self._answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        code = self._took(data)
        if code is not None and not self._answer.done():
            self._answer.set_result(code)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


async def _over_udp(extension: str, source: str, address: tuple[str, int]) -> Answer:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[int] = loop.create_future()
    sock = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind((source, 0))
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    own = sock.getsockname()
    request = _Request(extension, address, (own[0], own[1]), "udp")
    transport, _ = await loop.create_datagram_endpoint(lambda: _Listener(request.answered_by, answer), sock=sock)
    try:
        pause_s = _T1_S
        while True:
            transport.sendto(request.text)
            done, _ = await asyncio.wait({answer}, timeout=pause_s)
            if done:
                return Answer(answer.result())
            pause_s *= 2
    finally:
        transport.close()


class _Request:
    """One OPTIONS, and its response when it comes."""

    def __init__(self, extension: str, to: tuple[str, int], own: tuple[str, int], transport: str) -> None:
        self._call_id = secrets.token_hex(12)
        host, port = _host(own[0]), own[1]
        there = f"sip:{extension}@{_host(to[0])}:{to[1]}" if extension else f"sip:{_host(to[0])}:{to[1]}"
        lines = (
            f"OPTIONS {there} SIP/2.0",
            f"Via: SIP/2.0/{transport.upper()} {host}:{port};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: <sip:probe@{host}>;tag={secrets.token_hex(6)}",
            f"To: <{there}>",
            f"Call-ID: {self._call_id}",
            "CSeq: 1 OPTIONS",
            "Accept: application/sdp",
            "Content-Length: 0",
            "\r\n",
        )
        self.text = "\r\n".join(lines).encode()

    def answered_by(self, data: bytes) -> int | None:
        """The code of a final response to this request; None: it is anything else."""
        start, _, headers = data.decode("utf-8", "replace").partition("\r\n")
        words = start.split(" ", 2)
        if len(words) < 2 or words[0] != "SIP/2.0" or not words[1].isdecimal() or self._call_id not in headers:
            return None
        code = int(words[1])
        return code if code >= 200 else None


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _length(head: bytes) -> int:
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() in {"content-length", "l"} and value.strip().isdecimal():
            return int(value)
    return 0
