# SPDX-License-Identifier: GPL-2.0-or-later
"""Emergency numbers as extensions: refused, unless it is said twice."""

from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.config.advice import advise
from tests.config_directory import MAIN, write

SUPPORT = "gateway.toml: numbers[main-line].destinations[support]"


def mistakes(
    directory: Path, extension: str, *, country: str = "NL", number: str = "+31201234567", more: str = ""
) -> list[str]:
    """What is wrong with a configuration whose destination has this extension."""
    main = MAIN.replace('extension = "6501"', f'extension = "{extension}"\n{more}').replace("+31201234567", number)
    main = main.replace('default_country = "NL"', f'default_country = "{country}"' if country else "")
    try:
        load(write(directory, main))
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


@pytest.mark.parametrize(
    ("extension", "country", "number", "whose"),
    [
        ("112", "", "+80012345678", ""),  # everywhere
        ("911", "NL", "+31201234567", ""),
        ("+112", "NL", "+31201234567", ""),
        ("9-1-1", "NL", "+31201234567", ""),
        ("999", "GB", "+31201234567", " of GB"),
        ("15", "", "+33142685300", " of FR"),  # of the country of the number itself
        ("000", "NL", "+61212345678", " of AU"),
    ],
)
def test_an_emergency_number_has_to_be_said_twice(
    tmp_path: Path, extension: str, country: str, number: str, whose: str
) -> None:
    once = mistakes(tmp_path, extension, country=country, number=number)
    refused = (
        f'{SUPPORT}.extension: "{extension}" is an emergency number{whose}; if it is to be called, say so once more:'
    )
    assert once == [f'{refused} emergency = "{extension}"']
    assert mistakes(tmp_path, extension, country=country, number=number, more=f'emergency = "{extension}"') == []


def test_saying_another_number_is_no_saying_it_twice(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "112", more='emergency = "911"') == [
        f'{SUPPORT}.emergency: must be the extension once more, "112"; is "911"'
    ]


@pytest.mark.keeps("19.41")
@pytest.mark.parametrize(
    ("extension", "country", "number", "what"),
    [
        ("0112", "NL", "+31201234567", "112 behind 0"),
        ("0-112", "", "+80012345678", "112 behind 0"),
        ("0p112", "NL", "+31201234567", "112 behind 0"),
        ("0911", "NL", "+31201234567", "911 behind 0"),
        ("0999", "GB", "+31201234567", "999 of GB behind 0"),
        ("015", "NL", "+33142685300", "15 of FR behind 0"),
        ("9-911", "US", "+31201234567", "911 behind 9"),
        ("9w9-1-1", "US", "+31201234567", "911 behind 9"),
    ],
)
def test_one_behind_the_digit_for_an_outside_line_has_to_be_said_twice_too(
    tmp_path: Path, extension: str, country: str, number: str, what: str
) -> None:
    [once] = mistakes(tmp_path, extension, country=country, number=number)
    assert once == (
        f'{SUPPORT}.extension: "{extension}" is the emergency number {what}, the digit for an outside line; '
        f'if it is to be called, say so once more: emergency = "{extension}"'
    )
    assert mistakes(tmp_path, extension, country=country, number=number, more=f'emergency = "{extension}"') == []


@pytest.mark.keeps("19.41")
@pytest.mark.parametrize(
    ("extension", "other", "told"),
    [
        ("9911", "6500", '"9911" calls the emergency number 911 where 9 leads outside; '),
        ("9112", "6500", '"9112" calls the emergency number 112 where 9 leads outside; '),
        ("9112", "9911", '"9112" calls the emergency number 112 where 9 leads outside; '),  # both are told
        ("9112", "95001", '"9112" calls the emergency number 112 where 9 leads outside; '),
        ("9112", "9500", ""),  # extensions of four digits begin with 9
        ("915", "6500", ""),
        ("6112", "6500", ""),
    ],
)
def test_an_extension_that_may_be_one_is_warned_of(tmp_path: Path, extension: str, other: str, told: str) -> None:
    def warned(more: str = "") -> list[str]:
        main = MAIN.replace('extension = "6501"', f'extension = "{extension}"\n{more}').replace("6500", other)
        return [str(each) for each in advise(load(write(tmp_path, main))) if SUPPORT in str(each)]

    assert [each.startswith(f"{SUPPORT}.extension: {told}") for each in warned()] == [True] * bool(told)
    assert warned(f'emergency = "{extension}"') == []


@pytest.mark.parametrize(
    "extension", ["1120", "6112", "999", "144", "*112", "0900112", "9911", "01120", "00112", "0*112"]
)
def test_what_only_looks_like_one_is_an_extension_like_any_other(tmp_path: Path, extension: str) -> None:
    assert mistakes(tmp_path, extension) == []
