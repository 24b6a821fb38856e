# SPDX-License-Identifier: GPL-2.0-or-later
"""The servers behind a peer's name: NAPTR, SRV and address records (RFC 3263), asked for without holding anything up.

What was found is kept for as long as its records say, and longer while no name server answers. A server that failed
comes last for a minute, so that the next call, and the next attempt of the same call, go to another one.

Names come from the configuration and from whatever a peer writes into its Contact, and answers from whoever answers:
how many are asked for, kept and followed is bounded, and so is the time that one name may take.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Sequence
from dataclasses import dataclass

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.SOA
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.resolver
import pjsua2 as pj
import structlog
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from gateway.ports import Clock

log = structlog.get_logger(__name__)

LOOK_UP_S = 4.0
ALL_LOOK_UPS_S = 8.0
"""For all that one name leads to."""
MAX_SERVERS = 8
"""Of a name; PJSIP takes no more."""
MAX_KNOWN = 500
MAX_ASKED = 100
"""Names that are asked for at once."""
SHORTEST_S, LONGEST_S = 5.0, 600.0
UNKNOWN_S = 5.0
"""How long a name that was not found is not asked for again."""
DOWN_S = 60.0
SERVICES = {"udp": ("SIP+D2U", "_sip._udp"), "tcp": ("SIP+D2T", "_sip._tcp"), "tls": ("SIPS+D2T", "_sips._tcp")}
DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}

MAX_TOLD = 255
"""Characters of a name in the log."""
_BROADCAST = ipaddress.ip_address("255.255.255.255")

Server = tuple[str, int]
"""Address and port."""

# As with the kinds of records above: or the loop would wait for the disk to load them, with the first name asked for.
dns.asyncbackend.set_default_backend("asyncio")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be found: a host, at this port (0: whatever DNS says), over this transport."""

    host: str
    port: int
    transport: str  # udp, tcp, tls


@dataclass(slots=True)
class _Known:
    servers: list[Server]
    until: float


