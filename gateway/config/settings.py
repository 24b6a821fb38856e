# SPDX-License-Identifier: GPL-2.0-or-later
"""`gateway.toml` as it is written: one model a table."""

import itertools
import re
from datetime import date, time
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from gateway.config.assistants import AssistantFile
from gateway.config.cluster import ClusterSettings
from gateway.config.fields import (
    E164,
    AbsolutePath,
    Address,
    AddressOrNothing,
    Count,
    Dialled,
    Flag,
    HostName,
    HostPort,
    HttpPath,
    HttpUrl,
    KeyFile,
    KeyOrNothing,
    KeysOrNothing,
    NamedHours,
    NameServer,
    Port,
    Prefix,
    QueueName,
    ReadableFile,
    Seconds,
    SecretFile,
    Section,
    SigningSecretFile,
    Slug,
    Text,
    Topic,
    signing_keys,
)
from gateway.config.mistakes import did_you_mean
from gateway.config.sounds import Sound, SoundFile, WhisperParts
from gateway.core.event_types import EVENT_TYPES, EventType
from gateway.core.model import OnVoicemail, WhenUnknown, WhileWaiting, WhisperWord
from gateway.core.sentence import LOCALES

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_OFFSET = re.compile(r"[+-][0-9]")
_INTERVAL = re.compile(r"(?P<from>[0-9]{2}:[0-9]{2})\s*[-–]\s*(?P<to>[0-9]{2}:[0-9]{2})")


def _country(text: str) -> str:
    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f'must be a country\'s two capital letters (ISO 3166-1), such as "NL"; is "{text[:20]}"')
    return text


def _time_zone(text: object) -> ZoneInfo:
    if not isinstance(text, str):
        raise ValueError(f'must be a name in quotes, such as "Europe/Amsterdam"; is {text}')  # noqa: TRY004 - pydantic takes ValueError alone
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(text, available_timezones()) if text else ""
        # A clock that is so many hours off is no zone: it knows no summer time, and its sign is doubtful.
        meant = hint.startswith("did you mean") and not _OFFSET.search(text)
        hint = hint if meant else 'a name such as "Europe/Amsterdam" is needed'
        raise ValueError(f'"{text[:60]}" is no known time zone; {hint}') from None


def _holidays(text: str) -> str:
    # Slow to load, and needed only where a calendar is named.
    import holidays  # noqa: PLC0415
    from holidays.registry import EntityLoader  # noqa: PLC0415

    country, _, subdivision = text.partition("-")
    # The library has one function for these, which loads the calendars of the whole world.
    known = set(EntityLoader.get_country_codes())
    if country not in known:
        hint = did_you_mean(country, known) if country.isalpha() and len(country) == 2 else ""
        hint = hint if hint.startswith("did you mean") else 'such as "NL" or "DE-BY" is needed'
        raise ValueError(f'"{text[:20]}" is no country whose holidays are known; {hint}')
    # … as does the first look at one of them.
    if subdivision and subdivision not in (subdivisions := getattr(holidays, country).subdivisions):
        hint = did_you_mean(subdivision, subdivisions, what="known are")
        raise ValueError(f"{country} has no subdivision {subdivision[:20]}; {hint}")
    return text


def _locale(text: str) -> str:
    if text not in LOCALES:
        raise ValueError(f'must be one of {", ".join(LOCALES)}; is "{text[:20]}"')
    return text


def _interval(text: object) -> object:
    match = _INTERVAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'must be hours such as "09:00-17:30"; is "{text}"')
    try:
        start = time.fromisoformat(match["from"])
        end = time.min if match["to"] == "24:00" else time.fromisoformat(match["to"])
    except ValueError:
        raise ValueError(f'"{text}" holds no times of a day; hours go from 00:00 to 24:00') from None
    if match["from"] == match["to"]:
        raise ValueError(f'"{text}" is no time at all; the whole day is "00:00-24:00"')
    return start, end


