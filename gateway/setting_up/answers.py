# SPDX-License-Identifier: GPL-2.0-or-later
"""What only a person can answer, as it stands in the file of `--answers`, or as it was asked on a terminal.

Each key has the same form as the one of the configuration that it becomes; what is left out is proposed from what the
PBX was found to have (proposals.py).
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.config.fields import (
    E164,
    Address,
    AddressOrNothing,
    ContextOrNothing,
    Dialled,
    NamedHours,
    Network,
    Port,
    ReadableFile,
    SecretFile,
    Section,
    SipUri,
    SipUriOrNothing,
    Slug,
    Surroundings,
    Text,
)
from gateway.config.mistakes import ConfigError, Mistake
from gateway.config.profiles import Login, Transport
from gateway.config.reading import Table, read_model, read_table
from gateway.config.settings import Country, HoursSettings, Locale

MAX_QUEUE_NAME = 80  # characters; Asterisk has no longer ones
PbxKind = Literal["asterisk", "freepbx"]
PlatformName = Literal["hms", "livekit", "jambonz", "twilio", "vapi", "generic"]


class ManagerAnswers(Section):
    """`[manager]`: how the PBX is asked. Without it: by a user of /etc/asterisk/manager.conf."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 5038
    username: Annotated[str, Field(min_length=1, max_length=128)]
    secret: SecretFile = Field(alias="secret_file")


class GatewayAnswers(Section):
    """`[gateway]`: the gateway itself, and where it listens."""

    instance: Slug = "pbx-1"
    country: Country | None = None
    locale: Locale | None = None
    address: Address | None = None
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = None
    public_address: AddressOrNothing = ""
    http_port: Port = 9470
    tls_certificate: ReadableFile | None = None
    tls_key: ReadableFile | None = None


class PlatformAnswers(Section):
    """`[platform]`: the voice platform whose trunk it is."""

    name: PlatformName = "generic"
    addresses: Annotated[tuple[Network, ...], Field(min_length=1)]
    outbound: SipUriOrNothing = ""
    transport: Transport = "udp"
    username: Login = ""
    password: SecretFile | None = Field(default=None, alias="password_file")

    @model_validator(mode="after")
    def _has_credentials(self) -> Self:
        if bool(self.username) is not bool(self.password):
            raise ValueError("username and password_file go together: give both, or neither")
        return self


class PbxAnswers(Section):
    """`[pbx]`: what of the PBX is not as it was found. `dial_context`: where what was not found is dialled."""

    kind: PbxKind | None = None
    address: SipUri | None = None
    addresses: tuple[Network, ...] = ()
    extension_context: ContextOrNothing = ""
    dial_context: ContextOrNothing = ""


class DestinationAnswers(Section):
    """`[[numbers.destinations]]`: a queue or an extension of the PBX, and the number that the assistant asks for."""

    id: Slug | None = None
    number: E164 | None = None
    name: Annotated[str, Field(max_length=80)] | None = None
    description: Text = ""
    message: Text = ""
    queue: Annotated[str, Field(min_length=1, max_length=MAX_QUEUE_NAME)] | None = None
    extension: Dialled | None = None
    hours: NamedHours | None = None
    overflow: tuple[Slug, ...] = ()

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.queue is None and self.extension is None:
            raise ValueError("queue or extension is needed: what is to be rung on the PBX")
        return self


class NumberAnswers(Section):
    """`[[numbers]]`: a number where the assistant answers."""

    number: E164
    id: Slug | None = None
    answer: Slug | None = None
    fallback: Slug | None = None
    inside: Dialled | None = None  # an extension by which people of the company reach the assistant
    destinations: tuple[DestinationAnswers, ...] | None = None  # None: every queue that was found


class Answers(Section):
    """All of it."""

    manager: ManagerAnswers | None = None
    gateway: GatewayAnswers = GatewayAnswers()
    platform: PlatformAnswers
    pbx: PbxAnswers = PbxAnswers()
    hours: dict[Slug, HoursSettings] = Field(default_factory=dict)
    numbers: tuple[NumberAnswers, ...] = ()  # at least one: answers_of


def read_answers(file: Path) -> tuple[Answers, Table]:
    """The answers in a file, and its tables as they are written. Raises ConfigError with every mistake in them."""
    mistakes: list[Mistake] = []
    table = read_table(file.parent, file.name, mistakes)
    answers = None if table is None else answers_of(table, file.name, file.parent, mistakes)
    if answers is None or table is None or mistakes:
        raise ConfigError(mistakes)
    return answers, table


def answers_of(table: Table, name: str, directory: Path, mistakes: list[Mistake]) -> Answers | None:
    """The answers in a table; what is wrong is added to `mistakes`. Secrets are looked up in `directory`."""
    if not table.get("numbers"):
        mistakes.append(
            Mistake(name, "numbers", "is missing: [[numbers]], each with the number where the assistant answers")
        )
    return read_model(Answers, table, file=name, around=Surroundings(directory.absolute()), mistakes=mistakes)
