# SPDX-License-Identifier: GPL-2.0-or-later
"""The document of the listener for platforms is one, and names what is taken and answered there."""

from typing import Any, Literal, cast, get_args, get_origin

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel

from gateway.web.platforms import mcp, mcp_messages, openapi_models
from gateway.web.platforms.handlers import DESTINATION, TYPES
from gateway.web.platforms.openapi import document
from gateway.web.platforms.retell import FUNCTION
from gateway.web.platforms.tools import TOOLS


def named(model: type[BaseModel], field: str) -> set[str]:
    """The texts that the document names for a field, beside any other."""
    parts = get_args(model.model_fields[field].annotation)
    return {text for part in parts if get_origin(part) is Literal for text in get_args(part)}


@pytest.mark.thorough
def test_it_is_an_openapi_document() -> None:
    validate(cast(Any, document("1")))


def test_it_names_every_code() -> None:
    codes = set(get_args(openapi_models.PlatformFailure.model_fields["code"].annotation))
    assert {"signature-wrong", "replayed", "too-slow"} <= codes


@pytest.mark.keeps("19.43")
def test_it_names_what_is_answered() -> None:
    assert named(openapi_models.CalledFunction, "name") == named(openapi_models.VapiFunction, "name") == set(TOOLS)
    assert named(openapi_models.RetellFunction, "name") == set(TOOLS)
    of_forms = named(openapi_models.HmsMessage, "type") | named(openapi_models.VapiMessage, "type")
    assert of_forms == set(TYPES) - {FUNCTION}
    assert DESTINATION in named(openapi_models.VapiMessage, "type")
    assert named(openapi_models.McpMessage, "method") == set(mcp_messages.METHODS)
    assert named(openapi_models.McpParams, "name") == {tool.name for tool in mcp.TOOLS}