Interval = Annotated[tuple[time, time], BeforeValidator(_interval, json_schema_input_type=str)]
Country = Annotated[str, AfterValidator(_country)]
TimeZone = Annotated[ZoneInfo, BeforeValidator(_time_zone, json_schema_input_type=str)]
Holidays = Annotated[str, AfterValidator(_holidays)]
Locale = Annotated[str, AfterValidator(_locale)]
TokenPermission = Literal["read", "transfer", "callback", "probe", "forget", "reload", "restart"]
ReadyNeed = Literal["pbx", "trunk", "broker"]
Failure = Literal["busy", "no-answer", "declined", "unreachable"]


class GatewaySettings(Section):
    """`[gateway]`: the gateway itself."""

    instance: Slug
    state_dir: AbsolutePath = Field(default="/var/lib/transfer-gateway", validate_default=True)
    default_country: Country | None = None
    drain_timeout_s: Annotated[float, Field(strict=True, ge=0, le=3600)] = 30
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_numbers: Flag = False
    report_agents: Flag = False  # which phone took a transfer, in events and the history
    locale: Locale = "en"
    probe_announcement: SoundFile | None = None


class SipSettings(Section):
    """`[sip]`: where we listen. A port of 0 is off; a second address, of IPv6, has the same ports."""

    bind_address: Address
    bind_address6: AddressOrNothing = ""
    udp_port: Port = 0
    tcp_port: Port = 0
    tls_port: Port = 0
    tls_certificate: ReadableFile | None = None
    tls_key: KeyFile | None = None
    tls_ca: ReadableFile | None = None  # absent: the system's
    tls_verify_client: Flag = False  # who connects to us has to show a certificate as well
    public_address: AddressOrNothing = ""
    public_address6: AddressOrNothing = ""
    name_servers: tuple[NameServer, ...] = ()  # none: the system's
    rtp_port_min: Annotated[int, Field(strict=True, ge=1024, le=65535)] = 20000
    rtp_port_max: Annotated[int, Field(strict=True, ge=1024, le=65535)] = 29999
    max_calls: Annotated[int, Field(strict=True, ge=1, le=5000)] = 500
    rtp_timeout_s: Annotated[float, Field(strict=True, ge=0, le=86400)] = 300  # 0: silence ends no call
    max_call_s: Annotated[float, Field(strict=True, ge=0, le=604800)] = 0  # 0: a call may last for ever
    answer_timeout_s: Annotated[float, Field(strict=True, ge=1, le=3600)] = 185  # more than 3 minutes: RFC 3261 §16.6
    recover_calls: Flag = False  # whether calls that are up outlive a process that is killed


class MqttSettings(Section):
    """`[mqtt]`: the broker that events go to."""

    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 1883
    tls: Flag = False
    ca_file: ReadableFile | None = None
    username: str = ""
    password: SecretFile | None = Field(default=None, alias="password_file")
    base_topic: Topic = "transfer-gateway"
    home_assistant: Flag = False  # whether it is told of the gateway and its queues

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.password and not self.username:
            raise ValueError("password_file needs a username")
        if self.ca_file and not self.tls:
            raise ValueError("ca_file needs tls = true")
        return self


class WebhookSettings(Section):
    """`[[webhooks]]`: an HTTP server that events are sent to, signed."""

    id: Slug
    url: HttpUrl
    secret: SigningSecretFile = Field(alias="secret_file")
    events: Annotated[tuple[EventType, ...], Field(min_length=1)] = EVENT_TYPES
    ca_file: ReadableFile | None = None  # absent: the system's authorities

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys that sign: one, or several while one is exchanged."""
        return signing_keys(self.secret.get_secret_value())


class TokenSettings(Section):
    """`[[http.tokens]]`: a bearer token of somebody's own."""

    name: Slug
    secret: SecretFile = Field(alias="secret_file")
    may: Annotated[tuple[TokenPermission, ...], Field(min_length=1)]
    numbers: Annotated[tuple[Slug, ...], Field(min_length=1)] | None = None  # absent: all


