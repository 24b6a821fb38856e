# SPDX-License-Identifier: GPL-2.0-or-later
"""Emergency numbers as extensions: refused, unless it is said twice."""

from pathlib import Path

import pytest

from gateway.config import ConfigError, load
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


@pytest.mark.parametrize("extension", ["1120", "6112", "999", "144", "*112", "0900112"])
def test_what_only_looks_like_one_is_an_extension_like_any_other(tmp_path: Path, extension: str) -> None:
    assert mistakes(tmp_path, extension) == []
