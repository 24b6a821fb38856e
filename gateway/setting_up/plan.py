# SPDX-License-Identifier: GPL-2.0-or-later
"""What was found and what was answered, put together: everything that the files are then made of. Pure.

What nobody answered is proposed from what was found. What cannot be carried out is left out, and `notes` say so.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.config import uri_host, uri_port
from gateway.config.emergency import country_of, is_emergency
from gateway.config.fields import is_queue_name
from gateway.config.mistakes import ConfigError, Mistake
from gateway.core.sentence import LOCALES
from gateway.setting_up.answers import MAX_QUEUE_NAME, Answers, DestinationAnswers, NumberAnswers
from gateway.setting_up.found import SPECIAL, Found, FoundTransport, Place

FREEPBX_CONTEXT = "from-internal"
SIP_PORT, OTHER_SIP_PORT = 5060, 5080
_LOOPBACK = "127.0.0.2"
_NOT_OF_A_SLUG = re.compile(r"[^a-z0-9]+")
_CONTEXT = re.compile(r"[A-Za-z0-9_.@-]{1,79}")
_QUEUE_IN_DIALPLAN = re.compile(r"[\w.@-](?:[\w .@-]{0,78}[\w.@-])?")


@dataclass(frozen=True, slots=True)
class PlannedDestination:
    """A destination, and how it is reached on the PBX."""

    id: str
    extension: str  # what the gateway dials
    step: str  # what the PBX does then, such as Goto(from-internal,6500,1); empty: nobody knows
    queue: str | None  # whose state is checked first
    number: str | None
    name: str | None
    description: str
    message: str
    hours: str | None
    overflow: tuple[str, ...]
    hint: str = ""  # the device whose state the PBX is to tell, where no hint does so yet


@dataclass(frozen=True, slots=True)
class PlannedNumber:
    """An assigned number, and where its callers can go."""

    id: str
    number: str
    answer: str | None
    fallback: str | None
    inside: str | None
    destinations: tuple[PlannedDestination, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the files are made of."""

    answers: Answers
    kind: str  # "asterisk" or "freepbx"
    address: str  # where the gateway listens
    port: int
    country: str | None
    locale: str
    pbx_address: str  # SIP URI
    extension_context: str
    manager: tuple[str, int]  # host and port of the manager interface
    numbers: tuple[PlannedNumber, ...]
    notes: tuple[str, ...]
    media_address: str = ""  # the one that the PBX has its audio come from, where it takes SIP at that address alone

    @property
    def trunk(self) -> str:
        """The name of the trunk's profile."""
        return "trunk" if self.answers.platform.name == "generic" else self.answers.platform.name

    @property
    def manager_is_here(self) -> bool:
        """Whether the manager interface is asked at a loopback address, and so from one."""
        return is_loopback(self.manager[0])

    @property
    def dialled(self) -> dict[str, PlannedDestination]:
        """Every extension that the gateway may dial, once."""
        return {each.extension: each for number in self.numbers for each in number.destinations}


def plan(found: Found, answers: Answers, *, manager: tuple[str, int], own_address: str = "") -> Plan:
    """Put together what was found and answered. Raises ConfigError with what the answers say that cannot be meant.

    `manager`: the address and port of the manager interface. `own_address`: by which this machine reaches the platform;
    empty: not known.
    """
    return _Planner(found, answers, manager, own_address).made()


