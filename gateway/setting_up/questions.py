# SPDX-License-Identifier: GPL-2.0-or-later
"""The questions that only a person can answer, each with what is proposed, and the answers as a table.

What is asked and in which order is here; a `Person` asks it. An answer that cannot be meant is asked for again.
"""

from collections.abc import Callable
from typing import Any, Protocol

from pydantic import SecretStr, TypeAdapter, ValidationError

from gateway.config.emergency import country_of, is_emergency
from gateway.config.fields import E164, Address, Dialled, Network, SipUri, SipUriOrNothing
from gateway.config.mistakes import in_words
from gateway.config.reading import Table
from gateway.config.settings import Country, Interval, Locale, TimeZone
from gateway.setting_up.answers import Answers, PlatformName
from gateway.setting_up.found import Found, FoundQueue
from gateway.setting_up.plan import Plan, proposed_locale, slug

_WORKDAYS = ("mon", "tue", "wed", "thu", "fri")
_NOT_OFFERED = "-"

Check = Callable[[str], object]


class Person(Protocol):
    """Whoever is asked."""

    def ask(self, question: str, proposal: str = "") -> str:
        """Their answer, or the proposal where they gave none."""
        ...

    def ask_secret(self, question: str) -> str:
        """Their answer, which is not shown."""
        ...

    def say(self, text: str) -> None:
        """Tell them something."""
        ...


