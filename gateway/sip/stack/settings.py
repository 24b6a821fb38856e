# SPDX-License-Identifier: GPL-2.0-or-later
"""PJSIP's settings, made from ours: endpoint, transports, and one account for each peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pjsua2 as pj

from gateway import __version__
from gateway.config import TrunkProfile
from gateway.core.uri import read_sip_uri
from gateway.sip.stack import transports

if TYPE_CHECKING:
    from gateway.config import PbxProfile, SipSettings

# Of PJSUA's 1 to 10: below 3 is Speex' own setting for voice, with 48 taps. The default has 256: five times the work,
# and some ms of delay more in each direction, for tones that no telephone line carries.
RESAMPLING = 2
# Two legs a call, the target of a running transfer, and some that are on their way out.
LEGS_PER_CALL = 3
REGISTRATION_S = 300
OWN_USER = "transfer-gateway"
COMPILED_LEGS = 2048  # PJSUA_MAX_CALLS in binding/config_site.h


def legs(max_calls: int) -> int:
    """How many legs PJSUA is to hold for so many calls; never more than it was compiled for."""
    return min(max_calls * LEGS_PER_CALL + 16, COMPILED_LEGS)


def log_level(*, debug: bool) -> int:
    """PJSIP's own: all but single packets, or nothing."""
    return 5 if debug else 0


def endpoint_config(max_calls: int, debug: bool, bridge_hz: int) -> pj.EpConfig:
    """One thread, no sound card, no log of PJSIP's own unless `debug`; a bridge of so many samples a second."""
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.maxCalls = legs(max_calls)
    config.uaConfig.userAgent = f"transfer-gateway/{__version__}"
    config.uaConfig.natTypeInSdp = 0  # nobody's business, and of no use without STUN
    config.logConfig.level = config.logConfig.consoleLevel = log_level(debug=debug)
    config.logConfig.msgLogging = debug
    config.medConfig.clockRate = config.medConfig.sndClockRate = bridge_hz
    config.medConfig.channelCount = 1
    config.medConfig.quality = RESAMPLING
    config.medConfig.noVad = True  # silence suppression would cut the line that a person listens to
    config.medConfig.ecTailLen = 0
    config.medConfig.sndAutoCloseTime = -1  # there is no sound device; see binding/bridge_clock.hpp
    config.medConfig.threadCnt = 1
    return config


def own_user_of(profile: TrunkProfile | PbxProfile | None) -> str:
    """The user part of the Contact by which a peer knows us: PJSUA takes that of the account's own URI."""
    registers = isinstance(profile, TrunkProfile) and profile.registers
    return profile.username if profile is not None and registers else OWN_USER


def account_config(
    settings: SipSettings, profile: TrunkProfile | PbxProfile, transport: int, token: str = ""
) -> pj.AccountConfig:
    """The account that calls to and from this peer use: its credentials, its media, no registration yet.

    `token` is what tells our Contacts from those of other gateways; empty: nothing.
    """
    config = pj.AccountConfig()
    version = transports.version_of(settings, profile)
    address = transports.seen(settings, version)
    config.idUri = f"sip:{OWN_USER}@{transports.uri_address(address)}"
    config.sipConfig.transportId = transport
    config.sipConfig.contactUriParams = f";node={token}" if token else ""
    if profile.username and profile.password is not None:
        credentials = pj.AuthCredInfo("Digest", "*", profile.username, 0, profile.password.get_secret_value())
        config.sipConfig.authCreds.append(credentials)
    if isinstance(profile, TrunkProfile) and profile.registers:
        _register(config.regConfig, profile)
        config.idUri = request_uri(profile.outbound, profile.username, "udp")
    media = config.mediaConfig
    media.transportConfig.port = settings.rtp_port_min
    media.transportConfig.portRange = settings.rtp_port_max - settings.rtp_port_min - 1  # RTCP has the one above
    media.transportConfig.boundAddress = transports.bound(settings, version)
    media.transportConfig.publicAddress = address
    # Anything between these two asks the resolver about our own name on every call.
    media.ipv6Use = pj.PJSUA_IPV6_ENABLED_USE_IPV6_ONLY if version == 6 else pj.PJSUA_IPV6_DISABLED
    # The port a connection was made from is nowhere to come back to once it is gone; our listener is.
    config.natConfig.contactUseSrcPort = 0
    media.lockCodecEnabled = False  # an offer that the call does not need, and may end by; see binding/spoken.hpp
    media.srtpUse = _SRTP[profile.srtp]
    media.srtpSecureSignaling = 0
    config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
    config.callConfig.prackUse = pj.PJSUA_100REL_NOT_USED
    return config


def _register(registration: pj.AccountRegConfig, profile: TrunkProfile) -> None:
    """Register at the trunk, and again after a failure; calls do not depend on it."""
    registration.registrarUri = request_uri(profile.outbound, "", profile.transport)
    registration.registerOnAdd = True
    registration.timeoutSec = REGISTRATION_S
    registration.firstRetryIntervalSec = 2
    registration.retryIntervalSec = 30
    registration.randomRetryIntervalSec = 5
    registration.dropCallsOnFail = False


_SRTP = {
    "off": pj.PJMEDIA_SRTP_DISABLED,
    "optional": pj.PJMEDIA_SRTP_OPTIONAL,
    "required": pj.PJMEDIA_SRTP_MANDATORY,
}


def request_uri(base: str, user: str, transport: str) -> str:
    """The URI to call `user` at a profile's address: its host, port and parameters, over its transport."""
    uri = read_sip_uri(base)
    if uri is None:
        raise ValueError(f"{base} is no SIP URI")
    place = uri.place
    if transport != "udp" and "transport=" not in place:
        place += f";transport={transport}"
    return f"{uri.scheme}:{user}{'@' if user else ''}{place}"
