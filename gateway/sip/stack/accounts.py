# SPDX-License-Identifier: GPL-2.0-or-later
"""One PJSUA account for each peer: its credentials, transport, codecs and encryption, and nobody else's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.ports import NotSent, NotSentError
from gateway.sip.stack import settings, transports
from gateway.sip.stack.callbacks import guarded
from gateway.sip.stack.refusals import refused_as
from gateway.sip.stack.rtp_source import take_from
from gateway.sip.text.headers import user_part

if TYPE_CHECKING:
    from gateway.config import Config, PbxProfile, SipSettings, TrunkProfile
    from gateway.core.model import Peer
    from gateway.sip.stack.transports import Transports

log = structlog.get_logger(__name__)


class Account(pj.Account):
    """Hands on what happens to a peer's account."""

    def __init__(
        self, peer: str, incoming: Callable[[Account, int], None], registered: Callable[[str, bool, int, int], None]
    ) -> None:
        super().__init__()
        self.number = pj.PJSUA_INVALID_ID
        """PJSUA's, once it was created."""
        self._peer = peer
        self._incoming = incoming
        self._registered = registered

    @guarded(None)
    def onRegState(self, prm: pj.OnRegStateParam) -> None:  # pjsua2's name
        """PJSUA: the registration at the peer was answered, or was not."""
        self._registered(self._peer, self.getInfo().regIsActive, prm.code, prm.expiration)

    @guarded(None)
    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:
        """PJSUA: an INVITE became a call."""
        self._incoming(self, prm.callId)


class Accounts:
    """The accounts, by the names of their peers."""

    def __init__(
        self,
        config: Config,
        incoming: Callable[[Account, int], None],
        registered: Callable[[str, bool, int, int], None],
    ) -> None:
        self.config = config
        """In force: the one that was opened last."""
        self._incoming = incoming
        self._registered = registered
        self._by_peer: dict[str, Account] = {}
        self._registering: set[str] = set()
        self._unused: set[str] = set()  # since the configuration before

    def open(self, config: Config, listening: Transports, talking: Container[str] = ()) -> None:
        """An account for each peer; those that are there already take the new settings.

        That of a peer which is no longer configured is registered no longer. It stays for its calls, and until its
        registrar has heard of the end: the next configuration that does not have it either gives it up, unless it is
        among those that are `talking`.

        Raises SipError, KeyError or ValueError where PJSIP does not take one of them: then none has been
        added, and to open the configuration before it gives the others back what they had.
        """
        profiles: list[TrunkProfile | PbxProfile] = [*config.trunks.values(), *config.pbxs.values()]
        # What can be found wrong without PJSIP is found before anything is changed.
        wanted = [
            settings.account_config(config.sip, profile, listening.of(profile), config.token) for profile in profiles
        ]
        known = set(self._by_peer)
        try:
            for profile, account_config in zip(profiles, wanted, strict=True):
                self._open(profile, account_config)
        except BaseException:
            for name in self._by_peer.keys() - known:
                self._by_peer.pop(name).shutdown()
            raise
        registering = {name for name, trunk in config.trunks.items() if trunk.registers}
        for name in (registering - self._registering) & known:
            _register(self._by_peer[name], active=True)
        for name in self._registering - registering - config.trunks.keys():
            _register(self._by_peer[name], active=False)
        self._registering = registering
        pj.rewrite_contacts(config.rewritten_networks)
        unused = self._by_peer.keys() - {profile.name for profile in profiles}
        for name in [name for name in unused & self._unused if name not in talking]:
            self._by_peer.pop(name).shutdown()
        self._unused = unused & self._by_peer.keys()
        self.config = config

    def _open(self, profile: TrunkProfile | PbxProfile, wanted: pj.AccountConfig) -> None:
        account = self._by_peer.get(profile.name)
        if account is None:
            account = Account(profile.name, self._incoming, self._registered)
            with refused_as(f"PJSIP has no account for {profile.name}"):
                account.create(wanted)
            account.number = account.getId()
            self._by_peer[profile.name] = account
        else:
            with refused_as(f"PJSIP does not change the account of {profile.name}"):
                account.modify(wanted)
        pj.set_codecs(account.number, list(profile.codecs))
        take_from(account.number, profile)

    def close(self) -> None:
        """Give them all up; before PJSIP ends."""
        for account in self._by_peer.values():
            account.shutdown()
        self._by_peer.clear()

    def __getitem__(self, peer: str) -> Account:
        return self._by_peer[peer]

    def register(self, name: str) -> None:
        """Ask the registrar of a trunk again, where we are to be registered there."""
        if name in self._registering:
            _register(self._by_peer[name], active=True)

    def number(self, peer: Peer) -> int:
        """PJSUA's number of a peer's account."""
        return self._by_peer[peer.name].number

    def extension(self, pbx: str, extension: str) -> tuple[int, str]:
        """The account and the URI for an extension of a PBX. Raises NotSentError."""
        profile = self.config.pbxs.get(pbx)
        if profile is None:
            raise NotSentError(NotSent.NO_PEER, f"{pbx} is no longer configured")
        uri = settings.request_uri(profile.address, user_part(extension), profile.transport)
        return self.number(profile.peer), uri

    @property
    def numbers(self) -> Mapping[str, int]:
        """PJSUA's numbers, by peer."""
        return {name: account.number for name, account in self._by_peer.items()}

    def peer_of(self, number: int) -> str:
        """The name of the peer whose account has this number with PJSUA; empty: it is nobody's."""
        return next((name for name, account in self._by_peer.items() if account.number == number), "")

    def has_ports(self, sip: SipSettings, profile: TrunkProfile | PbxProfile, pairs: int, *, hold: bool) -> bool:
        """Whether there are so many free pairs of RTP ports, and descriptors; `hold` them for the next calls."""
        if profile.name not in self._by_peer:  # the gateway stops, and is still asked over HTTP what it would do
            return False
        return pj.find_rtp_ports(*_rtp_range(sip, profile), pairs, hold)

    def take_ports(self, sip: SipSettings, profile: TrunkProfile | PbxProfile) -> bool:
        """Have the peer's next call take a free pair of RTP ports; False: there is none."""
        account = self._by_peer.get(profile.name)
        return account is not None and pj.use_rtp_ports(account.number, *_rtp_range(sip, profile))


def release_ports() -> None:
    """Hold no RTP ports for the next calls any more."""
    pj.release_rtp_ports()


def _rtp_range(sip: SipSettings, profile: TrunkProfile | PbxProfile) -> tuple[str, int, int]:
    """Where the RTP ports of a peer's calls are: the address, the lowest and the highest."""
    return transports.bound(sip, transports.version_of(sip, profile)), sip.rtp_port_min, sip.rtp_port_max


def _register(account: Account, *, active: bool) -> None:
    with contextlib.suppress(pj.Error):  # it is under way already
        account.setRegistration(active)