class HttpSettings(Section):
    """`[http]`: metrics, health and the API. A port of 0 is off; without a token the POSTs are refused."""

    bind_address: Address = "127.0.0.1"
    port: Port = 9470
    token: SecretFile | None = Field(default=None, alias="token_file")
    tokens: Annotated[tuple[TokenSettings, ...], Field(max_length=50)] = ()
    ready_needs: tuple[ReadyNeed, ...] = ()  # what `/readyz` hangs on besides the gateway itself
    host_names: tuple[HostName, ...] = ()  # by which a browser or proxy may ask a server that is bound to loopback


class McpTokenSettings(Section):
    """`[[platform.mcp_tokens]]`: a bearer token with which a client of the MCP server asks."""

    name: Slug
    secret: SecretFile = Field(alias="secret_file")
    numbers: Annotated[tuple[Slug, ...], Field(min_length=1)] | None = None  # absent: all


class PlatformSettings(Section):
    """`[platform]`: where voice platforms ask and tell over HTTP; each trunk with a `[platform]` of its own has a path.

    Nothing else is served there.
    """

    bind_address: Address = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=1, le=65535)]
    path: HttpPath = "/platform"  # a trunk's requests come to <path>/<name of its profile>
    tls_certificate: ReadableFile | None = None
    tls_key: KeyFile | None = None
    public_url: HttpUrl | None = None  # by which the platform reaches `path`; for `transfer-gateway tool` alone
    mcp_path: HttpPath = "/mcp"  # of the MCP server
    mcp_tokens: Annotated[tuple[McpTokenSettings, ...], Field(max_length=50)] = ()  # none: there is no MCP server

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if bool(self.tls_certificate) is not bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key go together: give both, or neither")
        if self.mcp_path.rpartition("/")[0] == self.path:
            raise ValueError(f'mcp_path may not lie in path, where trunks have theirs; is "{self.mcp_path}"')
        return self


class HistorySettings(Section):
    """`[history]`: how long transfers and calls that are over can be asked for, and how their callers are named."""

    days: Annotated[int, Field(strict=True, ge=1, le=36_500)] = 90  # completed transfers, and calls that were hung up
    failures_days: Annotated[int, Field(strict=True, ge=1, le=36_500)] = 365  # all others
    max_mb: Annotated[int, Field(strict=True, ge=10, le=1_000_000)] = 1000  # of the file; more loses its oldest
    callers: Literal["full", "masked", "hashed"] = "full"


class MessagesSettings(Section):
    """`[messages]`: how much is kept of SIP messages, of the last calls in memory, of transfers on disk; 0: nothing."""

    max_mb: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 16
    calls: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 500
    disk_mb: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 0


class HepSettings(Section):
    """`[hep]`: a capture server, such as Homer's, that is sent the SIP messages of calls, and their RTCP."""

    address: HostPort
    transport: Literal["udp", "tcp"] = "udp"
    password: SecretFile | None = Field(default=None, alias="password_file")
    capture_id: Annotated[int, Field(strict=True, ge=0, le=0xFFFF_FFFF)] = 2001
    node: Annotated[str, Field(max_length=80)] = ""  # empty: the instance's name
    rtcp: Flag = True  # whether reports are sent too


class TracesSettings(Section):
    """`[traces]`: a collector of OpenTelemetry, that is sent a trace of each transfer."""

    endpoint: HttpUrl
    authorization: SecretFile | None = Field(default=None, alias="authorization_file")
    ca_file: ReadableFile | None = None  # absent: the system's authorities


def _span(weekday: int, day: str, interval: tuple[time, time]) -> tuple[int, int, str]:
    """Beginning and end of an interval, in minutes of the week, and its name."""
    start, end = interval
    begins, ends = (weekday * 1440 + clock.hour * 60 + clock.minute for clock in interval)
    until = f"{end:%H:%M}" if end > time.min else "24:00"
    return begins, ends + (1440 if end <= start else 0), f"{day} {start:%H:%M}-{until}"