class Servers:
    """Answers PJSIP's questions for addresses, from memory where it can."""

    def __init__(self, name_servers: Sequence[str], version: int, clock: Clock) -> None:
        self._clock = clock
        self._names = dns.asyncresolver.Resolver(configure=False)
        self._names.lifetime = LOOK_UP_S
        if name_servers:
            where = [_split(each) for each in name_servers]
            self._names.nameservers = [address for address, _ in where]
            self._names.nameserver_ports = dict(where)
        else:
            try:
                self._names.read_resolv_conf("/etc/resolv.conf")
            except (OSError, dns.resolver.NoResolverConfiguration):
                log.warning("no-name-servers", file="/etc/resolv.conf")
        self._address_type = dns.rdatatype.AAAA if version == 6 else dns.rdatatype.A
        self._known: dict[Wanted, _Known] = {}
        self._asking: dict[Wanted, tuple[asyncio.Task[None], list[int]]] = {}
        self._down: dict[Server, float] = {}

    def stop(self) -> None:
        """Ask no more."""
        for task, _ in self._asking.values():
            task.cancel()
        self._asking.clear()

    def resolve(self, query: int, host: str, port: int, transport: str) -> None:
        """PJSIP needs a server: it is told now, or when the name servers have answered."""
        wanted = Wanted(host.lower(), port, transport.lower())
        known = self._known.get(wanted)
        if known is not None and known.until > self._now():
            pj.resolved(query, self._texts(wanted))
        elif wanted in self._asking:
            self._asking[wanted][1].append(query)
        elif len(self._asking) >= MAX_ASKED:
            log.warning("too-many-names", host=wanted.host[:MAX_TOLD])
            pj.resolved(query, [])
        else:
            task = asyncio.get_running_loop().create_task(self._ask(wanted))
            self._asking[wanted] = task, [query]

    def order(self, wanted: Wanted) -> list[Server]:
        """The servers known for a name, the best first."""
        known = self._known.get(wanted)
        now = self._now()
        return sorted(known.servers, key=lambda server: self._down.get(server, 0.0) > now) if known else []

    def failed(self, server: Server) -> None:
        """A server did not answer, or said that it cannot: others come first for a while."""
        log.warning("server-down", server=f"{server[0]}:{server[1]}", for_s=DOWN_S)
        now = self._now()
        self._down = {other: until for other, until in self._down.items() if until > now}
        self._down[server] = now + DOWN_S

    async def _ask(self, wanted: Wanted) -> None:
        try:
            servers, lifetime = await self._look_up(wanted)
            error = "" if servers else "NoServer"
        except Exception as failure:  # noqa: BLE001 -- whatever an answer holds, the calls that wait must go on
            servers, error = [], type(failure).__name__
        if error:
            log.warning("name-not-found", host=wanted.host[:MAX_TOLD], error=error)
            before = self._known.get(wanted)
            servers, lifetime = before.servers if before else [], UNKNOWN_S
        self._remember(wanted, servers, lifetime)
        _, queries = self._asking.pop(wanted)
        for query in queries:
            pj.resolved(query, self._texts(wanted))

    def _remember(self, wanted: Wanted, servers: list[Server], lifetime: float) -> None:
        self._known.pop(wanted, None)
        if len(self._known) >= MAX_KNOWN:
            # The one that was found longest ago.
            del self._known[next(iter(self._known))]
        self._known[wanted] = _Known(servers, self._now() + lifetime)

    async def _look_up(self, wanted: Wanted) -> tuple[list[Server], float]:
        """Raises DNSException when there is no such name, or nobody tells; no servers: it leads to none."""
        if wanted.port:
            return await self._addresses(wanted.host, wanted.port)
        until = self._now() + ALL_LOOK_UPS_S
        services = await self._services(wanted)
        if not services:
            return await self._addresses(wanted.host, DEFAULT_PORTS[wanted.transport])
        servers: dict[Server, None] = {}
        lifetime = LONGEST_S
        for service, service_lifetime in services[:MAX_SERVERS]:
            try:
                async with asyncio.timeout(until - self._now()):
                    found, address_lifetime = await self._addresses(str(service.target), service.port)
            except (dns.exception.DNSException, TimeoutError):
                # The others may be there.
                continue
            servers |= dict.fromkeys(found)
            lifetime = min(lifetime, service_lifetime, address_lifetime)
        return list(servers)[:MAX_SERVERS], lifetime

    async def _services(self, wanted: Wanted) -> list[tuple[SRV, float]]:
        """The SRV records of the name, in the order of their priority and by lot within it (RFC 2782)."""
        tag, prefix = SERVICES[wanted.transport]
        name = f"{prefix}.{wanted.host}"
        pointers, _ = await self._records(wanted.host, dns.rdatatype.NAPTR)
        fitting = [one for one in pointers if isinstance(one, NAPTR) and one.service.upper() == tag.encode()]
        fitting = [one for one in fitting if one.flags.upper() == b"S" and one.replacement != dns.name.root]
        if fitting:
            name = str(min(fitting, key=lambda one: (one.order, one.preference)).replacement)
        records, lifetime = await self._records(name, dns.rdatatype.SRV)
        # A target of "." says that there is no such service (RFC 2782), and nobody listens at port 0.
        services = [one for one in records if isinstance(one, SRV) and one.target != dns.name.root and one.port]
        services.sort(key=lambda one: (one.priority, -(random.random() ** (1 / max(one.weight, 0.01)))))  # noqa: S311 - a lot, no secret
        return [(one, lifetime) for one in services]

    async def _records(self, name: str, kind: dns.rdatatype.RdataType) -> tuple[list[object], float]:
        try:
            answer = await self._names.resolve(name, kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return [], LONGEST_S
        return list(answer), _lifetime(answer)

    async def _addresses(self, host: str, port: int) -> tuple[list[Server], float]:
        answer = await self._names.resolve(host, self._address_type, search=False)
        addresses = [str(record.address) for record in answer]
        return [(address, port) for address in addresses if _is_host(address)][:MAX_SERVERS], _lifetime(answer)

    def _texts(self, wanted: Wanted) -> list[str]:
        return [f"{address} {port}" for address, port in self.order(wanted)]

    def _now(self) -> float:
        return self._clock.now().steady


def _is_host(address: str) -> bool:
    """Whether a server can be there: not nowhere, nor everywhere at once."""
    found = ipaddress.ip_address(address)
    return not (found.is_unspecified or found.is_multicast or found == _BROADCAST)


def _lifetime(answer: dns.resolver.Answer) -> float:
    seconds = float(answer.rrset.ttl) if answer.rrset is not None else 0.0
    return min(max(seconds, SHORTEST_S), LONGEST_S)


def _split(text: str) -> Server:
    address, colon, port = text.rpartition(":")
    if not colon or (":" in address and not address.endswith("]")):
        return text.strip("[]"), 53
    return address.strip("[]"), int(port)
