# SPDX-License-Identifier: GPL-2.0-or-later
"""Carriers: what they may be called for, and what they are refused as."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.config import ConfigError, load
from tests.config_directory import MAIN, PBX, TRUNK, write

if TYPE_CHECKING:
    from pathlib import Path

CARRIER = 'kind = "carrier"\naddress = "sip:203.0.113.50"\nprefixes = ["+316", "+32"]\n'
MOBILE = MAIN.replace('extension = "190"', 'extension = "+31612345699"\npbx = "mobile"')


def mistakes(directory: Path, main: str, carrier: str = CARRIER) -> list[str]:
    """What is wrong with a configuration with a carrier, `mobile`."""
    profiles = {"platform": TRUNK, "asterisk": PBX, "mobile": carrier}
    try:
        load(write(directory, main, profiles=profiles))
    except ConfigError as error:
        return [str(each) for each in error.mistakes]
    return []


@pytest.mark.keeps("21.45")
def test_a_number_that_begins_as_the_carrier_may_call(tmp_path: Path) -> None:
    assert not mistakes(tmp_path, MOBILE)


@pytest.mark.keeps("21.45")
@pytest.mark.parametrize(
    ("main", "wrong"),
    [
        (MOBILE.replace("+31612345699", "+3120123"), "mobile may call numbers that begin with +316, +32 alone"),
        (MOBILE.replace("+31612345699", "190"), 'a carrier calls numbers such as "+31612345678"; is "190"'),
        (MOBILE.replace('pbx = "mobile"', 'pbx = "mobile"\nqueue = "sales"'), "mobile is a carrier, which has none"),
        (MAIN.replace('pbx = "asterisk"', 'pbx = "mobile"'), 'one of kind "pbx" is needed here'),
    ],
    ids=["prefix", "extension", "queue", "of-the-number"],
)
def test_what_a_carrier_is_refused_for(tmp_path: Path, main: str, wrong: str) -> None:
    assert any(wrong in each for each in mistakes(tmp_path, main))


@pytest.mark.keeps("21.45")
def test_a_carrier_says_what_may_be_called_and_has_no_queues(tmp_path: Path) -> None:
    [none] = mistakes(tmp_path, MOBILE, CARRIER.replace('prefixes = ["+316", "+32"]\n', ""))
    assert "a carrier needs prefixes" in none
    [queues] = mistakes(tmp_path, MOBILE, CARRIER + '[queues]\nsource = "none"\n')
    assert "a carrier has no queues" in queues
    [of_a_pbx] = mistakes(tmp_path, MOBILE.replace('"mobile"', '"asterisk"'), CARRIER) or ["nothing"]
    assert of_a_pbx == "nothing"