class Interview:
    """All the questions to one person about one PBX."""

    def __init__(self, person: Person, found: Found, time_zone: Callable[[str], str]) -> None:
        """`time_zone` tells which one is proposed in a country."""
        self._person = person
        self._found = found
        self._time_zone = time_zone
        self._taken: set[str] = set()  # ids and numbers that stand for one thing already
        self._country = ""
        self._hours: Table = {}

    def whole(self) -> Table:
        """Ask everything but where things are; the answers as the file of `--answers` has them."""
        self._person.say("\nThe voice platform")
        platform = self._platform()
        self._person.say("\nThe number where the assistant answers")
        number = self._valid(_of(E164), "Its number, in international form (+31201234567)")
        self._taken.add(number)
        proposal = country_of(number) or ""
        self._country = self._valid(_of(Country), "Country, whose numbers may be dialled without +", proposal)
        locale = self._valid(_of(Locale), "Language of what callers are told (en, nl)", proposed_locale(self._found))
        self._hours = self._ask_hours()
        self._person.say("\nWhere callers can go. A number is what the assistant asks for; it is never dialled.")
        destinations = [one for queue in self._found.queues if (one := self._queue(queue)) is not None]
        destinations += self._extensions()
        while not destinations:
            self._person.say("  At least one queue or extension is needed.")
            destinations += self._extensions()
        table: Table = {
            "gateway": {"country": self._country, "locale": locale},
            "platform": platform,
            "numbers": [{"number": number, "destinations": destinations}],
        }
        return table | ({"hours": {"office": self._hours}} if self._hours else {})

    def places(self, table: Table, proposed: Plan) -> Table:
        """Ask where the gateway and the PBX are, as that is proposed once the rest is known."""
        self._person.say("\nWhere they are")
        address = self._valid(_of(Address), "Address by which platform and PBX reach the gateway", proposed.address)
        port = self._valid(_port, "SIP port of the gateway", str(proposed.port))
        pbx = self._valid(_of(SipUri), "SIP address of the PBX", proposed.pbx_address)
        return table | {
            "gateway": {**table["gateway"], "address": address, "port": int(port)},
            "pbx": {"address": pbx},
        }

    def _platform(self) -> Table:
        name = self._valid(_of(PlatformName), "Platform: hms, livekit, jambonz, twilio, vapi or generic", "generic")
        addresses = self._valid(_networks, "Addresses or networks its requests come from, with commas between")
        outbound = self._valid(
            _of(SipUriOrNothing), "Where calls to it go, such as sip:sip.example.net (empty: none go)"
        )
        table: Table = {"name": name, "addresses": _split(addresses), "outbound": outbound}
        if username := self._person.ask("User name, where it asks for a password (empty: it does not)"):
            table |= {"username": username, "password_file": SecretStr(ask_secret(self._person, "Password"))}
        return table

    def _ask_hours(self) -> Table:
        question = "Hours from Monday to Friday, such as 09:00-17:30 (empty: always open)"
        text = self._valid(_or_nothing(_of(Interval)), question)
        if not text:
            return {}
        zone = self._valid(_of(TimeZone), "Time zone", self._time_zone(self._country))
        table: Table = {"time_zone": zone, "weekly": {day: [text] for day in _WORKDAYS}}
        closed = self._person.ask(f"Closed on the public holidays of {self._country}? (yes, no)", "yes")
        return table | ({"holidays": self._country} if closed.lower().startswith("y") else {})

    def _queue(self, queue: FoundQueue) -> Table | None:
        place = self._found.queue_places.get(queue.name)
        members = ", ".join(queue.members[:5]) or "no members now"
        self._person.say(f'\nQueue "{queue.name}" ({members}){f", dialled as {place.extension}" if place else ""}')
        question = f"Number that leads there (empty: none yet; {_NOT_OFFERED}: the assistant never sends anybody there)"
        number = self._valid(self._free_number, question)
        return None if number == _NOT_OFFERED else self._described({"queue": queue.name}, number)

    def _extensions(self) -> list[Table]:
        found: list[Table] = []
        while extension := self._valid(_or_nothing(self._extension), "\nAn extension besides (empty: no more)"):
            number = self._valid(self._free_number, "Number that leads there (empty: none yet)")
            found.append(self._described({"extension": extension}, number.removeprefix(_NOT_OFFERED)))
        return found

    def _described(self, table: Table, number: str) -> Table:
        name = self._valid(
            self._free_id, "Short name, of lower-case letters, digits and hyphens", self._proposed(table)
        )
        self._taken |= {name, number}
        description = self._person.ask("When the assistant is to use it")
        hours = "office" if self._hours else ""
        more = {"number": number, "id": name, "description": description, "hours": hours}
        return table | {key: value for key, value in more.items() if value}

    def _proposed(self, table: Table) -> str:
        made = slug(table.get("queue", ""))
        return made if any(each.isalpha() for each in made) and made not in self._taken else ""

    def _valid(self, check: Check, question: str, proposal: str = "") -> str:
        """Ask until `check` raises no ValueError."""
        while True:
            text = self._person.ask(question, proposal).strip()
            try:
                check(text)
            except ValidationError as error:
                problem = in_words(error.errors()[0], Answers)
            except ValueError as error:
                problem = str(error)
            else:
                return text
            self._person.say(f"  It {problem}{'' if problem.endswith('?') else '.'}")

    def _free_number(self, text: str) -> None:
        if text not in {"", _NOT_OFFERED}:
            _of(E164)(text)
        if text and text in self._taken:
            raise ValueError("is taken already")

    def _free_id(self, text: str) -> None:
        if text and slug(text) != text:
            raise ValueError("must be lower-case letters, digits and hyphens")
        if text and not any(each.isalpha() for each in text):
            raise ValueError("must have a letter in it: digits alone could be a telephone number")
        if text and text in self._taken:
            raise ValueError("is taken already")

    def _extension(self, text: str) -> None:
        _of(Dialled)(text)
        if is_emergency(text, self._country):
            raise ValueError("is an emergency number; no assistant may call one by mistake")


def ask_secret(person: Person, question: str) -> str:
    """A secret, which has to be one."""
    while not (text := person.ask_secret(question)).strip() or not text.isprintable():
        person.say("  It must not be empty.")
    return text


def _of(kind: Any) -> Check:
    return TypeAdapter(kind).validate_python


def _or_nothing(check: Check) -> Check:
    return lambda text: check(text) if text else None


def _split(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _networks(text: str) -> None:
    networks = _split(text)
    if not networks:
        raise ValueError("must not be empty")
    for each in networks:
        _of(Network)(each)


def _port(text: str) -> None:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536):
        raise ValueError("must be a port from 1 to 65535")