def _refuse_overlaps(spans: list[tuple[int, int, str]]) -> None:
    for (_, ends, name), (begins, _, next_name) in itertools.pairwise(sorted(spans)):
        if begins < ends:
            raise ValueError(f"{name} overlaps {next_name}; make them one")


class WeeklySettings(Section):
    """The hours of each weekday, by the clock on the wall; an interval may end after midnight."""

    mon: tuple[Interval, ...] = ()
    tue: tuple[Interval, ...] = ()
    wed: tuple[Interval, ...] = ()
    thu: tuple[Interval, ...] = ()
    fri: tuple[Interval, ...] = ()
    sat: tuple[Interval, ...] = ()
    sun: tuple[Interval, ...] = ()

    def by_weekday(self) -> dict[int, tuple[tuple[time, time], ...]]:
        """The intervals of each weekday that has any, 0 = Monday."""
        days = (self.mon, self.tue, self.wed, self.thu, self.fri, self.sat, self.sun)
        return {weekday: intervals for weekday, intervals in enumerate(days) if intervals}

    @model_validator(mode="after")
    def _does_not_overlap(self) -> Self:
        spans = [
            _span(weekday, WEEKDAYS[weekday], interval)
            for weekday, intervals in self.by_weekday().items()
            for interval in intervals
        ]
        first = min(spans, default=None)
        if first:  # Sunday night runs into Monday morning
            spans.append((first[0] + 7 * 1440, first[1] + 7 * 1440, first[2]))
        _refuse_overlaps(spans)
        return self


class HoursSettings(Section):
    """`[hours.<name>]`: when somebody is there."""

    time_zone: TimeZone
    holidays: Holidays | None = None
    closed: tuple[date, ...] = ()
    open: dict[date, Annotated[tuple[Interval, ...], Field(min_length=1)]] = Field(default_factory=dict)
    weekly: WeeklySettings

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for day, intervals in self.open.items():
            if day in self.closed:
                raise ValueError(f"{day} is under closed and under open; it must be one of them")
            _refuse_overlaps([_span(0, str(day), interval) for interval in intervals])
        return self


