# SPDX-License-Identifier: GPL-2.0-or-later
"""`sip_profiles/<name>.toml`: what is peculiar to a trunk or a PBX, as data."""

import contextlib
import ipaddress
import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from gateway.config.fields import (
    ContextOrNothing,
    Count,
    Flag,
    Interface,
    IpNetwork,
    Network,
    Prefix,
    Seconds,
    SecretFile,
    Section,
    SipUri,
    SipUriOrNothing,
    Surroundings,
    uri_host,
)
from gateway.core.model import FinalNotify, Peer, PeerKind
from gateway.core.state_sources import Ability, StateSource, that_tell

_HEADER = re.compile(r"[A-Za-z0-9.!%_`'~+-]+\*?")  # token, RFC 3261 §25.1
# They belong to a dialog, a transaction or a route of ours, and so never travel from one leg to another.
_OWN_HEADERS = frozenset(
    (
        *("authorization", "call-id", "contact", "content-length", "content-type", "cseq", "from", "max-forwards"),
        *("proxy-authorization", "record-route", "refer-to", "replaces", "require", "route", "supported", "to", "via"),
    )
)


def _header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(f'must be a header\'s name, or its beginning and a star, such as "X-*"; is "{text[:60]}"')
    if text.lower() in _OWN_HEADERS:
        raise ValueError(f"{text} belongs to one leg and can't be passed on")
    return text


Transport = Literal["udp", "tcp", "tls"]
Srtp = Literal["off", "optional", "required"]
# Where its media comes from: the address of its description, its host, or the host that its signalling comes from.
RtpSource = Literal["sdp", "sdp-host", "latched"]
# Whether its packets may go on, to a side with the same codec or the other form of G.711, or always through the
# conference bridge; or from there to here without us, where the other side's profile says so too.
Media = Literal["relay", "bridge", "direct"]
# How the caller is named: in From alone, or in P-Asserted-Identity too, to a peer that keeps withheld numbers to itself
# (RFC 3325 §7).
Identity = Literal["from", "asserted"]
# What tells the peer whom the caller had called before they were transferred (RFC 5806, RFC 7044).
Diversion = Literal["off", "diversion", "history-info"]
_NEEDS_US = ("required", "latched", "info")
"""Settings of srtp, rtp_source and dtmf with which audio has to come to us."""
Codec = Literal["PCMA", "PCMU", "G722", "opus"]
WIDE: frozenset[Codec] = frozenset({"G722", "opus"})
"""Those with more than 8000 samples a second."""
Header = Annotated[str, AfterValidator(_header)]
Codecs = Annotated[tuple[Codec, ...], Field(min_length=1)]
Login = Annotated[str, Field(max_length=128)]


class _Profile(Section):
    """What trunks and PBXs have in common. The profile's name is its file's."""

    addresses: tuple[Network, ...] = ()
    transport: Transport = "udp"
    username: Login = ""
    password: SecretFile | None = Field(default=None, alias="password_file")
    pass_headers: tuple[Header, ...] = ("User-to-User", "X-*")
    dtmf: Literal["rfc4733", "info"] = "rfc4733"  # how keys are sent to this side; both are understood from it
    codecs: Codecs = ("PCMA", "PCMU", "G722", "opus")
    srtp: Srtp = "off"
    rtp_source: RtpSource = "sdp"
    media: Media = "relay"
    identity: Identity = "from"
    diversion: Diversion = "off"
    rewrite_contact: Flag = False
    _name: str = PrivateAttr(default="")
    _peer_kind: ClassVar[PeerKind]

    def model_post_init(self, context: Any, /) -> None:
        """Take the profile's name from where it was found."""
        if isinstance(context, Surroundings):
            self._name = context.name

    @property
    def transfer_headers(self) -> tuple[str, ...]:
        """Headers that travel with a transfer: `pass_headers`; if it is not given, Referred-By too (RFC 3892 §2.2)."""
        given = "pass_headers" in self.model_fields_set
        return self.pass_headers if given else (*self.pass_headers, "Referred-By")

    @property
    def peer(self) -> Peer:
        """Who this profile recognises."""
        return Peer(self.name, self._peer_kind)

    def networks(self) -> tuple[IpNetwork, ...]:
        """Where its requests come from."""
        return self.addresses

    @property
    def name(self) -> str:
        """The name by which `[[numbers]]` and events know it."""
        return self._name

    @model_validator(mode="after")
    def _has_credentials(self) -> Self:
        if bool(self.username) is not bool(self.password):
            raise ValueError("username and password_file go together: give both, or neither")
        return self

    @model_validator(mode="after")
    def _may_be_direct(self) -> Self:
        for key, value in (("srtp", self.srtp), ("rtp_source", self.rtp_source), ("dtmf", self.dtmf)):
            if self.media == "direct" and value in _NEEDS_US:
                problem = f'{key} = "{value}" needs the audio here; change one of the two'
                raise ValueError(f'media = "direct" has audio go past the gateway, and {problem}')
        return self


