# SPDX-License-Identifier: GPL-2.0-or-later
"""What platforms ask in each form, and are answered: the bodies of the OpenAPI document. Nothing is read by these."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, RootModel

from gateway.web.answers import Failure
from gateway.web.platforms.hms import MAX_TYPE
from gateway.web.platforms.mcp_messages import MAX_ID as MAX_MCP_ID
from gateway.web.platforms.tools import MAX_CALLS, MAX_ID

ToolName: TypeAlias = Literal["check_availability", "list_destinations"] | str
"""Those that are answered; any other gets an error."""
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Type: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_TYPE)]


class Asked(BaseModel):
    """A part of a request, in which there may be more."""

    model_config = ConfigDict(extra="allow")


class Answered(BaseModel):
    """A part of an answer, to which fields may be added."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": True})


class CalledNumber(Asked):
    """The number that was called; null for a call on the web."""

    number: str | None = None


# --- HMS Sovereign


class CalledFunction(Asked):
    """Which tool, and with what."""

    name: ToolName
    arguments: dict[str, Any] | None = None


class ToolCall(Asked):
    """A call of a tool."""

    id: Id
    function: CalledFunction


class HmsMessage(Asked):
    """What HMS asks or tells; there is more in it."""

    type: Literal["tool-calls", "assistant-request", "status-update", "end-of-call-report"] | Type
    phone_number: CalledNumber | None = None
    tool_call_list: Annotated[list[ToolCall], Field(min_length=1, max_length=MAX_CALLS)] | None = Field(
        default=None, description="of `tool-calls`"
    )


class HmsRequest(Asked):
    """The body of a request of HMS."""

    message: HmsMessage


class ToolResult(Answered):
    """What a call came to: `{"error": "…"}`, or what the tool says."""

    tool_call_id: str
    result: dict[str, Any]


class HmsAnswer(Answered):
    """What the type of HMS' request is answered with; an empty object for all others."""

    results: list[ToolResult] = Field(default=[], description="to `tool-calls`")
    error: str = Field(default="", description="to `tool-calls` whose calls cannot be told apart")
    assistant: dict[str, Any] = Field(default={}, description="to `assistant-request`")
    assistant_id: str = Field(default="", description="to `assistant-request`")
    assistant_override: dict[str, Any] = Field(default={}, description="to `assistant-request`")


# --- Vapi


class VapiFunction(Asked):
    """Which tool, and with what: an object, or its JSON."""

    name: ToolName
    arguments: dict[str, Any] | str | None = None


class VapiToolCall(Asked):
    """A call of a tool, in either spelling."""

    id: Id
    name: ToolName | None = None
    parameters: dict[str, Any] | str | None = None
    function: VapiFunction | None = None


class VapiSaid(Asked):
    """A message of the conversation."""

    called: list[VapiToolCall] | None = Field(default=None, alias="toolCalls")


class VapiArtifact(Asked):
    """The conversation so far; the newest tool call that has a `destination` says which is meant."""

    messages: list[VapiSaid] | None = None


class VapiMessage(Asked):
    """What Vapi asks or tells; there is more in it."""

    type: Literal["tool-calls", "transfer-destination-request"] | Type
    phone_number: CalledNumber | None = Field(default=None, alias="phoneNumber")
    tool_call_list: Annotated[list[VapiToolCall], Field(min_length=1, max_length=MAX_CALLS)] | None = Field(
        default=None, alias="toolCallList", description="of `tool-calls`"
    )
    artifact: VapiArtifact | None = Field(default=None, description="of `transfer-destination-request`")


class VapiRequest(Asked):
    """The body of a request of Vapi."""

    message: VapiMessage


class VapiToolResult(Answered):
    """What a call came to, as JSON in a text."""

    tool_call_id: str = Field(alias="toolCallId")
    result: str


class VapiDestination(Answered):
    """Where the caller is to go."""

    type: Literal["number"]
    number: str
    message: str = ""


class VapiAnswer(Answered):
    """What the type of Vapi's request is answered with; an empty object for all others."""

    results: list[VapiToolResult] = Field(default=[], description="to `tool-calls`")
    destination: VapiDestination | None = Field(default=None, description="to `transfer-destination-request`")
    error: str = Field(default="", description="why there is no destination, for the caller; or what is wrong")


# --- Retell


class RetellCall(Asked):
    """The call in which it is asked; our number is `to_number`, or `from_number` of an outbound one."""

    direction: Literal["inbound", "outbound"] | None = None
    to_number: str | None = None
    from_number: str | None = None


class RetellFunction(Asked):
    """The body of a call of a custom function."""

    name: Annotated[ToolName, Field(min_length=1)]
    call: RetellCall | None = None
    args: dict[str, Any] | None = None


class RetellEvent(Asked):
    """The body of a webhook, which is answered with an empty object."""

    event: Type
    call: RetellCall | None = None


class RetellAnswer(Answered):
    """What the tool says, or what is wrong with the call of it."""

    error: str = ""
    available: bool = Field(default=False, description="of `check_availability`")
    sentence: str | None = Field(default=None, description="of `check_availability`: why not, for the caller")
    destinations: list[dict[str, Any]] = Field(default=[], description="of `list_destinations`, or what could be meant")


# --- all of them


class PlatformRequest(RootModel[HmsRequest | VapiRequest | RetellFunction | RetellEvent]):
    """A request in the form that the trunk's profile names (`form` in `[platform]`)."""


class PlatformAnswer(RootModel[HmsAnswer | VapiAnswer | RetellAnswer]):
    """The answer in that form."""


class PlatformFailure(Answered):
    """Why a request is not handled."""

    error: str
    code: Literal[
        "bad-json", "bad-request", "signature-missing", "signature-wrong", "timestamp-off", "replayed", "not-found",
        "too-slow", "too-large", "too-many-requests", "internal-error",
    ]  # fmt: skip


# --- MCP


class McpMeta(Asked):
    """Of 2026-07-28: which version is spoken, and what the client can do."""

    version: str | None = Field(default=None, alias="io.modelcontextprotocol/protocolVersion")
    capabilities: dict[str, Any] | None = Field(default=None, alias="io.modelcontextprotocol/clientCapabilities")


class McpParams(Asked):
    """What the method takes: `name` and `arguments` of `tools/call`, `protocolVersion` of `initialize`."""

    meta: McpMeta | None = Field(default=None, alias="_meta")
    name: Literal["check_availability", "list_destinations", "explain"] | str | None = None
    arguments: dict[str, Any] | None = None
    protocol_version: str | None = Field(default=None, alias="protocolVersion")


class McpMessage(Asked):
    """A message of JSON-RPC 2.0; one without `id` is answered with 202 and nothing."""

    jsonrpc: Literal["2.0"]
    id: Annotated[str, Field(max_length=MAX_MCP_ID)] | Annotated[int, Field(gt=-(1 << 63), lt=1 << 63)] = ""
    method: Literal["server/discover", "initialize", "ping", "tools/list", "tools/call"] | str
    params: McpParams = Field(default_factory=McpParams)


class McpError(Answered):
    """As JSON-RPC has it."""

    code: int
    message: str
    data: dict[str, Any] = {}


class McpAnswer(Answered):
    """A message of JSON-RPC 2.0 that answers another: `result` or `error`."""

    jsonrpc: Literal["2.0"]
    id: int | str = Field(default="", description="that of the request; absent where it has none that can be read")
    result: dict[str, Any] = {}
    error: McpError | None = None


class McpFailure(RootModel[McpAnswer | Failure]):
    """An error of JSON-RPC, or, where the message was not looked at, of the listener."""
