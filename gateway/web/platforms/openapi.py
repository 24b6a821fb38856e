# SPDX-License-Identifier: GPL-2.0-or-later
"""The OpenAPI 3.1 document of the listener for platforms: docs/schema/platform.openapi.json. It is not served."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.web.openapi_form import Operation, Part, written
from gateway.web.platforms.hms import MAX_TYPE, SIGNATURE, TIMESTAMP
from gateway.web.platforms.hms_events import MAX_CALLS, MAX_ID


class _Asked(BaseModel):
    model_config = ConfigDict(extra="allow")


class CalledFunction(_Asked):
    """Which tool, and with what."""

    name: str
    arguments: dict[str, Any] | None = None


class ToolCall(_Asked):
    """A call of a tool."""

    id: Annotated[str, Field(min_length=1, max_length=MAX_ID)]
    function: CalledFunction


class CalledNumber(_Asked):
    """The number that was called; null for a call on the web."""

    number: str | None = None


class HmsMessage(_Asked):
    """What HMS asks or tells; there is more in it."""

    type: Annotated[str, Field(min_length=1, max_length=MAX_TYPE)]
    phone_number: CalledNumber | None = None
    tool_call_list: Annotated[list[ToolCall], Field(min_length=1, max_length=MAX_CALLS)] | None = Field(
        default=None, description="of `tool-calls`"
    )


class HmsRequest(_Asked):
    """The body of a request of HMS."""

    message: HmsMessage


class _Answered(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": True})


class ToolResult(_Answered):
    """What a call came to: `{"error": "…"}`, or what the tool says."""

    tool_call_id: str
    result: dict[str, Any]


class PlatformAnswer(_Answered):
    """What the type of the request is answered with; an empty object for all others."""

    results: list[ToolResult] = Field(default=[], description="to `tool-calls`")
    error: str = Field(default="", description="to `tool-calls` whose calls cannot be told apart")
    assistant: dict[str, Any] = Field(default={}, description="to `assistant-request`")
    assistant_id: str = Field(default="", description="to `assistant-request`")
    assistant_override: dict[str, Any] = Field(default={}, description="to `assistant-request`")


class PlatformFailure(_Answered):
    """Why a request is not handled."""

    error: str
    code: Literal[
        "bad-json", "bad-request", "signature-missing", "signature-wrong", "timestamp-off", "replayed", "not-found",
        "too-slow", "too-large", "too-many-requests", "internal-error",
    ]  # fmt: skip


_TRUNK: Part = {
    "name": "trunk", "in": "path", "required": True,
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
    "description": "the trunk whose platform asks, by the name of its profile",
}  # fmt: skip
_TIMESTAMP: Part = {
    "name": TIMESTAMP, "in": "header", "required": True, "schema": {"type": "string", "pattern": "^[0-9]{1,12}$"},
    "description": "when it was signed, in seconds since 1970: within five minutes of our clock",
}  # fmt: skip
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("post", "/platform/{trunk}"): Operation(
        "platform",
        "A voice platform asks or tells. `/platform` is `path` in `[platform]`.",
        {
            200: (PlatformAnswer, "as its type is answered"),
            400: (PlatformFailure, "it cannot be read"),
            401: (PlatformFailure, "it is not proved, out of time, or was sent before"),
            404: (PlatformFailure, "no trunk whose platform may ask has this name"),
            408: (PlatformFailure, "its body takes too long"),
            413: (PlatformFailure, "its body is too large"),
            429: (PlatformFailure, "there are too many"),
            500: (PlatformFailure, "the gateway failed"),
            503: (PlatformFailure, "no answer was found in time, or it could not be remembered"),
        },
        parameters=(_TRUNK, _TIMESTAMP),
        body=HmsRequest,
        guarded=True,
    ),
}


def document(version: str) -> Part:
    """The document, of the gateway of this version."""
    signature = f"HMAC-SHA256 of the {TIMESTAMP}, a full stop and the body, in hexadecimal, with `sha256=` before it"
    return written(
        OPERATIONS,
        title="Transfer gateway, for voice platforms",
        version=version,
        description="What a platform asks and tells, in the form of HMS Sovereign. Fields may be added to answers.",
        schemes={"signature": {"type": "apiKey", "in": "header", "name": SIGNATURE, "description": signature}},
    )
