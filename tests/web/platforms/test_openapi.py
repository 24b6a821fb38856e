# SPDX-License-Identifier: GPL-2.0-or-later
"""The document of the listener for platforms is one, and has its route and its problems."""

from typing import Any, cast, get_args

import pytest
from openapi_spec_validator import validate

from gateway.web.platforms.openapi import PlatformFailure, document


@pytest.mark.thorough
def test_it_is_an_openapi_document() -> None:
    validate(cast(Any, document("1")))


def test_it_names_every_code() -> None:
    assert {"signature-wrong", "replayed", "too-slow"} <= set(get_args(PlatformFailure.model_fields["code"].annotation))