class PlatformForm(Section):
    """`[platform]` of a trunk: in which form its platform asks and tells over HTTP, and how it proves who it is."""

    form: Literal["hms", "vapi", "retell"]
    # One, and others while they are exchanged, or where the platform signs with several.
    secrets: Annotated[tuple[SecretFile, ...], Field(min_length=1, max_length=4, alias="secret_files")]


class TrunkProfile(_Profile):
    """A trunk of the platform on which the assistant answers."""

    _peer_kind = PeerKind.TRUNK
    kind: Literal["trunk"]
    addresses: tuple[Network, ...] = Field(min_length=1)
    outbound: SipUriOrNothing = ""  # empty: no calls go to the assistant
    registers: Flag = Field(default=False, alias="register")
    challenge: Flag = False
    final_notify: FinalNotify = FinalNotify.ON_ANSWER
    event_id: Literal["when-needed", "always"] = "when-needed"
    refusal: Literal["response", "notify"] = "response"
    deadline_s: Seconds = 30
    failure_code: Literal["target", "reason"] = "target"  # of a failed transfer: the PBX's own, or that of its reason
    reason_phrase: Literal["sentence", "standard"] = "standard"  # of a status line that says why not
    reason_phrase_ascii: Flag = False  # its letters without their marks
    at_deadline: Literal["cancel", "continue"] = "cancel"  # what becomes of the dialling when the sender stops waiting
    max_calls: Count = 0  # its calls with us at a time, of either direction; 0: as many as [sip] max_calls
    calls_per_second: Annotated[float, Field(ge=0, le=10000)] = 0  # that it may begin; 0: as many as it likes
    options_interval_s: Annotated[float, Field(ge=0, le=3600)] = 30  # between two OPTIONS; 0: the trunk is not asked
    platform: PlatformForm | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.registers and not (self.outbound and self.username):
            raise ValueError("register = true needs outbound, username and password_file")
        if self.challenge and not self.username:
            raise ValueError("challenge = true needs the username and password_file it asks for")
        return self

    @property
    def is_asked(self) -> bool:
        """Whether anything tells that the trunk is there: our registration, or its answers to OPTIONS."""
        return self.registers or bool(self.outbound and self.options_interval_s)


class QueueSource(Section):
    """`[queues]`: where the state of queues and extensions comes from."""

    source: StateSource = StateSource.NONE
    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 5038
    username: Login = ""
    password: SecretFile | None = Field(default=None, alias="password_file")
    max_age_s: Seconds = 10
    extension_context: ContextOrNothing = ""  # of the dialplan, that holds the hints; empty: wherever they are
    outside_lines: tuple[Interface, ...] = ()  # the PBX's channels that lead out of it, beside those that name a number

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.source.traits.login and not (self.username and self.password):
            raise ValueError(f'source = "{self.source}" needs username and password_file')
        return self


class PbxProfile(_Profile):
    """A PBX with the people that callers are transferred to; or a carrier, by which mobiles are called."""

    _peer_kind = PeerKind.PBX
    kind: Literal["pbx", "carrier"]
    address: SipUri
    prefixes: tuple[Prefix, ...] = ()  # how the numbers begin that may be called by a carrier
    transfer_mode: Literal["bridge", "hand-down"] = "bridge"
    queues: QueueSource = QueueSource()

    def networks(self) -> tuple[IpNetwork, ...]:
        """Where its requests come from: its `addresses`, and the host of `address` where that is no name."""
        host = uri_host(self.address)
        own = []
        for each in ("127.0.0.1", "::1") if host == "localhost" else (host,):
            with contextlib.suppress(ValueError):  # what a name stands for may change: only `addresses` tell
                own.append(ipaddress.ip_network(each))
        return tuple(dict.fromkeys((*self.addresses, *own)))

    @model_validator(mode="after")
    def _can_be_recognised(self) -> Self:
        if not self.networks():
            host = uri_host(self.address)
            raise ValueError(
                f'address is the name {host}; put the IP addresses that its requests come from into addresses = ["…"]'
            )
        return self

    @property
    def is_carrier(self) -> bool:
        """Whether it leads to the telephone network, where nothing is known of who is there."""
        return self.kind == "carrier"

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if self.is_carrier and not self.prefixes:
            raise ValueError("a carrier needs prefixes: how the numbers begin that may be called by it")
        if self.is_carrier and (given := [key for key in ("queues", "transfer_mode") if key in self.model_fields_set]):
            raise ValueError(f"a carrier has no {' and no '.join(given)}")
        if not self.is_carrier and self.prefixes:
            raise ValueError('prefixes are for kind = "carrier"; a PBX calls what its dialplan lets it')
        return self

    @model_validator(mode="after")
    def _can_hand_down(self) -> Self:
        source, needed = self.queues.source, (Ability.WHO_ANSWERED, Ability.MOVED_CALLERS)
        if self.transfer_mode == "hand-down" and source is not StateSource.NONE and not source.tells(*needed):
            fitting = " or ".join(f'"{each}"' for each in that_tell(*needed))
            raise ValueError(f'transfer_mode = "hand-down" needs source = {fitting}: nothing else tells who answered')
        return self