class DestinationSettings(Section):
    """`[[numbers.destinations]]`: what an assistant may transfer to."""

    id: Slug
    number: E164 | None = None
    aliases: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    description: Text = ""
    message: Text = ""
    extension: Dialled
    emergency: Dialled | None = None  # the extension once more, where it is an emergency number
    pbx: Slug | None = None  # None: that of the number
    queue: QueueName | None = None
    hours: NamedHours | None = None  # with a ! in front: whenever those are over
    min_available: Count = 1
    max_waiting: Count | None = None
    max_wait_s: Seconds | None = None
    max_concurrent: Annotated[int, Field(strict=True, ge=1)] | None = None
    max_concurrent_shared: bool = False  # over all gateways of the cluster
    when_unknown: WhenUnknown = WhenUnknown.ALLOW
    ring_timeout_s: Annotated[float, Field(strict=True, gt=0, le=600)] = 25
    overflow: tuple[Slug, ...] = ()
    digits: KeysOrNothing = ""
    voicemail: OnVoicemail = OnVoicemail.NEXT
    whisper: WhisperParts = ()
    whisper_locale: Locale | None = None  # in which a number in it is spelled; None: that of the number
    accept: KeyOrNothing = ""
    decline: KeyOrNothing = ""
    accept_timeout_s: Annotated[float, Field(strict=True, gt=0, le=120)] = 10
    while_waiting: WhileWaiting = WhileWaiting.RINGBACK
    callback_prefixes: tuple[Prefix, ...] = ()  # how the numbers of callers begin who may be called back
    callback_pbx: Slug | None = None  # by which they are called; None: that of the destination
    callback_within_s: Annotated[float, Field(strict=True, ge=60, le=86400)] = 3600
    callback_attempts: Annotated[int, Field(strict=True, ge=1, le=10)] = 3
    callback_retry_s: Annotated[float, Field(strict=True, ge=30, le=86400)] = 300
    callback_ring_s: Annotated[float, Field(strict=True, ge=5, le=120)] = 25
    callback_per_hour: Annotated[int, Field(strict=True, ge=1, le=1000)] = 20
    hold_place_s: Annotated[float, Field(strict=True, ge=0, le=1800)] = 0
    overflow_on: tuple[Failure, ...] = ("busy", "no-answer", "declined", "unreachable")
    announcement: SoundFile | None = None
    announce: Literal["while-dialling", "before-dialling"] = "while-dialling"
    name: Annotated[str, Field(max_length=80)] = ""
    group: tuple[Dialled, ...] = ()
    max_penalty: Count | None = None
    wrap_up_s: Annotated[float, Field(strict=True, ge=0, le=86400)] = 0

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        of_queues = ("max_waiting", "max_wait_s", "max_penalty", "wrap_up_s")
        if self.queue is None and (given := [key for key in of_queues if key in self.model_fields_set]):
            raise ValueError(f"{' and '.join(given)} {'need' if len(given) > 1 else 'needs'} a queue")
        if self.max_concurrent_shared and self.max_concurrent is None:
            raise ValueError("max_concurrent_shared needs max_concurrent, the limit that the gateways share")
        if self.hold_place_s and (self.queue is None or self.while_waiting is not WhileWaiting.ASSISTANT):
            raise ValueError('hold_place_s needs a queue, and while_waiting = "assistant"')
        if self.queue is not None and self.group:
            raise ValueError("group and queue are two ways to find out who is there; give one of them")
        if self.announcement is None and "announce" in self.model_fields_set:
            raise ValueError("announce needs an announcement")
        if self.whisper_locale and WhisperWord.CALLER_NUMBER not in self.whisper:
            raise ValueError('whisper_locale needs a whisper with "caller-number", which is spelled in it')
        if self.accept and not any(isinstance(part, Sound) for part in self.whisper):
            raise ValueError(
                "accept needs a whisper with a sound of its own: nobody would know that a key is to be pressed,"
                " or which one"
            )
        of_accept = ("decline", "accept_timeout_s")
        if not self.accept and (given := [key for key in of_accept if key in self.model_fields_set]):
            raise ValueError(f"{' and '.join(given)} {'need' if len(given) > 1 else 'needs'} accept")
        of_callback = [key for key in self.model_fields_set if key.startswith("callback_")]
        if of_callback and not self.callback_prefixes:
            raise ValueError(f"{' and '.join(sorted(of_callback))} need callback_prefixes: whose numbers may be called")
        if self.accept and self.accept == self.decline:
            raise ValueError("accept and decline are the same key; give each its own")
        return self


class NumberSettings(Section):
    """`[[numbers]]`: a number of ours on a trunk."""

    id: Slug
    number: E164
    trunk: Slug
    pbx: Slug
    answer: Slug | None = None
    fallback: Slug | None = None
    locale: Locale | None = None
    total_ring_s: Seconds | None = None
    assistant: AssistantFile | None = Field(default=None, alias="assistant_file")
    destinations: tuple[DestinationSettings, ...] = Field(min_length=1)


class GatewayFile(Section):
    """`gateway.toml`."""

    # Absent tables are found by the loader, so that it can go on and look at the others.
    model_config = ConfigDict(json_schema_extra={"required": ["gateway", "sip", "numbers"]})

    base: str | None = None  # the directory that has the rest: gateway.config.instances
    gateway: GatewaySettings | None = None
    sip: SipSettings | None = None
    mqtt: MqttSettings | None = None
    http: HttpSettings = HttpSettings()
    platform: PlatformSettings | None = None
    cluster: ClusterSettings | None = None
    webhooks: Annotated[tuple[WebhookSettings, ...], Field(max_length=20)] = ()
    history: HistorySettings = HistorySettings()
    messages: MessagesSettings = MessagesSettings()
    hep: HepSettings | None = None
    traces: TracesSettings | None = None
    hours: dict[Slug, HoursSettings] = Field(default_factory=dict)
    numbers: tuple[NumberSettings, ...] = ()
