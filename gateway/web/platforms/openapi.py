# SPDX-License-Identifier: GPL-2.0-or-later
"""The OpenAPI 3.1 document of the listener for platforms: docs/schema/platform.openapi.json. It is not served."""

from collections.abc import Mapping, Sequence

from gateway.web.answers import Failure
from gateway.web.openapi_form import Nothing, Operation, Part, written
from gateway.web.platforms.hms import SIGNATURE, TIMESTAMP
from gateway.web.platforms.mcp_messages import METHOD, MODERN, NAME, VERSION, VERSIONS
from gateway.web.platforms.openapi_models import (
    McpAnswer,
    McpFailure,
    McpMessage,
    PlatformAnswer,
    PlatformFailure,
    PlatformRequest,
)
from gateway.web.platforms.retell import SIGNATURE as RETELL_SIGNATURE
from gateway.web.platforms.vapi import SECRET

_TRUNK: Part = {
    "name": "trunk", "in": "path", "required": True,
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
    "description": "the trunk whose platform asks, by the name of its profile",
}  # fmt: skip
_TIMESTAMP: Part = {
    "name": TIMESTAMP, "in": "header", "schema": {"type": "string", "pattern": "^[0-9]{1,12}$"},
    "description": "of HMS: when it was signed, in seconds since 1970: within five minutes of our clock",
}  # fmt: skip


def _of_mcp(name: str, words: str, values: Sequence[str] = ()) -> Part:
    schema: Part = {"type": "string", **({"enum": list(values)} if values else {})}
    said = f"{words}; needed by {MODERN}, where it says what the body says"
    return {"name": name, "in": "header", "schema": schema, "description": said}


OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("post", "/platform/{trunk}"): Operation(
        "platform",
        "A voice platform asks or tells, in its form. `/platform` is `path` in `[platform]`.",
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
        body=PlatformRequest,
        proved_by=("signature", "bearer", "secret", "retell"),
    ),
    ("post", "/mcp"): Operation(
        "mcp",
        "A client of the Model Context Protocol sends a message. `/mcp` is `mcp_path` in `[platform]`.",
        {
            200: (McpAnswer, "its result, or an error that its method has"),
            202: (Nothing, "nothing is answered to it"),
            400: (McpFailure, "it cannot be read, or is none of the protocol"),
            401: (Failure, "the token is missing or wrong"),
            403: (Failure, "it comes from a page in a browser"),
            404: (McpFailure, "there is no such method, or nobody may ask here"),
            408: (Failure, "its body takes too long"),
            413: (Failure, "its body is too large"),
            429: (Failure, "there are too many"),
            500: (Failure, "the gateway failed"),
        },
        parameters=(
            _of_mcp(VERSION, "the version of the protocol", VERSIONS),
            _of_mcp(METHOD, "the method"),
            _of_mcp(NAME, "the tool that is called"),
        ),
        body=McpMessage,
        proved_by=("bearer",),
    ),
}


def document(version: str) -> Part:
    """The document, of the gateway of this version."""
    signature = (
        f"HMS: HMAC-SHA256 of the {TIMESTAMP}, a full stop and the body, in hexadecimal, with `sha256=` before it"
    )
    retell = (
        "Retell: `v=<milliseconds>,d=<hexadecimal>`, the HMAC-SHA256 of the body and the milliseconds by an API key"
    )
    return written(
        OPERATIONS,
        title="Transfer gateway, for voice platforms",
        version=version,
        description=(
            "What platforms ask and tell, in the form that the profile of their trunk names: HMS Sovereign's, Vapi's "
            "or Retell's; and an MCP server. Fields may be added to answers."
        ),
        schemes={
            "signature": _header(SIGNATURE, signature),
            "bearer": {"type": "http", "scheme": "bearer", "description": "Vapi: a credential's; MCP: a token's"},
            "secret": _header(SECRET, "Vapi: the secret, of older credentials"),
            "retell": _header(RETELL_SIGNATURE, retell),
        },
    )


def _header(name: str, words: str) -> Part:
    return {"type": "apiKey", "in": "header", "name": name, "description": words}
