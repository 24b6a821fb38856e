# SPDX-License-Identifier: GPL-2.0-or-later
"""Which test files a run need not import."""

from __future__ import annotations

import pytest

from tests.by_kind import has_none

QUICK = "not sip and not alone"
ALL_SIP = "pytestmark = [pytest.mark.sip, pytest.mark.timeout(9)]\n"
ONE_ALONE = "@pytest.mark.alone\ndef test_one(): ...\n"


@pytest.mark.parametrize(
    ("text", "wanted", "none"),
    [
        ("", QUICK, False),
        ("", "alone", True),
        (ALL_SIP, QUICK, True),
        (ALL_SIP, f"not alone and not ({QUICK})", False),
        (ONE_ALONE, QUICK, False),
        (ONE_ALONE, "alone", False),
        (ONE_ALONE, "sip", True),
        (ALL_SIP + ONE_ALONE, "alone", False),
        (ALL_SIP + ONE_ALONE, "not sip", True),
        (ONE_ALONE, f"not alone and not ({QUICK})", True),
    ],
)
def test_a_file_is_left_out_when_none_of_its_tests_would_be_played(text: str, wanted: str, none: bool) -> None:
    assert has_none(text, wanted) is none
