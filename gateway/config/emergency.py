# SPDX-License-Identifier: GPL-2.0-or-later
"""Emergency numbers as extensions: an assistant that is talked into it must not reach the fire brigade by mistake."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import phonenumbers

from gateway.config.mistakes import Mistake
from gateway.config.settings import NumberSettings

MAIN = "gateway.toml"
EVERYWHERE = frozenset({"112", "911"})
"""What mobile phones and most networks take for an emergency, whatever the country (3GPP TS 22.101 §10.1.1)."""
_SEPARATORS = re.compile(r"[-+_.!]")
_BEHIND = re.compile(r"[-+_.!]*(?P<digit>[09])(?P<apart>[-+_.!pPwW]*)(?P<number>[0-9].*)")
"""A digit that leads outside on most PBXs, a pause or nothing, and what is dialled there."""


class OutsideLine(NamedTuple):
    """An emergency number behind the digit for an outside line."""

    digit: str
    number: str  # "112"
    whose: str  # " of GB", or nothing
    is_certain: bool  # or else an extension may well look like that


def emergencies(number: NumberSettings, default_country: str | None) -> Iterator[Mistake]:
    """Destinations by which an emergency service would be called, and that do not say so a second time."""
    countries = tuple(sorted(filter(None, {default_country, country_of(number.number)})))
    for destination in number.destinations:
        where = f"numbers[{number.id}].destinations[{destination.id}]"
        if (given := destination.emergency) is not None and given != destination.extension:
            problem = f'must be the extension once more, "{destination.extension}"; is "{given}"'
            yield Mistake(MAIN, f"{where}.emergency", problem)
        elif given is None and (what := _emergency(destination.extension, countries)) is not None:
            problem = (
                f'"{destination.extension}" is {what}; if it is to be called, say so once more: '
                f'emergency = "{destination.extension}"'
            )
            yield Mistake(MAIN, f"{where}.extension", problem)


def is_emergency(extension: str, *countries: str) -> bool:
    """Whether dialling this calls an emergency service, anywhere or in one of these countries."""
    return _emergency(extension, countries) is not None


def outside_line(extension: str, *countries: str) -> OutsideLine | None:
    """The emergency number that would be called if the first digit of this leads outside.

    With 0, or with a pause after it, that is certain: 0 begins no extension where it leads outside or to the operator.
    Behind a 9 a number of two digits is none: 915 is an extension in France, where 0 leads outside.
    """
    found = _BEHIND.fullmatch(extension)
    if found is None or (whose := _whose_emergency(found["number"], countries)) is None:
        return None
    digit, number = found["digit"], _SEPARATORS.sub("", found["number"])
    is_certain = digit == "0" or found["apart"] != ""
    return OutsideLine(digit, number, whose, is_certain) if is_certain or len(number) > 2 else None


def _emergency(extension: str, countries: tuple[str, ...]) -> str | None:
    """What of an emergency this certainly is, in words; None: nothing."""
    if (whose := _whose_emergency(extension, countries)) is not None:
        return f"an emergency number{whose}"
    behind = outside_line(extension, *countries)
    if behind is None or not behind.is_certain:
        return None
    return f"the emergency number {behind.number}{behind.whose} behind {behind.digit}, the digit for an outside line"


def _whose_emergency(extension: str, countries: tuple[str, ...]) -> str | None:
    """Whose emergency number is dialled, in words that follow it; None: nobody's."""
    digits = _SEPARATORS.sub("", extension)
    if not digits.isdecimal():  # a code of the PBX's own, such as *112
        return None
    if digits in EVERYWHERE:
        return ""
    return next((f" of {country}" for country in countries if _is_emergency_in(digits, country)), None)


@cache
def _is_emergency_in(digits: str, country: str) -> bool:
    from phonenumbers import shortnumberinfo  # noqa: PLC0415 - its tables are of use here alone

    return shortnumberinfo.is_emergency_number(digits, country)


def country_of(number: str) -> str | None:
    """The country of a number in E.164; None for one that belongs to none, such as +800."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    return None if region in (None, "001") else region