class _Planner:
    def __init__(self, found: Found, answers: Answers, manager: tuple[str, int], own_address: str) -> None:
        self._found = found
        self._answers = answers
        self._manager = manager
        self._own_address = own_address
        self._kind = answers.pbx.kind or ("freepbx" if found.is_freepbx else "asterisk")
        self._notes: list[str] = []
        self._mistakes: list[Mistake] = []
        self._ids: set[str] = set()
        self._own: dict[str, str] = {}  # extensions of ours -> the queue that each leads to

    def made(self) -> Plan:
        """The plan."""
        gateway = self._answers.gateway
        country = gateway.country or country_of(self._answers.numbers[0].number)
        address = gateway.address or self._proposed_address()
        if ipaddress.ip_address(address).is_unspecified:
            problem = f'"{address}" is every address: give the one by which the platform and the PBX reach the gateway'
            self._mistakes.append(Mistake("answers", "gateway.address", problem))
        networks = self._answers.platform.addresses
        if is_loopback(address) and not any(each.network_address.is_loopback for each in networks):
            self._notes.append(
                f"{address} is reached from this machine alone: [gateway] address must be one that the platform reaches"
            )
        pbx_address = self._answers.pbx.address or self._proposed_pbx(address)
        numbers = tuple(self._number(position, each, country) for position, each in enumerate(self._answers.numbers))
        if self._mistakes:
            raise ConfigError(self._mistakes)
        return Plan(
            answers=self._answers,
            kind=self._kind,
            address=address,
            port=gateway.port or self._proposed_port(address, pbx_address),
            country=country,
            locale=gateway.locale or proposed_locale(self._found),
            pbx_address=pbx_address,
            extension_context=self._answers.pbx.extension_context or self._hint_context(numbers),
            manager=self._manager,
            numbers=numbers,
            notes=(*_untold(self._found), *dict.fromkeys(self._notes)),
            media_address=self._media_address(pbx_address),
        )

    # Where everybody is.

    def _proposed_address(self) -> str:
        return self._own_address if self._own_address and not is_loopback(self._own_address) else _LOOPBACK

    @property
    def _is_here(self) -> bool:
        """Whether the PBX is on this machine, as far as its manager interface tells."""
        return is_loopback(self._manager[0]) or self._manager[0] == self._own_address

    def _pbx_transport(self) -> FoundTransport | None:
        return self._found.transport("udp")

    def _proposed_pbx(self, address: str) -> str:
        """Where the PBX takes calls; where it listens at all addresses it sends from the one that it is asked at."""
        transport = self._pbx_transport()
        host = transport.address if transport else "0.0.0.0"
        try:
            everywhere = ipaddress.ip_address(host).is_unspecified
        except ValueError:
            everywhere = True
        if everywhere:
            host = self._manager[0] if not self._is_here else "127.0.0.1" if is_loopback(address) else address
        if transport is None:
            self._notes.append(
                "where the PBX takes SIP was not found: port 5060 is assumed; [pbx] address says otherwise"
            )
        port = transport.port if transport else SIP_PORT
        return f"sip:[{host}]:{port}" if ":" in host else f"sip:{host}:{port}"

    def _media_address(self, pbx_address: str) -> str:
        host = uri_host(pbx_address)
        return host if any(each.address == host for each in self._found.transports) else ""

    def _proposed_port(self, address: str, pbx_address: str) -> int:
        if not self._is_here:
            return SIP_PORT
        taken = {each.port for each in self._found.transports if each.address in {address, "0.0.0.0", "::"}}
        if uri_host(pbx_address) == address or not self._found.transports:
            taken.add(uri_port(pbx_address))
        return OTHER_SIP_PORT if SIP_PORT in taken else SIP_PORT

    # Whom callers reach.

    def _number(self, position: int, given: NumberAnswers, country: str | None) -> PlannedNumber:
        name = given.id or ("main-line" if position == 0 else f"line-{position + 1}")
        wanted = self._all_queues(country) if given.destinations is None else given.destinations
        if not wanted:
            problem = "no queue was found that could be offered; [[numbers.destinations]] must name where callers go"
            self._mistakes.append(Mistake("answers", f"numbers[{name}].destinations", problem))
        self._ids = {each.id for each in wanted if each.id}
        destinations = tuple(self._destination(f"numbers[{name}].destinations", each) for each in wanted)
        if given.inside is not None:
            self._refuse_pattern(f"numbers[{name}].inside", given.inside)
        return PlannedNumber(name, given.number, given.answer, given.fallback, given.inside, destinations)

    def _all_queues(self, country: str | None) -> Sequence[DestinationAnswers]:
        """Every queue that was found, but for those that only an emergency number leads to."""
        given = []
        countries = {country_of(each.number) or "" for each in self._answers.numbers} | {country or ""}
        for queue in self._found.queues:
            if len(queue.name) > MAX_QUEUE_NAME:
                self._notes.append(f"queue {_shown(queue.name)} is left out: its name is too long")
                continue
            extension, _ = self._way(DestinationAnswers(queue=queue.name))
            if is_emergency(extension, *filter(None, countries)):
                self._notes.append(f"queue {_shown(queue.name)} is left out: {extension} is an emergency number")
            else:
                given.append(DestinationAnswers(queue=queue.name))
        return given

    def _destination(self, where: str, given: DestinationAnswers) -> PlannedDestination:
        extension, step = self._way(given)
        self._refuse_pattern(f"{where}[{given.id or extension}].extension", extension)
        queue = given.queue
        if queue is not None and not is_queue_name(queue):
            self._notes.append(
                f"queue {_shown(queue)}: the gateway cannot watch a queue of this name (letters, digits and _.@- can "
                f"be); callers are sent to {extension} whatever its state"
            )
            queue = None
        hint = ""
        if given.queue is None and not self._found.hint_contexts(extension):
            hint = f"PJSIP/{extension}" if extension in self._found.endpoints else ""
            if not hint and "hints" not in self._found.untold:
                self._notes.append(f"extension {extension} has no hint: the PBX cannot tell whether its phone is there")
        if not step:
            self._notes.append(f"how {extension} is dialled was not found: see the line for it in extensions.d")
        return PlannedDestination(
            id=given.id or self._new_id(given.queue or extension, "queue" if given.queue else "extension"),
            extension=extension,
            step=step,
            queue=queue,
            number=given.number,
            name=given.name,
            description=given.description,
            message=given.message,
            hours=given.hours,
            overflow=given.overflow,
            hint=hint,
        )

    def _way(self, given: DestinationAnswers) -> tuple[str, str]:
        """What is dialled, and what the PBX then does."""
        place = self._found.queue_places.get(given.queue or "")
        if given.extension is None and place is None and given.queue is not None:
            if self._kind == "freepbx" and given.queue.isascii() and given.queue.isdigit():
                return given.queue, _goto(Place(FREEPBX_CONTEXT, given.queue))
            own = self._own_extension(given.queue)
            self._notes.append(
                f"queue {_shown(given.queue)}: nothing was found in the dialplan that leads straight to it, so {own} "
                f'will; extension = "…" of the destination names what you have instead'
            )
            return own, f"Queue({given.queue})" if _is_plain(given.queue) else ""
        extension = given.extension or (place.extension if place else "")
        place = place if place is not None and place.extension == extension else self._found.places.get(extension)
        if self._kind == "freepbx" or self._answers.pbx.dial_context:
            return extension, _goto(Place(self._answers.pbx.dial_context or FREEPBX_CONTEXT, extension))
        if place is not None and _CONTEXT.fullmatch(place.context):
            return extension, _goto(place)
        if extension in self._found.endpoints:
            return extension, f"Dial(PJSIP/{extension},60)"
        return extension, ""

    def _own_extension(self, queue: str) -> str:
        """An extension of ours for a queue that nothing in the dialplan leads to, the same for the same queue."""
        base = f"queue-{slug(queue)}".strip("-")
        name, count = base, 1
        while self._own.setdefault(name, queue) != queue:
            count += 1
            name = f"{base}-{count}"
        return name

    def _refuse_pattern(self, where: str, extension: str) -> None:
        if extension.startswith("_") or extension in SPECIAL:
            problem = f'"{extension}" is no extension of its own on Asterisk, but a pattern or one for errors'
            self._mistakes.append(Mistake("answers", where, problem))

    def _new_id(self, text: str, kind: str) -> str:
        made = slug(text)
        # An id is asked for as well, and one of digits alone could be a telephone number.
        base = made if any(each.isalpha() for each in made) else f"{kind}-{made}".strip("-")
        name, count = base[:56].strip("-"), 1
        while name in self._ids:
            count += 1
            name = f"{base[:56].strip('-')}-{count}"
        self._ids.add(name)
        return name

    def _hint_context(self, numbers: Sequence[PlannedNumber]) -> str:
        """The context to be asked for extensions of which several tell; empty: none is needed."""
        told = [
            self._found.hint_contexts(each.extension)
            for number in numbers
            for each in number.destinations
            if each.queue is None
        ]
        if not any(len(contexts) > 1 for contexts in told):
            return ""
        common = frozenset.intersection(*(contexts for contexts in told if contexts))
        fitting = sorted(each for each in common if _CONTEXT.fullmatch(each))
        if fitting:
            return fitting[0]
        self._notes.append("several contexts hold hints of the same extensions: choose one, [pbx] extension_context")
        return ""


def _goto(place: Place) -> str:
    return f"Goto({place.context},{place.extension},1)"


def slug(text: str) -> str:
    """A name as an id: lower-case letters, digits and hyphens; empty where nothing of it is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _NOT_OF_A_SLUG.sub("-", plain)[:48].strip("-")


def proposed_locale(found: Found) -> str:
    """The language of the PBX's phones, where callers can be told things in it."""
    spoken = (language.partition("_")[0].partition("-")[0].lower() for language in found.languages)
    return next((each for each in spoken if each in LOCALES), "en")


def _is_plain(name: str) -> bool:
    """Whether a queue's name means nothing else in the dialplan."""
    return _QUEUE_IN_DIALPLAN.fullmatch(name) is not None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, as seen from itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(name: str) -> str:
    return f'"{name[:80]}"'


def _untold(found: Found) -> Iterator[str]:
    for what, why in found.untold.items():
        yield f"not asked for: {what} ({why})"
